"""Masks: predicates over positions, which are evaluated tile by tile, so that a causal mask is never a matrix.

``Causal() & Allowed(array)`` shows the pairs that both show.  Tiles are classified as full, partial or empty first, as
in FlexAttention; only partial ones evaluate booleans.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from attention_core.arrays import BoolArray, IntArray
from attention_core.descriptions import Text
from attention_core.errors import InvalidValue, ShapeMismatch
from attention_core.formula_mask import FormulaMask
from attention_core.interfaces import Coverage, Mask, Tile, slice_tile
from attention_core.mask_base import All, BaseMask
from attention_core.shapes import Shape, as_integers, check_broadcastable, shape_per_batch_row

FAR = 1 << 60
"""A distance beyond every key."""


@dataclass(frozen=True, slots=True)
class Causal(BaseMask):
    """Key j is visible to query i iff j ≤ i + offset."""

    name: ClassVar[str] = "causal"
    title: ClassVar[Text] = Text("因果掩码", "the causal mask")
    shows: ClassVar[Text] = Text(
        "j ≤ i + offset",
        "j ≤ i + offset",
    )

    def key_range(self, query_positions: IntArray, n_keys: int) -> tuple[IntArray | int, IntArray | int]:
        """Return 0 and i + offset + 1."""
        return 0, query_positions + 1

    def coverage(self, tile: Tile) -> Coverage:
        """Return the coverage by comparing the tile's corners with the diagonal."""
        if tile.is_empty:
            return Coverage.FULL
        first, last = tile.query_position_range
        if tile.columns.stop - 1 <= first:
            return Coverage.FULL
        return Coverage.EMPTY if tile.columns.start > last else Coverage.PARTIAL

    def visible(self, tile: Tile) -> BoolArray:
        """Return j ≤ i + offset."""
        return tile.key_positions <= tile.query_positions


@dataclass(frozen=True, slots=True)
class Window(BaseMask):
    """Key j is visible to query i iff p − left ≤ j ≤ p + right, with p = i + offset.

    Beltagy, Peters & Cohan 2020, "Longformer: The Long-Document Transformer", section 3.1.
    """

    left: int | None = None
    """Visible keys before the query's position, ≥ 0; None for all."""
    right: int | None = None
    """Visible keys after the query's position, ≥ 0; None for all."""

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

    def key_range(self, query_positions: IntArray, n_keys: int) -> tuple[IntArray | int, IntArray | int]:
        """Return p − left and p + right + 1; 0 and n_keys on a side that is left out."""
        # A side of any length fits into 64 bits beside a position.
        first = 0 if self.left is None else query_positions - min(self.left, FAR)
        return first, n_keys if self.right is None else query_positions + min(self.right, FAR) + 1

    def coverage(self, tile: Tile) -> Coverage:
        """Return the coverage by comparing the keys with the windows of the first and the last query."""
        if tile.is_empty:
            return Coverage.FULL
        (first, last), first_key, last_key = tile.query_position_range, tile.columns.start, tile.columns.stop - 1
        if self._is_outside(last, last_key, first, first_key):
            return Coverage.EMPTY
        seen_left = self.left is None or first_key >= last - self.left
        seen_right = self.right is None or last_key <= first + self.right
        return Coverage.FULL if seen_left and seen_right else Coverage.PARTIAL

    def _is_outside(self, last: int, last_key: int, first: int, first_key: int) -> bool:
        """Return whether the whole tile lies left or right of every window."""
        left_of_all = self.left is not None and last_key < first - self.left
        right_of_all = self.right is not None and first_key > last + self.right
        return left_of_all or right_of_all

    def visible(self, tile: Tile) -> BoolArray:
        """Return p − left ≤ j ≤ p + right."""
        distance = tile.key_positions - tile.query_positions
        visible = np.ones(distance.shape, dtype=np.bool_)
        if self.left is not None:
            visible &= distance >= -self.left
        if self.right is not None:
            visible &= distance <= self.right
        return visible


