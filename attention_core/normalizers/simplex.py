"""Sparse distributions, sparsemax and α-entmax: keys far below the maximum get a weight of exactly 0."""

from dataclasses import dataclass, field
from math import inf
from typing import ClassVar

import numpy as np

from attention_core.arrays import FloatArray, Logits, Row, RowMaximum, Weights
from attention_core.descriptions import Description, Text, parameter
from attention_core.expressions import Expression
from attention_core.interfaces import Normalizer, NormalizerGradient
from attention_core.normalizers.row_expressions import explain_maximum
from attention_core.normalizers.softmax import Softmax

UNDERFLOW_EXPONENT = 750.0
"""exp(−750) is 0 in float64."""

BISECTION_STEPS = 70
"""Bisection steps for log u: enough to shrink an interval some thousands wide to less than one ulp."""


@dataclass(frozen=True, slots=True)
class Sparsemax(Normalizer):
    """w = the Euclidean projection of z onto the probability simplex.

    Martins & Astudillo 2016, "From Softmax to Sparsemax", algorithm 1.
    """

    name: ClassVar[str] = "sparsemax"
    description: ClassVar[Description] = Description(
        title=Text("Sparsemax", "Sparsemax"),
        summary=Text(
            "把得分投影到概率单纯形上：落后太多的键权重正好为 0。",
            "The scores are projected on the simplex: keys that lie too far behind weigh exactly 0.",
        ),
        latex=r"w = \arg\min_{p \in \Delta} \|p - z\|^2",
        plain="w_j = max(z_j − τ, 0) with τ so that Σ w = 1",
        source="Martins & Astudillo 2016, From Softmax to Sparsemax",
        example={},
    )
    is_distribution: ClassVar[bool] = True
    operations_per_logit: ClassVar[int] = 80
    """A sort, which costs about sixty, two sums, a comparison and a subtraction."""
    scratch_per_logit: ClassVar[int] = 8
    """Logits and weights, sorted, summed and compared copies."""

    def reach(self) -> float:
        """Return 1, the largest distance of a weight above 0."""
        return 1.0

    def compute_weights(self, logits: Logits, maximum: RowMaximum) -> Weights:
        """Return max(z − τ, 0) with the τ that makes each row sum to 1."""
        # The threshold is at least max − 1, so that keys below it, −∞ included, have weight 0.
        shifted = np.maximum(logits - maximum, -1)
        descending = -np.sort(-shifted, axis=-1)
        sums = np.cumsum(descending, axis=-1) - 1
        counts = np.arange(1, shifted.shape[-1] + 1, dtype=shifted.dtype)
        support = np.sum(counts * descending > sums, axis=-1, keepdims=True)
        threshold = np.take_along_axis(sums, support - 1, axis=-1) / support
        return np.maximum(shifted - threshold, 0).astype(logits.dtype, copy=False)

    def backward(self, logits: Logits, weights: Weights, weight_gradient: Weights) -> NormalizerGradient:
        """Return ∂/∂z = g − (mean of g over the support) on the support, else 0."""
        return NormalizerGradient(logits=_support_gradient((weights > 0).astype(weights.dtype), weight_gradient))

    def explain_weight(self, logits: Row, weights: Row, key: int, head: int) -> tuple[Expression, ...]:
        """Return maximum, threshold, and weight = max(z − maximum − threshold, 0)."""
        maximum = explain_maximum(logits)
        support = [float(logit) - maximum.value for logit in logits[weights > 0]]
        # One number per key of the support, whose weights z − maximum − threshold then sum to 1.
        threshold = Expression(
            "threshold", -float(np.max(weights)), "({* + } − 1) / {}", (*support, float(len(support)))
        )
        operands = (float(logits[key]), maximum.value, threshold.value)
        return maximum, threshold, Expression("weight", float(weights[key]), "max({} − {} − {}, 0)", operands)


