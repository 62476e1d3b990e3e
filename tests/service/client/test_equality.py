"""What comes through the client is what the core computes, bit for bit."""

from typing import Any

import httpx
import ml_dtypes
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attention_core import AttentionResult, attend, evaluate, resolve
from attention_core.dtypes import DTYPES
from service.client import AsyncAttentionClient, AttentionClient
from service.client.arguments import OUTPUTS
from service.client.framing import rounded
from service.schemas.attention import AttentionRequest
from tests.calls import core_call, with_infinities
from tests.server import Server
from tests.service.client.conftest import Ask
from tests.service.strategies import SCORE_MODELS, Request, attention_requests

DRAWN = settings(
    max_examples=15,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

BITS = {8: np.uint64, 4: np.uint32, 2: np.uint16}
ML_DTYPES = {"float64": np.float64, "float32": np.float32, "float16": np.float16, "bfloat16": ml_dtypes.bfloat16}


def assert_same_bits(received: np.ndarray, expected: np.ndarray, name: str = "") -> None:
    assert (received.dtype, received.shape) == (expected.dtype, expected.shape), name
    bits = BITS[expected.dtype.itemsize]
    same = np.ascontiguousarray(received).view(bits) == np.ascontiguousarray(expected).view(bits)
    assert (same | (np.isnan(received) & np.isnan(expected))).all(), (name, received, expected)


def as_arguments(asked: Request, draw: st.DrawFn) -> dict[str, Any]:
    """The same request in Python: vectors as arrays, other tensors as arrays or lists, the dtype named or theirs."""
    dtype = asked.get("dtype") or "float64"
    arguments = {
        name: value for name, value in asked.items() if name not in ("labels", "top_k", "decimals", "dtype", "include")
    }
    own = draw(st.booleans())
    for name in ("query", "key", "value", "past_key", "past_value"):
        if arguments.get(name) is not None:
            arguments[name] = np.array(arguments[name], np.float64)
            if own:
                arguments[name] = arguments[name].astype(ML_DTYPES[dtype])
    if not own:
        arguments["dtype"] = dtype
    if arguments.get("bias") is not None:
        arguments["bias"] = with_infinities(arguments["bias"])
    if draw(st.booleans()):
        for name in ("mask", "score_model", "normalizer", "position"):
            if isinstance(arguments.get(name), dict):
                arguments[name] = {one: _as_array(value) for one, value in arguments[name].items()}
    return arguments


def _as_array(value: Any) -> Any:
    return np.array(value) if isinstance(value, list) else value


def fields_of(asked: Request) -> tuple[str, ...] | None:
    return tuple(field for field in asked.get("include") or () if field in OUTPUTS) or None


def computed(asked: Request) -> AttentionResult:
    """What the core makes of the same document, at the default dtype of the service."""
    call = core_call({**asked, "dtype": asked.get("dtype") or "float64"}, fields_of(asked))
    return evaluate(resolve(call))


@pytest.fixture(scope="module")
def asking(server: Server) -> Any:
    with AttentionClient(server.url) as client:
        yield client


@pytest.mark.parametrize("score_model", SCORE_MODELS)
@DRAWN
@given(data=st.data())
def test_any_call_is_answered_as_the_core_answers_it(
    asking: AttentionClient, score_model: str, data: st.DataObject
) -> None:
    asked = data.draw(attention_requests(score_models=[score_model]))
    result = asking.attend(**as_arguments(asked, data.draw), include=fields_of(asked))
    expected = computed(asked)
    assert set(result.arrays) == set(expected.arrays)
    for name, array in expected.arrays.items():
        assert_same_bits(getattr(result, name), array, name)
    assert result.notes == tuple(expected.notes)
    assert result.score_model == score_model
    assert result.dtype == (asked.get("dtype") or "float64")


@settings(DRAWN, max_examples=30)
@given(data=st.data())
async def test_so_it_is_with_asyncio(server: Server, data: st.DataObject) -> None:
    asked = data.draw(attention_requests())
    async with AsyncAttentionClient(server.url, compress=data.draw(st.booleans())) as client:
        result = await client.attend(**as_arguments(asked, data.draw), include=fields_of(asked))
    for name, array in computed(asked).arrays.items():
        assert_same_bits(getattr(result, name), array, name)


NOT_FINITE = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0])


@pytest.mark.parametrize("dtype", ML_DTYPES)
async def test_numbers_that_are_none_arrive_as_they_are(server: Server, ask: Ask, dtype: str) -> None:
    generator = np.random.default_rng(5)
    query, key, value = (generator.choice(NOT_FINITE, size=(2, 4, 3)) for _ in range(3))
    query[0] = generator.normal(size=(4, 3))
    include = ("scores", "logits", "weights", "output", "logsumexp", "present")
    result = await ask(server.url, "attend", query, key, value, dtype=dtype, include=include, bias=[0.0, -np.inf, 1, 2])
    expected = attend(query, key, value, dtype=dtype, include=include, bias=np.array([0.0, -np.inf, 1, 2]))
    assert np.isnan(expected.scores).any()
    assert np.isposinf(expected.present_value).any()
    assert np.isneginf(expected.logits).any()
    for name, array in expected.arrays.items():
        assert_same_bits(getattr(result, name), array, name)


