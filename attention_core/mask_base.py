"""What masks have in common, their conjunction, and prefixes, which lift masks over positions."""

from collections.abc import Sequence
from dataclasses import Field, dataclass, fields, replace
from typing import Any, ClassVar, NoReturn, Self

import numpy as np

from attention_core.arrays import BoolArray, IntArray, LeadingSlices
from attention_core.descriptions import Text
from attention_core.errors import InvalidValue
from attention_core.interfaces import Mask
from attention_core.score_tile import Coverage, Tile
from attention_core.shapes import Shape, as_integers, shape_per_batch_row, slice_leading


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

    def lift(self, prefix: IntArray) -> Self:
        """Return the mask that shows the keys of a prefix as well; by default the mask itself, which hides them still.

        :param prefix: number of keys, (B, 1, …, 1).
        """
        return self

    def __and__(self: Mask, other: Mask) -> "All":
        left = self.masks if isinstance(self, All) else (self,)
        right = other.masks if isinstance(other, All) else (other,)
        return All((*left, *right))

    def __bool__(self) -> NoReturn:
        raise TypeError("a mask is neither true nor false; combine masks with &, not with `and`")


@dataclass(frozen=True, slots=True)
class All(BaseMask):
    """Shows the pairs that all of `masks` show; `PrefixLengths` among them lift `Causal` and `Window`."""

    masks: tuple[Mask, ...]
    """Any number of masks; with none, every key is visible."""

    def bind(self, score_shape: Shape) -> Self:
        """Return the mask with each of `masks` bound, and lifted by the prefixes among them."""
        return replace(self, masks=_lift(tuple(mask.bind(score_shape) for mask in self.masks)))

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


def bind_lengths(lengths: IntArray, score_shape: Shape, name: str, *, per_query: bool) -> IntArray:
    """Return numbers of keys, shaped (B, 1, …, 1 or Lq, 1).

    :param lengths: integers from 0 to Lk, (B), or (B, Lq) if `per_query`.
    :param score_shape: (…, Lq, Lk).
    :param name: the field of the mask, for errors.
    :param per_query: whether each query may have a length of its own.

    Raises ShapeMismatch for another shape, InvalidValue unless they are integers from 0 to Lk.
    """
    path = ("mask", name)
    shaped = shape_per_batch_row(as_integers(lengths, path), score_shape, path, per_query=per_query)
    wrong = (lengths < 0) | (lengths > score_shape[-1])
    if wrong.any():
        where = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise InvalidValue(
            (*path, *where),
            expected=f"a length from 0 to {score_shape[-1]}, the number of keys",
            received=str(lengths[where]),
            advice="Lengths count past and new keys together.",
        )
    return shaped


def see_prefix(prefix: IntArray, tile: Tile) -> BoolArray:
    """Return which keys of a tile belong to the prefix, (…, 1, k).

    :param prefix: number of keys, (B, 1, …, 1).
    """
    return tile.key_indices < prefix


def lift_coverage(coverage: Coverage, prefix: IntArray | None, tile: Tile) -> Coverage:
    """Return the coverage of a tile by a mask that shows the keys of a prefix as well.

    :param coverage: that of the mask without the prefix.
    :param prefix: number of keys, (B, 1, …, 1); None for no prefix.
    """
    if prefix is None or coverage is Coverage.FULL or not prefix.size:
        return coverage
    if prefix.min() >= tile.columns.stop:
        return Coverage.FULL
    return coverage if prefix.max() <= tile.columns.start else Coverage.PARTIAL


@dataclass(frozen=True, slots=True, eq=False)
class PrefixLengths(BaseMask):
    """Key j < length is visible whatever `Causal` and `Window` beside it say, as in a prefix language model.

    It hides nothing itself, and other masks hide what they hide: ``Causal() & PrefixLengths(lengths)``.

    Raffel et al. 2020, "Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer", section
    3.2.1.
    """

    lengths: IntArray
    """Integers from 0 to Lk, (B), one per batch row; they count keys, and not positions."""

    name: ClassVar[str] = "prefix_lengths"
    title: ClassVar[Text] = Text("前缀", "the prefix")
    shows: ClassVar[Text] = Text(
        "j < 长度的键不受因果掩码和窗口限制；每个批次行一个长度 [B]",
        "causal and window do not hide keys j < length; one length for each batch row, [B]",
    )

    def bind(self, score_shape: Shape) -> Self:
        """Return the mask with lengths shaped (B, 1, …, 1); raise as `bind_lengths` does."""
        return replace(self, lengths=bind_lengths(self.lengths, score_shape, self.name, per_query=False))

    def key_range(self, tile: Tile) -> tuple[IntArray | int, IntArray | int]:
        """Return all keys."""
        return 0, tile.columns.stop

    def coverage(self, tile: Tile) -> Coverage:
        """Return FULL."""
        return Coverage.FULL

    def visible(self, tile: Tile) -> BoolArray:
        """Return True for all pairs."""
        return np.ones((1, 1), dtype=np.bool_)


def _lift(masks: Sequence[Any]) -> tuple[Any, ...]:
    """Return bound masks, lifted by the last prefix among them."""
    prefix = next((mask.lengths for mask in reversed(masks) if isinstance(mask, PrefixLengths)), None)
    return tuple(masks) if prefix is None else tuple(mask.lift(prefix) for mask in masks)
