"""Mistakes in masks: corners, ends, signs."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from attention_core.arrays import BoolArray, FloatArray, IntArray, Logits
from attention_core.call import ResolvedCall
from attention_core.checking.variants import (
    ChangedCall,
    CheckContext,
    Fields,
    Mistake,
    Variant,
    evaluate_included,
    resolve_repeated,
)
from attention_core.checking.wrong_normalizers import with_changed_logits
from attention_core.dense import evaluate_query_block
from attention_core.formula_mask import FormulaMask
from attention_core.interfaces import Mask
from attention_core.mask_base import All, see_prefix
from attention_core.masks import Allowed, Causal, KeyLengths, PrefixLengths, Window, masks_in
from attention_core.score_tile import Coverage, Tile
from attention_core.tiles import apply_weights

LIFTED = (Causal, Window)
"""Masks that a prefix lifts."""


@dataclass(frozen=True, slots=True)
class ChangedMask:
    """A mask with a mistake, as a function of the mask and the tile; every tile counts as partial."""

    mask: Mask
    change: Callable[[Mask, Tile], BoolArray]

    def coverage(self, tile: Tile) -> Coverage:
        """Return PARTIAL, which is always correct."""
        return Coverage.PARTIAL

    def visible(self, tile: Tile) -> BoolArray:
        """Return which pairs of a tile are visible with the mistake."""
        return self.change(self.mask, tile)


def change_masks(context: CheckContext, change: Callable[[Any], Any], *kinds: type[Mask]) -> Iterator[Variant]:
    """Yield the variant with some of the masks changed; none if no mask changes.

    :param context: the call.
    :param change: function of a mask that returns another one, or the same one.
    :param kinds: classes of the masks that change; default all.
    """
    masks = masks_in(context.call.mask)
    changed = tuple(change(mask) if not kinds or isinstance(mask, kinds) else mask for mask in masks)
    if any(new is not old for new, old in zip(changed, masks, strict=True)):
        yield context.changed(mask=All(changed))


def change_mask_offset(context: CheckContext, offset: IntArray, *kinds: type[Mask]) -> Iterator[Variant]:
    """Yield the variant with query 0 at another position for some kinds of masks."""

    def see(mask: Mask, tile: Tile) -> BoolArray:
        return mask.visible(tile._replace(offset=offset))

    yield from change_masks(context, lambda mask: ChangedMask(mask, see), *kinds)


def see_hidden(mask: Mask, tile: Tile) -> BoolArray:
    """Return the pairs that a mask hides: true read as "masked"."""
    return ~mask.visible(tile)


def _invert_beside_prefix(mask: Causal | Window) -> Causal | Window | ChangedMask:
    """Return a mask that shows what it hides, and the keys of its prefix as before; the mask itself without one."""
    if mask.prefix is None:
        return mask
    return ChangedMask(replace(mask, prefix=None), partial(_see_hidden_and_prefix, mask.prefix))


def _see_hidden_and_prefix(prefix: IntArray, mask: Mask, tile: Tile) -> BoolArray:
    """Return whether a pair is hidden, or its key belongs to the prefix."""
    return see_hidden(mask, tile) | see_prefix(prefix, tile)


def _see_by_query(mask: Mask, tile: Tile) -> BoolArray:
    """Return whether the key with the query's index is visible; the mask must not depend on the query."""
    return mask.visible(Tile(slice(0, 1), tile.rows, np.asarray(0))).swapaxes(-1, -2)


def causal_corner(context: CheckContext) -> Iterator[Variant]:
    """The diagonal starts at another corner: top left, bottom right, or bottom right without padding."""
    call = context.call
    if not any(isinstance(mask, (Causal, Window)) for mask in masks_in(call.mask)):
        return
    corners = [np.asarray(0), np.asarray(call.key_length - call.query_length)]
    lengths = next((mask.lengths for mask in masks_in(call.mask) if isinstance(mask, KeyLengths)), None)
    if lengths is not None:
        corners.append(lengths - call.query_length)
    for corner in corners:
        yield from change_mask_offset(context, corner, Causal)
        yield from change_mask_offset(context, corner, Causal, Window)
        if call.position is not None and corner.ndim == 0 and context.sent.positions is None:
            yield ChangedCall(resolve_repeated(replace(context.sent, offset=int(corner))))


def causal_off_by_one(context: CheckContext) -> Iterator[Variant]:
    """A query does not see itself, or sees one key of the future."""
    for step in (-1, 1):
        yield from change_mask_offset(context, context.call.offset + step, Causal)


def window_off_by_one(context: CheckContext) -> Iterator[Variant]:
    """A window one key too narrow or too wide, on either side or on both."""
    steps = ((-1, -1), (1, 1), (-1, 0), (1, 0), (0, -1), (0, 1), (-1, 1), (1, -1))
    for left, right in steps:
        yield from change_masks(context, partial(_widened, left=left, right=right), Window)


