"""Vectors as (batch, length, heads, features), and weights averaged over heads, over every protocol and endpoint."""

import json
from typing import Any

import httpx
import numpy as np
import pytest

from tests import oracle
from tests.compare import assert_close
from tests.nested import exchange
from tests.service.command_line.command import text
from tests.service.open_inference.inference import Tensor, body_of, outputs_of
from tests.service.safetensors.stored import BOTH, saved, whole

VECTORS = ("query", "key", "value", "past_key", "past_value")
INCLUDE = ["weights", "mean_weights", "output", "logsumexp", "present"]

SIZES: dict[str, dict[str, tuple[int, ...]]] = {
    "grouped": {"query": (2, 4, 3, 4), "key": (2, 2, 5, 4), "value": (2, 2, 5, 3)},
    "as many heads as queries": {"query": (2, 3, 3, 4), "key": (2, 3, 3, 4), "value": (2, 3, 3, 2)},
    "cache": {"query": (1, 2, 3, 4), "key": (1, 2, 3, 4), "value": (1, 2, 3, 2), "past_key": (1, 2, 2, 4),
              "past_value": (1, 2, 2, 2)},
}  # fmt: skip
"""Sizes in the default layout.  With as many heads as queries both layouts have the same shapes."""


def drawn(sizes: dict[str, tuple[int, ...]], seed: int = 0, **options: Any) -> dict[str, Any]:
    """A request in the default layout; short decimals, so that a failing request can be read."""
    rng = np.random.default_rng(seed)
    return {name: np.round(rng.normal(size=size), 2).tolist() for name, size in sizes.items()} | options


def by_length(request: dict[str, Any]) -> dict[str, Any]:
    """The same request in the other layout."""
    return request | {name: exchange(request[name]) for name in VECTORS if name in request} | {"layout": "bshd"}


