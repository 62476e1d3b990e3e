"""Positions of queries and keys, prefixes and masks of keys, on every path."""

import numpy as np
import pytest

from attention_core import (
    Alibi,
    AttentionCall,
    Causal,
    InvalidValue,
    KeyAllowed,
    KeyLengths,
    Positions,
    PrefixLengths,
    Rotary,
    ShapeMismatch,
    Window,
    attend,
    differentiate,
    resolve,
    select_kernel,
)
from attention_core.native.visibility import visibility
from tests.attention_core.native.kernels import KERNELS

RNG = np.random.default_rng(8)
QUERY, KEY = RNG.standard_normal((2, 4, 5, 4)), RNG.standard_normal((2, 2, 7, 4))
ENCODINGS = {"none": None, "alibi": Alibi(), "rotary": Rotary()}


@pytest.fixture(params=["numpy", *KERNELS])
def kernel(request):
    select_kernel(request.param)
    yield request.param
    select_kernel("auto")


def output(**options):
    return attend(QUERY, KEY, KEY, include=("output",), **options).output


@pytest.mark.parametrize("position", ENCODINGS.values(), ids=ENCODINGS)
def test_positions_of_an_offset_are_that_offset(kernel, position):
    masks = Causal() & Window(left=3)
    offset = np.array([2, -1])
    placed = Positions(query=offset[:, None] + np.arange(5), key=np.arange(7))
    expected = output(mask=masks, position=position, offset=offset)
    np.testing.assert_allclose(output(mask=masks, position=position, positions=placed), expected, atol=1e-14)


@pytest.mark.parametrize("position", ENCODINGS.values(), ids=ENCODINGS)
def test_keys_in_another_order_with_their_positions_give_the_same(kernel, position):
    order = np.array([3, 0, 6, 1, 5, 2, 4])
    expected = output(mask=Causal(), position=position)
    moved = attend(
        QUERY, KEY[:, :, order], KEY[:, :, order], mask=Causal(), position=position, include=("output",),
        positions=Positions(key=order),
    ).output  # fmt: skip
    np.testing.assert_allclose(moved, expected, atol=1e-14)


@pytest.mark.parametrize("position", ENCODINGS.values(), ids=ENCODINGS)
def test_a_cache_has_positions_too(kernel, position):
    """Left padding: key 0 of the second row is none, and its positions begin at 0 behind it."""
    past, new = KEY[:, :, :4], KEY[:, :, 4:]
    of_keys = np.array([[0, 1, 2, 3, 4, 5, 6], [0, 0, 1, 2, 3, 4, 5]])
    of_queries = of_keys[:, -5:]
    allowed = np.array([[True] * 7, [False, *[True] * 6]])
    options = {
        "mask": Causal() & KeyAllowed(allowed),
        "position": position,
        "positions": Positions(of_queries, of_keys),
        "include": ("output",),
    }
    found = attend(QUERY, new, new, past_key=past, past_value=past, **options).output
    first = attend(QUERY[:1], KEY[:1], KEY[:1], mask=Causal(), position=position, offset=2, include=("output",))
    second = attend(
        QUERY[1:], KEY[1:, :, 1:], KEY[1:, :, 1:], mask=Causal(), position=position, offset=1, include=("output",)
    )
    np.testing.assert_allclose(found, np.concatenate([first.output, second.output]), atol=1e-14)


def test_alibi_with_an_offset_for_each_query_is_the_same_with_every_kernel(kernel):
    """A kernel counts distances from one offset of a matrix."""
    lengths = np.array([[1, 5, 3, 2, 7], [2, 4, 5, 7, 6]])
    found = output(position=Alibi(0.5), mask=KeyLengths(lengths), offset="bottom_right")
    for i in range(5):
        alone = attend(
            QUERY[:, :, i : i + 1], KEY, KEY, position=Alibi(0.5), mask=KeyLengths(lengths[:, i]),
            offset=lengths[:, i] - 5 + i, include=("output",),
        ).output  # fmt: skip
        np.testing.assert_allclose(found[:, :, i : i + 1], alone, atol=1e-14)


def test_a_prefix_lifts_causal_and_window_and_nothing_else(kernel):
    prefix = PrefixLengths(np.array([4, 0]))
    mask = Causal() & Window(left=1) & prefix & KeyLengths(np.array([3, 7]))
    weights = attend(QUERY, KEY, mask=mask, include=("weights",)).weights
    seen = [["".join("01"[int(flag)] for flag in row) for row in batch[0] > 0] for batch in weights]
    assert seen[0] == ["1110000"] * 5
    assert seen[1] == ["1000000", "1100000", "0110000", "0011000", "0001100"]


def test_a_prefix_alone_hides_nothing(kernel):
    np.testing.assert_array_equal(output(mask=PrefixLengths(np.array([4, 0]))), output())


