"""Masks that can only be asked for tiles, as a kernel reads them: ranges of keys if they show ranges, else bytes.

Tiles are halved until their coverage is full or empty, or they are small enough to evaluate, so that a mask of a few
diagonals is asked about those alone.
"""

from collections.abc import Iterator
from math import prod
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from attention_core.arrays import BoolArray, IntArray
from attention_core.formula_mask import FormulaMask
from attention_core.score_tile import Coverage, Tile

MAX_LEAF_SIDE = 256
"""Maximum rows, and maximum columns, of a tile that is evaluated."""

MAX_LEAF_PAIRS = 1 << 18
"""About how many pairs of all matrices a tile has that is evaluated."""

MIN_LEAF_SIDE = 16
"""Minimum of the maximum rows and columns, however many matrices there are."""

MAX_SCAN_OPERATIONS = 1 << 32
"""Maximum operations of evaluating a formula before a kernel starts, about 0.3 s; else NumPy takes the call."""


class _TooCostly(Exception):
    """The scan would evaluate too many pairs."""


class _Leaf(NamedTuple):
    """A tile with a visible pair, with its flags, (…, q, k); None where every pair is visible."""

    tile: Tile
    visible: BoolArray | None


def scan_range(mask: FormulaMask, whole: Tile) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """Return the first key that each query sees, and the key after the last, each (…, Lq, 1).

    None where a key between them is hidden, or if finding out would take too long.

    :param mask: bound.
    :param whole: all rows and columns of the scores.
    """
    leading = _leading_shape(mask, whole)
    rows = (*leading, whole.rows.stop)
    first, end, count = (np.full(rows, start, np.int64) for start in (whole.columns.stop, 0, 0))
    try:
        for tile, visible in _leaves(mask, whole, leading):
            own = (..., tile.rows)
            seen = np.ones(1, np.bool_) if visible is None else visible.any(axis=-1)
            starts, ends, widths = _seen_keys(tile, visible)
            if (widths < ends - starts).any():
                return None
            first[own] = np.where(seen, np.minimum(first[own], starts), first[own])
            end[own] = np.where(seen, np.maximum(end[own], ends), end[own])
            count[own] += widths
    except _TooCostly:
        return None
    if (count != np.maximum(end - first, 0)).any():
        return None
    return first[..., None], end[..., None]


def _seen_keys(tile: Tile, visible: BoolArray | None) -> tuple[IntArray, IntArray, IntArray]:
    """Return the first key that each query of a tile sees, the key after the last, and their number, (…, q) or (1).

    A query that sees none has equal ends.
    """
    start, stop = tile.columns.start, tile.columns.stop
    if visible is None:
        return np.array([start]), np.array([stop]), np.array([stop - start])
    widths = visible.sum(axis=-1)
    ends = np.where(widths, stop - visible[..., ::-1].argmax(axis=-1), start)
    return start + visible.argmax(axis=-1), ends, widths


def scan_pairs(mask: FormulaMask, whole: Tile) -> BoolArray | None:
    """Return which pairs are visible, broadcastable to (…, Lq, Lk); None if finding out would take too long.

    :param mask: bound.
    :param whole: all rows and columns of the scores.
    """
    leading = _leading_shape(mask, whole)
    pairs = np.zeros((*leading, whole.rows.stop, whole.columns.stop), np.bool_)
    try:
        for tile, visible in _leaves(mask, whole, leading):
            pairs[..., tile.rows, tile.columns] = True if visible is None else visible
    except _TooCostly:
        return None
    return pairs


def _leading_shape(mask: FormulaMask, whole: Tile) -> tuple[int, ...]:
    """Return the leading axes of the mask's answers, most of which have none."""
    return mask.visible(whole._replace(rows=slice(0, 1), columns=slice(0, 1))).shape[:-2]


def _leaves(mask: FormulaMask, whole: Tile, leading: tuple[int, ...]) -> Iterator[_Leaf]:
    """Yield the tiles that have a visible pair; raises _TooCostly when too many pairs would have to be evaluated."""
    matrices = max(1, prod(leading))
    side = MAX_LEAF_SIDE
    while side > MIN_LEAF_SIDE and matrices * side * side > MAX_LEAF_PAIRS:
        side //= 2
    operations, tiles = 0, [whole]
    while tiles:
        tile = tiles.pop()
        coverage = mask.coverage(tile)
        if coverage is Coverage.EMPTY:
            continue
        n_rows, n_columns = tile.rows.stop - tile.rows.start, tile.columns.stop - tile.columns.start
        if coverage is Coverage.FULL:
            yield _Leaf(tile, None)
        elif max(n_rows, n_columns) > side:
            tiles += _halves(tile, n_rows, n_columns)
        else:
            operations += matrices * n_rows * n_columns * mask.operations_per_pair
            if operations > MAX_SCAN_OPERATIONS:
                raise _TooCostly
            yield _Leaf(tile, np.broadcast_to(mask.visible(tile), (*leading, n_rows, n_columns)))


def _halves(tile: Tile, n_rows: int, n_columns: int) -> tuple[Tile, Tile]:
    """Return the two halves of a tile along its longer axis."""
    if n_rows >= n_columns:
        middle = tile.rows.start + n_rows // 2
        return (
            tile._replace(rows=slice(tile.rows.start, middle)),
            tile._replace(rows=slice(middle, tile.rows.stop)),
        )
    middle = tile.columns.start + n_columns // 2
    return (
        tile._replace(columns=slice(tile.columns.start, middle)),
        tile._replace(columns=slice(middle, tile.columns.stop)),
    )
