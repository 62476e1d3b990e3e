"""Sparse distributions: projections on the simplex, which give far keys a weight of exactly zero."""

from dataclasses import dataclass
from math import isfinite
from typing import Any, ClassVar, Self

import numpy as np

from attention_core.arrays import FloatArray, Logits, RowMaximum, Weights
from attention_core.errors import InvalidValue
from attention_core.interfaces import NormalizerGradient
from attention_core.normalizers.softmax import Softmax

BISECTIONS = 64
"""Each halves an interval of at most log Lk: far below the last bit of a float64."""


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

    def operations_per_logit(self) -> int:
        """A sort, which is worth some twenty, two sums, a comparison, a subtraction."""
        return 25


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
        """Find the shift s with Σ [1 + (α − 1)(z − max + s)]₊^(1/(α − 1)) = 1.

        Written with log1p, the power stays exact as α → 1, where it is exp(z − max + s) and the row a softmax.  In
        float64 whatever comes in: for α > 2 a weight near the threshold is a root of a small difference.
        """
        rate = self.alpha - 1
        shifted = np.maximum(logits.astype(np.float64) - maximum, -1 / rate)
        keys = max(shifted.shape[-1], 1)
        # s = 0 gives the largest key a weight of 1 by itself; at the lower end all keys together cannot exceed 1.
        low = np.full(maximum.shape, np.expm1(-rate * np.log(keys)) / rate)
        high = np.zeros(maximum.shape)
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            over = self._powers(shifted, middle).sum(axis=-1, keepdims=True) > 1
            high, low = np.where(over, middle, high), np.where(over, low, middle)
        weights = self._powers(shifted, (low + high) / 2)
        weights = np.where(np.isneginf(logits), 0, weights)
        return (weights / weights.sum(axis=-1, keepdims=True)).astype(logits.dtype, copy=False)

    def _powers(self, shifted: FloatArray, shift: FloatArray) -> FloatArray:
        rate = self.alpha - 1
        with np.errstate(divide="ignore"):
            return np.exp(np.log1p(np.maximum(rate * (shifted + shift), -1)) / rate)

    def gradient(self, logits: Logits, weights: Weights, weight_gradient: Weights) -> NormalizerGradient:
        """∂/∂z = u·(g − Σ u·g / Σ u) with u = w^(2 − α) on the support."""
        with np.errstate(divide="ignore"):
            slopes = np.where(weights > 0, weights ** (2 - self.alpha), 0)
        return NormalizerGradient(logits=_support_gradient(slopes, weight_gradient), parameters={})

    def operations_per_logit(self) -> int:
        """A sort and some sums for α = 1.5; a logarithm, an exponential and a sum for each bisection otherwise."""
        return 30 if self.alpha in (1, 1.5, 2) else 6 * BISECTIONS


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
    root = np.maximum(shifted - threshold, 0)
    weights = root * root
    return (weights / weights.sum(axis=-1, keepdims=True)).astype(logits.dtype, copy=False)


def _support_gradient(slopes: FloatArray, weight_gradient: Weights) -> Logits:
    """u·(g − Σ u·g / Σ u): the Jacobian of every entmax, applied; zero in a row without support."""
    total = slopes.sum(axis=-1, keepdims=True)
    mean = np.sum(slopes * weight_gradient, axis=-1, keepdims=True) / np.where(total > 0, total, 1)
    return slopes * (weight_gradient - mean)
