"""Sparse distributions: projections on the simplex, which give far keys a weight of exactly zero."""

from dataclasses import dataclass
from math import isfinite
from typing import Any, ClassVar, Self

import numpy as np

from attention_core.arrays import FloatArray, Leading, Logits, Row, RowMaximum, Weights
from attention_core.errors import InvalidValue
from attention_core.interfaces import NormalizerGradient, Term
from attention_core.normalizers.rows import maximum_of
from attention_core.normalizers.softmax import Softmax

LOG_TINIEST = 750.0
"""exp(−750) is 0 in float64."""

BISECTIONS = 70
"""Each halves the interval of log u, which is some thousands wide, down to less than its last bit."""


@dataclass(frozen=True, slots=True)
class Sparsemax:
    """w = the point of the simplex nearest to z, in Euclidean distance.

    Martins & Astudillo 2016, "From Softmax to Sparsemax", algorithm 1.
    """

    name: ClassVar[str] = "sparsemax"
    passes_non_finite: ClassVar[bool] = False
    is_distribution: ClassVar[bool] = True

    def bind(self, heads: int | None, dtype: np.dtype[Any]) -> Self:
        """Nothing to check."""
        return self

    def within(self, leading: Leading) -> Self:
        """There is nothing to cut."""
        return self

    def weights(self, logits: Logits, maximum: RowMaximum) -> Weights:
        """Return max(z − τ, 0) with the τ that makes each row sum to 1."""
        # The threshold is at least max − 1: whatever lies further below, −∞ included, weighs nothing.
        shifted = np.maximum(logits - maximum, -1)
        descending = -np.sort(-shifted, axis=-1)
        sums = np.cumsum(descending, axis=-1) - 1
        counts = np.arange(1, shifted.shape[-1] + 1, dtype=shifted.dtype)
        support = np.sum(counts * descending > sums, axis=-1, keepdims=True)
        threshold = np.take_along_axis(sums, support - 1, axis=-1) / support
        return np.maximum(shifted - threshold, 0).astype(logits.dtype, copy=False)

    def gradient(self, logits: Logits, weights: Weights, weight_gradient: Weights) -> NormalizerGradient:
        """∂/∂z = g − mean of g, on the support."""
        return NormalizerGradient(
            logits=_support_gradient((weights > 0).astype(weights.dtype), weight_gradient), parameters={}
        )

    def parts(self, logits: Row, weights: Row, key: int, head: int) -> tuple[Term, ...]:
        """Weight = max(z − maximum − threshold, 0); the threshold follows from the largest weight."""
        maximum, threshold = maximum_of(logits), _threshold(weights, 1.0)
        operands = (float(logits[key]), maximum.value, threshold.value)
        return maximum, threshold, Term("weight", float(weights[key]), "max({} − {} − {}, 0)", operands)

    def operations_per_logit(self) -> int:
        """A sort, which is worth some sixty, two sums, a comparison, a subtraction."""
        return 80

    def scratch(self) -> int:
        """Sorted, summed, compared."""
        return 8


@dataclass(frozen=True, slots=True)
class Entmax:
    """α-entmax: w = [(α − 1) z − τ]₊^(1/(α − 1)) with the τ that makes each row sum to 1; α ≥ 1, default 1.5.

    α = 1 is softmax and α = 2 sparsemax.
    Peters, Niculae & Martins 2019, "Sparse Sequence-to-Sequence Models", equation 10 and algorithm 2 for α = 1.5.
    """

    alpha: float = 1.5
    name: ClassVar[str] = "entmax"
    passes_non_finite: ClassVar[bool] = False
    is_distribution: ClassVar[bool] = True

    def bind(self, heads: int | None, dtype: np.dtype[Any]) -> Self:
        """Raise InvalidValue unless alpha is finite and at least 1."""
        if not (self.alpha >= 1 and isfinite(self.alpha)):
            raise InvalidValue(
                ("alpha",),
                expected="a finite number of at least 1",
                received=str(self.alpha),
                advice="1 is softmax, 2 is sparsemax, 1.5 lies between.",
            )
        return self

    def within(self, leading: Leading) -> Self:
        """There is nothing to cut."""
        return self

    def weights(self, logits: Logits, maximum: RowMaximum) -> Weights:
        """Return the weights: in closed form for α = 1, 1.5 and 2, else with τ found by bisection."""
        if self.alpha == 1:
            return Softmax().weights(logits, maximum)
        if self.alpha == 2:
            return Sparsemax().weights(logits, maximum)
        if self.alpha == 1.5:
            return _entmax_one_and_a_half(logits, maximum)
        return self._bisect(logits, maximum)

    def _bisect(self, logits: Logits, maximum: RowMaximum) -> Weights:
        """Find the weights through the smallest one that is not zero, u: wᵢ^r = r·(zᵢ − z_u) + u^r with r = α − 1.

        The threshold itself is no good unknown: for large α it differs from (α − 1)·z_u by u^r, which may be far below
        its last bit.  Powers stay exact as α → 1, where the row becomes a softmax.
        """
        rate = self.alpha - 1
        # A key that lies 1/r or more below the largest weighs nothing, −∞ included.
        shifted = np.maximum(logits.astype(np.float64) - maximum, -1 / rate)
        least = _smallest_supported(-np.sort(-shifted, axis=-1), rate)
        gaps = shifted - least
        supported = (gaps >= 0) & (shifted > -1 / rate)
        gaps = np.where(supported, gaps, 0)
        # log u: at most 0; so far down a weight is no longer a number that float64 holds.
        low = -np.max(gaps, axis=-1, keepdims=True) - np.log(shifted.shape[-1]) - LOG_TINIEST
        high = np.zeros_like(low)
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            over = np.sum(_powers(gaps, middle, rate), axis=-1, keepdims=True, where=supported) > 1
            high, low = np.where(over, middle, high), np.where(over, low, middle)
        weights = np.where(supported, _powers(gaps, (low + high) / 2, rate), 0)
        return (weights / weights.sum(axis=-1, keepdims=True)).astype(logits.dtype, copy=False)

    def gradient(self, logits: Logits, weights: Weights, weight_gradient: Weights) -> NormalizerGradient:
        """∂/∂z = u·(g − Σ u·g / Σ u) with u = w^(2 − α) on the support."""
        with np.errstate(divide="ignore"):
            slopes = np.where(weights > 0, weights ** (2 - self.alpha), 0)
        return NormalizerGradient(logits=_support_gradient(slopes, weight_gradient), parameters={})

    def parts(self, logits: Row, weights: Row, key: int, head: int) -> tuple[Term, ...]:
        """Weight = max((α − 1)(z − maximum) − threshold, 0)^(1/(α − 1)); that of softmax for α = 1."""
        if self.alpha == 1:
            return Softmax().parts(logits, weights, key, head)
        rate = self.alpha - 1
        maximum, threshold = maximum_of(logits), _threshold(weights, rate)
        operands = (rate, float(logits[key]), maximum.value, threshold.value, rate)
        pattern = "max({} × ({} − {}) − {}, 0)^(1/{})"
        return maximum, threshold, Term("weight", float(weights[key]), pattern, operands)

    def operations_per_logit(self) -> int:
        """A sort and some sums for α = 1.5; logarithms and exponentials in float64 for each bisection otherwise."""
        return 120 if self.alpha in (1, 1.5, 2) else 120 * BISECTIONS

    def scratch(self) -> int:
        """Sorted, summed, compared; in float64 where it takes bisection."""
        return 9 if self.alpha in (1, 1.5, 2) else 20


