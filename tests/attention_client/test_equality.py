"""Results of the client equal those of the core, bit for bit."""

from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attention_client import AsyncAttentionClient, AttentionClient
from attention_client.tensors import round_tensor
from attention_core import AttentionResult, attend, evaluate, resolve
from attention_core.dtypes import DTYPES
from service.schemas.attention import AttentionRequest
from tests.attention_client.conftest import CallMethod
from tests.attention_client.equality import DRAWN, ML_DTYPES, NOT_FINITE, as_arguments, assert_same_bits, fields_of
from tests.core_calls import core_call
from tests.sampling import draws
from tests.server import Server
from tests.service.strategies import SCORE_MODELS, Request, attention_requests


def computed(asked: Request) -> AttentionResult:
    """Return the result of the core for the same document, at the default dtype of the service."""
    call = core_call({**asked, "dtype": asked.get("dtype") or "float64"}, fields_of(asked))
    return evaluate(resolve(call))


@pytest.fixture(scope="module")
def asking(server: Server) -> Any:
    with AttentionClient(server.url) as client:
        yield client


@pytest.mark.parametrize("score_model", SCORE_MODELS)
@DRAWN
@given(data=st.data())
def test_any_call_returns_the_bits_of_the_core(asking: AttentionClient, score_model: str, data: st.DataObject) -> None:
    asked = data.draw(attention_requests(score_models=[score_model]))
    result = asking.attend(**as_arguments(asked, data.draw), include=fields_of(asked))
    expected = computed(asked)
    assert set(result.arrays) == set(expected.arrays)
    for name, array in expected.arrays.items():
        assert_same_bits(getattr(result, name), array, name)
    assert result.notes == tuple(expected.notes)
    assert result.score_model == score_model
    assert result.dtype == (asked.get("dtype") or "float64")


@settings(DRAWN, max_examples=draws(30))
@given(data=st.data())
async def test_any_asyncio_call_returns_the_bits_of_the_core(server: Server, data: st.DataObject) -> None:
    asked = data.draw(attention_requests())
    async with AsyncAttentionClient(server.url, compress=data.draw(st.booleans())) as client:
        result = await client.attend(**as_arguments(asked, data.draw), include=fields_of(asked))
    for name, array in computed(asked).arrays.items():
        assert_same_bits(getattr(result, name), array, name)


@pytest.mark.parametrize("dtype", ML_DTYPES)
async def test_nan_and_infinity_arrive_unchanged(server: Server, call: CallMethod, dtype: str) -> None:
    generator = np.random.default_rng(5)
    query, key, value = (generator.choice(NOT_FINITE, size=(2, 4, 3)) for _ in range(3))
    query[0] = generator.normal(size=(4, 3))
    include = ("scores", "logits", "weights", "output", "logsumexp", "present")
    result = await call(
        server.url, "attend", query, key, value, dtype=dtype, include=include, bias=[0.0, -np.inf, 1, 2]
    )
    expected = attend(query, key, value, dtype=dtype, include=include, bias=np.array([0.0, -np.inf, 1, 2]))
    assert np.isnan(expected.scores).any()
    assert np.isposinf(expected.present_value).any()
    assert np.isneginf(expected.logits).any()
    for name, array in expected.arrays.items():
        assert_same_bits(getattr(result, name), array, name)


@pytest.mark.parametrize(("queries", "keys"), [(0, 3), (3, 0), (0, 0)])
async def test_empty_axes_keep_their_shapes(server: Server, call: CallMethod, queries: int, keys: int) -> None:
    query, key, value = np.ones((2, queries, 4)), np.ones((2, keys, 4)), np.ones((2, keys, 5))
    result = await call(server.url, "attend", query, key, value)
    expected = attend(query, key, value)
    assert {name: array.shape for name, array in result.arrays.items()} == {
        name: array.shape for name, array in expected.arrays.items()
    }
    for name, array in expected.arrays.items():
        assert_same_bits(getattr(result, name), array, name)


@pytest.mark.parametrize("layout", ["transposed", "strided", "big-endian", "read-only", "integers", "lists"])
async def test_the_memory_of_an_array_does_not_matter(server: Server, call: CallMethod, layout: str) -> None:
    plain = np.arange(24.0).reshape(2, 3, 4) % 5
    readonly = plain.copy()
    readonly.flags.writeable = False
    laid = {
        "transposed": np.ascontiguousarray(plain.T).T,
        "strided": np.repeat(plain, 2, axis=-1)[..., ::2],
        "big-endian": plain.astype(">f8"),
        "read-only": readonly,
        "integers": plain.astype(np.int16),
        "lists": plain.tolist(),
    }[layout]
    result = await call(server.url, "attend", laid, laid, laid)
    for name, array in attend(plain, plain, plain).arrays.items():
        assert_same_bits(getattr(result, name), array, name)


