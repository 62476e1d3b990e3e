"""Diagnostics of weights and the ranking of keys."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attention_core.arrays import BoolArray, IntArray, Logits, Scores, Weights
from attention_core.execution_path import selects_ranked_keys
from attention_core.interfaces import Normalizer
from attention_core.results import Diagnostics, Ranking

MAX_GROUP_KEYS = 64
"""Keys of a group, of which a selection looks at the largest weight first."""


def diagnose(weights: Weights, logits: Logits, normalizer: Normalizer) -> Diagnostics:
    """Return the diagnostics of every row; see `Diagnostics`.

    :param weights: (…, Lq, Lk).
    :param logits: (…, Lq, Lk); −∞ marks a hidden key.
    :param normalizer: the normalizer that returned the weights.
    """
    visible = ~np.isneginf(logits)
    any_visible = visible.any(axis=-1)
    entropy = effective = sensitivity = None
    if normalizer.is_distribution:
        logarithms = np.log(np.where(weights > 0, weights, 1))
        entropy = -np.sum(weights * logarithms, axis=-1) + 0.0
        effective = np.where(any_visible, np.exp(entropy), 0).astype(weights.dtype)
        sensitivity = np.sum(weights * (1 - weights), axis=-1)
    shown = np.where(visible, weights, -np.inf)
    largest = np.max(shown, axis=-1, initial=-np.inf)
    top = np.argmax(shown, axis=-1) if shown.shape[-1] else np.zeros(any_visible.shape, dtype=np.intp)
    return Diagnostics(
        entropy=entropy,
        effective_keys=effective,
        max_weight=np.where(any_visible, largest, 0).astype(weights.dtype),
        top_key=np.where(any_visible & ~np.isnan(largest), top, -1),
        softmax_sensitivity=sensitivity,
        received_weight=np.sum(weights, axis=-2),
    )


def gather_ranking(fields: Mapping[str, NDArray[Any]]) -> Ranking:
    """Return the ranking of a call whose keys a kernel has ranked.

    :param fields: what the kernel computed: "ranked_keys", "ranked_weights" and "ranked_counts", and "ranked_scores",
        or else "scores", or "logits" if these are the scores.
    """
    keys, scores = fields["ranked_keys"], fields.get("ranked_scores")
    if scores is None:
        scores = np.take_along_axis(fields.get("scores", fields["logits"]), keys, axis=-1)
    return Ranking(
        keys=keys,
        scores=scores,
        weights=fields["ranked_weights"],
        counts=np.minimum(fields["ranked_counts"], keys.shape[-1]),
    )


def rank_keys(weights: Weights, scores: Scores, logits: Logits, top_k: int | None) -> Ranking:
    """Return the visible keys of every row by descending weight, ties by ascending index; see `Ranking`.

    :param weights: (…, Lq, Lk).
    :param scores: (…, Lq, Lk).
    :param logits: (…, Lq, Lk); −∞ marks a hidden key.
    :param top_k: maximum keys of a row; None for all.
    """
    is_visible = logits != -np.inf
    visible = None if is_visible.all() else is_visible
    n_keys = weights.shape[-1]
    n_ranked = n_keys if top_k is None else min(top_k, n_keys)
    if selects_ranked_keys(n_keys, top_k):
        order = _select_keys(weights, visible, n_ranked)
    else:
        order = _sort_keys(weights, visible)[..., :n_ranked]
    counts = np.full(weights.shape[:-1], n_keys) if visible is None else np.count_nonzero(visible, axis=-1)
    return Ranking(
        keys=order,
        scores=np.take_along_axis(scores, order, axis=-1),
        weights=np.take_along_axis(weights, order, axis=-1),
        counts=np.minimum(counts, n_ranked),
    )


def _sort_keys(weights: Weights, visible: BoolArray | None) -> IntArray:
    """Return all keys of every row, (…, Lk): visible ones by descending weight, NaN last, then hidden ones.

    :param weights: (…, Lk).
    :param visible: (…, Lk); None for all.
    """
    # Stable sorts keep equal weights in the order of their keys; the second one moves hidden keys to the end.
    descending = -weights if visible is None else np.where(visible, -weights, np.inf)
    order: IntArray = np.argsort(descending, axis=-1, kind="stable")
    if visible is None:
        return order
    hidden_last = np.argsort(np.take_along_axis(~visible, order, axis=-1), axis=-1, kind="stable")
    return np.take_along_axis(order, hidden_last, axis=-1)


def _select_keys(weights: Weights, visible: BoolArray | None, n_ranked: int) -> IntArray:
    """Return the first `n_ranked` keys of the rows of `_sort_keys`, (…, n_ranked), without sorting the others.

    :param weights: (…, Lk).
    :param visible: (…, Lk); None for all.
    :param n_ranked: keys of each row, from 1 to Lk / 2.
    """
    n_keys = weights.shape[-1]
    rows = weights.reshape(-1, n_keys)
    shown = None if visible is None else visible.reshape(-1, n_keys)
    order = np.empty((len(rows), n_ranked), np.intp)
    for index, row in enumerate(rows):
        order[index] = _select_keys_of_row(row, None if shown is None else shown[index], n_ranked)
    return order.reshape(*weights.shape[:-1], n_ranked)


def _select_keys_of_row(weights: Weights, visible: BoolArray | None, n_ranked: int) -> IntArray:
    """Return what `_select_keys` does for one row.

    :param weights: (Lk).
    :param visible: (Lk); None for all.
    :param n_ranked: keys to return.
    """
    numbers = weights if visible is None else np.where(visible, weights, -np.inf)
    # Key j is in group j modulo n_groups, so that keys beside each other are in different groups.
    group_size = min(MAX_GROUP_KEYS, len(numbers) // (2 * n_ranked))
    n_groups = len(numbers) // group_size
    largest = numbers[: group_size * n_groups].reshape(group_size, n_groups).max(axis=0)
    # As many groups as keys are ranked have a weight from here on, so that no smaller one is ranked.
    least = np.partition(largest, n_groups - n_ranked)[n_groups - n_ranked]
    first, others = np.flatnonzero(numbers > least), np.flatnonzero(numbers == least)
    if not least > -np.inf or len(first) + len(others) < n_ranked:
        # Fewer keys are visible, or have a weight that is not NaN.
        first = np.arange(len(numbers)) if visible is None else np.flatnonzero(visible)
        others = first[:0] if visible is None else np.flatnonzero(~visible)
    first = first[np.argsort(-numbers[first], kind="stable")]
    return np.concatenate((first, others))[:n_ranked]
