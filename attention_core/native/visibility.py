"""Masks as a kernel reads them: a range of keys for each query, and a byte for each pair where ranges do not do."""

from dataclasses import replace
from math import prod
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from attention_core.arrays import BoolArray
from attention_core.call import ResolvedCall
from attention_core.capabilities import supports_key_range
from attention_core.formula_mask import FormulaMask
from attention_core.interfaces import Mask
from attention_core.masks import All, Allowed, KeyAllowed, masks_in
from attention_core.memory import MAX_PAIR_BYTES
from attention_core.native.scanned_masks import scan_pairs, scan_range
from attention_core.score_tile import Tile


class Visibility(NamedTuple):
    """Which keys each query sees: those of its range that are also allowed."""

    ranges: tuple[NDArray[np.int64], NDArray[np.int64]] | None
    """First key, and key after the last: each (…, Lq), contiguous; None for all keys."""
    allowed: BoolArray | None
    """Broadcasts to (…, Lq, Lk); None for all pairs."""


def with_ranged_masks(call: ResolvedCall) -> ResolvedCall:
    """Return a call with those of its masks alone that show each query the keys of a range; itself if all do."""
    if call.mask is None:
        return call
    masks = masks_in(call.mask)
    whole = call.tile(slice(0, call.query_length))
    ranged = tuple(mask for mask in masks if _shows_range(mask, whole))
    if len(ranged) == len(masks):
        return call
    return replace(call, mask=All(ranged) if ranged else None)


def _shows_range(mask: Mask, whole: Tile) -> bool:
    """Return whether a mask shows each query the keys of one range."""
    return supports_key_range(mask) and mask.key_range(whole) is not None


def visibility(call: ResolvedCall) -> Visibility | None:
    """Return which keys each query of a call sees; None if that would take too much memory."""
    if call.mask is None:
        return Visibility(None, None)
    n_queries, n_keys = call.query_length, call.key_length
    whole = call.tile(slice(0, n_queries))
    first, end, has_ranges = np.zeros((1, 1), np.int64), np.full((1, 1), n_keys, np.int64), False
    allowed: BoolArray | None = None
    for mask in masks_in(call.mask):
        if isinstance(mask, FormulaMask):
            seen = mask.find_key_range(whole) or scan_range(mask, whole)
        else:
            seen = mask.key_range(whole) if supports_key_range(mask) else None
        if seen is not None:
            first, end = np.maximum(first, seen[0]), np.minimum(end, seen[1])
            has_ranges = True
            continue
        makes_matrix = allowed is not None or not isinstance(mask, (Allowed, KeyAllowed))
        if makes_matrix and prod(call.score_shape) > MAX_PAIR_BYTES:
            return None
        pairs = scan_pairs(mask, whole) if isinstance(mask, FormulaMask) else mask.visible(whole)
        if pairs is None:
            return None
        allowed = pairs if allowed is None else allowed & pairs
    if not has_ranges:
        return Visibility(None, allowed)
    shape = np.broadcast_shapes(first.shape, end.shape, (n_queries, 1))
    first, end = (
        np.ascontiguousarray(np.broadcast_to(bound, shape)[..., 0], np.int64)
        for bound in (np.minimum(first, n_keys), np.maximum(end, 0))
    )
    return Visibility((first, end), allowed)
