"""Each weight in proportion to its logit."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from attention_core.arrays import Leading, Logits, Row, RowMaximum, Weights
from attention_core.errors import InvalidValue
from attention_core.interfaces import NormalizerGradient, RowEnds, Rows, Stream, Term
from attention_core.normalizers.rows import visible_numbers
from attention_core.normalizers.streams import power_of_two, raise_to, unseen


@dataclass(frozen=True, slots=True)
class Proportional:
    """w = z / Σ z, over the visible keys; a row of zeros weighs nothing.

    The founding tutorial's step from scores 70, 15, 10, 5 to weights 0.70, 0.15, 0.10, 0.05.
    """

    name: ClassVar[str] = "proportional"
    passes_non_finite: ClassVar[bool] = False
    is_distribution: ClassVar[bool] = True

    def bind(self, heads: int | None, dtype: np.dtype[Any]) -> Self:
        """Nothing to check."""
        return self

    def within(self, leading: Leading) -> Self:
        """There is nothing to cut."""
        return self

    def weights(self, logits: Logits, maximum: RowMaximum) -> Weights:
        """Return z / Σ z."""
        visible = logits > -np.inf
        shares = np.where(visible, logits, 0)
        total = shares.sum(axis=-1, keepdims=True)
        overflowing = np.isposinf(total)
        if overflowing.any():
            # The sum of huge logits overflows; that of their shares of the largest does not.
            shares = shares / np.where(overflowing, maximum, 1)
            total = shares.sum(axis=-1, keepdims=True)
        return shares / np.where(total > 0, total, 1)

    def require(self, logits: Logits, place: tuple[int, ...]) -> None:
        """Raise InvalidValue for a negative visible logit."""
        negative = (logits < 0) & (logits > -np.inf)
        if negative.any():
            found = tuple(int(i) for i in np.argwhere(negative)[0])
            *row, key = (i + start for i, start in zip(found, place, strict=True))
            raise InvalidValue(
                ("normalizer",),
                expected="no negative logit: proportions of negative numbers are not weights",
                received=f"{logits[found]!s} in row {row if len(row) > 1 else row[0]}, key {key}",
                advice="Use softmax, mask the key, or choose a score model whose scores are not negative.",
            )

    def stream(self, rows: Rows) -> Stream:
        """Keep the sum, in proportion to the largest logit so far."""
        return _ProportionalRows(rows, self.require)

    def gradient(self, logits: Logits, weights: Weights, weight_gradient: Weights) -> NormalizerGradient:
        """∂/∂z = (g − Σ w·g) / Σ z on visible keys; zero in a row of zeros, where the weights have no slope."""
        visible = logits > -np.inf
        total = np.where(visible, logits, 0).sum(axis=-1, keepdims=True)
        centred = weight_gradient - np.sum(weights * weight_gradient, axis=-1, keepdims=True)
        slope = np.where(total > 0, centred / np.where(total > 0, total, 1), 0)
        return NormalizerGradient(logits=np.where(visible, slope, 0), parameters={})

    def parts(self, logits: Row, weights: Row, key: int, head: int) -> tuple[Term, ...]:
        """Weight = z / denominator; 0 when that is 0."""
        shares = visible_numbers(logits, logits)
        denominator = float(np.sum(shares))
        operands = (float(logits[key]), denominator) if denominator else ()
        return (
            Term("denominator", denominator, "{* + }", shares),
            Term("weight", float(weights[key]), "{} / {}" if operands else "0", operands),
        )

    def operations_per_logit(self) -> int:
        """Maximum, two comparisons, division, sum, division."""
        return 12

    def scratch(self) -> int:
        """Logits, weights and what lies between."""
        return 4


class _ProportionalRows:
    """z over a power of two near the largest logit so far, which is exact and keeps sums from overflowing."""

    def __init__(self, rows: Rows, require: Callable[[Logits, tuple[int, ...]], None]) -> None:
        self._place, self._require = rows.place, require
        self._maximum = unseen(rows)
        self._unit = np.ones_like(self._maximum)
        self._total = np.zeros_like(self._maximum)

    def weigh(self, logits: Logits, first_key: int, rows: slice) -> RowMaximum | None:
        """Take shares; raise InvalidValue for a negative visible logit."""
        *block, first_row = self._place
        self._require(logits, (*block, first_row + rows.start, first_key))
        maximum, before, total = (state[..., rows, :] for state in (self._maximum, self._unit, self._total))
        raise_to(maximum, logits)
        unit = power_of_two(np.where(maximum > 0, maximum, 1)).astype(logits.dtype, copy=False)
        factor = None if np.array_equal(unit, before) else before / unit
        logits /= unit
        np.copyto(logits, 0, where=np.isneginf(logits))
        if factor is not None:
            total *= factor
        total += logits.sum(axis=-1, keepdims=True)
        before[...] = unit
        return factor

    def ends(self) -> RowEnds:
        """Divide by the sum; a row of zeros weighs nothing."""
        return RowEnds(
            maximum=self._maximum, divisor=np.where(self._total > 0, self._total, 1).astype(self._unit.dtype)
        )
