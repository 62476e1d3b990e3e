"""A rectangle of the score matrix, in which the tiled paths compute, and how much of it a mask leaves visible."""

from enum import Enum
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attention_core.arrays import IntArray


class Coverage(Enum):
    """How much of a tile a mask leaves visible: FlexAttention's empty, full and partial blocks."""

    EMPTY = "no key visible to any query"
    FULL = "every key visible to every query"
    PARTIAL = "some pairs visible"


class Tile(NamedTuple):
    """A rectangle of the score matrix, with the positions of its queries among the keys."""

    rows: slice
    """Queries."""
    columns: slice
    """Keys."""
    offset: IntArray
    """Position of query 0 among the keys: one integer, one per batch row, or one per batch row and query, shaped to
    broadcast against the scores."""
    all_key_positions: IntArray | None = None
    """Positions of all keys, not only of the tile's, (…, 1, Lk); None where key j has position j."""

    @property
    def query_positions(self) -> IntArray:
        """Positions of the queries among the keys, (…, q, 1)."""
        offset = self.offset[..., self.rows, :] if self.offset.ndim > 1 and self.offset.shape[-2] > 1 else self.offset
        return np.arange(self.rows.start, self.rows.stop)[:, None] + offset

    @property
    def query_position_range(self) -> tuple[int, int]:
        """First and last position of the queries.

        Two integers, so that a mask compares integers and not arrays: 2 instead of 5.5 µs for each of the 96 tiles of
        causal 1024 (benchmarks/RESULTS.md, "a mask asked with numbers").
        """
        if self.offset.ndim > 1 and self.offset.shape[-2] > 1:
            positions = self.query_positions
            return int(positions.min()), int(positions.max())
        if self.offset.size == 1:
            offset = int(self.offset.item())
            return self.rows.start + offset, self.rows.stop - 1 + offset
        return self.rows.start + int(self.offset.min()), self.rows.stop - 1 + int(self.offset.max())

    @property
    def is_empty(self) -> bool:
        """Whether the tile has no pair."""
        has_no_batch = not self.offset.size or (self.all_key_positions is not None and not self.all_key_positions.size)
        return self.rows.start >= self.rows.stop or self.columns.start >= self.columns.stop or has_no_batch

    @property
    def key_indices(self) -> IntArray:
        """Indices of the keys, (k,)."""
        return np.arange(self.columns.start, self.columns.stop)

    @property
    def key_positions(self) -> IntArray:
        """Positions of the keys, (k,), or (…, 1, k) where they are not their indices."""
        return self.key_indices if self.all_key_positions is None else self.all_key_positions[..., self.columns]

    @property
    def key_position_range(self) -> tuple[int, int]:
        """First and last position of the keys."""
        if self.all_key_positions is None:
            return self.columns.start, self.columns.stop - 1
        positions = self.key_positions
        return int(positions.min()), int(positions.max())


def slice_tile(array: NDArray[Any], tile: Tile) -> NDArray[Any]:
    """Return a view of a tile's part of an array; axes of length 1 stay.

    :param array: rank 2 or more; broadcasts to the scores.
    :param tile: rows and columns of the scores.
    """
    rows = tile.rows if array.shape[-2] > 1 else slice(None)
    columns = tile.columns if array.shape[-1] > 1 else slice(None)
    return array[..., rows, columns]