def _smallest_supported(descending: FloatArray, rate: float) -> FloatArray:
    """Return the smallest logit that has a weight, (…, q, 1): the k-th largest belongs iff Σ (r·(zᵢ − z_k))^(1/r) < 1.

    The sum grows with k, so that the last k is found by halving.
    """
    low = np.zeros((*descending.shape[:-1], 1), dtype=np.intp)
    high = np.full_like(low, descending.shape[-1] - 1)
    for _ in range(descending.shape[-1].bit_length()):
        middle = (low + high + 1) // 2
        gaps = np.maximum(descending - np.take_along_axis(descending, middle, axis=-1), 0)
        with np.errstate(divide="ignore"):
            belongs = np.exp(np.log(rate * gaps) / rate).sum(axis=-1, keepdims=True) < 1
        low, high = np.where(belongs, middle, low), np.where(belongs, high, middle - 1)
        high = np.maximum(low, high)
    return np.take_along_axis(descending, low, axis=-1)


def _powers(gaps: FloatArray, logarithm: FloatArray, rate: float) -> FloatArray:
    """(r·gap + u^r)^(1/r), given log u: u itself without a gap, and by log1p where the sum is near 1."""
    near_one = rate * gaps + np.expm1(rate * logarithm)
    with np.errstate(divide="ignore"):
        far = np.log(rate * gaps + np.exp(rate * logarithm)) / rate
        near = np.log1p(np.maximum(near_one, -0.5)) / rate
    return np.exp(np.where(gaps == 0, logarithm, np.where(near_one > -0.5, near, far)))


def _entmax_one_and_a_half(logits: Logits, maximum: RowMaximum) -> Weights:
    """Return [z/2 − τ]₊² with τ from the mean and variance of the support."""
    shifted = np.maximum((logits - maximum) / 2, -1)
    descending = -np.sort(-shifted, axis=-1)
    counts = np.arange(1, shifted.shape[-1] + 1, dtype=shifted.dtype)
    means = np.cumsum(descending, axis=-1) / counts
    squares = np.cumsum(descending * descending, axis=-1) / counts
    spread = counts * (squares - means * means)
    thresholds = means - np.sqrt(np.maximum((1 - spread) / counts, 0))
    support = np.sum(thresholds <= descending, axis=-1, keepdims=True)
    threshold = np.take_along_axis(thresholds, np.maximum(support - 1, 0), axis=-1)
    # Rounding may put the threshold a bit below −1, where hidden and far keys are kept: they weigh nothing.
    root = np.where(shifted > -1, np.maximum(shifted - threshold, 0), 0)
    weights = root * root
    return (weights / weights.sum(axis=-1, keepdims=True)).astype(logits.dtype, copy=False)


def _threshold(weights: Row, rate: float) -> Term:
    """Return the threshold that lies −w^r below the largest logit, whose weight w is."""
    largest = float(np.max(weights))
    return Term("threshold", -(largest**rate), "−({}^{})", (largest, rate))


def _support_gradient(slopes: FloatArray, weight_gradient: Weights) -> Logits:
    """u·(g − Σ u·g / Σ u): the Jacobian of every entmax, applied; zero in a row without support."""
    total = slopes.sum(axis=-1, keepdims=True)
    mean = np.sum(slopes * weight_gradient, axis=-1, keepdims=True) / np.where(total > 0, total, 1)
    return slopes * (weight_gradient - mean)
