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
from attention_core.errors import InvalidValue
from attention_core.formula_mask import FormulaMask
from attention_core.interfaces import Mask
from attention_core.mask_base import All, BaseMask, PrefixLengths, bind_lengths
from attention_core.positional_masks import Causal, Window
from attention_core.score_tile import Coverage, Tile, slice_tile
from attention_core.shapes import Shape, Side, as_integers, check_broadcastable, search_rows, shape_shared_or_per_row

__all__ = [
    "MASKS",
    "All",
    "Allowed",
    "BaseMask",
    "Causal",
    "KeyAllowed",
    "KeyLengths",
    "PrefixLengths",
    "Segments",
    "Window",
    "find_key_lengths",
    "list_hiding_masks",
    "masks_in",
]


@dataclass(frozen=True, slots=True, eq=False)
class KeyLengths(BaseMask):
    """Key j is visible iff j < length: padding at the end of the keys is hidden."""

    lengths: IntArray
    """Integers from 0 to Lk: (B), one per batch row, or (B, Lq), one per query."""

    name: ClassVar[str] = "key_lengths"
    title: ClassVar[Text] = Text("键长度", "the key lengths")
    shows: ClassVar[Text] = Text(
        "j < 长度；每个批次行一个长度 [B]，或每个查询一个 [B, Lq]",
        "j < length; one length for each batch row, [B], or for each query, [B, Lq]",
    )

    def bind(self, score_shape: Shape) -> Self:
        """Return the mask with lengths shaped (B, 1, …, 1 or Lq, 1); raise as `bind_lengths` does."""
        return replace(self, lengths=bind_lengths(self.lengths, score_shape, self.name, per_query=True))

    def key_range(self, tile: Tile) -> tuple[IntArray | int, IntArray | int]:
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
        return tile.key_indices < self._select(tile)

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
        queries = self._bind(self.query_segments, score_shape, "query")
        keys = self._bind(self.key_segments, score_shape, "key")
        return replace(self, query_segments=queries, key_segments=keys.swapaxes(-1, -2))

    def _bind(self, segments: IntArray, score_shape: Shape, side: Side) -> IntArray:
        path = ("mask", f"{side}_segments")
        advice = "Give every query and every key (past and new) the number of its document."
        return shape_shared_or_per_row(as_integers(segments, path), score_shape, side, path, advice)

    def key_range(self, tile: Tile) -> tuple[IntArray | int, IntArray | int] | None:
        """Return where the keys of each query's segment begin and end; None unless segments ascend along the keys."""
        first = search_rows(self.key_segments, self.query_segments, "left")
        end = search_rows(self.key_segments, self.query_segments, "right")
        return None if first is None or end is None else (first, end)

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


@dataclass(frozen=True, slots=True, eq=False)
class KeyAllowed(BaseMask):
    """Key j is visible iff the array is True there: padding anywhere among the keys is hidden from every query."""

    allowed: NDArray[Any]
    """Booleans, (Lk), or (B, Lk) with booleans for each batch row."""

    name: ClassVar[str] = "key_allowed"
    title: ClassVar[Text] = Text("键掩码", "the mask of keys")
    shows: ClassVar[Text] = Text(
        "该键的布尔值为 true；[Lk]，或每个批次行一组 [B, Lk]",
        "the boolean of the key is true; [Lk], or one such list for each batch row, [B, Lk]",
    )

    def bind(self, score_shape: Shape) -> Self:
        """Return the mask with booleans shaped (…, 1, Lk).

        Raises InvalidValue unless it holds booleans, ShapeMismatch for another shape.
        """
        path = ("mask", self.name)
        array = np.asarray(self.allowed)
        if array.dtype != np.bool_:
            raise InvalidValue(
                path,
                expected="booleans, true where queries may see the key",
                received=f"{array.dtype} numbers",
                advice="Compare explicitly, or pass additive numbers as bias.",
            )
        advice = "Give every key, past and new, a boolean; one for each pair goes to {mask.allowed}."
        shaped = shape_shared_or_per_row(array, score_shape, "key", path, advice)
        return replace(self, allowed=shaped.swapaxes(-1, -2))

    def key_range(self, tile: Tile) -> tuple[IntArray | int, IntArray | int] | None:
        """Return the first visible key and the key after the last; None where a key between them is hidden."""
        n_keys = self.allowed.shape[-1]
        if not n_keys:
            return 0, 0
        first = self.allowed.argmax(-1, keepdims=True)
        behind_last = n_keys - self.allowed[..., ::-1].argmax(-1, keepdims=True)
        end = np.where(self.allowed.any(-1, keepdims=True), behind_last, 0)
        return (first, end) if np.array_equal(end - first, self.allowed.sum(-1, keepdims=True)) else None

    def coverage(self, tile: Tile) -> Coverage:
        """Return the coverage by reducing the booleans of the tile's keys."""
        visible = self.visible(tile)
        if visible.all():
            return Coverage.FULL
        return Coverage.PARTIAL if visible.any() else Coverage.EMPTY

    def visible(self, tile: Tile) -> BoolArray:
        """Return the booleans of the tile's keys, (…, 1, k)."""
        return self.allowed[..., tile.columns]


MASKS: dict[str, type[BaseMask]] = {
    mask.name: mask for mask in (Causal, Window, PrefixLengths, KeyLengths, KeyAllowed, Segments, Allowed, FormulaMask)
}
"""Masks by the names that requests give them, in the order in which they are explained."""