@dataclass(frozen=True, slots=True)
class Entmax(Normalizer):
    """α-entmax: w = [(α − 1) z − τ]₊^(1/(α − 1)) with the τ that makes each row sum to 1.

    α = 1 is softmax and α = 2 sparsemax.
    Peters, Niculae & Martins 2019, "Sparse Sequence-to-Sequence Models", equation 10 and algorithm 2 for α = 1.5.
    """

    alpha: float = field(
        default=1.5,
        metadata=parameter(
            zh="1 即 softmax，2 即 sparsemax",
            en="1 is softmax, 2 is sparsemax",
            symbol="α",
            per_head=False,
            minimum=1,
            advice="1 is softmax, 2 is sparsemax, 1.5 lies between.",
            has_gradient=False,
        ),
    )
    name: ClassVar[str] = "entmax"
    description: ClassVar[Description] = Description(
        title=Text("α-entmax", "α-entmax"),
        summary=Text(
            "介于 softmax 与 sparsemax 之间：α 越大越稀疏。",
            "Between softmax and sparsemax: the larger α, the sparser the weights.",
        ),
        latex=r"w_j = [(\alpha - 1) z_j - \tau]_+^{1/(\alpha - 1)}",
        plain="w_j = max((α − 1)·z_j − τ, 0)^(1/(α − 1)) with τ so that Σ w = 1",
        source="Peters, Niculae & Martins 2019, Sparse Sequence-to-Sequence Models",
        example={"alpha": 1.5},
    )
    is_distribution: ClassVar[bool] = True

    def reach(self) -> float:
        """Return 1/(α − 1), the largest distance of a weight above 0; inf for α = 1."""
        return inf if self.alpha == 1 else 1 / (self.alpha - 1)

    def compute_weights(self, logits: Logits, maximum: RowMaximum) -> Weights:
        """Return the weights: in closed form for α = 1, 1.5 and 2, else by bisection."""
        if self.alpha == 1:
            return Softmax().compute_weights(logits, maximum)
        if self.alpha == 2:
            return Sparsemax().compute_weights(logits, maximum)
        if self.alpha == 1.5:
            return _entmax_one_and_a_half(logits, maximum)
        return self._bisect(logits, maximum)

    def _bisect(self, logits: Logits, maximum: RowMaximum) -> Weights:
        """Return the weights by bisection of log u, where u is the smallest weight above 0 and z_u its logit.

        wᵢ^r = r·(zᵢ − z_u) + u^r with r = α − 1.  Bisection of the threshold τ would lose digits: for large α it
        differs from r·z_u by u^r, which may be far below one ulp of it.  Powers stay exact as α → 1, where the row
        becomes a softmax.
        """
        rate = self.alpha - 1
        # A key 1/r or more below the largest has weight 0, −∞ included.
        shifted = np.maximum(logits.astype(np.float64) - maximum, -1 / rate)
        least = _smallest_supported(-np.sort(-shifted, axis=-1), rate)
        gaps = shifted - least
        supported = (gaps >= 0) & (shifted > -1 / rate)
        gaps = np.where(supported, gaps, 0)
        # log u is at most 0; below `low` the weight exp(log u) is 0 in float64.
        low = -np.max(gaps, axis=-1, keepdims=True) - np.log(shifted.shape[-1]) - UNDERFLOW_EXPONENT
        high = np.zeros_like(low)
        for _ in range(BISECTION_STEPS):
            middle = (low + high) / 2
            over = np.sum(_powers(gaps, middle, rate), axis=-1, keepdims=True, where=supported) > 1
            high, low = np.where(over, middle, high), np.where(over, low, middle)
        weights = np.where(supported, _powers(gaps, (low + high) / 2, rate), 0)
        return (weights / weights.sum(axis=-1, keepdims=True)).astype(logits.dtype, copy=False)

    def backward(self, logits: Logits, weights: Weights, weight_gradient: Weights) -> NormalizerGradient:
        """Return ∂/∂z = u·(g − Σ u·g / Σ u) with u = w^(2 − α) on the support, else 0."""
        with np.errstate(divide="ignore"):
            slopes = np.where(weights > 0, weights ** (2 - self.alpha), 0)
        return NormalizerGradient(logits=_support_gradient(slopes, weight_gradient))

    def explain_weight(self, logits: Row, weights: Row, key: int, head: int) -> tuple[Expression, ...]:
        """Return maximum, threshold and weight = max(r·(z − maximum) − threshold, 0)^(1/r), with r = α − 1.

        The steps of softmax for α = 1, those of sparsemax for α = 2.
        """
        if self.alpha == 1:
            return Softmax().explain_weight(logits, weights, key, head)
        if self.alpha == 2:
            return Sparsemax().explain_weight(logits, weights, key, head)
        rate = self.alpha - 1
        maximum, threshold = explain_maximum(logits), _threshold(weights, rate)
        operands = (rate, float(logits[key]), maximum.value, threshold.value, rate)
        template = "max({} × ({} − {}) − {}, 0)^(1/{})"
        return maximum, threshold, Expression("weight", float(weights[key]), template, operands)

    @property
    def operations_per_logit(self) -> int:
        """Return 120 for the closed forms; by bisection as many for each step, for logarithms and exponentials."""
        return 120 if self.alpha in (1, 1.5, 2) else 120 * BISECTION_STEPS

    @property
    def scratch_per_logit(self) -> int:
        """Return 9 for the closed forms; 20 by bisection, whose arrays are float64."""
        return 9 if self.alpha in (1, 1.5, 2) else 20


