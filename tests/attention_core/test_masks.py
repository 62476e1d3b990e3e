"""Masks as predicates: what a tile is told about its coverage is true, and any tile is cut from the same whole."""

import itertools

import numpy as np
import pytest

from attention_core import MASKS as REGISTERED
from attention_core import (
    All,
    Allowed,
    Causal,
    FormulaMask,
    InvalidValue,
    KeyAllowed,
    KeyLengths,
    PrefixLengths,
    Segments,
    ShapeMismatch,
    Window,
    attend,
)
from attention_core.masks import masks_in
from attention_core.score_tile import Coverage, Tile

SCORES = (2, 3, 6, 7)
RNG = np.random.default_rng(7)

MASKS = {
    "causal": Causal(),
    "allowed": Allowed((RNG.random(SCORES) < 0.7) | (np.arange(7) < 2)),
    "allowed by key": Allowed(np.array([True, True, True, True, False, False, False])),
    "allowed by query": Allowed(np.array([True, True, True, False, False, True])[:, None]),
    "window": Window(left=2, right=1),
    "window, left only": Window(left=1),
    "window, right only": Window(right=0),
    "key lengths": KeyLengths(np.array([5, 2])),
    "key lengths per query": KeyLengths(np.array([[1, 2, 3, 4, 5, 6], [7, 7, 7, 0, 0, 0]])),
    "segments": Segments(
        np.array([[0, 0, 1, 1, 2, 2], [3] * 6]), np.array([[0, 0, 0, 1, 1, 2, 2], [3, 3, 3, 4, 4, 4, 4]])
    ),
    "segments, shared": Segments(np.array([0, 0, 0, 1, 1, 1]), np.array([0, 0, 0, 1, 1, 1, 1])),
    "prefix": Causal() & PrefixLengths(np.array([4, 0])),
    "prefix and window": Window(left=1, right=0) & PrefixLengths(np.array([1, 3])),
    "prefix alone hides nothing": PrefixLengths(np.array([1, 3])) & Window(right=2),
    "key allowed": KeyAllowed(np.array([[True] * 7, [False, False, True, True, False, True, False]])),
    "key allowed, shared": KeyAllowed(np.array([True, True, False, False, False, False, False])),
    "formula": FormulaMask("j <= p and (p - j < reach[h] or j < 1)", {"reach": np.array([1, 2, 4])}),
    "formula, by batch row": FormulaMask("doc[b, j] == i // 3", {"doc": np.array([[0, 0, 1, 1, 1, 2, 2], [1] * 7])}),
    "both": Causal() & Allowed(np.array([True, True, True, True, False, False, False])),
    "three": Causal() & Allowed(RNG.random((6, 7)) < 0.9) & Allowed(np.ones((1, 1), bool)),
}
OFFSETS = [np.asarray(0), np.asarray(3), np.asarray(-4), np.array([2, -1]).reshape(2, 1, 1, 1)]
CUTS = [slice(0, 1), slice(0, 4), slice(2, 5), slice(5, 6), slice(0, 6)]


@pytest.mark.parametrize("name", MASKS)
def test_a_tile_is_cut_from_the_whole_and_its_coverage_is_true(name):
    mask = MASKS[name].bind(SCORES)
    seen = set()
    for offset, rows, columns in itertools.product(OFFSETS, CUTS, [*CUTS, slice(6, 7)]):
        whole = np.broadcast_to(mask.visible(Tile(slice(0, 6), slice(0, 7), offset)), SCORES)
        tile = Tile(rows, columns, offset)
        expected = whole[..., rows, columns]
        coverage = mask.coverage(tile)
        seen.add(coverage)
        if coverage is Coverage.FULL:
            assert expected.all()
        elif coverage is Coverage.EMPTY:
            assert not expected.any()
        else:
            np.testing.assert_array_equal(np.broadcast_to(mask.visible(tile), expected.shape), expected)
    assert len(seen) > 1, "the tiles chosen show only one kind of coverage"


def test_causal_by_hand():
    visible = Causal().visible(Tile(slice(0, 3), slice(0, 4), np.asarray(1)))
    assert visible.tolist() == [[True, True, False, False], [True, True, True, False], [True] * 4]


def test_and_flattens_and_is_commutative_in_effect():
    one, other = Causal() & Allowed(np.ones((6, 7), bool)), Allowed(np.ones((6, 7), bool)) & Causal()
    assert isinstance(one, All)
    assert len((one & other).masks) == 4
    tile = Tile(slice(0, 6), slice(0, 7), np.asarray(0))
    np.testing.assert_array_equal(one.bind(SCORES).visible(tile), other.bind(SCORES).visible(tile))


def test_a_mask_has_no_truth_value():
    with pytest.raises(TypeError, match="combine masks with"):
        bool(Causal())


def test_allowed_takes_booleans_only():
    with pytest.raises(InvalidValue, match=r"mask\.allowed: expected booleans"):
        Allowed(np.ones((6, 7))).bind(SCORES)


@pytest.mark.parametrize("shape", [(8,), (5, 7), (2, 6, 7), (1, 2, 3, 6, 7)])
def test_allowed_must_broadcast_and_must_not_enlarge(shape):
    with pytest.raises(ShapeMismatch, match=r"broadcasts, right-aligned, to the"):
        Allowed(np.ones(shape, bool)).bind(SCORES)


