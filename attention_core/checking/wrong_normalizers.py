"""Mistakes in how logits become weights: the cap, the sink, the base, the denominator, the maximum."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from math import log

import numpy as np

from attention_core.arrays import FloatArray, Logits, RowMaximum, Weights
from attention_core.capabilities import supports_logsumexp
from attention_core.checking.changes import WeightFormula, WrongNormalizer, change_softmax
from attention_core.checking.variants import CheckContext, Variant
from attention_core.interfaces import Normalizer
from attention_core.normalizers import Softmax
from attention_core.parameters import broadcast_over_pairs
from attention_core.tiles import normalize, row_maximum


def with_changed_logits(normalizer: Normalizer, change: Callable[[Logits], Logits]) -> WrongNormalizer:
    """Return the normalizer of changed logits."""

    def formula(logits: Logits) -> tuple[Weights, FloatArray]:
        changed = change(logits)
        maximum = row_maximum(changed)
        weights = normalize(normalizer, changed, maximum)
        if supports_logsumexp(normalizer):
            return weights, normalizer.compute_logsumexp(changed, maximum)
        return weights, maximum[..., 0]

    return WrongNormalizer(formula)


def softcap_after_mask(context: CheckContext) -> Iterator[Variant]:
    """The cap comes after bias and mask, which turns −∞ into −softcap; or after the bias alone."""
    cap = context.call.softcap
    if cap is None:
        return

    def capped(logits: Logits) -> Logits:
        return cap * np.tanh(logits / cap)

    for change in (capped, lambda logits: np.where(np.isneginf(logits), logits, capped(logits))):
        yield context.changed(softcap=None, normalizer=with_changed_logits(context.call.normalizer, change))


def twice(softmax: Softmax) -> WeightFormula:
    """Weights are put through a softmax once more."""

    def formula(logits: Logits) -> tuple[Weights, FloatArray]:
        once = np.where(np.isneginf(logits), -np.inf, _weights(softmax, logits))
        return _weights(Softmax(), once), _logsumexp(softmax, logits)

    return formula


def with_denominator(change: Callable[[FloatArray, FloatArray], FloatArray], softmax: Softmax) -> WeightFormula:
    """A denominator that is a function of Σ exp(z − max) and of the sink, shaped to broadcast."""

    def formula(logits: Logits) -> tuple[Weights, FloatArray]:
        powers, maximum = _powers(softmax, logits)
        total = change(powers.sum(axis=-1, keepdims=True), _sink(softmax))
        return powers / total, (np.log(total) + maximum)[..., 0]

    return formula


def without_denominator(softmax: Softmax) -> WeightFormula:
    """exp(z − max) is never divided by its sum."""
    return lambda logits: (_powers(softmax, logits)[0], _logsumexp(softmax, logits))


def without_denominator_or_maximum(softmax: Softmax) -> WeightFormula:
    """exp(z) is never divided by its sum."""
    return lambda logits: (np.exp(logits / softmax.temperature), _logsumexp(softmax, logits))


def sink_missing_in_logsumexp(softmax: Softmax) -> WeightFormula:
    """The sink is in the denominator, but not in its logarithm."""
    return lambda logits: (_weights(softmax, logits), _logsumexp(replace(softmax, sink=None), logits))


def base_two(softmax: Softmax) -> Softmax:
    """2^z in place of e^z; the logarithm of the denominator is natural."""
    sink = None if softmax.sink is None else softmax.sink * log(2)
    return replace(softmax, temperature=softmax.temperature / log(2), sink=sink)


def base_two_throughout(softmax: Softmax) -> WeightFormula:
    """2^z in place of e^z; the logarithm of the denominator is to base 2 as well."""
    binary = base_two(softmax)
    return lambda logits: (_weights(binary, logits), _logsumexp(binary, logits) / log(2))


def maximum_not_subtracted(context: CheckContext) -> Iterator[Variant]:
    """exp(z) overflows, or all of a row vanish: ∞/∞ or 0/0.  Tried only where a number is not finite."""
    if all(np.isfinite(field).all() for field in context.candidate.values()):
        return
    compute = context.comparison.dtype.compute
    yield from change_softmax(partial(_unshifted, compute))(context)


def _unshifted(compute: np.dtype, softmax: Softmax) -> WeightFormula:
    def held(numbers: FloatArray) -> FloatArray:
        return numbers.astype(compute).astype(np.float64)

    def formula(logits: Logits) -> tuple[Weights, FloatArray]:
        powers = held(np.exp(logits / softmax.temperature))
        total = held(powers.sum(axis=-1, keepdims=True) + held(np.exp(_sink(softmax))))
        # Rows that see no key are another mistake.
        unseen = np.isneginf(logits).all(axis=-1, keepdims=True)
        return np.where(unseen, 0, powers / total), np.where(unseen, -np.inf, np.log(total))[..., 0]

    return formula


def _weights(softmax: Softmax, logits: Logits) -> Weights:
    return normalize(softmax, logits, row_maximum(logits))


def _logsumexp(softmax: Softmax, logits: Logits) -> FloatArray:
    return softmax.compute_logsumexp(logits, row_maximum(logits))


def _sink(softmax: Softmax) -> FloatArray:
    """Return the sink, shaped to broadcast against the logits; −∞ for none."""
    return np.asarray(-np.inf if softmax.sink is None else broadcast_over_pairs(softmax.sink))


def _powers(softmax: Softmax, logits: Logits) -> tuple[Weights, RowMaximum]:
    """Return exp(z/T − max) and the maximum that was subtracted, 0 for a row without a visible key."""
    maximum = row_maximum(logits) / softmax.temperature
    maximum = np.where(np.isneginf(maximum), 0, maximum)
    return np.exp(logits / softmax.temperature - maximum), maximum
