"""GET /v1/expressions: the language, and what one formula says."""

from xml.etree import ElementTree as ET

import pytest

from attention_core.formulas import LANGUAGE

MATHML = "{http://www.w3.org/1998/Math/MathML}math"


async def test_every_name_has_a_meaning_in_both_languages_and_an_example(client):
    answer = (await client.get("/v1/expressions")).json()
    assert [one["name"] for one in answer["names"]] == list(LANGUAGE)
    groups = {one["name"] for one in answer["groups"]}
    for one in answer["names"]:
        assert one["meaning"]["zh"]
        assert one["meaning"]["en"]
        assert one["group"] in groups
        assert one["latex"]
        assert ET.fromstring(one["mathml"]).tag == MATHML
    assert answer["limits"] == {"characters": 1000, "nodes": 200, "depth": 32, "parameters": 16}


@pytest.mark.parametrize("name", LANGUAGE)
async def test_every_example_is_a_formula(client, name):
    listed = (await client.get("/v1/expressions")).json()["names"]
    example = next(one["example"] for one in listed if one["name"] == name)
    kinds = ("score_model", "score_modifier", "mask")
    answers = [await client.get("/v1/expressions", params={"formula": example, "kind": kind}) for kind in kinds]
    parts = [await client.get("/v1/expressions", params={"formula": f"where({example} == 0, 1, 0)"})]
    assert any(response.status_code == 200 for response in (*answers, *parts))


CHECKED = {
    "-sum(abs(q - k)) / tau": ("score_model", {"tau": [[]]}),
    "v @ tanh(W @ concat(q, k))": ("score_model", {"v": [["U"]], "W": [["U", "Dq + Dk"]]}),
    "weight @ concat(q, k, q * k)": ("score_model", {"weight": [["3·D"]]}),
    "score + slope[h] * (j - p)": ("score_modifier", {"slope": [["Hq"]]}),
    "j <= p and doc[j] == doc[i]": ("mask", {"doc": [["max(Lk, Lq)"]]}),
    "(p - j) % dilation == 0 or j < n_global": ("mask", {"dilation": [[]], "n_global": [[]]}),
}


@pytest.mark.parametrize("formula", CHECKED)
async def test_a_formula_is_typeset_and_its_parameters_are_named(client, formula):
    kind, parameters = CHECKED[formula]
    answer = (await client.get("/v1/expressions", params={"formula": formula})).json()
    assert (answer["formula"], answer["kind"]) == (formula, kind)
    assert {one["name"]: one["shapes"] for one in answer["parameters"]} == parameters
    assert ET.fromstring(answer["mathml"]).tag == MATHML
    again = await client.get("/v1/expressions", params={"formula": formula, "kind": kind})
    assert again.json() == answer


REFUSED = {
    "a missing operand": ({"formula": "q @"}, "/formula", "column"),
    "an unknown function": ({"formula": "sin(foo(q))"}, "/formula", "'foo' at column 5"),
    "a vector as a score": ({"formula": "q * k"}, "/formula", "a vector of D numbers: 'q * k' at column 1"),
    "a vector as a condition": ({"formula": "1 + where(q, 1, 2)"}, "/formula", "'q' at column 11"),
    "a number as a mask": ({"formula": "j - p", "kind": "mask"}, "/formula", "a number: 'j - p' at column 1"),
    "a modifier as a kind": ({"formula": "score", "kind": "modifier"}, "/kind", "one of mask, score_model"),
    "a long kind": ({"formula": "score", "kind": "x" * 5000}, "/kind", "x…'"),
    "a query in a mask": ({"formula": "q @ k > 0", "kind": "mask"}, "/formula", "'q' at column 1"),
    "an unknown kind": ({"formula": "q @ k", "kind": "score"}, "/kind", "score_model"),
    "an unknown kind alone": ({"kind": "score"}, "/kind", "score_model"),
    "a misspelt name": ({"formul": "q @ k"}, "/formul", "Did you mean 'formula'?"),
    "a formula twice": ({"formula": ["q @ k", "q"]}, "/formula", "each name once in the query; received formula twice"),
    "an empty text": ({"formula": ""}, "/formula", "expected"),
    "a long text": ({"formula": "1+" * 600 + "1"}, "/formula", "1000 characters"),
}


@pytest.mark.parametrize("wrong", REFUSED)
async def test_a_wrong_formula_is_refused_with_its_place(client, wrong):
    parameters, pointer, words = REFUSED[wrong]
    response = await client.get("/v1/expressions", params=parameters)
    assert response.status_code == 422, response.text
    assert response.json()["errors"][0]["pointer"] == pointer
    assert words in response.json()["errors"][0]["detail"]


async def test_many_parameters_of_open_rank_are_named_without_shapes(client):
    formula = "sum(q) + " + " @ ".join(f"a{n}" for n in range(15))
    answer = (await client.get("/v1/expressions", params={"formula": formula})).json()
    assert [one["name"] for one in answer["parameters"]] == [f"a{n}" for n in range(15)]
