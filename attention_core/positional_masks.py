"""Masks over positions: causal masks and windows."""

from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

import numpy as np

from attention_core.arrays import BoolArray, IntArray
from attention_core.descriptions import Text
from attention_core.errors import InvalidValue
from attention_core.mask_base import BaseMask, lift_coverage, see_prefix
from attention_core.score_tile import Coverage, Tile
from attention_core.shapes import Shape, search_rows

FAR = 1 << 60
"""A distance beyond every key."""


@dataclass(frozen=True, slots=True)
class Causal(BaseMask):
    """Key j is visible to query i iff j ≤ i + offset, or iff the position of the key is ≤ that of the query."""

    prefix: IntArray | None = field(default=None, kw_only=True, compare=False)
    """Number of keys that every query sees, (B, 1, …, 1), from `PrefixLengths`; None for none."""

    name: ClassVar[str] = "causal"
    title: ClassVar[Text] = Text("因果掩码", "the causal mask")
    shows: ClassVar[Text] = Text(
        "j ≤ i + offset",
        "j ≤ i + offset",
    )

    def lift(self, prefix: IntArray) -> Self:
        """Return the mask that shows the keys of a prefix as well."""
        return replace(self, prefix=prefix)

    def key_range(self, tile: Tile) -> tuple[IntArray | int, IntArray | int] | None:
        """Return 0 and the first key behind each query; None where the positions of keys do not ascend."""
        end = _first_keys_from(tile.query_positions + 1, tile)
        return None if end is None else (0, end if self.prefix is None else np.maximum(end, self.prefix))

    def coverage(self, tile: Tile) -> Coverage:
        """Return the coverage by comparing the positions of the first and the last query and key."""
        if tile.is_empty:
            return Coverage.FULL
        (first, last), (first_key, last_key) = tile.query_position_range, tile.key_position_range
        if last_key <= first:
            return Coverage.FULL
        return lift_coverage(Coverage.EMPTY if first_key > last else Coverage.PARTIAL, self.prefix, tile)

    def visible(self, tile: Tile) -> BoolArray:
        """Return j ≤ i + offset, and True for the keys of the prefix."""
        visible: BoolArray = tile.key_positions <= tile.query_positions
        return visible if self.prefix is None else visible | see_prefix(self.prefix, tile)


@dataclass(frozen=True, slots=True)
class Window(BaseMask):
    """Key j is visible to query i iff p − left ≤ j ≤ p + right, with p = i + offset.

    Beltagy, Peters & Cohan 2020, "Longformer: The Long-Document Transformer", section 3.1.
    """

    left: int | None = None
    """Visible keys before the query's position, ≥ 0; None for all."""
    right: int | None = None
    """Visible keys after the query's position, ≥ 0; None for all."""
    prefix: IntArray | None = field(default=None, kw_only=True, compare=False)
    """Number of keys that every query sees, (B, 1, …, 1), from `PrefixLengths`; None for none."""

    name: ClassVar[str] = "window"
    title: ClassVar[Text] = Text("窗口", "the window")
    shows: ClassVar[Text] = Text(
        "i + offset − left ≤ j ≤ i + offset + right；不写的一侧没有界限",
        "i + offset − left ≤ j ≤ i + offset + right; a side that is left out is unbounded",
    )

    def bind(self, score_shape: Shape) -> Self:
        """Return the mask itself; raise InvalidValue for a negative side."""
        for side, name in ((self.left, "left"), (self.right, "right")):
            if side is not None and side < 0:
                raise InvalidValue(
                    ("mask", "window", name),
                    expected="at least 0, or null for unbounded",
                    received=str(side),
                    advice="0 means the query's own position only; move the window with offset.",
                )
        return self

    def lift(self, prefix: IntArray) -> Self:
        """Return the mask that shows the keys of a prefix as well."""
        return replace(self, prefix=prefix)

    def key_range(self, tile: Tile) -> tuple[IntArray | int, IntArray | int] | None:
        """Return the first key of each window and the key after its last; 0 and Lk on a side that is left out.

        None where the positions of keys do not ascend, or where a gap is between the prefix and a window.
        """
        # A side of any length fits into 64 bits beside a position.
        sides = (
            0 if self.left is None else _first_keys_from(tile.query_positions - min(self.left, FAR), tile),
            tile.columns.stop
            if self.right is None
            else _first_keys_from(tile.query_positions + min(self.right, FAR) + 1, tile),
        )
        first, end = sides
        if first is None or end is None:
            return None
        if self.prefix is None:
            return first, end
        if np.any((first > self.prefix) & (self.prefix > 0)):
            return None
        return np.where(self.prefix > 0, 0, first), np.maximum(end, self.prefix)

    def coverage(self, tile: Tile) -> Coverage:
        """Return the coverage by comparing the keys with the windows of the first and the last query."""
        if tile.is_empty:
            return Coverage.FULL
        (first, last), (first_key, last_key) = tile.query_position_range, tile.key_position_range
        if self._is_outside(last, last_key, first, first_key):
            return lift_coverage(Coverage.EMPTY, self.prefix, tile)
        seen_left = self.left is None or first_key >= last - self.left
        seen_right = self.right is None or last_key <= first + self.right
        return Coverage.FULL if seen_left and seen_right else lift_coverage(Coverage.PARTIAL, self.prefix, tile)

    def _is_outside(self, last: int, last_key: int, first: int, first_key: int) -> bool:
        """Return whether the whole tile lies left or right of every window."""
        left_of_all = self.left is not None and last_key < first - self.left
        right_of_all = self.right is not None and first_key > last + self.right
        return left_of_all or right_of_all

    def visible(self, tile: Tile) -> BoolArray:
        """Return p − left ≤ j ≤ p + right, and True for the keys of the prefix."""
        distance = tile.key_positions - tile.query_positions
        visible = np.ones(distance.shape, dtype=np.bool_)
        if self.left is not None:
            visible &= distance >= -self.left
        if self.right is not None:
            visible &= distance <= self.right
        return visible if self.prefix is None else visible | see_prefix(self.prefix, tile)


def _first_keys_from(positions: IntArray, tile: Tile) -> IntArray | None:
    """Return the index of the first key at or after each position; None where the positions of keys do not ascend.

    :param positions: (…, q, 1).
    :param tile: all keys.
    """
    if tile.all_key_positions is None:
        return positions
    return search_rows(tile.all_key_positions, positions, "left")
