"""Softmax with a temperature."""

from dataclasses import dataclass
from math import isfinite
from typing import ClassVar, Self

import numpy as np

from attention_core.arrays import Logits, PerQuery, RowMaximum, Weights
from attention_core.errors import InvalidValue
from attention_core.interfaces import NormalizerGradient


@dataclass(frozen=True, slots=True)
class Softmax:
    """w = exp(z/T) / Σ exp(z/T), over the visible keys.

    The largest logit is taken off first, so that no finite score overflows.
    Vaswani et al. 2017, equation 1; temperature as in Hinton, Vinyals & Dean 2015, equation 1.
    """

    temperature: float = 1.0
    name: ClassVar[str] = "softmax"

    def bind(self) -> Self:
        """Raise InvalidValue unless temperature is a positive finite number."""
        if not (self.temperature > 0 and isfinite(self.temperature)):
            raise InvalidValue(
                ("temperature",),
                expected="a finite number greater than 0",
                received=str(self.temperature),
                advice="1 is the plain softmax; smaller is sharper, larger is flatter.",
            )
        return self

    def weights(self, logits: Logits, maximum: RowMaximum) -> Weights:
        """Return exp((z − max)/T) over its row sum."""
        weights = self._exponentials(logits, maximum)
        weights /= weights.sum(axis=-1, keepdims=True)
        return weights

    def logsumexp(self, logits: Logits, maximum: RowMaximum) -> PerQuery:
        """Return log Σ exp(z/T), taken apart as max/T + log Σ exp((z − max)/T)."""
        total = np.log(self._exponentials(logits, maximum).sum(axis=-1))
        total += maximum[..., 0] / self.temperature
        return total

    def _exponentials(self, logits: Logits, maximum: RowMaximum) -> Logits:
        shifted = logits - maximum
        if self.temperature != 1.0:
            shifted /= self.temperature
        return np.exp(shifted, out=shifted)

    def gradient(self, logits: Logits, weights: Weights, weight_gradient: Weights) -> NormalizerGradient:
        """∂/∂z = w·(g − Σ w·g)/T and ∂/∂T = −Σ z·∂/∂z / T."""
        centred = weight_gradient - np.sum(weights * weight_gradient, axis=-1, keepdims=True)
        gradient = weights * centred / self.temperature
        visible = np.where(weights > 0, logits, 0)
        return NormalizerGradient(
            logits=gradient,
            parameters={"temperature": np.asarray(-np.sum(gradient * visible) / self.temperature)},
        )

    def operations_per_logit(self) -> int:
        """Maximum, subtraction, exponential, sum, division."""
        return 5
