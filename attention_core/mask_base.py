"""What masks have in common, and their conjunction."""

from dataclasses import Field, dataclass, fields, replace
from typing import Any, ClassVar, NoReturn, Self

import numpy as np

from attention_core.arrays import BoolArray, LeadingSlices
from attention_core.descriptions import Text
from attention_core.interfaces import Coverage, Mask, Tile
from attention_core.shapes import Shape, slice_leading


class BaseMask:
    """Base of masks, with the texts about each; its defaults are those of a mask that depends on positions alone."""

    __slots__ = ()

    name: ClassVar[str]
    title: ClassVar[Text]
    """What a sentence calls it."""
    shows: ClassVar[Text]
    """When key j is visible to query i."""
    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    def bind(self, score_shape: Shape) -> Self:
        """Return the mask itself, which has no arrays: positions come with the tile."""
        return self

    def slice_leading(self, leading: LeadingSlices) -> Self:
        """Return the mask with the block's part of its arrays; the mask itself if it has none."""
        sliced = {
            one.name: slice_leading(array, leading)
            for one in fields(self)
            if isinstance(array := getattr(self, one.name), np.ndarray)
        }
        return replace(self, **sliced) if sliced else self

    def __and__(self: Mask, other: Mask) -> "All":
        left = self.masks if isinstance(self, All) else (self,)
        right = other.masks if isinstance(other, All) else (other,)
        return All((*left, *right))

    def __bool__(self) -> NoReturn:
        raise TypeError("a mask is neither true nor false; combine masks with &, not with `and`")


@dataclass(frozen=True, slots=True)
class All(BaseMask):
    """Shows the pairs that all of `masks` show."""

    masks: tuple[Mask, ...]
    """Any number of masks; with none, every key is visible."""

    def bind(self, score_shape: Shape) -> Self:
        """Return the mask with each of `masks` bound."""
        return replace(self, masks=tuple(mask.bind(score_shape) for mask in self.masks))

    def slice_leading(self, leading: LeadingSlices) -> Self:
        """Return the mask with each of `masks` sliced; the mask itself if none of them changes."""
        sliced = tuple(mask.slice_leading(leading) for mask in self.masks)
        unchanged = all(new is old for new, old in zip(sliced, self.masks, strict=True))
        return self if unchanged else replace(self, masks=sliced)

    def coverage(self, tile: Tile) -> Coverage:
        """Return EMPTY if one of `masks` is empty there, FULL if all are full, else PARTIAL."""
        coverages = {mask.coverage(tile) for mask in self.masks}
        if Coverage.EMPTY in coverages:
            return Coverage.EMPTY
        return Coverage.PARTIAL if Coverage.PARTIAL in coverages else Coverage.FULL

    def visible(self, tile: Tile) -> BoolArray:
        """Return the conjunction of those masks that are not full there."""
        visible: BoolArray = np.ones((1, 1), dtype=np.bool_)
        for mask in self.masks:
            if mask.coverage(tile) is not Coverage.FULL:
                visible = visible & mask.visible(tile)
        return visible
