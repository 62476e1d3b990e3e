"""Every row of the table is true of this service, and every name in it is answered with it."""

import json
import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

from attention_core.hints import TABLE, Translation
from service.codecs.open_inference.places import advise_place, write_place
from service.codecs.open_inference.vocabulary import FOREIGN, FOREIGN_PREFIX, MODELS, OUTPUTS, SCALARS
from tests.service.hints.sending import (
    ALL,
    BASE,
    UNIONS,
    Sent,
    request_of,
    spelt_in_v1,
    spelt_in_v2,
    steps_of,
    value_of,
)
from tests.service.specification import COMPONENTS, validator

PLACES = sorted({place for rows in TABLE.values() for row in rows for place in row.places}, key=str)
FIELDS = [sent for sent in ALL if sent.kind == "field" and not sent.row.within]


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema, or the component that it refers to."""
    while "$ref" in schema:
        schema = COMPONENTS[schema["$ref"].rpartition("/")[2]]
    return schema


def alternatives(schema: dict[str, Any]) -> list[dict[str, Any]]:
    """Every schema that a value may fit."""
    schema = resolved(schema)
    parts = [part for keyword in ("anyOf", "oneOf", "allOf") for part in schema.get(keyword, ())]
    return [one for part in parts for one in alternatives(part)] if parts else [schema]


def schema_at(place: str) -> dict[str, Any]:
    """The schema of a place in the OpenAPI document; KeyError or StopIteration where there is none."""
    steps, name = steps_of(place)
    schema = COMPONENTS["AttentionRequest"]
    for position, step in enumerate(steps):
        objects = [one for one in alternatives(schema) if "properties" in one]
        if name is not None and position == 1:
            objects = [one for one in objects if one["properties"]["name"]["const"] == name]
        schema = next(one["properties"][step] for one in objects if step in one["properties"])
    if name is not None and len(steps) == 1:
        return next(
            one for one in alternatives(schema) if one.get("properties", {}).get("name", {}).get("const") == name
        )
    return schema


@pytest.mark.parametrize(("place", "value"), PLACES, ids=str)
def test_every_place_is_in_the_document_and_takes_the_value(place: str, value: str | None) -> None:
    schema = schema_at(place)
    if value is not None:
        found: Draft202012Validator = validator(schema)
        found.validate(value_of(place, value))


def test_what_is_not_in_the_document_would_be_noticed() -> None:
    for place in ("mask.dropout", "normalizer.relu.sink", "score_model.concat", "positions.value"):
        with pytest.raises((KeyError, StopIteration)):
            schema_at(place)


@pytest.mark.parametrize(("place", "value"), PLACES, ids=str)
def test_every_place_has_words_in_the_protocol(place: str, value: str | None) -> None:
    text = write_place(place, value)
    kinds = {"model": set(MODELS), "output": set(OUTPUTS), "datatype": {"FP64", "FP32", "FP16", "BF16", "of"},
             "parameter": {*SCALARS, "options"},
             "input": {name for inputs in MODELS.values() for name in inputs}}  # fmt: skip
    named = re.findall(r"\b(model|output|datatype|parameter|input)s? ([a-zA-Z0-9_]+)", text)
    named = [(kind, name) for kind, name in named if name not in ("or", "and")]
    assert named or "/v1/attention" in text or text in ("the outputs", "the model, which the path names",
                                                        "the parameter normalizer"), text  # fmt: skip
    for kind, name in named:
        assert name in kinds[kind], text


def test_every_name_is_in_one_row() -> None:
    for kind, rows in TABLE.items():
        seen: dict[tuple[str, str], Translation] = {}
        for row in rows:
            for name in row.names:
                assert name == name.lower()
                folded = (row.within, name.replace("_", ""))
                assert seen.setdefault(folded, row) is row, f"{kind} {name} is in two rows"
            assert row.words.endswith(".")


def test_no_sentence_begins_with_a_place() -> None:
    """A place is written in lower case: ``the parameter causal: true``."""
    for rows in TABLE.values():
        for row in rows:
            assert not re.search(r"(^|\. )the ", row.text(write_place)), row.words


async def answered(client: httpx.AsyncClient, path: str, request: Any) -> dict[str, Any]:
    response = await client.post(path, content=json.dumps(request))
    assert response.status_code in (422, 400), response.text
    return response.json()


def assert_translated(detail: str, sent: Sent, spelt: list[str]) -> None:
    """Fail unless the hint is the row, with every place of it."""
    assert "Did you mean" not in detail, (sent.id, detail)
    assert not re.search(r"\{[a-z_.]+(=|\})", detail), (sent.id, detail)
    for text in spelt:
        assert text in detail, (sent.id, detail)
    plain = re.split(r"\{[^}]*\}", sent.row.words)
    for text in plain:
        assert text in detail, (sent.id, detail)


async def test_v1_answers_every_name_with_its_row(client: httpx.AsyncClient) -> None:
    """Fields of the request itself are sent twenty at a time, as many as one answer tells of."""
    together = [sent for sent in FIELDS if sent.name not in COMPONENTS["AttentionRequest"]["properties"]]
    for start in range(0, len(together), 20):
        some = together[start : start + 20]
        problem = await answered(client, "/v1/attention", BASE | {sent.name: 1 for sent in some})
        found = {error["pointer"]: error["detail"] for error in problem["errors"]}
        for sent in some:
            assert_translated(found[f"/{sent.name}"], sent, list(spelt_in_v1(sent.row)))
    for sent in ALL:
        if sent not in together:
            request, pointer = request_of(sent)
            problem = await answered(client, "/v1/attention", request)
            assert problem["type"] == "/problems/unknown-name", (sent.id, problem)
            assert pointer in [error["pointer"] for error in problem["errors"]], (sent.id, problem)
            assert_translated(problem["detail"], sent, list(spelt_in_v1(sent.row)))


INFER = "/v2/models/dot_product/infer"
INPUTS = [{"name": "query", "shape": [1, 2], "datatype": "FP32", "data": [1, 0]},
          {"name": "key", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}]  # fmt: skip


def first_of_each_row(names: list[Sent], unlike: Callable[[str], bool]) -> list[Sent]:
    """One name of each row that is not known anyway."""
    found: dict[int, Sent] = {}
    for sent in names:
        if not unlike(sent.name):
            found.setdefault(id(sent.row), sent)
    return list(found.values())


def is_parameter(name: str) -> bool:
    """Whether a parameter of this name is known, or is one of the client's own."""
    return name in SCALARS or name in FOREIGN or name.startswith(FOREIGN_PREFIX)


