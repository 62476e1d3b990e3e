"""Masks are predicates over positions, so a tile needs nothing special and a causal mask is never a matrix.

``Causal() & Allowed(array)`` allows what both allow.  A tile asks first whether it is empty, full or mixed, and only
a mixed one builds booleans.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NoReturn, Self

import numpy as np
from numpy.typing import NDArray

from attention_core.arrays import BoolArray, IntArray, Leading
from attention_core.errors import InvalidValue, Path, ShapeMismatch
from attention_core.interfaces import Coverage, Mask, Tile
from attention_core.shapes import Shape, check_broadcastable, cut, integers, part


class _Combinable:
    """``&`` for every mask; a mask has no truth value of its own."""

    __slots__ = ()

    def __and__(self: Mask, other: Mask) -> "All":
        mine = self.masks if isinstance(self, All) else (self,)
        others = other.masks if isinstance(other, All) else (other,)
        return All((*mine, *others))

    def __bool__(self) -> NoReturn:
        raise TypeError("a mask is neither true nor false; combine masks with &, not with `and`")


@dataclass(frozen=True, slots=True)
class All(_Combinable):
    """Allows what every one of `masks` allows."""

    masks: tuple[Mask, ...]

    def bind(self, scores: Shape) -> Self:
        """Bind each."""
        return replace(self, masks=tuple(mask.bind(scores) for mask in self.masks))

    def within(self, leading: Leading) -> Self:
        """Cut each; it stays itself if all of them do."""
        own = tuple(mask.within(leading) for mask in self.masks)
        same = all(one is other for one, other in zip(own, self.masks, strict=True))
        return self if same else replace(self, masks=own)

    def coverage(self, tile: Tile) -> Coverage:
        """Empty as soon as one is, full when all are."""
        found = {mask.coverage(tile) for mask in self.masks}
        if Coverage.EMPTY in found:
            return Coverage.EMPTY
        return Coverage.MIXED if Coverage.MIXED in found else Coverage.FULL

    def visible(self, tile: Tile) -> BoolArray:
        """The conjunction; a mask that covers the whole tile is not asked for booleans."""
        visible: BoolArray = np.ones((1, 1), dtype=np.bool_)
        for mask in self.masks:
            if mask.coverage(tile) is not Coverage.FULL:
                visible = visible & mask.visible(tile)
        return visible


@dataclass(frozen=True, slots=True)
class Causal(_Combinable):
    """Key j is visible to query i iff j ≤ i + offset: nobody looks into the future."""

    def bind(self, scores: Shape) -> Self:
        """Nothing to fit: positions come with the tile."""
        return self

    def within(self, leading: Leading) -> Self:
        """The same everywhere: positions come with the tile."""
        return self

    def coverage(self, tile: Tile) -> Coverage:
        """Compare the corners of the tile with the diagonal."""
        if tile.is_empty:
            return Coverage.FULL
        first, last = tile.query_span
        if tile.columns.stop - 1 <= first:
            return Coverage.FULL
        return Coverage.EMPTY if tile.columns.start > last else Coverage.MIXED

    def visible(self, tile: Tile) -> BoolArray:
        """j ≤ i + offset."""
        return tile.key_positions <= tile.query_positions


@dataclass(frozen=True, slots=True)
class Window(_Combinable):
    """With p = i + offset, key j is visible iff p − left ≤ j ≤ p + right; None is unbounded.

    Beltagy, Peters & Cohan 2020, "Longformer: The Long-Document Transformer", section 3.1.
    """

    left: int | None = None
    right: int | None = None

    def bind(self, scores: Shape) -> Self:
        """Raise InvalidValue for a negative side."""
        for side, name in ((self.left, "left"), (self.right, "right")):
            if side is not None and side < 0:
                raise InvalidValue(
                    ("mask", "window", name),
                    expected="at least 0, or null for unbounded",
                    received=str(side),
                    advice="0 means the query's own position only; move the window with offset.",
                )
        return self

    def within(self, leading: Leading) -> Self:
        """The same everywhere: positions come with the tile."""
        return self

    def coverage(self, tile: Tile) -> Coverage:
        """Compare the keys with the windows of the first and the last position."""
        if tile.is_empty:
            return Coverage.FULL
        (first, last), first_key, last_key = tile.query_span, tile.columns.start, tile.columns.stop - 1
        if self._beyond(last, last_key, first, first_key):
            return Coverage.EMPTY
        seen_left = self.left is None or first_key >= last - self.left
        seen_right = self.right is None or last_key <= first + self.right
        return Coverage.FULL if seen_left and seen_right else Coverage.MIXED

    def _beyond(self, last: int, last_key: int, first: int, first_key: int) -> bool:
        """Whether the whole tile lies left or right of every window."""
        left_of_all = self.left is not None and last_key < first - self.left
        right_of_all = self.right is not None and first_key > last + self.right
        return left_of_all or right_of_all

    def visible(self, tile: Tile) -> BoolArray:
        """p − left ≤ j ≤ p + right."""
        distance = tile.key_positions - tile.query_positions
        visible = np.ones(distance.shape, dtype=np.bool_)
        if self.left is not None:
            visible &= distance >= -self.left
        if self.right is not None:
            visible &= distance <= self.right
        return visible


@dataclass(frozen=True, slots=True, eq=False)
class KeyLengths(_Combinable):
    """Keys at or past the length are invisible; lengths (B), or (B, Lq) with one for each query."""

    lengths: IntArray

    def bind(self, scores: Shape) -> Self:
        """Check 0 ≤ length ≤ Lk and shape the lengths to (B, 1, …, 1 or Lq, 1)."""
        path = ("mask", "key_lengths")
        lengths = per_batch_row(integers(self.lengths, path), scores, scores[-2], path)
        wrong = (self.lengths < 0) | (self.lengths > scores[-1])
        if wrong.any():
            where = tuple(int(i) for i in np.argwhere(wrong)[0])
            raise InvalidValue(
                (*path, *where),
                expected=f"a length from 0 to {scores[-1]}, the number of keys",
                received=str(self.lengths[where]),
                advice="Lengths count past and new keys together.",
            )
        return replace(self, lengths=lengths)

    def within(self, leading: Leading) -> Self:
        """Take the lengths of the block's batch rows."""
        return replace(self, lengths=part(self.lengths, leading))

    def coverage(self, tile: Tile) -> Coverage:
        """Compare the shortest and the longest length with the columns."""
        lengths = self._of(tile)
        if lengths.size == 0 or lengths.min() >= tile.columns.stop:
            return Coverage.FULL
        return Coverage.EMPTY if lengths.max() <= tile.columns.start else Coverage.MIXED

    def visible(self, tile: Tile) -> BoolArray:
        """j < length."""
        return tile.key_positions < self._of(tile)

    def _of(self, tile: Tile) -> IntArray:
        return cut(self.lengths, tile._replace(columns=slice(None)))


