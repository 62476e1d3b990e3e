"""Score modifiers and mask formulas over a socket: every representation, every endpoint, and every refusal."""

import json

import httpx
import numpy as np
import pytest

from tests import oracle
from tests.compare import assert_close
from tests.core_calls import with_infinities
from tests.server import running_server
from tests.service.open_inference.asking import INFER
from tests.service.safetensors.stored import BOTH, saved, whole

RNG = np.random.default_rng(5)
QUERY = RNG.normal(size=(2, 2, 3, 4)).round(3).tolist()
KEY, VALUE = RNG.normal(size=(2, 2, 2, 5, 4)).round(3).tolist()
VECTORS = {"query": QUERY, "key": KEY, "value": VALUE}
FIELDS = ["scores", "capped_scores", "modified", "logits", "weights", "output", "logsumexp"]

MODIFIERS = {
    "a number": {"formula": "gain * score", "parameters": {"gain": 0.5}},
    "a vector": {"formula": "score - slope[h] * abs(p - j)", "parameters": {"slope": [0.5, 0.25]}},
    "a matrix": {"formula": "score + table[i, j]", "parameters": {"table": [[0, 1, 2, 3, 4], [1] * 5, [0.5] * 5]}},
    "a number for each head": {"formula": "score * gain", "parameters": {"gain": {"per_head": [1, 2]}}},
    "a vector for each head": {
        "formula": "score + row[j]",
        "parameters": {"row": {"per_head": [[0] * 5, [1, 2, 3, 4, 5]]}},
    },
    "no parameters": {"formula": "where(b == 1, 2 * tanh(score / 2), score) - j / Lk"},
    "hides keys": {"formula": "where(j <= p, score, -inf)", "parameters": None},
}
MASKS = {
    "causal": {"formula": "j <= p", "offset": 1},
    "documents": {"formula": "doc[i] == doc[j]", "parameters": {"doc": [0, 0, 1, 1, 1]}},
    "beside others": {"formula": "p - j < width", "parameters": {"width": 2}, "causal": True, "key_lengths": [5, 2]},
    "by head": {"formula": "j < reach", "parameters": {"reach": {"per_head": [2, 4]}}},
}


async def post(client, document, path="/v1/attention"):
    response = await client.post(path, json=document)
    assert response.status_code == 200, response.text
    return response.json()


def arrays_of(answer):
    return {name: answer[name] for name in FIELDS}


@pytest.mark.parametrize("mask", [None, *MASKS])
@pytest.mark.parametrize("modifier", [None, *MODIFIERS])
async def test_answers_are_those_of_the_oracle(client, modifier, mask):
    request = VECTORS | {"score_modifier": MODIFIERS.get(modifier), "mask": MASKS.get(mask), "include": FIELDS}
    answer, expected = await post(client, request), oracle.attention(request)
    for field in FIELDS:
        assert_close(answer[field], expected[field], 1e-13, field)


BOTH_FORMULAS = VECTORS | {
    "score_modifier": MODIFIERS["a vector"],
    "mask": MASKS["beside others"] | {"parameters": {"width": 2}},
    "include": FIELDS,
}


async def test_safetensors_names_parameters_by_their_places(client):
    tensors = {name: np.array(array) for name, array in VECTORS.items()}
    tensors |= {
        "score_modifier.parameters.slope": np.array([0.5, 0.25]),
        "mask.parameters.doc": np.array([0, 0, 1, 1, 1]),
        "score_modifier.parameters.gain.per_head": np.array([1.0, 2.0], np.float32),
    }
    formula = "gain * score - slope[h] * abs(p - j)"
    rest = {"score_modifier": {"formula": formula}, "mask": {"formula": "doc[i] == doc[j]"}, "include": FIELDS}
    parameters = {"slope": [0.5, 0.25], "gain": {"per_head": [1, 2]}}
    expected = await post(
        client,
        VECTORS
        | {
            "score_modifier": {"formula": formula, "parameters": parameters},
            "mask": MASKS["documents"],
            "include": FIELDS,
        },
    )
    response = await client.post("/v1/attention", content=saved(tensors, rest), headers=BOTH)
    received = whole(response)
    for field in FIELDS:
        np.testing.assert_array_equal(received[field], with_infinities(expected[field]), err_msg=field)