async def test_returned_arrays_are_writable_aligned_copies(server: Server, call: CallMethod) -> None:
    result = await call(server.url, "attend", np.ones((1, 3)), np.ones((2, 3)), np.ones((2, 5)))
    for array in result.arrays.values():
        assert array.flags.writeable
        assert array.flags.aligned
        assert array.flags.owndata or array.base.flags.owndata
    with pytest.raises(AttributeError, match="was not included; add present to include"):
        _ = result.present_key


async def test_present_is_accepted_as_the_next_past(server: Server, call: CallMethod) -> None:
    generator = np.random.default_rng(9)
    query, key, value = (generator.normal(size=(1, 2, 6, 4)).astype(np.float32) for _ in range(3))
    mask = {"causal": True}
    whole = await call(server.url, "attend", query, key, value, mask=mask)
    first = await call(
        server.url, "attend", query[..., :4, :], key[..., :4, :], value[..., :4, :], mask=mask, include=["present"]
    )
    then = await call(server.url, "attend", query[..., 4:, :], key[..., 4:, :], value[..., 4:, :], mask=mask,
                     past_key=first.present_key, past_value=first.present_value)  # fmt: skip
    np.testing.assert_allclose(then.output, whole.output[..., 4:, :], rtol=1e-6)


def test_bfloat16_is_rounded_once_as_the_core_rounds() -> None:
    patterns = np.random.default_rng(1).integers(0, 2**64, 200_000, dtype=np.uint64)
    with np.errstate(all="ignore"):
        doubles = patterns.view(np.float64)
        near = (np.arange(2**16, dtype=np.uint32) << 16).view(np.float32).astype(np.float64)
        # Halfway between two neighbours, and one float64 beside it: numbers that rounding twice gets wrong.
        middle = (near[:-1] + near[1:]) / 2
        beside = np.concatenate([middle, np.nextafter(middle, np.inf), np.nextafter(middle, -np.inf)])
        singles = patterns.astype(np.uint32).view(np.float32)
        round_as_core = DTYPES["bfloat16"].round
        for numbers in (doubles, near, beside, singles, singles.astype(np.float16)):
            fitting = numbers[~(np.isinf(round_as_core(numbers)) & np.isfinite(numbers))]
            raw = np.frombuffer(round_tensor(fitting, "bfloat16", "/query").store(), "<u2")
            assert_same_bits((raw.astype(np.uint32) << 16).view(np.float32), round_as_core(fitting))


async def test_estimate_explain_and_check_return_the_answers_of_v1(
    server: Server, client: httpx.AsyncClient, call: CallMethod
) -> None:
    query, key, value = np.array([[2.0, 1, 1, 0]]), np.eye(4)[:3], np.arange(6.0).reshape(3, 2)
    options = {"mask": {"causal": True, "offset": 1}, "bias": np.array([0.5, -np.inf, 1.0]), "dtype": "float32"}
    body = {"query": query.tolist(), "key": key.tolist(), "value": value.tolist(), **options, "bias": [0.5, None, 1.0]}
    output = attend(query, key, value).output
    questions: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
        "estimate": ({}, body),
        "explain": (pair := {"query_index": 0, "key_index": 1, "language": "zh"}, {"request": body, **pair}),
        "check": (
            {"candidate": {"output": output}, "rtol": 1e-3},
            {"request": body, "candidate": {"output": output.tolist()}, "rtol": 1e-3},
        ),
    }
    for name, (arguments, document) in questions.items():
        expected = await client.post(f"/v1/attention/{name}", json=document)
        assert expected.status_code == 200, expected.text
        assert await call(server.url, name, query, key, value, **arguments, **options) == expected.json()


async def test_the_catalogue_is_that_of_v1(server: Server, client: httpx.AsyncClient, call: CallMethod) -> None:
    for name, path in (("score_models", "score-models"), ("normalizers", "normalizers"), ("examples", "examples")):
        assert await call(server.url, name) == (await client.get(f"/v1/{path}")).json()[name]
    one = await call(server.url, "example", "causal")
    request = {name: value for name, value in one["request"].items() if name in AttentionRequest.model_fields}
    result = await call(server.url, "attend", **{name: value for name, value in request.items() if name != "labels"})
    np.testing.assert_allclose(result.output, one["expected"]["output"], atol=one["tolerance"])
