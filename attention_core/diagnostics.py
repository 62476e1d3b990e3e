"""Diagnostics of weights and the ranking of keys."""

import numpy as np

from attention_core.arrays import Logits, Scores, Weights
from attention_core.call import Diagnostics, Ranking
from attention_core.interfaces import Normalizer


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


def rank_keys(weights: Weights, scores: Scores, logits: Logits, top_k: int | None) -> Ranking:
    """Return the visible keys of every row by descending weight, ties by ascending index; see `Ranking`.

    :param weights: (…, Lq, Lk).
    :param scores: (…, Lq, Lk).
    :param logits: (…, Lq, Lk); −∞ marks a hidden key.
    :param top_k: maximum keys of a row; None for all.
    """
    visible = ~np.isneginf(logits)
    # Stable sorts keep equal weights in the order of their keys; the second one moves hidden keys to the end.
    order = np.argsort(np.where(visible, -weights, np.inf), axis=-1, kind="stable")
    hidden_last = np.argsort(np.take_along_axis(~visible, order, axis=-1), axis=-1, kind="stable")
    order = np.take_along_axis(order, hidden_last, axis=-1)
    most = weights.shape[-1] if top_k is None else min(top_k, weights.shape[-1])
    order = order[..., :most]
    return Ranking(
        keys=order,
        scores=np.take_along_axis(scores, order, axis=-1),
        weights=np.take_along_axis(weights, order, axis=-1),
        counts=np.minimum(visible.sum(axis=-1), most),
    )