async def test_a_parameter_of_a_name_in_every_row_is_answered_with_it(client: httpx.AsyncClient) -> None:
    chosen = first_of_each_row(FIELDS, is_parameter)
    # causal is a parameter of the protocol, and its row has no other name.
    assert len(chosen) == len({id(sent.row) for sent in FIELDS if sent.row.names != ["causal"]})
    for sent in chosen:
        problem = await answered(client, INFER, {"inputs": INPUTS, "parameters": {sent.name: 1}})
        assert problem["errors"][0]["pointer"] == f"/parameters/{sent.name}"
        assert_translated(problem["detail"], sent, list(spelt_in_v2(sent.row)))


async def test_an_input_of_a_name_in_every_row_is_answered_with_it(client: httpx.AsyncClient) -> None:
    chosen = first_of_each_row(FIELDS, lambda name: name in MODELS["dot_product"])
    assert len(chosen) == len({id(sent.row) for sent in FIELDS})
    for sent in chosen:
        one = {"name": sent.name, "shape": [1], "datatype": "FP32", "data": [1]}
        problem = await answered(client, INFER, {"inputs": [*INPUTS, one]})
        assert problem["errors"][0]["pointer"] == "/inputs/2/name"
        assert_translated(problem["detail"], sent, list(spelt_in_v2(sent.row)))


