"""Mistakes in what is hidden: corners, ends, signs."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Self

import numpy as np

from attention_core.arrays import BoolArray, FloatArray, IntArray, Leading
from attention_core.call import ResolvedCall
from attention_core.checking.attempts import Fields, Given, Way, Wrong, evaluate_rows, resolve_repeated
from attention_core.checking.wrong_normalizers import Instead, changed
from attention_core.dense import evaluate_block
from attention_core.interfaces import Coverage, Mask, Tile
from attention_core.masks import All, Allowed, Causal, KeyLengths, Window
from attention_core.shapes import part
from attention_core.tiles import mix


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
class _OverQueries(_Wrong):
    """The mask with queries in the place of keys; it must not depend on the query."""

    def visible(self, tile: Tile) -> BoolArray:
        """Whether the key at the query's place would be seen."""
        turned = self.mask.visible(Tile(slice(0, 1), tile.rows, np.asarray(0)))
        return turned.swapaxes(-1, -2)


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
        return self.mask.visible(tile._replace(offset=self.offset))


@dataclass(frozen=True, slots=True)
class _From(_Wrong):
    """The mask, or none, and nothing before a key."""

    first: int

    def visible(self, tile: Tile) -> BoolArray:
        """As the mask would, from the first key on."""
        return self.mask.visible(tile) & (tile.key_positions >= self.first)


def _masks(call: ResolvedCall) -> tuple[Mask, ...]:
    if call.mask is None:
        return ()
    return call.mask.masks if isinstance(call.mask, All) else (call.mask,)


def _with_masks(given: Given, change: Callable[[Mask], Mask]) -> Iterator[Way]:
    """Change some of the masks; nothing when there is none to change."""
    masks = _masks(given.call)
    changed = tuple(change(mask) for mask in masks)
    if any(new is not old for new, old in zip(changed, masks, strict=True)):
        yield Wrong(replace(given.call, mask=All(changed)))


def _moved(given: Given, kinds: tuple[type, ...], offset: IntArray) -> Iterator[Way]:
    yield from _with_masks(given, lambda mask: _At(mask, offset) if isinstance(mask, kinds) else mask)


def causal_corner(given: Given) -> Iterator[Way]:
    """The diagonal starts at another corner: top left, bottom right, or bottom right of what is not padding."""
    call = given.call
    if not any(isinstance(mask, (Causal, Window)) for mask in _masks(call)):
        return
    corners = [np.asarray(0), np.asarray(call.key_length - call.query_length)]
    lengths = next((mask.lengths for mask in _masks(call) if isinstance(mask, KeyLengths)), None)
    if lengths is not None:
        corners.append(lengths - call.query_length)
    for corner in corners:
        yield from _moved(given, (Causal,), corner)
        yield from _moved(given, (Causal, Window), corner)
        if call.position is not None and corner.ndim == 0:
            yield Wrong(resolve_repeated(replace(given.sent, offset=int(corner))))


def causal_off_by_one(given: Given) -> Iterator[Way]:
    """A query does not see itself, or sees one key of the future."""
    for step in (-1, 1):
        yield from _moved(given, (Causal,), given.call.offset + step)


def window_off_by_one(given: Given) -> Iterator[Way]:
    """A window one key too narrow or too wide, on either side or on both."""
    steps = ((-1, -1), (1, 1), (-1, 0), (1, 0), (0, -1), (0, 1), (-1, 1), (1, -1))
    for left, right in steps:
        yield from _with_masks(given, partial(_widened, left=left, right=right))


def _widened(mask: Mask, left: int, right: int) -> Mask:
    if not isinstance(mask, Window):
        return mask
    wider = replace(
        mask,
        left=None if mask.left is None else mask.left + left,
        right=None if mask.right is None else mask.right + right,
    )
    return mask if (wider.left, wider.right) == (mask.left, mask.right) else wider