async def test_v2_takes_formulas_through_the_options_and_has_the_output_modified(client):
    inputs = [
        {"name": name, "shape": list(np.shape(array)), "datatype": "FP64", "data": np.ravel(array).tolist()}
        for name, array in VECTORS.items()
    ]
    options = {
        "score_modifier": MODIFIERS["a vector"],
        "mask": {"formula": "p - j < width", "parameters": {"width": 2}},
    }
    body = {
        "inputs": inputs,
        "parameters": {"options": json.dumps(options), "causal": True},
        "outputs": [{"name": "modified"}, {"name": "weights"}],
    }
    expected = await post(
        client,
        VECTORS
        | {"score_model": "dot_product", **options}
        | {"mask": {**options["mask"], "causal": True}, "include": ["modified", "weights"]},
    )
    answer = await post(client, body, INFER)
    assert [output["name"] for output in answer["outputs"]] == ["modified", "weights"]
    for output in answer["outputs"]:
        assert_close(output["data"], np.ravel(expected[output["name"]]).tolist(), 1e-15)


async def test_the_same_form_with_another_formula_is_another_call(client):
    """Requests that differ in a formula, or in a parameter of one, share no cached call."""
    small = {"query": [[1.0, 2.0]], "key": [[1.0, 0.5], [0.5, 2.0]], "include": ["modified"]}
    for factor in (1, 2, 3):
        for formula in ("factor * score", "score + factor"):
            modifier = {"formula": formula, "parameters": {"factor": factor}}
            for _ in range(2):
                answer = await post(client, small | {"score_modifier": modifier})
                expected = oracle.attention(small | {"score_modifier": modifier})["modified"]
                assert_close(answer["modified"], expected, 1e-13)


COMPARED = {
    "a parameter": (
        {"parameters": {"gain": 2}},
        {"formula": "gain * score + shift", "parameters": {"gain": 2, "shift": 1}},
    ),
    "another formula": (
        {"formula": "gain * score", "parameters": {"gain": 3}},
        {"formula": "gain * score", "parameters": {"gain": 3}},
    ),
    "a formula without parameters": ({"formula": "score / 2"}, {"formula": "score / 2"}),
    "the same formula": (
        {"formula": "gain * score + shift", "parameters": {"shift": 5}},
        {"formula": "gain * score + shift", "parameters": {"gain": 0.5, "shift": 5}},
    ),
}


@pytest.mark.parametrize("name", COMPARED)
async def test_compare_merges_parameters_unless_the_formula_changes(client, name):
    overrides, modifier = COMPARED[name]
    base = VECTORS | {"score_modifier": {"formula": "gain * score + shift", "parameters": {"gain": 0.5, "shift": 1}}}
    base |= {"include": ["modified"]}
    variants = [{"label": "other", "overrides": {"score_modifier": overrides}}]
    answer = await post(client, {"base": base, "variants": variants}, "/v1/attention/compare")
    assert answer["results"][1]["result"] == await post(client, base | {"score_modifier": modifier})


async def test_compare_keeps_other_masks_where_the_formula_of_one_changes(client):
    base = VECTORS | {"mask": MASKS["beside others"], "include": ["weights"]}
    variants = [{"label": "other", "overrides": {"mask": {"formula": "j % n == 0", "parameters": {"n": 2}}}}]
    answer = await post(client, {"base": base, "variants": variants}, "/v1/attention/compare")
    mask = {"causal": True, "key_lengths": [5, 2], "formula": "j % n == 0", "parameters": {"n": 2}}
    assert answer["results"][1]["result"] == await post(client, base | {"mask": mask})
    variants[0]["overrides"] = {"mask": {"formula": None}}
    answer = await post(client, {"base": base, "variants": variants}, "/v1/attention/compare")
    assert answer["results"][1]["result"] == await post(
        client, base | {"mask": {"causal": True, "key_lengths": [5, 2]}}
    )


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_explain_has_a_step_for_the_modifier(client, language):
    request = VECTORS | {"score_modifier": MODIFIERS["a vector"], "mask": MASKS["causal"]}
    question = {"request": request, "index": [1, 1], "query_index": 2, "key_index": 1, "language": language}
    answer = await post(client, question, "/v1/attention/explain")
    expected = oracle.attention(request)
    steps = {step["name"]: step for step in answer["steps"]}
    assert_close(steps["modified"]["value"], expected["modified"][1][1][2][1], 1e-13)
    assert_close(steps["logit"]["value"], expected["modified"][1][1][2][1], 1e-13)
    assert_close(answer["logit"], expected["logits"][1][1][2][1], 1e-13)
    formula = MODIFIERS["a vector"]["formula"]
    assert {"en": f"modifier “{formula}” makes", "zh": f"得分修饰“{formula}”把"}[language] in steps["modified"][
        "sentence"
    ]
    assert answer["masked_by"] == []


