"""Mistakes in what is hidden: corners, ends, signs."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Self

import numpy as np

from attention_core.arrays import BoolArray, IntArray, Leading
from attention_core.call import ResolvedCall
from attention_core.checking.attempts import Given, Way
from attention_core.interfaces import Coverage, Mask, Tile
from attention_core.masks import All, Allowed, Causal, Window
from attention_core.shapes import part


@dataclass(frozen=True, slots=True)
class _Wrong:
    """A mask that a mistake has changed; it knows nothing of whole tiles and is asked for every pair."""

    mask: Mask

    def bind(self, scores: tuple[int, ...]) -> Self:
        """Nothing to fit: the mask inside is bound."""
        return self

    def within(self, leading: Leading) -> Self:
        """Cut the mask inside."""
        return replace(self, mask=self.mask.within(leading))

    def coverage(self, tile: Tile) -> Coverage:
        """Always a correct answer."""
        return Coverage.MIXED

    def visible(self, tile: Tile) -> BoolArray:
        """What the mask inside allows."""
        return self.mask.visible(tile)

    def __and__(self, other: Mask) -> All:
        return All((self, other))


@dataclass(frozen=True, slots=True)
class _Inverted(_Wrong):
    """Visible where it should be hidden: true read as "masked"."""

    def visible(self, tile: Tile) -> BoolArray:
        """The opposite."""
        return ~self.mask.visible(tile)


@dataclass(frozen=True, slots=True)
class _At(_Wrong):
    """The mask with query 0 at another position."""

    offset: IntArray

    def within(self, leading: Leading) -> Self:
        """Cut the mask inside and the position."""
        offset = self.offset if self.offset.ndim < 2 else part(self.offset, leading)
        return replace(self, mask=self.mask.within(leading), offset=offset)

    def visible(self, tile: Tile) -> BoolArray:
        """As the mask would, from the other position."""
        return self.mask.visible(replace(tile, offset=self.offset))


def _masks(call: ResolvedCall) -> tuple[Mask, ...]:
    if call.mask is None:
        return ()
    return call.mask.masks if isinstance(call.mask, All) else (call.mask,)


def _with_masks(call: ResolvedCall, change: Callable[[Mask], Mask]) -> ResolvedCall | None:
    """Change some of the masks; None when there is none to change."""
    masks = _masks(call)
    changed = tuple(change(mask) for mask in masks)
    return (
        None if all(new is old for new, old in zip(changed, masks, strict=True)) else replace(call, mask=All(changed))
    )


def _moved(given: Given, kinds: tuple[type, ...], offset: IntArray) -> Iterator[Way]:
    moved = _with_masks(given.call, lambda mask: _At(mask, offset) if isinstance(mask, kinds) else mask)
    if moved is not None:
        yield moved


def causal_corner(given: Given) -> Iterator[Way]:
    """The diagonal starts at the other corner: top left instead of bottom right, or the reverse."""
    corners = (np.asarray(0), np.asarray(given.call.key_length - given.call.query_length))
    for corner in corners:
        yield from _moved(given, (Causal,), corner)
        yield from _moved(given, (Causal, Window), corner)


def causal_off_by_one(given: Given) -> Iterator[Way]:
    """A query does not see itself, or sees one key of the future."""
    for step in (-1, 1):
        yield from _moved(given, (Causal,), given.call.offset + step)


def window_off_by_one(given: Given) -> Iterator[Way]:
    """A window one key too narrow or too wide, on either side or on both."""
    steps = ((-1, -1), (1, 1), (-1, 0), (1, 0), (0, -1), (0, 1), (-1, 1), (1, -1))
    for left, right in steps:
        call = _with_masks(given.call, partial(_widened, left=left, right=right))
        if call is not None:
            yield call


def _widened(mask: Mask, left: int, right: int) -> Mask:
    if not isinstance(mask, Window):
        return mask
    wider = replace(
        mask,
        left=None if mask.left is None else mask.left + left,
        right=None if mask.right is None else mask.right + right,
    )
    return mask if (wider.left, wider.right) == (mask.left, mask.right) else wider


def mask_inverted(given: Given) -> Iterator[Way]:
    """True read as "masked": the array of booleans, or everything that is hidden."""
    of_booleans = _with_masks(given.call, lambda mask: _Inverted(mask) if isinstance(mask, Allowed) else mask)
    if of_booleans is not None:
        yield of_booleans
    if given.call.mask is not None:
        yield replace(given.call, mask=_Inverted(given.call.mask))


def mask_missing(given: Given) -> Iterator[Way]:
    """Nothing is hidden: everything, or everything but one kind of mask."""
    masks = _masks(given.call)
    if masks:
        yield replace(given.call, mask=None)
    if len(masks) > 1:
        for left_out in masks:
            yield replace(given.call, mask=All(tuple(mask for mask in masks if mask is not left_out)))
