"""All attention on one key."""

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from attention_core.arrays import Leading, Logits, Row, RowMaximum, Weights
from attention_core.errors import InvalidValue
from attention_core.interfaces import NormalizerGradient, Term
from attention_core.normalizers.rows import maximum_of


@dataclass(frozen=True, slots=True)
class Hardmax:
    """w = 1 at the largest z, at the lowest index on ties, and 0 elsewhere: softmax as T → 0."""

    name: ClassVar[str] = "hardmax"
    passes_non_finite: ClassVar[bool] = False
    is_distribution: ClassVar[bool] = True

    def bind(self, heads: int | None, dtype: np.dtype[Any]) -> Self:
        """Nothing to check."""
        return self

    def within(self, leading: Leading) -> Self:
        """There is nothing to cut."""
        return self

    def weights(self, logits: Logits, maximum: RowMaximum) -> Weights:
        """Return the one-hot rows."""
        weights = np.zeros_like(logits)
        if weights.size:
            np.put_along_axis(weights, np.argmax(logits, axis=-1, keepdims=True), 1, axis=-1)
        return weights

    def gradient(self, logits: Logits, weights: Weights, weight_gradient: Weights) -> NormalizerGradient:
        """Raise InvalidValue: a step has no useful slope."""
        raise InvalidValue(
            ("normalizer",),
            expected="a normalizer that can be differentiated",
            received="hardmax, whose slope is 0 wherever it exists",
            advice="Use softmax with a low temperature, or sparsemax.",
        )

    def parts(self, logits: Row, weights: Row, key: int, head: int) -> tuple[Term, ...]:
        """Weight = 1 for the first key whose logit is the maximum."""
        maximum, weight = maximum_of(logits), float(weights[key])
        pattern = "{} = {}" if logits[key] == maximum.value else "{} < {}"
        return maximum, Term("weight", weight, pattern, (float(logits[key]), maximum.value))

    def operations_per_logit(self) -> int:
        """A comparison and a copy, a row at a time."""
        return 8

    def scratch(self) -> int:
        """Logits, weights and what lies between."""
        return 4