@pytest.mark.parametrize(
    ("options", "masked_by", "words"),
    [
        ({"score_modifier": MODIFIERS["hides keys"]}, ["score_modifier"], "the score modifier"),
        ({"mask": MASKS["causal"]}, ["formula"], "the mask formula"),
        ({"score_modifier": MODIFIERS["hides keys"], "bias": [0, 0, 0, 0, None]}, ["bias"], "the bias"),
    ],
)
async def test_explain_names_what_hides_the_key(client, options, masked_by, words):
    question = {"request": VECTORS | options, "index": [0, 0], "query_index": 1, "key_index": 4}
    answer = await post(client, question, "/v1/attention/explain")
    assert answer["masked_by"] == masked_by
    assert (answer["visible"], answer["weight"], answer["logit"]) == (False, 0.0, None)
    [step] = [step for step in answer["steps"] if step["name"] == "mask"]
    assert words in step["sentence"]


@pytest.mark.parametrize(("language", "words"), [("en", "has no influence"), ("zh", "没有影响")])
@pytest.mark.parametrize("formula", ["where(j == 4, 5, score)", "score * 0", "where(j == 4, -inf, score)"])
async def test_explain_shows_no_number_of_a_modifier_under_a_bias_of_minus_infinity(client, language, words, formula):
    request = VECTORS | {"score_modifier": {"formula": formula}, "bias": [0, 0, 0, 0, None]}
    question = {"request": request, "index": [0, 0], "query_index": 1, "key_index": 4, "language": language}
    steps = (await post(client, question, "/v1/attention/explain"))["steps"]
    assert [step["name"] for step in steps if step["name"] in ("modifier", "modified", "mask")] == ["modified", "mask"]
    [step] = [step for step in steps if step["name"] == "modified"]
    assert (step["formula"], step["value"]) == ("−∞", None)
    assert words in step["sentence"]
    assert formula in step["sentence"]


async def test_truth_values_of_a_safetensors_file_are_refused_as_those_of_json(client):
    tensors = {name: np.array(array) for name, array in VECTORS.items()}
    tensors["mask.parameters.flag"] = np.array([True, False, True, True, True])
    response = await client.post(
        "/v1/attention", content=saved(tensors, {"mask": {"formula": "flag[j] == 1"}}), headers=BOTH
    )
    options, pointer, _ = WRONG["truth values"]
    as_json = await client.post("/v1/attention", json=VECTORS | options)
    assert response.json()["errors"] == as_json.json()["errors"]
    assert response.json()["errors"][0]["pointer"] == pointer


async def test_names_of_parameters_are_normalized_as_those_of_the_formula(client):
    plain = VECTORS | {"score_modifier": {"formula": "score * fi", "parameters": {"fi": 2}}}
    other = VECTORS | {"score_modifier": {"formula": "score * ﬁ", "parameters": {"ﬁ": 2}}}
    assert await post(client, plain) == await post(client, other)


async def test_estimate_counts_the_formulas(client):
    plain = await post(client, VECTORS, "/v1/attention/estimate")
    modified = await post(client, VECTORS | {"score_modifier": MODIFIERS["a vector"]}, "/v1/attention/estimate")
    masked = await post(client, VECTORS | {"mask": MASKS["by head"]}, "/v1/attention/estimate")
    assert plain["operations"] < modified["operations"]
    assert plain["operations"] < masked["operations"]
    assert plain["bytes"] < modified["bytes"]


async def test_check_takes_formulas(client):
    request = VECTORS | {"score_modifier": MODIFIERS["a matrix"], "mask": MASKS["by head"]}
    output = oracle.attention(request)["output"]
    right = await post(client, {"request": request, "candidate": {"output": output}}, "/v1/attention/check")
    assert right["passed"]
    unmasked = oracle.attention(VECTORS | {"score_modifier": MODIFIERS["a matrix"]})["output"]
    wrong = await post(client, {"request": request, "candidate": {"output": unmasked}}, "/v1/attention/check")
    assert wrong["likely_cause"] == "mask formula missing"


async def test_a_row_that_a_modifier_empties_is_noted(client):
    modifier = {"formula": "where(i == 1, -inf, score)"}
    request = {"query": [[1.0], [2.0]], "key": [[1.0], [3.0]], "value": [[1.0], [2.0]], "score_modifier": modifier}
    answer = await post(client, request)
    assert answer["weights"][1] == answer["output"][1] * 2 == [0.0, 0.0]
    assert answer["notes"] == ["row 1: no visible key; weights and output are zero"]


