"""Parts of the keys that the client attends to and merges equal the whole, whatever base their logarithms have."""

import math
from typing import Any

import numpy as np
import pytest

from attention_client import AttentionClient, InvalidArgument, InvalidRequest, Partial, ShapeMismatch
from attention_core import attend
from tests.attention_client.conftest import CallMethod
from tests.attention_client.equality import ML_DTYPES
from tests.server import Server

BOTH = ["output", "logsumexp"]


def drawn(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape)


QUERY, KEY, VALUE = drawn(2, 3, 4), drawn(2, 6, 4), drawn(2, 6, 5)


async def test_results_and_partials_of_other_libraries_merge_into_the_whole(server: Server, call: CallMethod) -> None:
    whole = attend(QUERY, KEY, VALUE, include=("output", "logsumexp"))
    first, second, third = [
        await call(server.url, "attend", QUERY, KEY[:, keys], VALUE[:, keys], include=BOTH)
        for keys in (slice(0, 1), slice(1, 3), slice(3, 6))
    ]
    foreign = Partial(second.output, second.logsumexp / math.log(2), log_base=2)
    merged = await call(server.url, "merge", [first, foreign])
    assert (merged.log_base, merged.dtype) == ("e", "float64")
    merged = await call(server.url, "merge", [third, merged], log_base=2)
    assert merged.log_base == 2
    np.testing.assert_allclose(merged.output, whole.output, rtol=0, atol=1e-14)
    np.testing.assert_allclose(merged.logsumexp * math.log(2), whole.logsumexp, rtol=1e-14)


async def test_nothing_seen_is_merged_as_it_is(server: Server, call: CallMethod) -> None:
    empty = await call(server.url, "attend", QUERY, KEY[:, :0], VALUE[:, :0], include=BOTH)
    merged = await call(server.url, "merge", [empty, Partial(np.full((2, 3, 5), np.nan), np.full((2, 3), -np.inf), 2)])
    assert not merged.output.any()
    assert np.isneginf(merged.logsumexp).all()


@pytest.mark.parametrize("dtype", ML_DTYPES)
async def test_the_dtype_is_the_one_that_all_outputs_share(server: Server, call: CallMethod, dtype: str) -> None:
    results = [
        await call(server.url, "attend", QUERY, KEY[:, keys], VALUE[:, keys], include=BOTH, dtype=dtype)
        for keys in (slice(0, 2), slice(2, 6))
    ]
    merged = await call(server.url, "merge", results)
    assert merged.dtype == dtype
    assert merged.output.dtype.name == {"bfloat16": "float32"}.get(dtype, dtype)
    wider = Partial(results[1].output.astype(np.float64), results[1].logsumexp)
    mixed = await call(server.url, "merge", [results[0], wider])
    assert mixed.dtype == "float64"
    chosen = await call(server.url, "merge", results, dtype="float32")
    assert chosen.output.dtype == np.float32


async def test_a_thousand_partials_are_merged(server: Server, call: CallMethod) -> None:
    partials = [Partial([[float(i)]], [0.0]) for i in range(1000)]
    merged = await call(server.url, "merge", partials)
    assert merged.output == pytest.approx(499.5)
    assert merged.logsumexp == pytest.approx(math.log(1000))


@pytest.mark.parametrize(
    ("partials", "options", "error", "pointer"),
    [
        ([], {}, InvalidRequest, "/partials"),
        ([Partial([[1.0]], [0.0], 10)], {}, InvalidRequest, "/partials/0/log_base"),  # type: ignore[arg-type]
        ([Partial([[1.0]], [0.0])], {"log_base": 10}, InvalidRequest, "/log_base"),
        ([Partial([[1.0]], [0.0]), Partial([[1.0, 2.0]], [0.0])], {}, ShapeMismatch, "/partials/1/output"),
    ],
)
async def test_a_refusal_points_to_the_partial(
    server: Server, call: CallMethod, partials: Any, options: Any, error: Any, pointer: str
) -> None:
    with pytest.raises(error) as caught:
        await call(server.url, "merge", partials, **options)
    assert caught.value.errors[0].pointer == pointer


def test_what_cannot_be_merged_is_refused_before_it_is_sent() -> None:
    with AttentionClient("http://127.0.0.1:9") as client:
        with pytest.raises(TypeError, match=r"partials\[0\]: .* a result; received tuple\. Write Partial"):
            client.merge([(1, 2)])  # type: ignore[list-item]
        with pytest.raises(InvalidArgument, match="/partials/0/output: expected numbers"):
            client.merge([Partial("x", [0.0])])
        with pytest.raises(InvalidArgument, match="/dtype: expected one of"):
            client.merge([Partial([[1.0]], [0.0])], dtype="float8")