@pytest.mark.parametrize(("queries", "keys"), [(0, 3), (3, 0), (0, 0)])
async def test_there_may_be_nothing_to_attend_to(server: Server, ask: Ask, queries: int, keys: int) -> None:
    query, key, value = np.ones((2, queries, 4)), np.ones((2, keys, 4)), np.ones((2, keys, 5))
    result = await ask(server.url, "attend", query, key, value)
    expected = attend(query, key, value)
    assert {name: array.shape for name, array in result.arrays.items()} == {
        name: array.shape for name, array in expected.arrays.items()
    }
    for name, array in expected.arrays.items():
        assert_same_bits(getattr(result, name), array, name)


@pytest.mark.parametrize("layout", ["transposed", "strided", "big-endian", "read-only", "integers", "lists"])
async def test_the_memory_of_an_array_does_not_matter(server: Server, ask: Ask, layout: str) -> None:
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
    result = await ask(server.url, "attend", laid, laid, laid)
    for name, array in attend(plain, plain, plain).arrays.items():
        assert_same_bits(getattr(result, name), array, name)


async def test_what_comes_back_is_the_callers_own(server: Server, ask: Ask) -> None:
    result = await ask(server.url, "attend", np.ones((1, 3)), np.ones((2, 3)), np.ones((2, 5)))
    for array in result.arrays.values():
        assert array.flags.writeable
        assert array.flags.aligned
        assert array.flags.owndata or array.base.flags.owndata
    with pytest.raises(AttributeError, match="add present to include"):
        _ = result.present_key


async def test_a_cache_goes_round(server: Server, ask: Ask) -> None:
    generator = np.random.default_rng(9)
    query, key, value = (generator.normal(size=(1, 2, 6, 4)).astype(np.float32) for _ in range(3))
    mask = {"causal": True}
    whole = await ask(server.url, "attend", query, key, value, mask=mask)
    first = await ask(
        server.url, "attend", query[..., :4, :], key[..., :4, :], value[..., :4, :], mask=mask, include=["present"]
    )
    then = await ask(server.url, "attend", query[..., 4:, :], key[..., 4:, :], value[..., 4:, :], mask=mask,
                     past_key=first.present_key, past_value=first.present_value)  # fmt: skip
    np.testing.assert_allclose(then.output, whole.output[..., 4:, :], rtol=1e-6)


def test_bfloat16_is_rounded_once_as_the_core_rounds() -> None:
    patterns = np.random.default_rng(1).integers(0, 2**64, 200_000, dtype=np.uint64)
    with np.errstate(all="ignore"):
        doubles = patterns.view(np.float64)
        near = (np.arange(2**16, dtype=np.uint32) << 16).view(np.float32).astype(np.float64)
        # Halfway between two neighbours, and a little beside it: where rounding twice goes wrong.
        middle = (near[:-1] + near[1:]) / 2
        beside = np.concatenate([middle, np.nextafter(middle, np.inf), np.nextafter(middle, -np.inf)])
        singles = patterns.astype(np.uint32).view(np.float32)
        round_as_core = DTYPES["bfloat16"].round
        for numbers in (doubles, near, beside, singles, singles.astype(np.float16)):
            fitting = numbers[~(np.isinf(round_as_core(numbers)) & np.isfinite(numbers))]
            raw = np.frombuffer(rounded("query", fitting, "bfloat16", "/query").raw, "<u2")
            assert_same_bits((raw.astype(np.uint32) << 16).view(np.float32), round_as_core(fitting))


async def test_questions_about_a_call_get_the_answers_of_v1(
    server: Server, client: httpx.AsyncClient, ask: Ask
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
        assert await ask(server.url, name, query, key, value, **arguments, **options) == expected.json()


async def test_the_catalogue_is_that_of_v1(server: Server, client: httpx.AsyncClient, ask: Ask) -> None:
    for name, path in (("score_models", "score-models"), ("normalizers", "normalizers"), ("examples", "examples")):
        assert await ask(server.url, name) == (await client.get(f"/v1/{path}")).json()[name]
    one = await ask(server.url, "example", "causal")
    request = {name: value for name, value in one["request"].items() if name in AttentionRequest.model_fields}
    result = await ask(server.url, "attend", **{name: value for name, value in request.items() if name != "labels"})
    np.testing.assert_allclose(result.output, one["expected"]["output"], atol=one["tolerance"])
