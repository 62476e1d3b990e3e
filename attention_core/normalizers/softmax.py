"""Softmax with a temperature and an optional sink."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np

from attention_core.arrays import FloatArray, Leading, Logits, PerQuery, Row, RowMaximum, Weights
from attention_core.dtypes import in_compute_type, positive_number
from attention_core.errors import InvalidValue, ShapeMismatch
from attention_core.interfaces import NormalizerGradient, Rows, Stream, Term
from attention_core.normalizers.online_softmax import row_sum, stream_softmax
from attention_core.normalizers.rows import visible_numbers
from attention_core.reductions import all_finite, sum_to


@dataclass(frozen=True, slots=True, eq=False)
class Softmax:
    """w = exp(z/T) / (Σ exp(z/T) + exp(sink)), over the visible keys.

    The sink is a key that is always there and carries no value: a number, or one per query head (Hq), not divided by T;
    None means none, and 0 is "softmax off by one".  The largest exponent is taken off first, so that nothing overflows.
    Vaswani et al. 2017, equation 1; temperature: Hinton, Vinyals & Dean 2015, equation 1; sink: Xiao et al. 2024,
    "Efficient Streaming Language Models with Attention Sinks".
    """

    temperature: float = 1.0
    sink: float | FloatArray | None = None
    name: ClassVar[str] = "softmax"
    passes_non_finite: ClassVar[bool] = False
    is_distribution: ClassVar[bool] = True

    def bind(self, heads: int | None, dtype: np.dtype[Any]) -> Self:
        """Raise unless temperature is a positive finite number and sink finite, one number or one per query head."""
        if self.temperature != 1.0:
            advice = "1 is the plain softmax; smaller is sharper, larger is flatter."
            positive_number(self.temperature, dtype, ("temperature",), advice)
        if self.sink is None:
            return self
        sink = np.asarray(self.sink, dtype=np.float64)
        if sink.ndim and sink.shape != (heads,):
            raise ShapeMismatch(
                ("sink",),
                expected="a number" if heads is None else f"a number, or {heads}: one for each query head",
                received=f"shape {list(sink.shape)}",
                advice="Send one number; a list needs scores of rank 4 (batch, heads, queries, keys).",
            )
        if not np.isfinite(sink).all():
            where = tuple(int(i) for i in np.argwhere(~np.isfinite(sink))[0])
            raise InvalidValue(
                ("sink", *where),
                expected="a finite number",
                received=str(sink[where]),
                advice="Leave sink out for none.",
            )
        bound = in_compute_type(sink, dtype, ("sink",))
        return replace(self, sink=float(sink) if sink.ndim == 0 else bound)

    def within(self, leading: Leading) -> Self:
        """Take the sinks of the block's heads."""
        return replace(self, sink=self.sink[leading[1]]) if isinstance(self.sink, np.ndarray) else self

    def stream(self, rows: Rows) -> Stream:
        """Keep the sum of exponentials and, unless the logits are known to be small, the largest logit so far."""
        return stream_softmax(rows, self.temperature, None if self.sink is None else self._sink())

    def weights(self, logits: Logits, maximum: RowMaximum) -> Weights:
        """Return the exponentials over their row sum, sink included."""
        weights, total, _ = self._exponentials(logits, maximum)
        weights /= total
        return weights

    def logsumexp(self, logits: Logits, maximum: RowMaximum) -> PerQuery:
        """Return log(Σ exp(z/T) + exp(sink)), taken apart as the largest exponent + the log of what remains."""
        if self.sink is None:
            maximum = np.where(np.isneginf(maximum), 0, maximum)
        _, total, largest = self._exponentials(logits, maximum)
        return (np.log(total) + largest)[..., 0]

    def _sink(self) -> float | FloatArray:
        """The sink, shaped to broadcast over (…, Hq, q, 1); −∞ for none."""
        if self.sink is None:
            return -np.inf
        return self.sink[:, None, None] if isinstance(self.sink, np.ndarray) else self.sink

    def _exponentials(self, logits: Logits, maximum: RowMaximum) -> tuple[Weights, RowMaximum, RowMaximum]:
        """Return exp(z/T − largest), their row sum with the sink, and the largest exponent of each row."""
        if self.sink is None:
            shifted = logits - maximum
            largest = maximum
            if self.temperature != 1.0:
                shifted /= self.temperature
                largest = maximum / self.temperature
            np.exp(shifted, out=shifted)
            return shifted, row_sum(shifted), largest
        sink = self._sink()
        largest = np.maximum(maximum / self.temperature, sink).astype(logits.dtype, copy=False)
        shifted = logits / self.temperature - largest
        np.exp(shifted, out=shifted)
        total = shifted.sum(axis=-1, keepdims=True) + np.exp(sink - largest)
        return shifted, total.astype(logits.dtype, copy=False), largest

    def gradient(self, logits: Logits, weights: Weights, weight_gradient: Weights) -> NormalizerGradient:
        """∂/∂z = w·(g − Σ w·g)/T, ∂/∂T = −Σ z·∂/∂z / T, ∂/∂sink = −(1 − Σ w)·Σ w·g."""
        mean = np.einsum("...k,...k->...", weights, weight_gradient)[..., None]
        gradient = np.subtract(weight_gradient, mean, out=weight_gradient)
        gradient *= weights
        if self.temperature != 1.0:
            gradient /= self.temperature
        products = np.einsum("...k,...k->...", gradient, logits)
        if not all_finite(products):  # a hidden key has no part in it, and 0 · −∞ would be NaN
            finite = np.maximum(logits, np.finfo(logits.dtype).min)
            products = np.einsum("...k,...k->...", gradient, finite)
        parameters: dict[str, FloatArray] = {"temperature": np.asarray(-np.sum(products) / self.temperature)}
        if self.sink is not None:
            per_row = -(1.0 - weights.sum(axis=-1, keepdims=True)) * mean
            parameters["sink"] = sum_to(per_row.sum(axis=(-2, -1)), np.shape(self.sink))
        return NormalizerGradient(logits=gradient, parameters=parameters)

    def parts(self, logits: Row, weights: Row, key: int, head: int) -> tuple[Term, ...]:
        """Weight = exponential / denominator, exponential = exp(z/T − maximum); a sink counts too."""
        sink = float(self.sink[head]) if isinstance(self.sink, np.ndarray) else self.sink
        exponentials, total, largest = replace(self, sink=sink)._exponentials(logits, np.max(logits, keepdims=True))
        shares = visible_numbers(exponentials, logits)
        maximum, exponential, denominator = float(largest[0]), float(exponentials[key]), float(total[0])
        over, temperature = (" / {}", (self.temperature,)) if self.temperature != 1.0 else ("", ())
        exponents = f"max({{*, }}){over}", (*visible_numbers(logits, logits), *temperature)
        if sink is not None:
            exponents = f"max({exponents[0]}, {{}})", (*exponents[1], sink)
            shares = (*shares, float(np.exp(sink - maximum)))
        return (
            Term("maximum", maximum, *exponents),
            Term("exponential", exponential, f"exp({{}}{over} − {{}})", (float(logits[key]), *temperature, maximum)),
            Term("denominator", denominator, "{* + }", shares),
            Term("weight", float(weights[key]), "{} / {}", (exponential, denominator)),
        )

    def operations_per_logit(self) -> int:
        """Maximum, subtraction, exponential, sum, division."""
        return 5

    def scratch(self) -> int:
        """Logits, weights and what lies between."""
        return 4
