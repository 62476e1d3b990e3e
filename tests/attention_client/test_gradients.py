"""Gradients through both clients: those of the core, to the bit."""

from typing import Any

import numpy as np
import pytest

from attention_client import AttentionGradients, InvalidArgument, InvalidRequest, Progress, ShapeMismatch, UnknownName
from attention_core import Additive, Alibi, Causal, Heads, Softmax, differentiate
from tests.attention_client.conftest import CallMethod
from tests.attention_client.equality import assert_same_bits
from tests.server import Server

PARTS = ("output", "query", "key", "value", "past_key", "past_value", "bias")


def assert_same_gradients(found: AttentionGradients, expected: Any) -> None:
    """Fail unless all gradients of a client are those of the core, to the bit."""
    for name in PARTS:
        given, other = getattr(found, name), getattr(expected, name)
        assert (given is None) == (other is None), name
        if given is not None:
            assert_same_bits(given, other, name)
    for part in ("score_model", "normalizer"):
        ours, theirs = getattr(found, part), getattr(expected, part)
        assert set(ours) == set(theirs)
        for name in ours:
            assert_same_bits(ours[name], theirs[name], f"{part}.{name}")
    assert found.notes == expected.notes


@pytest.mark.parametrize("with_progress", [False, True])
@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
async def test_gradients_are_those_of_the_core(
    server: Server, call: CallMethod, dtype: str, *, with_progress: bool
) -> None:
    rng = np.random.default_rng(4)
    query, upstream = rng.normal(size=(2, 5, 8)), rng.normal(size=(2, 5, 8))
    key, value = rng.normal(size=(2, 3, 4)), rng.normal(size=(2, 3, 4))
    past = {name: rng.normal(size=(2, 2, 2, 2)) for name in ("past_key", "past_value")}
    weights = {
        "query_weight": rng.normal(size=(3, 2)),
        "key_weight": rng.normal(size=(3, 2)),
        "score_vector": np.ones(3),
    }
    bias = np.array([0.0, -np.inf, 1, 2, 0.5])
    reported: list[Progress] = []
    found = await call(
        server.url, "gradients", query, key, value, upstream, heads={"query": 4, "key_value": 2}, bias=bias,
        dtype=dtype, score_model={"name": "additive", **weights}, normalizer={"name": "softmax", "sink": 0.5},
        position="alibi", mask={"causal": True}, progress=reported.append if with_progress else None, **past,
    )  # fmt: skip
    expected = differentiate(
        query, key, value, upstream, heads=Heads(4, 2), bias=bias, dtype=dtype, score_model=Additive(**weights),
        normalizer=Softmax(sink=0.5), position=Alibi(), mask=Causal(), **past,
    )  # fmt: skip
    assert_same_gradients(found, expected)
    assert (found.dtype, bool(found.request_id)) == (dtype, True)
    assert not with_progress or reported[-1].done == reported[-1].total


async def test_one_number_stands_for_the_whole_gradient_of_the_output(server: Server, call: CallMethod) -> None:
    query = np.random.default_rng(1).normal(size=(3, 4)).astype(np.float32)
    assert_same_gradients(
        await call(server.url, "gradients", query, query, query, 2), differentiate(query, query, query, 2.0)
    )


async def test_include_chooses(server: Server, call: CallMethod) -> None:
    query = np.eye(3)
    found = await call(server.url, "gradients", query, query, query, 1, include=["key", "normalizer"])
    assert [name for name in PARTS if getattr(found, name) is not None] == ["key"]
    assert (set(found.score_model), set(found.normalizer)) == (set(), {"temperature"})


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
async def test_numbers_that_are_not_finite_arrive(server: Server, call: CallMethod, number: float) -> None:
    query, upstream = np.eye(3), np.ones((3, 3))
    upstream[1, 1] = number
    for progress in (None, lambda _: None):
        found = await call(server.url, "gradients", query, query, query, upstream, progress=progress)
        assert_same_gradients(found, differentiate(query, query, query, upstream))


async def test_an_empty_call_keeps_its_shapes(server: Server, call: CallMethod) -> None:
    query, key = np.ones((2, 0, 4)), np.ones((2, 3, 4))
    found = await call(server.url, "gradients", query, key, key, np.ones((2, 0, 4)), progress=lambda _: None)
    assert (found.output.shape, found.query.shape, found.key.shape) == ((2, 0, 4), (2, 0, 4), (2, 3, 4))


async def test_errors_point_to_arguments(server: Server, call: CallMethod) -> None:
    query = np.eye(3)
    with pytest.raises(ShapeMismatch) as mismatch:
        await call(server.url, "gradients", query, query[:, :2], query, 1)
    assert mismatch.value.errors[0].pointer == "/key"
    with pytest.raises(ShapeMismatch) as mismatch:
        await call(server.url, "gradients", query, query, query, np.ones((3, 2)))
    assert mismatch.value.errors[0].pointer == "/output_gradient"
    with pytest.raises(InvalidRequest, match="slope is 0") as hardmax:
        await call(server.url, "gradients", query, query, query, 1, normalizer="hardmax")
    assert hardmax.value.errors[0].pointer == "/normalizer"
    with pytest.raises(UnknownName) as unknown:
        await call(server.url, "gradients", query, query, query, 1, include=["querry"])
    assert unknown.value.errors[0].pointer == "/include/0"
    with pytest.raises(InvalidArgument, match="within the range of float16") as beyond:
        await call(server.url, "gradients", query * 1e5, query, query, 1, dtype="float16")
    assert beyond.value.pointer == "/query/0/0"


async def test_the_cost_is_that_of_v1(server: Server, call: CallMethod, client: Any) -> None:
    query = np.eye(3)
    body = {"request": {name: query.tolist() for name in ("query", "key", "value")}, "output_gradient": 1}
    expected = (await client.post("/v1/attention/gradients/estimate", json=body)).json()
    assert await call(server.url, "estimate_gradients", query, query, query, 1) == expected
