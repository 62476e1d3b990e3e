"""POST /v1/attention/gradients: those of the core, in the shapes that were sent, within the limits of every call."""

import json
from dataclasses import fields

import numpy as np
import pytest
import safetensors.numpy

from attention_core import NORMALIZERS, AttentionGradients, Workers, differentiate
from attention_core.call import GRADIENT_FIELDS
from service.compute import Body, Run
from service.compute.gradients import prepare_gradients, prepare_gradients_estimate
from service.errors import TooLarge
from service.settings import Settings
from tests import calls, oracle
from tests.attention_core.gradients.judge import gradients_of, named
from tests.sampling import every

PATH = "/v1/attention/gradients"
SAFETENSORS = "application/vnd.safetensors"
SMALL = {"query": [[1, 0.5]], "key": [[1, 0], [0, 2]], "value": [[1, 2, 3], [3, 1, 0]]}


async def post(client, request, output_gradient=1, **options):
    return await client.post(PATH, json={"request": request, "output_gradient": output_gradient, **options})


async def gradients(client, request, output_gradient=1, **options):
    response = await post(client, request, output_gradient, **options)
    assert response.status_code == 200, response.text
    return json.loads(response.text, parse_constant=pytest.fail)


def flattened(answer):
    """The gradients of an answer by dotted name, as arrays."""
    found = {}
    for name, member in answer["gradients"].items():
        found |= (
            {f"{name}.{one}": value for one, value in member.items()} if isinstance(member, dict) else {name: member}
        )
    return {name: np.array(value, float) for name, value in found.items()}


def upstream_of(request, seed):
    return np.random.default_rng(seed).standard_normal(oracle.shape(oracle.attention(request)["output"]))


COMBINATIONS = [
    calls.Combination(model, normalizer, setting, heads, dtype)
    for place, (model, normalizer) in enumerate(
        (model, name) for model in calls.SCORE_MODELS for name in NORMALIZERS if name != "hardmax"
    )
    for setting in [list(calls.SETTINGS)[place % len(calls.SETTINGS)]]
    for heads in [list(calls.HEADS)[place % len(calls.HEADS)]]
    for dtype in [calls.DTYPES[place % 2]]
]
"""Every score model with every normalizer, each with another setting and layout of heads."""


@pytest.mark.parametrize("combination", every(5, COMBINATIONS))
async def test_gradients_are_those_of_the_core_in_the_shapes_that_were_sent(client, combination):
    request = combination.request()
    upstream = upstream_of(request, combination.seed)
    answer = await gradients(client, request, upstream.tolist())
    found, expected = flattened(answer), gradients_of(request, upstream)
    assert set(found) == set(named(expected))
    for name, array in named(expected).items():
        assert found[name].shape == array.shape
        np.testing.assert_array_equal(found[name].astype(array.dtype), array, err_msg=name)
    np.testing.assert_array_equal(np.array(answer["output"], expected.output.dtype), expected.output)
    assert (answer["dtype"], answer["notes"]) == (combination.dtype, list(expected.notes))
    for name in ("query", "key", "value", "past_key", "past_value", "bias"):
        assert (name in found) == (request.get(name) is not None)
        if name in found:
            assert found[name].shape == np.shape(request[name])


async def test_one_number_stands_for_the_whole_gradient_of_the_output(client):
    for number in (1, -0.5, 0):
        alone = await gradients(client, SMALL, number)
        assert alone == await gradients(client, SMALL, [[number] * 3])


async def test_include_chooses_what_is_returned(client):
    request = SMALL | {"bias": [0.5, 0], "normalizer": {"name": "softmax", "sink": 0.5}}
    whole = await gradients(client, request)
    assert set(whole) == {"output", "gradients", "dtype", "notes"}
    assert set(whole["gradients"]) == {"query", "key", "value", "bias", "score_model", "normalizer"}
    assert set(whole["gradients"]["normalizer"]) == {"temperature", "sink"}
    for name in whole["gradients"]:
        chosen = await gradients(client, request, include=[name])
        assert chosen == {"gradients": {name: whole["gradients"][name]}, "dtype": "float64", "notes": []}
    output = await gradients(client, request, include=["output"])
    assert output == {**whole, "gradients": {}}
    assert await gradients(client, request, include=[]) == {"gradients": {}, "dtype": "float64", "notes": []}


async def test_models_without_parameters_have_empty_gradients(client):
    answer = await gradients(client, SMALL | {"score_model": "dot_product", "normalizer": "sparsemax"})
    assert (answer["gradients"]["score_model"], answer["gradients"]["normalizer"]) == ({}, {})