def _smallest_supported(descending: FloatArray, rate: float) -> FloatArray:
    """Return the smallest logit in the support, (…, q, 1).

    The k-th largest logit is in the support iff Σ (r·(zᵢ − z_k))^(1/r) < 1.  The sum grows with k, so that a binary
    search finds the last k.

    :param descending: logits of each row in descending order, (…, q, k).
    :param rate: r = α − 1.
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
    """Return (r·gap + u^r)^(1/r), given log u: u where the gap is 0, and through log1p where the sum is near 1."""
    near_one = rate * gaps + np.expm1(rate * logarithm)
    with np.errstate(divide="ignore"):
        far = np.log(rate * gaps + np.exp(rate * logarithm)) / rate
        near = np.log1p(np.maximum(near_one, -0.5)) / rate
    return np.exp(np.where(gaps == 0, logarithm, np.where(near_one > -0.5, near, far)))


def _entmax_one_and_a_half(logits: Logits, maximum: RowMaximum) -> Weights:
    """Return [z/2 − τ]₊², with τ from the mean and the variance of the support (Peters et al. 2019, algorithm 2)."""
    shifted = np.maximum((logits - maximum) / 2, -1)
    descending = -np.sort(-shifted, axis=-1)
    counts = np.arange(1, shifted.shape[-1] + 1, dtype=shifted.dtype)
    means = np.cumsum(descending, axis=-1) / counts
    squares = np.cumsum(descending * descending, axis=-1) / counts
    spread = counts * (squares - means * means)
    thresholds = means - np.sqrt(np.maximum((1 - spread) / counts, 0))
    support = np.sum(thresholds <= descending, axis=-1, keepdims=True)
    threshold = np.take_along_axis(thresholds, np.maximum(support - 1, 0), axis=-1)
    # Rounding may put the threshold below −1, the value of hidden and far keys, whose weight must stay 0.
    root = np.where(shifted > -1, np.maximum(shifted - threshold, 0), 0)
    weights = root * root
    return (weights / weights.sum(axis=-1, keepdims=True)).astype(logits.dtype, copy=False)


def _threshold(weights: Row, rate: float) -> Expression:
    """Return the threshold relative to the maximum, −w^r, where w is the largest weight and r = α − 1."""
    largest = float(np.max(weights))
    return Expression("threshold", -(largest**rate), "−({}^{})", (largest, rate))


def _support_gradient(slopes: FloatArray, weight_gradient: Weights) -> Logits:
    """Return u·(g − Σ u·g / Σ u), the product of an entmax's Jacobian with g; 0 in a row without support.

    :param slopes: u, (…, q, k), 0 outside the support.
    :param weight_gradient: g, (…, q, k).
    """
    total = slopes.sum(axis=-1, keepdims=True)
    mean = np.sum(slopes * weight_gradient, axis=-1, keepdims=True) / np.where(total > 0, total, 1)
    return slopes * (weight_gradient - mean)