def arranged(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer in the other layout as one in the default."""
    names = [name for name in ("output", "present_key", "present_value") if name in answer]
    return answer | {name: exchange(answer[name]) for name in names}


async def answered(client: httpx.AsyncClient, request: Any, path: str = "/v1/attention") -> dict[str, Any]:
    response = await client.post(path, json=request)
    assert response.status_code == 200, response.text
    return response.json()


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
@pytest.mark.parametrize("name", SIZES)
async def test_json_has_the_same_numbers_in_both_layouts(client: httpx.AsyncClient, name: str, dtype: str) -> None:
    """Requests of one form but different numbers: the second and the third are answered from the cache."""
    for seed in range(3):
        request = drawn(SIZES[name], seed, mask={"causal": True, "offset": 1}, dtype=dtype, include=INCLUDE)
        expected = await answered(client, request)
        received = await answered(client, by_length(request))
        assert arranged(received) == expected | {"notes": received["notes"]}
        if dtype == "float64":
            judged = oracle.attention(by_length(request))
            for field in ("weights", "mean_weights", "output", "present_key"):
                assert_close(received[field], judged[field], 1e-12)


async def test_the_default_layout_may_be_named(client: httpx.AsyncClient) -> None:
    request = drawn(SIZES["grouped"])
    assert await answered(client, request | {"layout": "bhsd"}) == await answered(client, request | {"layout": None})


@pytest.mark.parametrize("name", SIZES)
async def test_safetensors_has_the_same_numbers_as_json(client: httpx.AsyncClient, name: str) -> None:
    request = by_length(drawn(SIZES[name], mask={"causal": True}, include=INCLUDE))
    tensors = {vector: np.array(request[vector]) for vector in VECTORS if vector in request}
    rest = {field: value for field, value in request.items() if field not in VECTORS}
    response = await client.post("/v1/attention", content=saved(tensors, rest), headers=BOTH)
    received, expected = whole(response), await answered(client, request)
    for field in ("weights", "mean_weights", "output", "present_key", "present_value"):
        assert_close(received[field].tolist(), expected[field], 0)


@pytest.mark.parametrize("through_options", [False, True])
@pytest.mark.parametrize("binary", [set(), {"query", "key", "value"}], ids=["json", "raw"])
@pytest.mark.parametrize("name", ["grouped", "as many heads as queries"])
async def test_the_inference_protocol_takes_the_layout_as_a_parameter(
    client: httpx.AsyncClient, name: str, binary: set[str], through_options: bool
) -> None:
    """Two requests of one form: the second is answered from the cache."""
    layout = {"options": json.dumps({"layout": "bshd"})} if through_options else {"layout": "bshd"}
    outputs = [{"name": output} for output in ("mean_weights", "output")]
    for seed in range(2):
        request = drawn(SIZES[name], seed, include=["mean_weights", "output"])
        sent = by_length(request)
        tensors = [Tensor(vector, "FP64", np.array(sent[vector])) for vector in ("query", "key", "value")]
        body, headers = body_of(tensors, binary, parameters=layout, outputs=outputs)
        url = "/v2/models/scaled_dot_product/infer"
        found = outputs_of(await client.post(url, content=body, headers=headers if binary else {}))
        expected = await answered(client, request)
        assert_close(exchange(found["output"].tolist()), expected["output"], 0)
        assert_close(found["mean_weights"].tolist(), expected["mean_weights"], 0)


async def test_metadata_of_the_inference_protocol_name_the_mean(client: httpx.AsyncClient) -> None:
    outputs = (await client.get("/v2/models/additive")).json()["outputs"]
    assert [one["shape"] for one in outputs if one["name"] == "mean_weights"] == [[-1, -1, -1]]


async def test_the_layout_changes_nothing_about_costs_explanations_and_checks(client: httpx.AsyncClient) -> None:
    request = drawn(SIZES["grouped"], mask={"causal": True})
    other = by_length(request)
    expected = await answered(client, request, "/v1/attention/estimate")
    received = await answered(client, other, "/v1/attention/estimate")
    assert received["bytes"] >= expected["bytes"]
    assert received | {"bytes": expected["bytes"]} == expected
    place = {"index": [1, 3], "query_index": 2, "key_index": 1}
    assert await answered(client, {"request": other, **place}, "/v1/attention/explain") == await answered(
        client, {"request": request, **place}, "/v1/attention/explain"
    )
    output = (await answered(client, request))["output"]
    right = await answered(client, {"request": other, "candidate": {"output": exchange(output)}}, "/v1/attention/check")
    assert right["passed"]
    wrong = await client.post("/v1/attention/check", json={"request": other, "candidate": {"output": output}})
    assert wrong.status_code == 422
    assert "transpose them to the order [0, 2, 1, 3]" in wrong.json()["detail"]
    packed = np.reshape(exchange(output), (2, 3, 12)).tolist()
    wrong = await client.post("/v1/attention/check", json={"request": other, "candidate": {"output": packed}})
    assert "packed into the last axis: reshape it to [2, 3, 4, 3]." in wrong.json()["detail"]


async def test_layouts_can_be_compared(client: httpx.AsyncClient) -> None:
    base = drawn(SIZES["as many heads as queries"])
    variants = [{"label": "by length", "overrides": {"layout": "bshd"}}, {"label": "same", "overrides": {}}]
    compared = await answered(client, {"base": base, "variants": variants}, "/v1/attention/compare")
    read_otherwise = await answered(client, base | {"layout": "bshd"})
    assert compared["results"][1]["result"]["output"] == read_otherwise["output"]
    assert compared["pairs"][0]["max_abs_difference"]["weights"] > 0.01
    assert compared["pairs"][1]["max_abs_difference"] == {"scores": 0, "weights": 0, "output": 0}


def test_the_table_shows_the_mean_and_the_rows_of_the_output_in_any_layout() -> None:
    request = drawn(SIZES["grouped"], labels={"query": ["one", "two", "three"], "key": list("abcde")})
    expected = text("attend", "-", body=request)
    assert text("attend", "-", body=by_length(request)) == expected
    mean = text("attend", "-", body=by_length(request) | {"include": ["mean_weights", "output"]})
    assert mean.count("weights 权重") == 2 < expected.count("weights 权重")
    assert "mean over heads · 各头平均" in mean
    assert mean[mean.index("output") :] == expected[expected.index("output") :]
    answer = json.loads(text("attend", "-", "--json", body=by_length(request) | {"include": ["mean_weights"]}))
    assert f"{answer['mean_weights'][0][0][0]:.4f}" in mean


async def test_notes_come_once_in_their_order_and_twenty_at_most(client: httpx.AsyncClient) -> None:
    """Lengths by a causal mask, arrays that fit in two ways, axes, rows, and numbers beyond the dtype."""
    request = {
        "query": [[[[60000.0, 0]] * 6] * 14] * 14,
        "key": [[[[60000.0, 0]] * 3] * 14] * 14,
        "mask": {"causal": True, "allowed": [[[False] * 3]] * 13 + [[[True] * 3]]},
        "bias": [[[0] * 3]] * 14,
        "dtype": "float16",
        "include": ["scores", "mean_weights"],
    }
    for _ in range(2):
        notes = (await answered(client, request))["notes"]
        assert notes[0].startswith("causal with 6 queries and 3 keys")
        assert [note.partition(" of shape")[0] for note in notes[1:3]] == ["allowed", "bias"]
        assert "send layout bshd" in notes[3]
        rows = [note for note in notes if note.startswith("row ")]
        assert len(rows) == 15
        assert notes[4:19] == rows
        assert notes[19].startswith("and ")
        assert notes[20].startswith("scores: finite numbers exceed float16")
        assert len(notes) == 21