@dataclass(frozen=True, slots=True, eq=False)
class KeyLengths(BaseMask):
    """Key j is visible iff j < length: padding at the end of the keys is hidden."""

    lengths: IntArray
    """Integers from 0 to Lk: (B), one per batch row, or (B, Lq), one per query."""

    name: ClassVar[str] = "key_lengths"
    title: ClassVar[Text] = Text("键长度", "the key lengths")
    shows: ClassVar[Text] = Text(
        "j < 长度；每个批次一个长度 [B]，或每个查询一个 [B, Lq]",
        "j < length; one length for each batch row, [B], or for each query, [B, Lq]",
    )

    def bind(self, score_shape: Shape) -> Self:
        """Return the mask with lengths shaped (B, 1, …, 1 or Lq, 1).

        Raises ShapeMismatch for another shape, InvalidValue unless they are integers from 0 to Lk.
        """
        path = ("mask", "key_lengths")
        lengths = shape_per_batch_row(as_integers(self.lengths, path), score_shape, score_shape[-2], path)
        wrong = (self.lengths < 0) | (self.lengths > score_shape[-1])
        if wrong.any():
            where = tuple(int(i) for i in np.argwhere(wrong)[0])
            raise InvalidValue(
                (*path, *where),
                expected=f"a length from 0 to {score_shape[-1]}, the number of keys",
                received=str(self.lengths[where]),
                advice="Lengths count past and new keys together.",
            )
        return replace(self, lengths=lengths)

    def key_range(self, query_positions: IntArray, n_keys: int) -> tuple[IntArray | int, IntArray | int]:
        """Return 0 and the lengths, (B, 1, …, 1 or Lq, 1)."""
        return 0, self.lengths

    def coverage(self, tile: Tile) -> Coverage:
        """Return the coverage by comparing the shortest and the longest length with the keys."""
        lengths = self._select(tile)
        if lengths.size == 0 or lengths.min() >= tile.columns.stop:
            return Coverage.FULL
        return Coverage.EMPTY if lengths.max() <= tile.columns.start else Coverage.PARTIAL

    def visible(self, tile: Tile) -> BoolArray:
        """Return j < length."""
        return tile.key_positions < self._select(tile)

    def _select(self, tile: Tile) -> IntArray:
        return slice_tile(self.lengths, tile._replace(columns=slice(None)))


@dataclass(frozen=True, slots=True, eq=False)
class Segments(BaseMask):
    """Key j is visible to query i iff both have the same segment number, as in packed documents."""

    query_segments: IntArray
    """Integers, (Lq), or (B, Lq) with numbers for each batch row."""
    key_segments: IntArray
    """Integers, (Lk), or (B, Lk) with numbers for each batch row."""

    name: ClassVar[str] = "segments"
    title: ClassVar[Text] = Text("分段", "the segments")
    shows: ClassVar[Text] = Text(
        "两者编号相同；[Lq] 与 [Lk]，或 [B, Lq] 与 [B, Lk]",
        "both carry the same number; [Lq] and [Lk], or [B, Lq] and [B, Lk]",
    )

    def bind(self, score_shape: Shape) -> Self:
        """Return the mask with numbers shaped (…, Lq, 1) and (…, 1, Lk).

        Raises ShapeMismatch for another shape, InvalidValue for numbers that are not integers.
        """
        queries = self._bind(self.query_segments, score_shape, score_shape[-2], "query_segments")
        keys = self._bind(self.key_segments, score_shape, score_shape[-1], "key_segments")
        return replace(self, query_segments=queries, key_segments=keys.swapaxes(-1, -2))

    def _bind(self, segments: IntArray, score_shape: Shape, length: int, name: str) -> IntArray:
        path = ("mask", name)
        numbers = as_integers(segments, path)
        if numbers.ndim == 1 and len(numbers) == length:
            return numbers[:, None]
        if numbers.ndim == 2:
            return shape_per_batch_row(numbers, score_shape, length, path)
        raise ShapeMismatch(
            path,
            expected=f"shape [{length}], or one such list for each batch row",
            received=f"shape {list(numbers.shape)}",
            advice="Give every query and every key (past and new) the number of its document.",
        )

    def key_range(self, query_positions: IntArray, n_keys: int) -> tuple[IntArray | int, IntArray | int] | None:
        """Return where the keys of each query's segment begin and end; None unless segments ascend along the keys."""
        keys = self.key_segments
        if (keys[..., 1:] < keys[..., :-1]).any():
            return None
        leading = np.broadcast_shapes(self.query_segments.shape[:-2], keys.shape[:-2])
        queries = np.broadcast_to(self.query_segments, (*leading, *self.query_segments.shape[-2:]))
        first, end = (np.empty(queries.shape, np.int64) for _ in range(2))
        for index in np.ndindex(*leading):
            numbers = np.broadcast_to(keys, (*leading, *keys.shape[-2:]))[index][0]
            first[index] = np.searchsorted(numbers, queries[index], side="left")
            end[index] = np.searchsorted(numbers, queries[index], side="right")
        return first, end

    def coverage(self, tile: Tile) -> Coverage:
        """Return FULL if the tile has one number, EMPTY if the ranges of queries' and keys' numbers are disjoint."""
        queries, keys = self._select(tile)
        if queries.size == 0 or keys.size == 0:
            return Coverage.FULL
        (first_query, last_query), (first_key, last_key) = (
            (numbers.min(axis=(-2, -1)), numbers.max(axis=(-2, -1))) for numbers in (queries, keys)
        )
        if np.all((last_query < first_key) | (last_key < first_query)):
            return Coverage.EMPTY
        same = (first_query == last_query) & (first_key == last_key) & (first_query == first_key)
        return Coverage.FULL if np.all(same) else Coverage.PARTIAL

    def visible(self, tile: Tile) -> BoolArray:
        """Return whether the numbers are equal."""
        queries, keys = self._select(tile)
        return queries == keys

    def _select(self, tile: Tile) -> tuple[IntArray, IntArray]:
        return self.query_segments[..., tile.rows, :], self.key_segments[..., tile.columns]


