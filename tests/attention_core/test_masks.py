"""Masks as predicates: what a tile is told about its coverage is true, and any tile is cut from the same whole."""

import itertools

import numpy as np
import pytest

from attention_core import All, Allowed, Causal, InvalidValue, ShapeMismatch
from attention_core.interfaces import Coverage, Tile

SCORES = (2, 3, 6, 7)
RNG = np.random.default_rng(7)

MASKS = {
    "causal": Causal(),
    "allowed": Allowed((RNG.random(SCORES) < 0.7) | (np.arange(7) < 2)),
    "allowed by key": Allowed(np.array([True, True, True, True, False, False, False])),
    "allowed by query": Allowed(np.array([True, True, True, False, False, True])[:, None]),
    "both": Causal() & Allowed(np.array([True, True, True, True, False, False, False])),
    "three": Causal() & Allowed(RNG.random((6, 7)) < 0.9) & Allowed(np.ones((1, 1), bool)),
}
OFFSETS = [np.asarray(0), np.asarray(3), np.asarray(-4), np.array([2, -1]).reshape(2, 1, 1, 1)]
CUTS = [slice(0, 1), slice(0, 4), slice(2, 5), slice(5, 6), slice(0, 6)]


@pytest.mark.parametrize("name", MASKS)
@pytest.mark.parametrize("offset", OFFSETS, ids=lambda offset: str(offset.ravel().tolist()))
def test_a_tile_is_cut_from_the_whole_and_its_coverage_is_true(name, offset):
    mask = MASKS[name].bind(SCORES)
    whole = np.broadcast_to(mask.visible(Tile(slice(0, 6), slice(0, 7), offset)), SCORES)
    seen = set()
    for rows, columns in itertools.product(CUTS, [*CUTS, slice(6, 7)]):
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