@dataclass(frozen=True, slots=True, eq=False)
class Segments(_Combinable):
    """Visible iff query and key carry the same number: packed documents.

    Numbers are shared, (Lq) and (Lk), or per batch row, (B, Lq) and (B, Lk).
    """

    query_segments: IntArray
    key_segments: IntArray

    def bind(self, scores: Shape) -> Self:
        """Check the lengths and shape the numbers to (…, Lq, 1) and (…, 1, Lk)."""
        queries = self._bind(self.query_segments, scores, scores[-2], "query_segments")
        keys = self._bind(self.key_segments, scores, scores[-1], "key_segments")
        return replace(self, query_segments=queries, key_segments=keys.swapaxes(-1, -2))

    def _bind(self, segments: IntArray, scores: Shape, length: int, name: str) -> IntArray:
        path = ("mask", name)
        numbers = integers(segments, path)
        if numbers.ndim == 1 and len(numbers) == length:
            return numbers[:, None]
        if numbers.ndim == 2:
            return per_batch_row(numbers, scores, length, path)
        raise ShapeMismatch(
            path,
            expected=f"shape [{length}], or one such list for each batch row",
            received=f"shape {list(numbers.shape)}",
            advice="Give every query and every key (past and new) the number of its document.",
        )

    def within(self, leading: Leading) -> Self:
        """Take the numbers of the block's batch rows."""
        queries, keys = (part(numbers, leading) for numbers in (self.query_segments, self.key_segments))
        return replace(self, query_segments=queries, key_segments=keys)

    def coverage(self, tile: Tile) -> Coverage:
        """Full when one number fills the tile, empty when the numbers of queries and keys do not overlap."""
        queries, keys = self._of(tile)
        if queries.size == 0 or keys.size == 0:
            return Coverage.FULL
        (first_query, last_query), (first_key, last_key) = (
            (numbers.min(axis=(-2, -1)), numbers.max(axis=(-2, -1))) for numbers in (queries, keys)
        )
        if np.all((last_query < first_key) | (last_key < first_query)):
            return Coverage.EMPTY
        same = (first_query == last_query) & (first_key == last_key) & (first_query == first_key)
        return Coverage.FULL if np.all(same) else Coverage.MIXED

    def visible(self, tile: Tile) -> BoolArray:
        """The numbers are equal."""
        queries, keys = self._of(tile)
        return queries == keys

    def _of(self, tile: Tile) -> tuple[IntArray, IntArray]:
        return self.query_segments[..., tile.rows, :], self.key_segments[..., tile.columns]