def masks_in(mask: Mask | None) -> tuple[Mask, ...]:
    """Return the components of a combined mask, a single mask by itself, nothing for None."""
    if mask is None:
        return ()
    return mask.masks if isinstance(mask, All) else (mask,)


def list_hiding_masks(mask: Mask | None, sees: Callable[[Mask], bool]) -> tuple[str, ...]:
    """Return the names of the masks that hide a pair.

    :param mask: a mask or a combination of masks; None for none.
    :param sees: returns whether one mask shows the pair.
    """
    names: dict[type, str] = {kind: name for name, kind in MASKS.items()}
    return tuple(names[type(component)] for component in masks_in(mask) if not sees(component))


def find_key_lengths(mask: Mask | None) -> IntArray | None:
    """Return the lengths of the first `KeyLengths` in a mask, as they were given; None if there is none."""
    if isinstance(mask, KeyLengths):
        return mask.lengths
    found = (find_key_lengths(component) for component in mask.masks) if isinstance(mask, All) else ()
    return next((lengths for lengths in found if lengths is not None), None)


@dataclass(frozen=True, slots=True, eq=False)
class Allowed(BaseMask):
    """Key j is visible to query i iff the array is True there."""

    allowed: NDArray[Any]
    """Booleans that broadcast right-aligned to the scores, (…, Lq, Lk)."""

    name: ClassVar[str] = "allowed"
    title: ClassVar[Text] = Text("布尔掩码", "the boolean mask")
    shows: ClassVar[Text] = Text(
        "布尔值为 true；右对齐广播到 (…, Lq, Lk)，也可以是用于所有位置的一个布尔值",
        "the boolean is true; broadcast right-aligned to (…, Lq, Lk), or one boolean for all pairs",
    )

    def bind(self, score_shape: Shape) -> Self:
        """Return the mask with an array of rank 2 or more.

        Raises InvalidValue unless it holds booleans, ShapeMismatch unless it broadcasts to the scores.
        """
        array = np.asarray(self.allowed)
        if array.dtype != np.bool_:
            raise InvalidValue(
                ("mask", "allowed"),
                expected="booleans, true where the query may see the key",
                received=f"{array.dtype} numbers",
                advice="Compare explicitly, or pass additive numbers as bias.",
            )
        check_broadcastable(array, score_shape, ("mask", "allowed"))
        return replace(self, allowed=np.atleast_2d(array))

    def coverage(self, tile: Tile) -> Coverage:
        """Return the coverage by reducing the tile's booleans."""
        visible = self.visible(tile)
        if visible.all():
            return Coverage.FULL
        return Coverage.PARTIAL if visible.any() else Coverage.EMPTY

    def visible(self, tile: Tile) -> BoolArray:
        """Return the tile's booleans; broadcast axes have length 1."""
        return slice_tile(self.allowed, tile)


MASKS: dict[str, type[BaseMask]] = {
    mask.name: mask for mask in (Causal, Window, KeyLengths, Segments, Allowed, FormulaMask)
}