SECRET = "score + secret_name_in_a_formula"

WRONG = {
    "no name": ({"score_modifier": {"formula": SECRET}}, "/score_modifier/formula", "column 9"),
    "no syntax": ({"score_modifier": {"formula": "score +"}}, "/score_modifier/formula", "column"),
    "no number": ({"score_modifier": {"formula": "score < 0"}}, "/score_modifier/formula", "column 1"),
    "no truth": ({"mask": {"formula": "p - j"}}, "/mask/formula", "column 1"),
    "a score in a mask": ({"mask": {"formula": "j <= p and score > 0"}}, "/mask/formula", "column 12"),
    "an index outside": (
        {"mask": {"formula": "doc[j] == 0", "parameters": {"doc": [0, 1]}}},
        "/mask/formula",
        "column 1",
    ),
    "a call of an attribute": ({"mask": {"formula": "j.real <= p"}}, "/mask/formula", "column 2"),
    "an unused parameter": (
        {"mask": {"formula": "j <= p", "parameters": {"width": 2}}},
        "/mask/parameters/width",
        "expected",
    ),
    "parameters alone": ({"mask": {"parameters": {"width": 2}}}, "/mask/formula", "Add formula"),
    "no formula": ({"score_modifier": {"parameters": {"width": 2}}}, "/score_modifier/formula", "required"),
    "a reserved name": (
        {"score_modifier": {"formula": "score + h", "parameters": {"h": 2}}},
        "/score_modifier/parameters/h",
        "expected",
    ),
    "a string for a parameter": (
        {"score_modifier": {"formula": "score + a", "parameters": {"a": "2"}}},
        "/score_modifier/parameters/a",
        "expected",
    ),
    "null in a vector": (
        {"score_modifier": {"formula": "score + a[j]", "parameters": {"a": [1, None]}}},
        "/score_modifier/parameters/a/1",
        "expected a number",
    ),
    "a ragged matrix": (
        {"score_modifier": {"formula": "score + a[i, j]", "parameters": {"a": [[1, 2], [1]]}}},
        "/score_modifier/parameters/a/1",
        "expected",
    ),
    "too many heads": (
        {"score_modifier": {"formula": "score + a", "parameters": {"a": {"per_head": [1, 2, 3]}}}},
        "/score_modifier/parameters/a/per_head",
        "2 entries",
    ),
    "null for a head": (
        {"score_modifier": {"formula": "score + a", "parameters": {"a": {"per_head": [1, None]}}}},
        "/score_modifier/parameters/a/per_head/1",
        "expected a number",
    ),
    "another object": (
        {"score_modifier": {"formula": "score + a", "parameters": {"a": {"head": [1, 2]}}}},
        "/score_modifier/parameters/a",
        'Send {"per_head": […]} with',
    ),
    "a vector": (
        {"score_modifier": {"formula": "score + a", "parameters": {"a": [1, 2]}}},
        "/score_modifier/formula",
        "Take one entry of a vector, as in slope[h]",
    ),
    "a number for a formula": ({"score_modifier": {"formula": 1}}, "/score_modifier/formula", "expected a string"),
    "an integer of a mask that float64 merges": (
        {"mask": {"formula": "doc[i] == doc[j]", "parameters": {"doc": [0, 2**53 + 1, 2**53, 1, 1]}}},
        "/mask/parameters/doc/1",
        "9007199254740993",
    ),
    "an integer of a mask beyond int64": (
        {"mask": {"formula": "j < n", "parameters": {"n": 2**63}}},
        "/mask/parameters/n",
        "expected an integer",
    ),
    "a large integer beside a fraction": (
        {"mask": {"formula": "doc[i] == doc[j]", "parameters": {"doc": [0.5, 2**53 + 1, 2**53, 1, 1]}}},
        "/mask/parameters/doc/1",
        "expected an integer",
    ),
    "a number beyond float32": (
        {"score_modifier": {"formula": "score * a", "parameters": {"a": 1e39}}, "dtype": "float32"},
        "/score_modifier/parameters/a",
        "range of float32",
    ),
    "truth values": (
        {"mask": {"formula": "flag[j] == 1", "parameters": {"flag": [True, False, True, True, True]}}},
        "/mask/parameters/flag/0",
        "written as 1 and 0",
    ),
    "a parameter of a modifier one level too high": (
        {"score_modifier": {"formula": "score + slope * (j - p)", "slope": 0.5}},
        "/score_modifier/slope",
        'put it into score_modifier.parameters, as "parameters": {"slope": …}',
    ),
    "a parameter of a mask one level too high": (
        {"mask": {"formula": "p - j < width", "width": 2}},
        "/mask/width",
        'put it into mask.parameters, as "parameters": {"width": …}',
    ),
    "another name of the modifier": (
        {"modifier": {"formula": "score"}},
        "/modifier",
        "Here it is score_modifier.formula",
    ),
    "a mask function": ({"mask_mod": "j <= i"}, "/mask_mod", "such as j <= p: j is kv_idx, and p is q_idx counted"),
    "a score function": ({"score_mod": "score"}, "/score_mod", "such as score + slope * (j - p): j is kv_idx, and p"),
    "a modifier that is a text": (
        {"score_modifier": "score * 2"},
        "/score_modifier",
        '"score_modifier": {"formula": "score * 2"}',
    ),
    "a mask that is a formula": ({"mask": "j <= p"}, "/mask", '"mask": {"formula": "j <= p"}'),
    "a mask that is a word": ({"mask": "causal"}, "/mask", '"mask": {"causal": true}'),
    "parentheses for an index": (
        {"score_modifier": {"formula": "score + t(i)", "parameters": {"t": [1, 2, 3]}}},
        "/score_modifier/formula",
        "t[i]",
    ),
    "a misspelt member": ({"score_modifier": {"formulas": "score"}}, "/score_modifier/formulas", "formula"),
}