def test_every_registered_mask_is_among_them():
    alone = {type(mask) for mask in MASKS.values()} | {type(one) for mask in MASKS.values() for one in masks_in(mask)}
    assert set(REGISTERED.values()) <= alone


def rows_of(mask, queries, keys, offset=0):
    """What a mask makes visible of scores of rank 2, as rows of 0 and 1."""
    tile = Tile(slice(0, queries), slice(0, keys), np.asarray(offset))
    visible = np.broadcast_to(mask.bind((queries, keys)).visible(tile), (queries, keys))
    return ["".join("01"[int(flag)] for flag in row) for row in visible]


def test_window_by_hand():
    assert rows_of(Window(left=1, right=0), 3, 4) == ["1000", "1100", "0110"]
    assert rows_of(Window(left=None, right=1), 3, 4) == ["1100", "1110", "1111"]
    assert rows_of(Window(left=0, right=None), 3, 4, offset=1) == ["0111", "0011", "0001"]
    assert rows_of(Window(left=1, right=1), 2, 3, offset=-2) == ["000", "100"]


def test_key_lengths_by_hand():
    assert rows_of(KeyLengths(np.array([2])), 2, 3) == ["110", "110"]
    assert rows_of(KeyLengths(np.array([[0, 3]])), 2, 3) == ["000", "111"]


def test_segments_by_hand():
    assert rows_of(Segments(np.array([0, 1, 1]), np.array([0, 0, 1, 2])), 3, 4) == ["1100", "0010", "0010"]


@pytest.mark.parametrize(
    ("mask", "path"),
    [
        (Window(left=-1), ("mask", "window", "left")),
        (Window(right=-2), ("mask", "window", "right")),
        (KeyLengths(np.array([3, 8])), ("mask", "key_lengths", 1)),
        (KeyLengths(np.array([-1, 8])), ("mask", "key_lengths", 0)),
        (KeyLengths(np.array([[1] * 6, [1, 2, 3, 4, 5, 9]])), ("mask", "key_lengths", 1, 5)),
        (KeyLengths(np.array([1.5, 2])), ("mask", "key_lengths", 0)),
    ],
)
def test_a_value_out_of_range_is_named_with_its_place(mask, path):
    with pytest.raises(InvalidValue) as caught:
        mask.bind(SCORES)
    assert caught.value.path == path


@pytest.mark.parametrize(
    ("mask", "path"),
    [
        (KeyLengths(np.array([1, 2, 3])), "key_lengths"),
        (KeyLengths(np.array([[1, 2], [3, 4]])), "key_lengths"),
        (KeyLengths(np.array(3)), "key_lengths"),
        (Segments(np.zeros(5, int), np.zeros(7, int)), "query_segments"),
        (Segments(np.zeros(6, int), np.zeros(6, int)), "key_segments"),
        (Segments(np.zeros(6, int), np.zeros((3, 7), int)), "key_segments"),
    ],
)
def test_lists_that_do_not_fit_the_scores_are_named(mask, path):
    with pytest.raises(ShapeMismatch) as caught:
        mask.bind(SCORES)
    assert caught.value.path == ("mask", path)


QUERY = np.ones((2, 3, 1))
KEY = np.ones((2, 5, 1))


def visible_counts(**options):
    """How many keys each query of two batch rows sees."""
    weights = attend(QUERY, KEY, **options).weights
    return (weights > 0).sum(axis=-1).tolist()


def test_offsets_of_causal_attention():
    assert visible_counts(mask=Causal()) == [[1, 2, 3]] * 2
    assert visible_counts(mask=Causal(), offset=2) == [[3, 4, 5]] * 2
    assert visible_counts(mask=Causal(), offset=-1) == [[0, 1, 2]] * 2
    assert visible_counts(mask=Causal(), offset=np.array([0, 2])) == [[1, 2, 3], [3, 4, 5]]


def test_bottom_right_is_counted_from_the_valid_keys():
    assert visible_counts(mask=Causal(), offset="bottom_right") == [[3, 4, 5]] * 2
    lengths = KeyLengths(np.array([5, 2]))
    assert visible_counts(mask=Causal() & lengths, offset="bottom_right") == [[3, 4, 5], [0, 1, 2]]
    assert visible_counts(mask=lengths & Causal(), offset="bottom_right") == [[3, 4, 5], [0, 1, 2]]


@pytest.mark.parametrize(
    ("offset", "kind"),
    [("top_left", "UnknownName"), (np.array([1, 2, 3]), "ShapeMismatch"), (np.array([[1], [2]]), "ShapeMismatch"),
     (1.5, "InvalidValue"), (2**62, "InvalidValue"), (np.array([0, -(2**62)]), "InvalidValue")],
)  # fmt: skip
def test_an_offset_that_cannot_be_is_refused(offset, kind):
    with pytest.raises(ValueError, match="offset") as caught:
        attend(QUERY, KEY, mask=Causal(), offset=offset)
    assert type(caught.value).__name__ == kind
    assert caught.value.path[0] == "offset"


@pytest.mark.parametrize("side", [10**6, 2**62, 10**30])
def test_a_window_wider_than_anything_hides_nothing(side):
    assert visible_counts(mask=Window(left=side, right=side), offset=3) == [[5, 5, 5]] * 2
