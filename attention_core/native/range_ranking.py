"""Rank the keys of a call that are held in pieces: each holder ranks its range by final weights, and the front merges.

The final weight of a key depends on its logit and on the merged state of its row, which the front sends to all holders;
so weights, their ties and their order have the bits of `evaluate_with_kernel` on all keys.
"""

from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from attention_core.arrays import FloatArray
from attention_core.blockwise import Workers
from attention_core.call import ResolvedCall
from attention_core.field_shapes import MATRIX_FIELDS
from attention_core.interfaces import ShouldStop
from attention_core.native.key_ranges import PartialSpans, evaluate_key_range, merge_key_ranges, without_keys
from attention_core.native.library import Kernel

RANKED = frozenset({"logits", "ranking"})


class RangeRanking(NamedTuple):
    """The keys of a range by descending weight, hidden ones last; rows are those of all matrices in their order."""

    keys: NDArray[np.int64]
    """Indices among all keys, (rows, at most top_k)."""
    weights: FloatArray
    scores: FloatArray
    counts: NDArray[np.int64]
    """Visible keys of the range, (rows)."""


def ranks_in_ranges(call: ResolvedCall, required: frozenset[str]) -> bool:
    """Return whether ranges can be ranked alone: the first keys are to be ranked, and nothing asks for matrices.

    :param call: any call.
    :param required: names of arrays, as for `evaluate_with_kernel`.
    """
    others = call.include & (MATRIX_FIELDS | {"diagnostics", "mean_weights"})
    return "ranking" in required and call.top_k is not None and not others


def required_without_ranking(required: frozenset[str]) -> frozenset[str]:
    """Return the names of the arrays that partial results give to a call that `ranks_in_ranges`."""
    return required - MATRIX_FIELDS - {"ranking"}


def rank_range(
    kernel: Kernel,
    call: ResolvedCall,
    first_key: int,
    states: FloatArray,
    workers: Workers | None,
    should_stop: ShouldStop | None,
) -> RangeRanking | None:
    """Return the ranking of a range; None for a call that is left to NumPy.

    :param kernel: the kernel.
    :param call: as for `evaluate_key_range`.
    :param first_key: as there.
    :param states: of all spans of all ranges, (spans, rows, 4).
    :param workers: threads that share the logits; None for the calling thread alone.
    :param should_stop: as there.

    Raises Stopped.
    """
    partial = evaluate_key_range(kernel, call, frozenset({"logits", "scores"}), first_key, workers, should_stop)
    n_keys, rows = call.stored_key.shape[-2], prod(call.score_shape[:-1])
    # The logits of the range are final, so that they are ranked as those of a call with these keys and no mask.
    own = replace(
        without_keys(call),
        stored_value=None,
        score_shape=(*call.score_shape[:-1], n_keys),
        mask=None,
        bias=None,
        position=None,
        key_positions=None,
        top_k=min(call.top_k or n_keys, n_keys),
    )
    if partial is None:
        return None
    whole = PartialSpans(states, np.empty((*states.shape[:2], 0), states.dtype), {"logits": partial.matrices["logits"]})
    result = merge_key_ranges(kernel, own, RANKED, [whole], workers, should_stop)
    if result is None:
        return None
    keys: NDArray[np.int64] = result.fields["ranked_keys"].reshape(rows, -1).astype(np.int64)
    scores = np.take_along_axis(partial.matrices["scores"].reshape(rows, n_keys), keys, axis=-1)
    weights, counts = (result.fields[name] for name in ("ranked_weights", "ranked_counts"))
    return RangeRanking(keys + first_key, weights.reshape(keys.shape), scores, counts.reshape(rows).astype(np.int64))


def merge_rankings(call: ResolvedCall, parts: Sequence[RangeRanking]) -> dict[str, FloatArray]:
    """Return "ranked_keys", "ranked_weights", "ranked_scores" and "ranked_counts" of a call.

    :param call: as `without_keys` returns it.
    :param parts: of all ranges, in the order of the keys.
    """
    keys, weights, scores = (
        np.concatenate([getattr(part, name) for part in parts], axis=-1) for name in ("keys", "weights", "scores")
    )
    hidden = np.concatenate(
        [np.arange(part.keys.shape[-1]) >= part.counts[:, None] for part in parts],
        axis=-1,
    )
    order = np.lexsort((keys, -weights, hidden), axis=-1)[:, : call.top_k]
    counts = np.add.reduce([part.counts for part in parts])
    leading = call.score_shape[:-1]
    ranked = {"ranked_keys": keys, "ranked_weights": weights, "ranked_scores": scores}
    fields: dict[str, FloatArray] = {
        name: np.take_along_axis(array, order, axis=-1).reshape(*leading, -1) for name, array in ranked.items()
    }
    return {**fields, "ranked_counts": counts.reshape(leading)}