def lengths_off_by_one(given: Given) -> Iterator[Way]:
    """The last key is left out, or one of the padding is let in."""
    for step in (-1, 1):
        yield from _with_masks(given, partial(_lengthened, step=step))


def _lengthened(mask: Mask, step: int) -> Mask:
    return replace(mask, lengths=mask.lengths + step) if isinstance(mask, KeyLengths) else mask


def mask_inverted(given: Given) -> Iterator[Way]:
    """True read as "masked": one kind of mask, or everything that is hidden; or the future for the past."""
    kinds = list(dict.fromkeys(type(mask) for mask in _masks(given.call)))
    for kind in sorted(kinds, key=lambda kind: kind is not Allowed):
        yield from _with_masks(given, partial(_inverted, kind=kind))
    if given.call.mask is not None:
        yield Wrong(replace(given.call, mask=_Inverted(given.call.mask)))
    yield from _with_masks(given, lambda mask: Window(0, None) if isinstance(mask, Causal) else mask)


def _inverted(mask: Mask, kind: type) -> Mask:
    return _Inverted(mask) if isinstance(mask, kind) else mask


def mask_transposed(given: Given) -> Iterator[Way]:
    """Rows for columns: the booleans turned over, or lengths that hide queries instead of keys."""
    if given.call.query_length == given.call.key_length:
        yield from _with_masks(given, _allowed_turned)
        yield from _with_masks(given, _lengths_turned)


def _allowed_turned(mask: Mask) -> Mask:
    return Allowed(mask.allowed.swapaxes(-1, -2)) if isinstance(mask, Allowed) else mask


def _lengths_turned(mask: Mask) -> Mask:
    return _OverQueries(mask) if isinstance(mask, KeyLengths) and mask.lengths.shape[-2] == 1 else mask


def mask_missing(given: Given) -> Iterator[Way]:
    """Nothing is hidden: everything, or everything but one kind of mask."""
    masks = _masks(given.call)
    if masks:
        yield Wrong(replace(given.call, mask=None))
    if len(masks) > 1:
        for left_out in masks:
            others = tuple(mask for mask in masks if mask is not left_out)
            yield Wrong(replace(given.call, mask=All(others)))


def mask_after_weights(given: Given) -> Iterator[Way]:
    """Weights are multiplied by the mask, and not normalised again."""
    if given.call.mask is not None:
        yield Wrong(replace(given.call, mask=None), partial(_masked_afterwards, given.call.mask))


def _masked_afterwards(mask: Mask, call: ResolvedCall, rows: slice) -> tuple[Fields, FloatArray]:
    fields, maximum = evaluate_block(call, rows, {*call.include, "weights", "logits"})
    weights = np.where(_visible(mask, call, rows), fields["weights"], 0)
    output = {} if call.value is None else {"output": mix(weights, call.value, fields["logits"])}
    return {**fields, "weights": weights, **output}, maximum


def masked_to_zero(given: Given) -> Iterator[Way]:
    """Logits are multiplied by the mask: what is hidden gets 0 in place of −∞."""
    if given.call.mask is not None:
        yield Wrong(replace(given.call, mask=None), partial(_masked_to_zero, given.call.mask))


def _masked_to_zero(mask: Mask, call: ResolvedCall, rows: slice) -> tuple[Fields, FloatArray]:
    visible = _visible(mask, call, rows)
    zero: Any = Instead(changed(call.normalizer, lambda logits: np.where(visible, logits, 0)))
    return evaluate_rows(replace(call, normalizer=zero), rows)


def _visible(mask: Mask, call: ResolvedCall, rows: slice) -> BoolArray:
    return mask.visible(Tile(rows, slice(0, call.key_length), call.offset))


def past_ignored(given: Given) -> Iterator[Way]:
    """Queries look at the new keys alone."""
    if given.sent.past_key is not None:
        past = given.sent.past_key.shape[-2]
        yield Wrong(replace(given.call, mask=_From(All(()) if given.call.mask is None else given.call.mask, past)))