WRONG = {
    "no value": ({name: SMALL[name] for name in ("query", "key")}, 1, {}, "/request/value", "expected a value"),
    "hardmax": (SMALL | {"normalizer": "hardmax"}, 1, {}, "/request/normalizer", "slope is 0 wherever it exists"),
    "another shape": (SMALL, [[1, 1]], {}, "/output_gradient", r"the shape of the output, [1, 3]"),
    "another rank": (SMALL, [1, 1, 1], {}, "/output_gradient", r"the shape of the output, [1, 3]"),
    "a string": (SMALL, "1", {}, "/output_gradient", "the string '1'"),
    "null": (SMALL, None, {}, "/output_gradient", "null"),
    "null inside": (SMALL, [[1, None, 1]], {}, "/output_gradient/0/1", "expected a number; received null"),
    "a boolean": (SMALL, True, {}, "/output_gradient", "true"),
    "too large for its dtype": (SMALL | {"dtype": "float16"}, [[1, 1, 7e4]], {}, "/output_gradient/0/2", "float16"),
    "an unknown field": (SMALL, 1, {"include": ["key", "querry"]}, "/include/1", "Did you mean 'query'?"),
    "a field twice": (SMALL, 1, {"include": ["key", "value", "key"]}, "/include/2", "twice"),
    "a bias that was not sent": (SMALL, 1, {"include": ["bias"]}, "/include/0", "a request with bias"),
    "a past that was not sent": (SMALL, 1, {"include": ["query", "past_key"]}, "/include/1", "past_key"),
    "a result of attention": (SMALL, 1, {"include": ["weights"]}, "/include/0", "Use one of these names."),
    "an unknown member": (SMALL, 1, {"output_gradients": 1}, "/output_gradients", "Did you mean 'output_gradient'?"),
    "a wrong key": (SMALL | {"key": [[1], [2]]}, 1, {}, "/request/key", "expected 2 features"),
    "labels": (SMALL | {"labels": {"key": ["one"]}}, 1, {}, "/request/labels/key", "expected 2 labels"),
}


@pytest.mark.parametrize("path", [PATH, f"{PATH}/estimate"])
@pytest.mark.parametrize("wrong", WRONG)
async def test_what_is_wrong_is_named_with_its_place(client, wrong, path):
    request, upstream, options, pointer, told = WRONG[wrong]
    response = await client.post(path, json={"request": request, "output_gradient": upstream, **options})
    assert response.status_code == 422, response.text
    first = response.json()["errors"][0]
    assert first["pointer"] == pointer
    assert told in first["detail"]


async def test_negative_logits_of_proportional_are_refused(client):
    request = {"query": [[1.0]], "key": [[-1.0]], "value": [[1.0]], "normalizer": "proportional"}
    response = await post(client, request)
    assert response.status_code == 422
    assert response.json()["errors"][0]["pointer"].startswith("/request/normalizer")


async def test_what_the_request_includes_has_no_effect(client):
    others = {"include": ["ranking", "weights"], "top_k": 1, "labels": {"key": ["a", "b"]}}
    assert await gradients(client, SMALL | others) == await gradients(client, SMALL)


async def test_decimals_round_every_number(client):
    answer = await gradients(client, SMALL | {"decimals": 2})
    exact = flattened(await gradients(client, SMALL))
    for name, array in flattened(answer).items():
        assert array.ravel().tolist() == [round(number, 2) for number in exact[name].ravel().tolist()], name


async def test_notes_name_unusual_rows_and_gradients_beyond_their_type(client):
    hidden = SMALL | {"mask": {"allowed": [[False, False]]}}
    answer = await gradients(client, hidden)
    assert answer["notes"] == ["row 0: no visible key; weights and output are zero"]
    assert not any(array.any() for array in flattened(answer).values())
    wide = {"query": [[1.0]], "key": [[1.0], [-1.0]], "value": [[6e4], [-6e4]], "dtype": "float16"}
    answer = await gradients(client, wide, 10)
    assert answer["notes"][0].startswith("gradients.query, gradients.key: finite numbers exceed float16")
    assert answer["gradients"]["query"] == [["Infinity"]]
    assert (await gradients(client, wide, 10, include=["value"]))["notes"] == []


# Safetensors


def file_of(arrays, **document):
    return safetensors.numpy.save(arrays, {"request": json.dumps(document)})


async def tensors(client, content, path=PATH):
    headers = {"Content-Type": SAFETENSORS, "Accept": SAFETENSORS}
    response = await client.post(path, content=content, headers=headers)
    assert response.status_code == 200, response.text
    header = json.loads(response.content[8 : 8 + int.from_bytes(response.content[:8], "little")])
    return safetensors.numpy.load(response.content), json.loads(header["__metadata__"]["response"])


