"""One number or boolean for all pairs, and integers of every NumPy type."""

import math
from typing import Any

import numpy as np
import pytest

from attention_client import InvalidArgument, RequestRefused
from attention_core import Allowed, KeyLengths, Sigmoid, attend
from tests.attention_client.conftest import CallMethod
from tests.server import Server

QUERY, KEY, VALUE = [[2.0, 1.0], [0.5, 1.0]], [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], [[1.0], [2.0], [4.0]]

FULL = (2, 3)


@pytest.mark.parametrize(
    ("bias", "allowed"),
    [(0.5, None), (2, None), (-math.inf, None), (math.nan, None), (np.float32(0.5), None), (np.array(-math.inf), None),
     (None, True), (None, False), (None, np.bool_(False)), (0.5, True)],
)  # fmt: skip
async def test_client_and_core_accept_one_number_for_all_pairs(
    server: Server, call: CallMethod, bias: Any, allowed: Any
) -> None:
    mask = None if allowed is None else {"allowed": allowed}
    received = await call(server.url, "attend", QUERY, KEY, VALUE, normalizer="sigmoid", bias=bias, mask=mask)
    expected = attend(
        QUERY,
        KEY,
        VALUE,
        normalizer=Sigmoid(),
        bias=None if bias is None else np.full(FULL, bias),
        mask=None if allowed is None else Allowed(np.full(FULL, allowed)),
    )
    own = attend(
        QUERY,
        KEY,
        VALUE,
        normalizer=Sigmoid(),
        bias=bias,
        mask=None if allowed is None else Allowed(np.asarray(allowed)),
    )
    for name, array in expected.arrays.items():
        np.testing.assert_array_equal(getattr(received, name), array)
        np.testing.assert_array_equal(own.arrays[name], array)


@pytest.mark.parametrize(("field", "one"), [("bias", True), ("bias", "x"), ("allowed", 1), ("allowed", "causal")])
async def test_one_number_of_a_wrong_type_is_refused(server: Server, call: CallMethod, field: str, one: Any) -> None:
    options = {"bias": one} if field == "bias" else {"mask": {"allowed": one}}
    with pytest.raises(RequestRefused) as caught:
        await call(server.url, "attend", QUERY, KEY, VALUE, **options)
    assert caught.value.status == 422


@pytest.mark.parametrize("kind", ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"])
async def test_integers_of_every_numpy_type_are_accepted(server: Server, call: CallMethod, kind: str) -> None:
    lengths, bias = np.array([2], kind), np.array([[1, 2, 3]], kind)
    received = await call(server.url, "attend", QUERY, KEY, VALUE, bias=bias, mask={"key_lengths": lengths})
    expected = attend(QUERY, KEY, VALUE, bias=bias.astype(float), mask=KeyLengths(lengths))
    for name, array in expected.arrays.items():
        np.testing.assert_array_equal(getattr(received, name), array)


async def test_an_integer_beyond_int64_is_refused_by_the_client(server: Server, call: CallMethod) -> None:
    with pytest.raises(InvalidArgument, match="within int64; received 9223372036854775808"):
        await call(server.url, "attend", QUERY, KEY, mask={"key_lengths": np.array([2**63], np.uint64)})
