"""Which shapes of keys and values fit each other, and in what pieces a tensor leaves."""

import itertools
import random

import numpy as np
import pytest

from attention_core import AttentionCall, CallError, Heads, resolve
from attention_wire.datatypes import BY_DTYPE
from service.compute.memory_download import tensor_pieces
from service.compute.memory_shapes import require_fitting
from service.errors import InvalidRequest
from tests.sampling import draws

QUERIES = [
    *((*leading, 1, 2) for rank in range(3) for leading in itertools.product((1, 2, 3, 4, 6), repeat=rank)),
    *((*leading, 1, 2) for leading in itertools.product((1, 2, 3), repeat=3)),
]
"""Shapes of queries with two features, enough for keys whose leading axes are at most 3."""

RANK_4 = [query for query in QUERIES if len(query) == 4]


def placeholder(shape):
    return np.broadcast_to(np.zeros(()), shape)


def takes(query, key, value, **options):
    call = AttentionCall(
        query=placeholder(query), key=placeholder(key), value=placeholder(value), include=(), **options
    )
    try:
        resolve(call)
    except CallError:
        return False
    return True


def is_taken(key, value, layout):
    """Return whether /v1/attention takes keys and values of these shapes with any query; packed heads included."""
    if layout == "bshd":
        return any(takes(np.swapaxes(placeholder(one), 1, 2).shape, key, value, layout=layout) for one in RANK_4)
    if any(takes(query, key, value, layout=layout) for query in QUERIES):
        return True
    packed = [query for query in QUERIES if len(query) == 3]
    return any(takes(query, key, value, heads=Heads(1, 1)) for query in packed)


def fits(key, value, layout):
    try:
        require_fitting(placeholder(key), placeholder(value), layout)
    except InvalidRequest as error:
        return error.violations[0].pointer not in ("/key", "/value")
    return True


def test_keys_and_values_fit_exactly_where_an_attention_request_takes_them():
    chosen = random.Random(7)

    def drawn(features):
        leading = [chosen.choice((1, 1, 2, 3)) for _ in range(chosen.choice((0, 1, 2, 2, 2, 3)))]
        return (*leading, chosen.choice((2, 2, 2, 3)), features)

    found = []
    for _ in range(draws(600)):
        layout = chosen.choice((None, None, "bhsd", "bshd"))
        key, value = drawn(2), drawn(chosen.choice((1, 2)))
        found.append(fits(key, value, layout))
        assert found[-1] == is_taken(key, value, layout), (key, value, layout)
    assert 0.1 < sum(found) / len(found) < 0.9


@pytest.mark.parametrize(
    ("key", "value", "fit"),
    [
        ((1, 2, 5, 2), (4, 5, 1), True),
        ((1, 2, 5, 2), (3, 5, 1), False),
        ((2, 1, 5, 2), (2, 3, 5, 1), True),
        ((5, 2), (5, 0), True),
        ((5, 0), (5, 1), False),
        ((0, 2), (0, 1), True),
        ((2, 5, 2), (3, 5, 1), False),
    ],
)
def test_shapes_that_need_a_second_look(key, value, fit):
    assert fits(key, value, None) is fit


@pytest.mark.parametrize("dtype", BY_DTYPE)
@pytest.mark.parametrize("limit", [8, 24, 100, 1 << 18])
@pytest.mark.parametrize("shape", [(5, 3), (4, 7, 3), (2, 3, 5, 2), (3, 0, 2), (1, 40)])
@pytest.mark.parametrize("room", [0, 2])
def test_the_pieces_of_a_tensor_are_its_bytes_in_order(dtype, limit, shape, room):
    """Also of a view with room behind its keys; no piece is longer than the limit."""
    datatype = BY_DTYPE[dtype]
    house = np.float32 if dtype == "bfloat16" else datatype.wire
    whole = np.zeros((*shape[:-2], shape[-2] + room, shape[-1]), house)
    view = whole[..., : shape[-2], :]
    view[...] = datatype.round(np.random.default_rng(1).normal(size=shape).astype(np.float32))
    view.flags.writeable = False
    pieces = [bytes(piece) for piece in tensor_pieces(view, datatype, limit)]
    assert b"".join(pieces) == bytes(datatype.store(np.ascontiguousarray(view)))
    assert max(map(len, pieces)) <= limit