def per_batch_row(numbers: IntArray, scores: Shape, length: int, path: Path) -> IntArray:
    """Shape (B) to (B, 1, …, 1, 1) or (B, length) to (B, 1, …, length, 1), so that it broadcasts over the scores.

    B is axis 0 of scores of rank 3 or more; scores of rank 2 have B = 1.  Raises ShapeMismatch.
    """
    batch = scores[0] if len(scores) > 2 else 1
    if numbers.shape not in ((batch,), (batch, length)):
        raise ShapeMismatch(
            path,
            expected=f"shape {[batch]}, one for each batch row, or {[batch, length]}",
            received=f"shape {list(numbers.shape)}",
            advice=f"The scores have shape {list(scores)}; axis 0 counts batch rows from rank 3 on.",
        )
    column = numbers[:, None] if numbers.ndim == 1 else numbers
    between = (1,) * max(len(scores) - 3, 0)
    shaped = column.reshape(batch, *between, column.shape[1], 1)
    return shaped if len(scores) > 2 else shaped[0]


def hidden_by(mask: Mask | None, sees: Callable[[Mask], bool]) -> tuple[str, ...]:
    """Return the names of those masks among the combined ones that do not let a pair be seen, as `sees` tells."""
    if mask is None:
        return ()
    masks = mask.masks if isinstance(mask, All) else (mask,)
    names = {kind: name for name, kind in MASKS.items()}
    return tuple(names[type(one)] for one in masks if not sees(one))


def key_lengths_of(mask: Mask | None) -> IntArray | None:
    """Return the key lengths that a mask contains, as they were given; None when it has none."""
    if isinstance(mask, KeyLengths):
        return mask.lengths
    found = (key_lengths_of(one) for one in mask.masks) if isinstance(mask, All) else ()
    return next((lengths for lengths in found if lengths is not None), None)


@dataclass(frozen=True, slots=True, eq=False)
class Allowed(_Combinable):
    """Any boolean array, True where the query may see the key, broadcast right-aligned to the scores' shape."""

    allowed: NDArray[Any]

    def bind(self, scores: Shape) -> Self:
        """Check that the array holds booleans and broadcasts to the scores."""
        array = np.asarray(self.allowed)
        if array.dtype != np.bool_:
            raise InvalidValue(
                ("mask", "allowed"),
                expected="booleans, true where the query may see the key",
                received=f"{array.dtype} numbers",
                advice="Compare explicitly, or pass additive numbers as bias.",
            )
        check_broadcastable(array, scores, ("mask", "allowed"))
        return replace(self, allowed=np.atleast_2d(array))

    def within(self, leading: Leading) -> Self:
        """Cut the array."""
        return replace(self, allowed=part(self.allowed, leading))

    def coverage(self, tile: Tile) -> Coverage:
        """Look at the array; this is far cheaper than scoring the tile."""
        part = self.visible(tile)
        if part.all():
            return Coverage.FULL
        return Coverage.MIXED if part.any() else Coverage.EMPTY

    def visible(self, tile: Tile) -> BoolArray:
        """Cut the tile out of the axes that are not broadcast."""
        return cut(self.allowed, tile)


MASKS: dict[str, type[Mask]] = {
    "causal": Causal,
    "window": Window,
    "key_lengths": KeyLengths,
    "segments": Segments,
    "allowed": Allowed,
}
