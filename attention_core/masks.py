"""Masks are predicates over positions, so a tile needs nothing special and a causal mask is never a matrix.

``Causal() & Allowed(array)`` allows what both allow.  A tile asks first whether it is empty, full or mixed, and only
a mixed one builds booleans.
"""

from dataclasses import dataclass, replace
from typing import Any, NoReturn, Self

import numpy as np
from numpy.typing import NDArray

from attention_core.arrays import BoolArray
from attention_core.errors import InvalidValue
from attention_core.interfaces import Coverage, Mask, Tile
from attention_core.shapes import Shape, check_broadcastable


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

    def coverage(self, tile: Tile) -> Coverage:
        """Compare the corners of the tile with the diagonal."""
        positions, keys = tile.query_positions, tile.key_positions
        if positions.size == 0 or keys.size == 0 or keys[-1] <= positions.min():
            return Coverage.FULL
        return Coverage.EMPTY if keys[0] > positions.max() else Coverage.MIXED

    def visible(self, tile: Tile) -> BoolArray:
        """j ≤ i + offset."""
        return tile.key_positions <= tile.query_positions


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

    def coverage(self, tile: Tile) -> Coverage:
        """Look at the array; this is far cheaper than scoring the tile."""
        part = self.visible(tile)
        if part.all():
            return Coverage.FULL
        return Coverage.MIXED if part.any() else Coverage.EMPTY

    def visible(self, tile: Tile) -> BoolArray:
        """Cut the tile out of the axes that are not broadcast."""
        rows = tile.rows if self.allowed.shape[-2] > 1 else slice(None)
        columns = tile.columns if self.allowed.shape[-1] > 1 else slice(None)
        return self.allowed[..., rows, columns]
