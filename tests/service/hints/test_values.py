"""Values that mean something elsewhere: the answer says how they are written here."""

import json
from typing import Any

import httpx
import pytest

from tests.service.hints.sending import BASE

VALUES: list[tuple[dict[str, Any], str, list[str]]] = [
    ({"mask": [[True, False]]}, "/mask", ["mask.allowed", "true = may see"]),
    ({"mask": "causal"}, "/mask", ['{"causal": true}']),
    ({"mask": True}, "/mask", ["mask.allowed", '{"causal": true}']),
    ({"mask": [[0, None]]}, "/mask", ["bias", "null", "mask.allowed", '{"causal": true}']),
    ({"mask": [[0, 1]]}, "/mask", ["mask.allowed", "1 becomes true", "bias"]),
    ({"mask": [[0, -1e9]]}, "/mask", ["bias"]),
    ({"mask": 1}, "/mask", ["mask.allowed"]),
    ({"mask": "tril"}, "/mask", ['{"causal": true}']),
    ({"mask": "padding"}, "/mask", ["mask.key_allowed", "mask.key_lengths"]),
    ({"mask": {"window": {"left": -1}}}, "/mask/window/left", ["null", "unbounded"]),
    ({"mask": {"window": {"right": -1}}}, "/mask/window/right", ["null", "unbounded"]),
    ({"mask": {"window": [-1, 0]}}, "/mask/window", ["mask.window.left", "mask.window.right", "null"]),
    ({"mask": {"window": 3}}, "/mask/window", ["mask.window.left", "mask.window.right"]),
    ({"mask": {"causal": "bottom_right"}}, "/mask/causal", ['"offset": "bottom_right"']),
    ({"mask": {"causal": 1}}, "/mask/causal", ["true or false"]),
    ({"mask": {"allowed": [[1, 0]]}}, "/mask/allowed/0/0", ["true where", "bias"]),
    ({"mask": {"allowed": "causal"}}, "/mask/allowed", ['{"causal": true}']),
    ({"mask": {"key_lengths": 2}}, "/mask/key_lengths", ["a list"]),
    ({"mask": {"key_lengths": [[True, False]]}}, "/mask/key_lengths/0/0", ["mask.allowed"]),
    ({"mask": {"causal": True, "prefix_lengths": 2}}, "/mask/prefix_lengths", ["a list"]),
    ({"mask": "j <= i"}, "/mask", ["mask.formula"]),
    ({"score_modifier": "score * 2"}, "/score_modifier", ["score_modifier.formula"]),
    ({"bias": [[True, False]]}, "/bias/0/0", ["mask.allowed"]),
    ({"normalizer": {"name": "softmax", "temperature": 0}}, "/normalizer/temperature", ["hardmax", "limit"]),
    ({"softcap": 0}, "/softcap", ["null", "none"]),
    ({"heads": 8}, "/heads", ["heads.query", "heads.key_value"]),
    ({"labels": ["a", "b"]}, "/labels", ["labels.key"]),
    ({"include": ["ranking"], "top_k": -1}, "/top_k", ["every visible key"]),
    ({"include": "weights"}, "/include", ["brackets"]),
]

V2: list[tuple[dict[str, Any], str, list[str]]] = [
    ({"window_left": -1}, "/parameters/window_left", ["null", "unbounded"]),
    ({"temperature": 0}, "/parameters/temperature", ['the parameter normalizer: "hardmax"']),
    ({"softcap": 0}, "/parameters/softcap", ["null"]),
    ({"causal": "bottom_right"}, "/parameters/causal", ['the parameter offset: "bottom_right"']),
    ({"options": '{"mask": "causal"}'}, "/parameters/options", ["the parameter causal: true"]),
]


@pytest.mark.parametrize(("wrong", "pointer", "said"), VALUES, ids=lambda part: json.dumps(part)[:50])
async def test_v1(client: httpx.AsyncClient, wrong: dict[str, Any], pointer: str, said: list[str]) -> None:
    response = await client.post("/v1/attention", json=BASE | wrong)
    _assert_refused(response, pointer, said)


@pytest.mark.parametrize(("parameters", "pointer", "said"), V2, ids=lambda part: json.dumps(part)[:50])
async def test_v2(client: httpx.AsyncClient, parameters: dict[str, Any], pointer: str, said: list[str]) -> None:
    vector = {"shape": [1, 2], "datatype": "FP32", "data": [1, 0]}
    body = {"inputs": [{"name": name, **vector} for name in ("query", "key")], "parameters": parameters}
    response = await client.post("/v2/models/dot_product/infer", json=body)
    _assert_refused(response, pointer, said)


def _assert_refused(response: httpx.Response, pointer: str, said: list[str]) -> None:
    assert response.status_code == 422, response.text
    [error] = response.json()["errors"]
    assert error["pointer"] == pointer
    for text in said:
        assert text in error["detail"].partition("received")[2], error["detail"]