async def test_tensors_come_and_go_by_their_dotted_names(client):
    rng = np.random.default_rng(3)
    query, key, value, weight, upstream = (
        rng.standard_normal(shape, np.float32) for shape in ((2, 3, 4), (2, 5, 4), (2, 5, 3), (6, 4), (2, 3, 3))
    )
    arrays = {"request.query": query, "request.key": key, "request.value": value, "output_gradient": upstream}
    arrays |= {"request.score_model.query_weight": weight, "request.score_model.key_weight": weight}
    arrays |= {"request.score_model.score_vector": np.ones(6, np.float32), "request.bias": np.zeros((3, 5), np.float32)}
    document = {"request": {"score_model": {"name": "additive"}, "mask": {"causal": True}}}
    found, rest = await tensors(client, file_of(arrays, **document))
    assert rest["gradients"] == {"score_model": {}, "normalizer": {}}
    assert rest["dtype"] == "float32"
    assert {name: array.shape for name, array in found.items()} == {
        "output": (2, 3, 3),
        "gradients.query": (2, 3, 4),
        "gradients.key": (2, 5, 4),
        "gradients.value": (2, 5, 3),
        "gradients.bias": (3, 5),
        "gradients.score_model.query_weight": (6, 4),
        "gradients.score_model.key_weight": (6, 4),
        "gradients.score_model.score_vector": (6,),
        "gradients.normalizer.temperature": (),
    }
    assert {array.dtype for array in found.values()} == {np.dtype(np.float32)}
    request = {name: array.tolist() for name, array in (("query", query), ("key", key), ("value", value))}
    request |= {"dtype": "float32", "mask": {"causal": True}, "bias": np.zeros((3, 5)).tolist()}
    request["score_model"] = {"name": "additive", "query_weight": weight.tolist(), "key_weight": weight.tolist(),
                              "score_vector": [1] * 6}  # fmt: skip
    for name, array in flattened(await gradients(client, request, upstream.tolist())).items():
        np.testing.assert_array_equal(array.astype(np.float32), found[f"gradients.{name}"], err_msg=name)


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
async def test_numbers_that_are_not_finite_stay_numbers_in_tensors(client, number):
    arrays = {f"request.{name}": np.array(array, float) for name, array in SMALL.items()}
    for upstream in (np.array([[number, 1, 1]]), np.array(number)):
        found, _ = await tensors(client, file_of({**arrays, "output_gradient": upstream}))
        expected = differentiate(*(np.array(SMALL[name], float) for name in SMALL), upstream)
        for name, array in named(expected).items():
            np.testing.assert_array_equal(found[f"gradients.{name}"], array, err_msg=name)
        assert not np.isfinite(found["gradients.value"]).all()


async def test_axes_of_no_length_are_possible_in_tensors(client):
    for queries, keys in ((0, 3), (2, 0)):
        arrays = {
            "request.query": np.ones((queries, 2)),
            "request.key": np.ones((keys, 2)),
            "request.value": np.ones((keys, 4)),
            "output_gradient": np.ones((queries, 4)),
        }
        found, _ = await tensors(client, file_of(arrays))
        assert found["gradients.query"].shape == (queries, 2)
        assert found["gradients.key"].shape == (keys, 2)
        assert not any(array.any() for array in found.values())


# Limits


LONG = {name: [[0.5], [1.0], [0.25]] * 1000 for name in ("query", "key", "value")}


def test_gradients_beyond_the_limits_are_refused_before_they_start():
    body = Body(json.dumps({"request": LONG, "output_gradient": 1}).encode())
    prepared = prepare_gradients(body, Settings())
    for limit in (
        {"max_operations": prepared.operations - 1},
        {"bytes_in_flight": 10**5},
        {"max_result_bytes": 3000 * 4 * 20 - 1},
    ):
        with pytest.raises(TooLarge, match=str(*limit.values())):
            prepare_gradients(body, Settings(**limit))
        estimate = prepare_gradients_estimate(body, Settings(**limit)).complete(Run(Workers(1)))
        assert json.loads(estimate.content)["allowed"] is False


async def test_an_estimate_says_what_gradients_cost(client):
    request = calls.Combination("scaled_dot_product", "softmax", "bias", "grouped cache", "float64").request()
    request["score_modifier"] = {"formula": "score * slope[h]", "parameters": {"slope": [1] * 4}}
    body = {"request": request, "output_gradient": 1}
    estimate = (await client.post(f"{PATH}/estimate", json=body)).json()
    forward = (await client.post("/v1/attention/estimate", json=request | {"include": ["output"]})).json()
    assert set(estimate) == set(forward)
    assert 2.5 * forward["operations"] <= estimate["operations"] <= 4 * forward["operations"]
    assert estimate["allowed"] is True
    answer = await gradients(client, request)
    numbers = sum(array.size for array in flattened(answer).values()) + np.size(answer["output"])
    assert estimate["result_bytes"] == 20 * numbers
    for name in GRADIENT_FIELDS:
        part = await client.post(f"{PATH}/estimate", json=body | {"include": [name]})
        chosen = await gradients(client, request, include=[name])
        own = sum(array.size for array in flattened(chosen).values()) + np.size(chosen.get("output", []))
        assert part.json()["result_bytes"] == 20 * own, name


async def test_long_gradients_end_with_their_deadline(client):
    rows = [[0.5] * 16, [1.0] * 16, [0.25] * 16] * 1500
    # NumPy differentiates distances under sparsemax, which takes long on every machine.
    request = {"query": rows, "key": rows, "value": [[1.0]] * len(rows), "score_model": "laplacian"}
    request["normalizer"] = "sparsemax"
    document = {"request": request, "output_gradient": 1}
    response = await client.post(PATH, json=document, headers={"Request-Timeout": "0.2"})
    assert (response.status_code, response.json()["type"]) == (504, "/problems/deadline-exceeded")


def test_every_field_of_the_core_is_in_the_answer():
    assert {field.name for field in fields(AttentionGradients)} == {*GRADIENT_FIELDS, "dtype", "notes"}
