"""Proportional normalization: each weight is its logit's share of the row sum."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from attention_core.arrays import Logits, Row, RowMaximum, Weights
from attention_core.descriptions import Description, Text
from attention_core.errors import InvalidValue
from attention_core.expressions import Expression
from attention_core.interfaces import Normalizer, NormalizerGradient
from attention_core.kernel_forms import KernelNormalizer
from attention_core.normalizers.online import initial_maximum, nearby_power_of_two, update_maximum
from attention_core.normalizers.row_expressions import select_visible
from attention_core.online_normalization import OnlineNormalizer, OnlineRows, RowState


@dataclass(frozen=True, slots=True)
class Proportional(Normalizer):
    """w = z / Σ z over the visible keys; all 0 for a row of zeros.

    Logits must not be negative.  Scores 70, 15, 10, 5 become weights 0.70, 0.15, 0.10, 0.05.
    """

    name: ClassVar[str] = "proportional"
    description: ClassVar[Description] = Description(
        title=Text("按比例", "Proportional"),
        summary=Text(
            "得分除以得分总和：70、15、10、5 变成 0.70、0.15、0.10、0.05。得分不能为负；全为零的行权重为零。",
            "Each score over the sum of scores: 70, 15, 10, 5 become 0.70, 0.15, 0.10, 0.05. Scores must not be "
            "negative; a row of zeros weighs nothing.",
        ),
        latex=r"w_j = \frac{z_j}{\sum_i z_i}",
        plain="w_j = z_j / Σ z_i",
        source="The founding tutorial of this project",
        example={},
    )
    is_distribution: ClassVar[bool] = True
    operations_per_logit: ClassVar[int] = 12
    """A maximum, two comparisons, two divisions and a sum."""

    def kernel_normalizer(self) -> KernelNormalizer:
        """Return proportional."""
        return KernelNormalizer("proportional")

    def compute_weights(self, logits: Logits, maximum: RowMaximum) -> Weights:
        """Return z / Σ z."""
        visible = logits > -np.inf
        proportions = np.where(visible, logits, 0)
        total = proportions.sum(axis=-1, keepdims=True)
        overflowing = np.isposinf(total)
        if overflowing.any():
            # Where the sum of large logits overflows, divide by the largest logit first.
            proportions = proportions / np.where(overflowing, maximum, 1)
            total = proportions.sum(axis=-1, keepdims=True)
        return proportions / np.where(total > 0, total, 1)

    def check_logits(self, logits: Logits, first_index: tuple[int, ...]) -> None:
        """Raise InvalidValue for the first negative visible logit.

        :param logits: (…, q, k); −∞ marks a hidden key.
        :param first_index: index of logits[0, …, 0] in the whole matrix.
        """
        negative = (logits < 0) & (logits > -np.inf)
        if negative.any():
            found = tuple(int(i) for i in np.argwhere(negative)[0])
            *row, key = (i + start for i, start in zip(found, first_index, strict=True))
            raise InvalidValue(
                ("normalizer",),
                expected="no negative logit: proportions of negative numbers are not weights",
                received=f"{logits[found]!s} in row {row if len(row) > 1 else row[0]}, key {key}",
                advice="Use softmax, mask the key, or choose a score model whose scores are not negative.",
            )

    def start_online(self, rows: OnlineRows) -> OnlineNormalizer:
        """Return an online normalizer that keeps a scaled sum."""
        return _OnlineProportional(rows, self.check_logits)

    def backward(self, logits: Logits, weights: Weights, weight_gradient: Weights) -> NormalizerGradient:
        """Return ∂/∂z = (g − Σ w·g) / Σ z on visible keys; 0 in a row of zeros, where the weights have no slope."""
        visible = logits > -np.inf
        proportions = np.where(visible, logits, 0)
        total = proportions.sum(axis=-1, keepdims=True)
        centred = weight_gradient - np.sum(weights * weight_gradient, axis=-1, keepdims=True)
        overflowing = np.isposinf(total)
        if overflowing.any():
            # As the weights: where the sum of large logits overflows, divide by the largest logit first.
            unit = np.where(overflowing, proportions.max(axis=-1, keepdims=True), 1)
            total, centred = (proportions / unit).sum(axis=-1, keepdims=True), centred / unit
        slope = np.where(total > 0, centred / np.where(total > 0, total, 1), 0)
        return NormalizerGradient(logits=np.where(visible, slope, 0))

    def explain_weight(self, logits: Row, weights: Row, key: int, head: int) -> tuple[Expression, ...]:
        """Return denominator = Σ z, weight = z / denominator, or 0 if the denominator is 0."""
        proportions = select_visible(logits, logits)
        denominator = float(np.sum(proportions))
        operands = (float(logits[key]), denominator) if denominator else ()
        return (
            Expression("denominator", denominator, "{* + }", proportions),
            Expression("weight", float(weights[key]), "{} / {}" if operands else "0", operands),
        )


class _OnlineProportional:
    """z divided by a power of two near the running maximum, which is exact and keeps sums from overflowing."""

    def __init__(self, rows: OnlineRows, check_logits: Callable[[Logits, tuple[int, ...]], None]) -> None:
        self._first_index, self._check_logits = rows.first_index, check_logits
        self._maximum = initial_maximum(rows)
        self._unit = np.ones_like(self._maximum)
        self._total = np.zeros_like(self._maximum)

    def update(self, logits: Logits, first_key: int) -> RowMaximum | None:
        """Replace logits by scaled ones, and return the rescaling factor; raise InvalidValue for a negative logit."""
        self._check_logits(logits, (*self._first_index, first_key))
        update_maximum(self._maximum, logits)
        unit = nearby_power_of_two(np.where(self._maximum > 0, self._maximum, 1)).astype(logits.dtype, copy=False)
        factor = self._unit / unit
        logits /= unit
        np.copyto(logits, 0, where=np.isneginf(logits))
        self._total *= factor
        self._total += logits.sum(axis=-1, keepdims=True)
        self._unit = unit
        return factor

    def finalize(self) -> RowState:
        """Return the state whose divisor is the sum; 1 for a row of zeros, whose weights are 0."""
        return RowState(
            maximum=self._maximum, divisor=np.where(self._total > 0, self._total, 1).astype(self._unit.dtype)
        )
