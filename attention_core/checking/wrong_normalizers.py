"""Mistakes in how logits become weights: what is masked, the temperature, the sink, the base, the maximum."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from math import log
from typing import Any, ClassVar

import numpy as np

from attention_core.arrays import FloatArray, Logits, RowMaximum, Weights
from attention_core.checking.attempts import Given, Way, Wrong
from attention_core.interfaces import LogSumExp, Normalizer
from attention_core.normalizers import Softmax
from attention_core.tiles import normalize, row_maximum

Shares = Callable[[Logits], tuple[Weights, FloatArray]]
"""Weights, and the logarithm of their denominator."""


@dataclass(frozen=True, slots=True)
class Instead:
    """A normalizer that has been got wrong."""

    shares: Shares
    name: ClassVar[str] = "wrong"
    passes_non_finite: ClassVar[bool] = True
    is_distribution: ClassVar[bool] = False

    def weights(self, logits: Logits, maximum: RowMaximum) -> Weights:
        """The first of both."""
        return self.shares(logits)[0]

    def logsumexp(self, logits: Logits, maximum: RowMaximum) -> FloatArray:
        """The second."""
        return self.shares(logits)[1]


def _normalized(given: Given, shares: Shares) -> Wrong:
    wrong: Any = Instead(shares)
    return Wrong(replace(given.call, normalizer=wrong))


def changed(normalizer: Normalizer, change: Callable[[Logits], Logits]) -> Shares:
    """Normalise what has been changed."""

    def shares(logits: Logits) -> tuple[Weights, FloatArray]:
        other = change(logits)
        maximum = row_maximum(other)
        weights = normalize(normalizer, other, maximum)
        return weights, normalizer.logsumexp(other, maximum) if isinstance(normalizer, LogSumExp) else maximum[..., 0]

    return shares


def softcap_after_mask(given: Given) -> Iterator[Way]:
    """The cap comes after bias and mask, which turns −∞ into −softcap; or after the bias only."""
    cap, call = given.call.softcap, replace(given.call, softcap=None)
    if cap is None:
        return

    def capped(logits: Logits) -> Logits:
        return cap * np.tanh(logits / cap)

    for change in (capped, lambda logits: np.where(np.isneginf(logits), logits, capped(logits))):
        wrong: Any = Instead(changed(call.normalizer, change))
        yield Wrong(replace(call, normalizer=wrong))


def temperature_ignored(given: Given) -> Iterator[Way]:
    """T = 1; or multiplied by T instead of divided."""
    softmax = given.call.normalizer
    if isinstance(softmax, Softmax) and softmax.temperature != 1:
        for temperature in (1.0, 1 / softmax.temperature):
            yield Wrong(replace(given.call, normalizer=replace(softmax, temperature=temperature)))


def sink_missing(given: Given) -> Iterator[Way]:
    """No sink in the denominator, or none in its logarithm only."""
    softmax = given.call.normalizer
    if not isinstance(softmax, Softmax) or softmax.sink is None:
        return
    without = replace(softmax, sink=None)
    yield Wrong(replace(given.call, normalizer=without))
    yield _normalized(
        given,
        lambda logits: (
            normalize(softmax, logits, row_maximum(logits)),
            without.logsumexp(logits, row_maximum(logits)),
        ),
    )


def sink_not_shifted(given: Given) -> Iterator[Way]:
    """exp(sink) is added to Σ exp(z − max), though the sum has been scaled down by exp(max)."""
    softmax = given.call.normalizer
    if not isinstance(softmax, Softmax) or softmax.sink is None:
        return
    sink = np.asarray(softmax.sink)
    added = np.exp(sink[:, None, None] if sink.ndim else sink)

    def shares(logits: Logits) -> tuple[Weights, FloatArray]:
        powers, maximum = _powers(softmax, logits)
        total = powers.sum(axis=-1, keepdims=True) + added
        return powers / total, (np.log(total) + maximum)[..., 0]

    yield _normalized(given, shares)


def base_two_weights(given: Given) -> Iterator[Way]:
    """2^z in place of e^z; the logarithm of the denominator is natural, or to base 2 as well."""
    softmax = given.call.normalizer
    if not isinstance(softmax, Softmax):
        return
    sink = None if softmax.sink is None else softmax.sink * log(2)
    flatter = replace(softmax, temperature=softmax.temperature / log(2), sink=sink)
    yield Wrong(replace(given.call, normalizer=flatter))
    if "logsumexp" in given.candidate:
        yield _normalized(
            given,
            lambda logits: (
                normalize(flatter, logits, row_maximum(logits)),
                flatter.logsumexp(logits, row_maximum(logits)) / log(2),
            ),
        )


def denominator_missing(given: Given) -> Iterator[Way]:
    """exp(z − max), or exp(z), is never divided by its sum."""
    softmax = given.call.normalizer
    if not isinstance(softmax, Softmax):
        return

    def shares(logits: Logits) -> tuple[Weights, FloatArray]:
        return _powers(softmax, logits)[0], softmax.logsumexp(logits, row_maximum(logits))

    def unshifted(logits: Logits) -> tuple[Weights, FloatArray]:
        return np.exp(logits / softmax.temperature), softmax.logsumexp(logits, row_maximum(logits))

    yield _normalized(given, shares)
    yield _normalized(given, unshifted)


def maximum_not_subtracted(given: Given) -> Iterator[Way]:
    """exp(z) overflows, or all of a row vanish: ∞/∞ or 0/0.  Only looked for where something is not finite."""
    softmax = given.call.normalizer
    odd = any(not np.isfinite(field).all() for field in given.candidate.values())
    if not isinstance(softmax, Softmax) or not odd:
        return
    limits = np.finfo(given.comparison.dtype.compute)
    sink = np.asarray(-np.inf if softmax.sink is None else softmax.sink)

    def held(numbers: FloatArray) -> FloatArray:
        return numbers.astype(limits.dtype).astype(np.float64)

    def shares(logits: Logits) -> tuple[Weights, FloatArray]:
        powers = held(np.exp(logits / softmax.temperature))
        total = powers.sum(axis=-1, keepdims=True) + held(np.exp(sink[:, None, None] if sink.ndim else sink))
        total = held(total)
        return powers / total, np.log(total)[..., 0]

    yield _normalized(given, shares)


def _powers(softmax: Softmax, logits: Logits) -> tuple[Weights, RowMaximum]:
    """Return exp(z/T − max) and the maximum that was taken off, 0 for a row that sees nothing."""
    maximum = row_maximum(logits) / softmax.temperature
    maximum = np.where(np.isneginf(maximum), 0, maximum)
    return np.exp(logits / softmax.temperature - maximum), maximum