@pytest.mark.parametrize("name", WRONG)
async def test_a_wrong_formula_is_refused_with_its_place(client, name):
    options, pointer, words = WRONG[name]
    response = await client.post("/v1/attention", json=VECTORS | options)
    assert response.status_code == 422, response.text
    error = response.json()["errors"][0]
    assert error["pointer"] == pointer
    assert words in error["detail"]


@pytest.mark.parametrize(
    ("path", "around", "within"),
    [
        ("/v1/attention/estimate", lambda request: request, ""),
        ("/v1/attention/explain", lambda request: {"request": request, "query_index": 0, "key_index": 0}, "/request"),
        ("/v1/attention/check", lambda request: {"request": request, "candidate": {"weights": [[1]]}}, "/request"),
        (
            "/v1/attention/compare",
            lambda request: {"base": request, "variants": [{"label": "a", "overrides": {}}]},
            "/base",
        ),
    ],
)
async def test_a_wrong_formula_is_refused_everywhere(client, path, around, within):
    for options, pointer, _ in (WRONG["no name"], WRONG["no truth"]):
        response = await client.post(path, json=around(VECTORS | options))
        assert response.status_code == 422, response.text
        assert response.json()["errors"][0]["pointer"] == within + pointer


async def test_v2_points_to_the_options(client):
    inputs = [{"name": name, "shape": [1, 1], "datatype": "FP64", "data": [1]} for name in ("query", "key")]
    body = {"inputs": inputs, "parameters": {"options": json.dumps({"score_modifier": {"formula": SECRET}})}}
    response = await client.post(INFER, json=body)
    assert response.status_code == 422
    error = response.json()["errors"][0]
    assert error["pointer"] == "/parameters/options"
    assert "/score_modifier/formula" in error["detail"]
    assert "column 9" in error["detail"]


@pytest.mark.soak
def test_a_formula_is_never_logged(tmp_path):
    used = {"formula": "secret_gain_of_a_user * score", "parameters": {"secret_gain_of_a_user": 1.25}}
    with running_server(tmp_path, LOG_LEVEL="debug") as server, httpx.Client(base_url=server.url) as client:
        statuses = [
            client.post("/v1/attention", json=VECTORS | options).status_code
            for options in ({"score_modifier": used}, *(options for options, *_ in WRONG.values()))
        ]
        client.get("/livez")
        log = server.log.read_text()
    assert statuses == [200, *[422] * len(WRONG)]
    assert log.count("/v1/attention") == len(statuses)
    assert "secret" not in log
    assert "score +" not in log


async def test_the_mask_step_shows_the_modified_score(client):
    request = {
        "query": [[1, 2], [3, 4]],
        "key": [[1, 0], [1, 2]],
        "score_model": "dot_product",
        "score_modifier": {"formula": "score * 2 + 1"},
        "mask": {"causal": True},
    }
    asked = {"request": request, "query_index": 1, "key_index": 0}
    steps = (await client.post("/v1/attention/explain", json=asked)).json()["steps"]
    assert [step["formula"] for step in steps if step["name"] == "mask"] == ["7"]