def test_every_name_has_its_row_in_the_protocol() -> None:
    for known in ([*SCALARS, "options"], list(MODELS["dot_product"])):
        for sent in FIELDS:
            if sent.name not in known:
                assert_translated(advise_place(sent.name, known, "field"), sent, list(spelt_in_v2(sent.row)))


async def test_choices_of_the_protocol_are_answered_with_their_rows(client: httpx.AsyncClient) -> None:
    for sent in ALL:
        if sent.kind == "include" and sent.name not in OUTPUTS:
            problem = await answered(client, INFER, {"inputs": INPUTS, "outputs": [{"name": sent.name}]})
        elif sent.kind in ("normalizer", "offset"):
            problem = await answered(client, INFER, {"inputs": INPUTS, "parameters": {sent.kind: sent.name}})
        elif sent.kind == "position":
            options = json.dumps({"position": sent.name})
            problem = await answered(client, INFER, {"inputs": INPUTS, "parameters": {"options": options}})
        elif sent.kind == "score_model":
            response = await client.get(f"/v2/models/{sent.name}")
            assert response.status_code == 404
            problem = response.json()
        else:
            continue
        assert_translated(problem["detail"], sent, list(spelt_in_v2(sent.row)))


@pytest.mark.parametrize("path", ["explain", "compare", "check", "estimate"])
async def test_names_in_larger_requests_are_answered_there(client: httpx.AsyncClient, path: str) -> None:
    beside = {"explain": {"query_index": 0, "key_index": 0}, "check": {"candidate": {"weights": [[1, 0]]}},
              "compare": {"variants": [{"label": "a", "overrides": {}}]}, "estimate": {}}[path]  # fmt: skip
    place = {"explain": "request", "check": "request", "compare": "base", "estimate": ""}[path]
    wrong = BASE | {"valid_lens": [1]}
    problem = await answered(client, f"/v1/attention/{path}", beside | ({place: wrong} if place else wrong))
    assert "Here it is mask.key_lengths" in problem["detail"]
    if place:
        problem = await answered(client, f"/v1/attention/{path}", beside | {place: BASE, "valid_lens": [1]})
        assert f"Here it is {place}.mask.key_lengths" in problem["detail"]
        problem = await answered(client, f"/v1/attention/{path}", beside | {place: BASE, "is_causal": True})
        assert f'"{place}": {{"mask": {{"causal": true}}}}' in problem["detail"]
    if path == "compare":
        over = {"base": BASE, "variants": [{"label": "a", "overrides": {"softmax_scale": 1}}]}
        problem = await answered(client, "/v1/attention/compare", over)
        assert problem["errors"][0]["pointer"] == "/variants/0/overrides/softmax_scale"
        assert "Here it is score_model.scale" in problem["detail"]


@pytest.mark.parametrize(
    ("name", "here"),
    [("attn_weights", "weights"), ("lse", "logsumexp"), ("attn_output", "output"), ("energy", "scores")],
)
async def test_fields_of_a_result_are_answered_where_they_stand(
    client: httpx.AsyncClient, name: str, here: str
) -> None:
    problem = await answered(client, "/v1/attention/check", {"request": BASE, "candidate": {name: [[1, 0]]}})
    assert f"'{here}'" in problem["detail"]
    assert "include" not in problem["detail"]
    if here in ("logsumexp", "output"):
        problem = await answered(client, "/v1/attention/merge", {"partials": [{name: [[1]]}]})
        assert f"'{here}'" in problem["detail"]


def test_unions_are_those_of_the_document() -> None:
    for field in UNIONS:
        named = [
            one for one in alternatives(COMPONENTS["AttentionRequest"]["properties"][field]) if "properties" in one
        ]
        assert len(named) > 1
