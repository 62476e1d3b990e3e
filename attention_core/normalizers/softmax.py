"""Softmax with a temperature and an optional sink."""

from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np

from attention_core.arrays import FloatArray, Logits, PerQuery, Row, RowMaximum, Weights
from attention_core.descriptions import Description, Text, parameter
from attention_core.expressions import Expression
from attention_core.interfaces import Normalizer, NormalizerGradient
from attention_core.kernel_forms import KernelNormalizer
from attention_core.normalizers.online_softmax import OnlineSoftmax
from attention_core.normalizers.row_expressions import select_visible
from attention_core.online_normalization import OnlineNormalizer, OnlineRows
from attention_core.parameters import PerHead, broadcast_over_pairs, sum_scalar_gradient
from attention_core.reductions import all_finite


@dataclass(frozen=True, slots=True, eq=False)
class Softmax(Normalizer):
    """w = exp(z/T) / (Σ exp(z/T) + exp(sink)) over the visible keys.

    The largest exponent of each row is subtracted first, so that no exponential overflows.
    Vaswani et al. 2017, "Attention Is All You Need", equation 1; temperature: Hinton, Vinyals & Dean 2015, "Distilling
    the Knowledge in a Neural Network", equation 1; sink: Xiao et al. 2024, "Efficient Streaming Language Models with
    Attention Sinks".
    """

    temperature: float = field(
        default=1.0,
        metadata=parameter(
            zh="温度，越小越集中",
            en="smaller is sharper, larger is flatter",
            symbol="T",
            per_head=False,
            above=0,
            advice="1 is the plain softmax, smaller is sharper; the limit at 0 is hardmax.",
        ),
    )
    sink: PerHead | None = field(
        default=None,
        metadata=parameter(
            zh="汇点：始终存在但不带值的键",
            en="Logit of a key that is always there and carries no value, or one for each query head, not divided by T",
            advice="Leave sink out for none.",
        ),
    )
    name: ClassVar[str] = "softmax"
    description: ClassVar[Description] = Description(
        title=Text("Softmax", "Softmax"),
        summary=Text(
            "取指数再除以总和：权重为正，每行之和为 1。先减去最大值，再大的得分也不会溢出。",
            "Exponentials over their sum: weights are positive and each row sums to 1. The maximum is taken off first, "
            "so no finite score overflows.",
        ),
        latex=r"w_j = \frac{e^{z_j / T}}{\sum_i e^{z_i / T} + e^{\mathrm{sink}}}",
        plain="w_j = exp(z_j / T) / (Σ exp(z_i / T) + exp(sink))",
        source="Vaswani et al. 2017, equation 1; temperature: Hinton, Vinyals & Dean 2015, equation 1",
        example={"temperature": 0.5},
    )
    is_distribution: ClassVar[bool] = True
    operations_per_logit: ClassVar[int] = 5
    """A maximum, a subtraction, an exponential, a sum and a division."""

    def start_online(self, rows: OnlineRows) -> OnlineNormalizer:
        """Return an online softmax."""
        return OnlineSoftmax(rows, self.temperature, self._sink())

    def kernel_normalizer(self) -> KernelNormalizer:
        """Return softmax with 1/T and the sink."""
        return KernelNormalizer("softmax", 1.0 / self.temperature, self.sink)

    def compute_weights(self, logits: Logits, maximum: RowMaximum) -> Weights:
        """Return the exponentials divided by their row sum, sink included."""
        weights, total, _ = self._exponentials(logits, maximum)
        weights /= total
        return weights

    def compute_logsumexp(self, logits: Logits, maximum: RowMaximum) -> PerQuery:
        """Return log(Σ exp(z/T) + exp(sink)), computed as m + log(Σ exp(z/T − m) + exp(sink − m))."""
        if self.sink is None:
            maximum = np.where(np.isneginf(maximum), 0, maximum)
        _, total, largest = self._exponentials(logits, maximum)
        return (np.log(total) + largest)[..., 0]

    def _sink(self) -> float | FloatArray:
        """Return the sink shaped to broadcast to (…, Hq, q, 1); −∞ for no sink."""
        return -np.inf if self.sink is None else broadcast_over_pairs(self.sink)

    def _exponentials(self, logits: Logits, maximum: RowMaximum) -> tuple[Weights, RowMaximum, RowMaximum]:
        """Return exp(z/T − m), its row sum with the sink, and m, the largest exponent of each row."""
        if self.sink is None:
            shifted = logits - maximum
            largest = maximum
            if self.temperature != 1.0:
                shifted /= self.temperature
                largest = maximum / self.temperature
            np.exp(shifted, out=shifted)
            return shifted, np.add.reduce(shifted, axis=-1, keepdims=True), largest
        sink = self._sink()
        largest = np.maximum(maximum / self.temperature, sink).astype(logits.dtype, copy=False)
        shifted = logits / self.temperature - largest
        np.exp(shifted, out=shifted)
        total = shifted.sum(axis=-1, keepdims=True) + np.exp(sink - largest)
        return shifted, total.astype(logits.dtype, copy=False), largest

    def backward(self, logits: Logits, weights: Weights, weight_gradient: Weights) -> NormalizerGradient:
        """Return ∂/∂z = w·(g − Σ w·g)/T, ∂/∂T = −Σ z·∂/∂z / T and ∂/∂sink = −s·Σ w·g, with s the weight of the sink.

        With m, the largest logit of a row, Σ z·∂/∂z = Σ (z − m)·∂/∂z + m·Σ ∂/∂z, where Σ ∂/∂z is 0 but for a sink: a
        large m would cost the sum its digits.
        """
        mean = np.einsum("...k,...k->...", weights, weight_gradient)[..., None]
        gradient = np.subtract(weight_gradient, mean, out=weight_gradient)
        gradient *= weights
        if self.temperature != 1.0:
            gradient /= self.temperature
        maximum = logits.max(axis=-1, keepdims=True, initial=-np.inf)
        maximum[np.isneginf(maximum)] = 0
        relative = logits - maximum
        products = np.einsum("...k,...k->...", gradient, relative)
        if not all_finite(products):  # at a hidden key 0 · −∞ is NaN, where the product must be 0
            np.maximum(relative, np.finfo(logits.dtype).min, out=relative)
            products = np.einsum("...k,...k->...", gradient, relative)
        if self.sink is None:
            return NormalizerGradient(gradient, {"temperature": np.asarray(-np.sum(products) / self.temperature)})
        per_row = self._sink_weights(weights, maximum) * mean
        total = np.sum(products) + np.sum(maximum * per_row) / self.temperature
        sink = sum_scalar_gradient(-per_row, self.sink)
        return NormalizerGradient(gradient, {"temperature": np.asarray(-total / self.temperature), "sink": sink})

    def _sink_weights(self, weights: Weights, maximum: RowMaximum) -> RowMaximum:
        """Return the weight of the sink in each row: exp(sink − m/T) · (weight of m), or 1 − Σ w where that is large.

        Where the sink weighs little, no digits of 1 − Σ w are left.
        """
        relative = (self._sink() - maximum / self.temperature).astype(weights.dtype, copy=False)
        small = weights.max(axis=-1, keepdims=True, initial=0) * np.exp(np.minimum(relative, 0))
        return np.where(relative <= 0, small, 1 - weights.sum(axis=-1, keepdims=True))

    def explain_weight(self, logits: Row, weights: Row, key: int, head: int) -> tuple[Expression, ...]:
        """Return maximum, exponential = exp(z/T − maximum), denominator, and weight = exponential / denominator."""
        sink = float(self.sink[head]) if isinstance(self.sink, np.ndarray) else self.sink
        exponentials, total, largest = replace(self, sink=sink)._exponentials(logits, np.max(logits, keepdims=True))
        addends = select_visible(exponentials, logits)
        maximum, exponential, denominator = float(largest[0]), float(exponentials[key]), float(total[0])
        over, temperature = (" / {}", (self.temperature,)) if self.temperature != 1.0 else ("", ())
        exponents = f"max({{*, }}){over}", (*select_visible(logits, logits), *temperature)
        if sink is not None:
            exponents = f"max({exponents[0]}, {{}})", (*exponents[1], sink)
            addends = (*addends, float(np.exp(sink - maximum)))
        return (
            Expression("maximum", maximum, *exponents),
            Expression(
                "exponential", exponential, f"exp({{}}{over} − {{}})", (float(logits[key]), *temperature, maximum)
            ),
            Expression("denominator", denominator, "{* + }", addends),
            Expression("weight", float(weights[key]), "{} / {}", (exponential, denominator)),
        )