@pytest.mark.parametrize(
    ("mask", "positions", "has_ranges"),
    [
        (Causal() & PrefixLengths(np.array([4, 0])), None, True),
        (Window(left=1) & PrefixLengths(np.array([0, 0])), None, True),
        (Window(left=1) & PrefixLengths(np.array([1, 1])), None, False),
        (Causal() & Window(left=2), Positions(key=np.array([0, 0, 1, 3, 3, 4, 9])), True),
        (Causal(), Positions(key=np.array([0, 2, 1, 3, 3, 4, 9])), False),
        (KeyAllowed(np.array([False, True, True, True, False, False, False])), None, True),
        (KeyAllowed(np.array([True, False, True, True, True, True, True])), None, False),
        (KeyAllowed(np.zeros((2, 7), bool)), None, True),
    ],
)
def test_kernels_get_ranges_where_masks_are_ranges(mask, positions, has_ranges):
    call = resolve(AttentionCall(QUERY, KEY, mask=mask, positions=positions))
    found = visibility(call)
    assert (found.allowed is None) == has_ranges
    seen = np.ones((2, 4, 5, 7), bool) if found.allowed is None else found.allowed
    if found.ranges is not None:
        first, end = (np.broadcast_to(bound, (2, 4, 5))[..., None] for bound in found.ranges)
        seen = seen & (first <= np.arange(7)) & (np.arange(7) < end)
    expected = call.mask.visible(call.tile(slice(0, 5)))
    np.testing.assert_array_equal(*(np.broadcast_to(pairs, (2, 4, 5, 7)) for pairs in (seen, expected)))


def test_gradients_of_keys_that_positions_spread_over_the_batch_are_summed():
    key, gradient = KEY[:1, :1], RNG.standard_normal((2, 4, 5, 4))
    placed = Positions(key=np.array([[0, 1, 2, 3, 4, 5, 6], [3, 1, 2, 0, 4, 9, 6]]))
    found = differentiate(QUERY, key, key, gradient, position=Rotary(), positions=placed)
    assert found.key.shape == key.shape
    step = 1e-6 * RNG.standard_normal(key.shape)
    sides = [
        attend(QUERY, key + sign * step, key, position=Rotary(), positions=placed, include=("output",)).output
        for sign in (1, -1)
    ]
    assert np.sum(found.key * step) == pytest.approx(np.sum(gradient * (sides[0] - sides[1])) / 2, rel=1e-6)


BIG = 2**53 + 1


@pytest.mark.parametrize(
    ("options", "kind", "path"),
    [
        ({"positions": Positions(query=np.arange(4))}, ShapeMismatch, ("positions", "query")),
        ({"positions": Positions(key=np.arange(5))}, ShapeMismatch, ("positions", "key")),
        ({"positions": Positions(query=np.zeros((3, 5), int))}, ShapeMismatch, ("positions", "query")),
        ({"positions": Positions(key=np.zeros((2, 4, 7), int))}, ShapeMismatch, ("positions", "key")),
        ({"positions": Positions(query=np.array([0, 1, 2, 3.5, 4]))}, InvalidValue, ("positions", "query", 3)),
        ({"positions": Positions(key=np.array([[0] * 7, [*[0] * 6, BIG]]))}, InvalidValue, ("positions", "key", 1, 6)),
        ({"positions": Positions(key=np.arange(7)), "offset": 0}, InvalidValue, ("offset",)),
        ({"positions": Positions(query=np.arange(5)), "offset": "bottom_right"}, InvalidValue, ("offset",)),
        ({"mask": PrefixLengths(np.array([1]))}, ShapeMismatch, ("mask", "prefix_lengths")),
        ({"mask": PrefixLengths(np.ones((2, 5), int))}, ShapeMismatch, ("mask", "prefix_lengths")),
        ({"mask": PrefixLengths(np.array([1, 8]))}, InvalidValue, ("mask", "prefix_lengths", 1)),
        ({"mask": PrefixLengths(np.array([-1, 3]))}, InvalidValue, ("mask", "prefix_lengths", 0)),
        ({"mask": PrefixLengths(np.array([1, 2.5]))}, InvalidValue, ("mask", "prefix_lengths", 1)),
        ({"mask": KeyAllowed(np.ones(6, bool))}, ShapeMismatch, ("mask", "key_allowed")),
        ({"mask": KeyAllowed(np.ones((3, 7), bool))}, ShapeMismatch, ("mask", "key_allowed")),
        ({"mask": KeyAllowed(np.ones((2, 1, 7), bool))}, ShapeMismatch, ("mask", "key_allowed")),
        ({"mask": KeyAllowed(np.ones(7))}, InvalidValue, ("mask", "key_allowed")),
    ],
)
def test_wrong_lengths_and_values_are_refused_where_they_are(options, kind, path):
    with pytest.raises(kind) as refused:
        attend(QUERY, KEY, **options)
    assert refused.value.path == path


def test_positions_without_numbers_are_none():
    np.testing.assert_array_equal(
        output(positions=Positions(), mask=Causal(), offset=1), output(mask=Causal(), offset=1)
    )


def test_the_note_on_corners_is_not_made_where_positions_say_them():
    assert attend(QUERY, KEY, mask=Causal()).notes
    assert not attend(QUERY, KEY, mask=Causal(), positions=Positions(query=np.arange(5))).notes