UNITS, QUERY_FEATURES, KEY_FEATURES = 3, 4, 5
TENSORS: dict[str, dict[str, tuple[int, ...]]] = {
    "additive": {"query_weight": (3, 4), "key_weight": (3, 5), "score_vector": (3,), "hidden_bias": (3,)},
    "bilinear": {"weight": (4, 5)},
    "trilinear": {"weight": (12,)},
}
"""Every tensor parameter that a score model requires, and its shape for D = 4 (keys: 5, where they may differ)."""

SPOILT = [
    (model, name, shape)
    for model, tensors in TENSORS.items()
    for name, right in tensors.items()
    for shape in ((*right, 1), (1, *right), (*right[:-1], right[-1] + 1), (right[0] + 1, *right[1:]), right[::-1])
    if shape != right
]


@pytest.mark.parametrize(("model", "name", "shape"), SPOILT, ids=str)
async def test_the_parameter_that_does_not_fit_is_blamed(
    client: httpx.AsyncClient, model: str, name: str, shape: tuple[int, ...]
) -> None:
    """A wrong rank or size of any tensor parameter, over both protocols."""
    keys = 4 if model == "trilinear" else 5
    shapes = TENSORS[model] | {name: shape}
    request = {"query": ones((2, 4)), "key": ones((6, keys)),
               "score_model": {"name": model, **{one: ones(size) for one, size in shapes.items()}}}  # fmt: skip
    response = await client.post("/v1/attention", json=request)
    assert response.status_code == 422
    assert response.json()["errors"][0]["pointer"] == f"/score_model/{name}", response.text
    vectors = {"query": (2, 4), "key": (6, keys)}
    inputs = [{"name": one, "shape": list(size), "datatype": "FP32", "data": ones(size)}
              for one, size in (vectors | shapes).items()]  # fmt: skip
    response = await client.post(f"/v2/models/{model}/infer", json={"inputs": inputs})
    position = [*vectors, *shapes].index(name)
    assert response.json()["errors"][0]["pointer"].startswith(f"/inputs/{position}"), response.text


async def test_each_score_model_with_tensors_is_spoilt(client: httpx.AsyncClient) -> None:
    listed = (await client.get("/v1/score-models")).json()["score_models"]
    required = {
        one["name"]: {name for name in one["parameters"].get("required", []) if name not in ("name", "formula")}
        for one in listed
    }
    assert {name: names for name, names in required.items() if names} == {
        model: set(tensors) - {"hidden_bias"} for model, tensors in TENSORS.items()
    }


async def test_a_transposed_weight_is_told_to_be_transposed(client: httpx.AsyncClient) -> None:
    weight = {"name": "bilinear", "weight": ones((5, 4))}
    response = await client.post(
        "/v1/attention", json={"query": ones((2, 4)), "key": ones((6, 5)), "score_model": weight}
    )
    assert "Transpose it" in response.json()["detail"]


def ones(shape: tuple[int, ...]) -> Any:
    """Nested lists of ones."""
    return 1 if not shape else [ones(shape[1:])] * shape[0]


BY_LENGTH: list[tuple[dict[str, Any], str]] = [
    ({"query": ones((2, 5, 4, 8)), "key": ones((2, 7, 2, 8)), "value": ones((2, 7, 2, 3))}, "/key"),
    ({"query": ones((2, 6, 4, 8)), "key": ones((2, 6, 4, 8)), "mask": {"allowed": [[True] * 6] * 6}}, "/mask/allowed"),
    ({"query": ones((2, 6, 4, 8)), "key": ones((2, 6, 4, 8)), "bias": ones((6, 6))}, "/bias"),
    ({"query": ones((2, 6, 4, 8)), "key": ones((2, 6, 4, 8)), "mask": {"key_lengths": [6, 5]}}, "/mask/key_lengths/0"),
]  # fmt: skip


@pytest.mark.parametrize(("request_", "pointer"), BY_LENGTH, ids=lambda part: str(part)[:9])
async def test_length_before_heads_is_recognised(
    client: httpx.AsyncClient, request_: dict[str, Any], pointer: str
) -> None:
    response = await client.post("/v1/attention", json=request_)
    assert response.status_code == 422
    assert response.json()["errors"][0]["pointer"] == pointer
    assert "transpose axes 1 and 2" in response.json()["detail"]
    exchanged = {name: exchange(member) if name in ("query", "key", "value") else member
                 for name, member in request_.items()}  # fmt: skip
    assert (await client.post("/v1/attention", json=exchanged)).status_code == 200


async def test_what_does_not_fit_either_way_is_not_told_to_transpose(client: httpx.AsyncClient) -> None:
    for wrong in ({"key": ones((2, 7, 3, 8))}, {"key": ones((2, 4, 7, 9))}, {"bias": ones((9, 9))}):
        request = {"query": ones((2, 5, 4, 8)), "key": ones((2, 5, 2, 8))} | wrong
        response = await client.post("/v1/attention", json=request)
        assert response.status_code == 422
        assert "transpose" not in response.json()["detail"]


def exchange(array: Any) -> Any:
    """Exchange axes 1 and 2 of a nested list."""
    return [[[row[head] for row in batch] for head in range(len(batch[0]))] for batch in array]