def _widened(window: Window, left: int, right: int) -> Window:
    wider = replace(
        window,
        left=None if window.left is None else window.left + left,
        right=None if window.right is None else window.right + right,
    )
    return window if wider == window else wider


def lengths_off_by_one(context: CheckContext) -> Iterator[Variant]:
    """The last key is left out, or one of the padding is let in."""
    for step in (-1, 1):
        yield from change_masks(context, partial(_lengthened, step=step), KeyLengths)


def prefix_ignored(context: CheckContext) -> Iterator[Variant]:
    """Causal and window hide keys of the prefix as well."""
    yield from change_masks(context, lambda mask: mask if mask.prefix is None else replace(mask, prefix=None), *LIFTED)


def _lengthened(mask: KeyLengths, step: int) -> KeyLengths:
    return replace(mask, lengths=mask.lengths + step)


def mask_inverted(context: CheckContext) -> Iterator[Variant]:
    """True read as "masked": one kind of mask, or the whole mask; or the future for the past.

    A formula that is inverted alone is a mistake of its own.
    """
    masks = (mask for mask in masks_in(context.call.mask) if not isinstance(mask, (PrefixLengths, FormulaMask)))
    kinds = list(dict.fromkeys(map(type, masks)))
    for kind in sorted(kinds, key=lambda kind: kind is not Allowed):
        yield from change_masks(context, lambda mask: ChangedMask(mask, see_hidden), kind)
    if context.call.mask is not None and kinds:
        yield context.changed(mask=ChangedMask(context.call.mask, see_hidden))
    yield from change_masks(context, lambda causal: Window(0, None, prefix=causal.prefix), Causal)
    yield from change_masks(context, _invert_beside_prefix, *LIFTED)


def mask_transposed(context: CheckContext) -> Iterator[Variant]:
    """Rows for columns: the booleans transposed, or lengths that hide queries instead of keys."""
    if context.call.query_length == context.call.key_length:
        yield from change_masks(context, lambda mask: Allowed(mask.allowed.swapaxes(-1, -2)), Allowed)
        yield from change_masks(
            context,
            lambda mask: ChangedMask(mask, _see_by_query) if mask.lengths.shape[-2] == 1 else mask,
            KeyLengths,
        )


def mask_missing(context: CheckContext) -> Iterator[Variant]:
    """No mask hides keys, or all but one kind of mask do; a formula that alone is left out is a mistake of its own."""
    masks = masks_in(context.call.mask)
    named = [mask for mask in masks if not isinstance(mask, FormulaMask)]
    if named:
        yield context.changed(mask=None)
    if len(masks) > 1:
        for left_out in named:
            others = tuple(mask for mask in masks if mask is not left_out)
            yield context.changed(mask=All(others))


def mask_after_weights(context: CheckContext) -> Iterator[Variant]:
    """Weights are multiplied by the mask, and not normalized again."""
    if context.call.mask is not None:
        yield ChangedCall(replace(context.call, mask=None), partial(_masked_afterwards, context.call.mask))


def _masked_afterwards(mask: Mask, call: ResolvedCall, rows: slice) -> tuple[Fields, FloatArray]:
    fields, maximum = evaluate_query_block(call, rows, {*call.include, "weights", "logits"})
    weights = np.where(_visible(mask, call, rows), fields["weights"], 0)
    output = {} if call.value is None else {"output": apply_weights(weights, call.value, fields["logits"])}
    return {**fields, "weights": weights, **output}, maximum


def change_masked_logits(*changes: Callable[[Logits, BoolArray], Logits]) -> Mistake:
    """Return the mistake of a mask that changes the logits otherwise than to −∞.

    :param changes: functions of the logits and of the visible pairs that return other logits.
    """

    def variants(context: CheckContext) -> Iterator[Variant]:
        mask = context.call.mask
        if mask is None:
            return
        for change in changes:
            yield ChangedCall(replace(context.call, mask=None), partial(_with_masked_logits, mask, change))

    return variants


def _with_masked_logits(
    mask: Mask, change: Callable[[Logits, BoolArray], Logits], call: ResolvedCall, rows: slice
) -> tuple[Fields, FloatArray]:
    visible = _visible(mask, call, rows)
    normalizer: Any = with_changed_logits(call.normalizer, lambda logits: change(logits, visible))
    return evaluate_included(replace(call, normalizer=normalizer), rows)


def _visible(mask: Mask, call: ResolvedCall, rows: slice) -> BoolArray:
    return mask.visible(call.tile(rows))


def past_ignored(context: CheckContext) -> Iterator[Variant]:
    """Queries see the new keys alone."""
    if context.sent.past_key is not None:
        past = context.sent.past_key.shape[-2]
        mask = All(()) if context.call.mask is None else context.call.mask
        yield context.changed(
            mask=ChangedMask(mask, lambda mask, tile: mask.visible(tile) & (tile.key_indices >= past))
        )
