"""What online normalizers share: the running maximum of each row, and weights that depend on one logit alone."""

from collections.abc import Callable

import numpy as np

from attention_core.arrays import Logits, RowMaximum, Weights
from attention_core.online_normalization import OnlineRows, RowState


class OnlineElementwise:
    """Online normalization for weights that depend on their own logit alone."""

    def __init__(self, rows: OnlineRows, weights: Callable[[Logits], Weights]) -> None:
        self._weights = weights
        self._maximum = initial_maximum(rows)

    def update(self, logits: Logits, first_key: int) -> None:
        """Replace each logit by its weight, and update the running maximum, which shows NaN and +∞."""
        update_maximum(self._maximum, logits)
        logits[...] = self._weights(logits)

    def finalize(self) -> RowState:
        """Return the state; its divisor is 1."""
        return RowState(maximum=self._maximum, divisor=None)


def initial_maximum(rows: OnlineRows) -> RowMaximum:
    """Return −∞ for each row, (…, q, 1): the maximum of no logits."""
    return np.full((*rows.shape, 1), -np.inf, dtype=rows.dtype)


def update_maximum(highest: RowMaximum, logits: Logits) -> None:
    """Update the running maximum of each row, (…, q, 1), in place; NaN if a logit is NaN."""
    np.maximum(highest, logits.max(axis=-1, keepdims=True), out=highest)


def nearby_power_of_two(numbers: RowMaximum) -> RowMaximum:
    """Return a power of two near each finite number, so that dividing by it is exact; 2 for NaN and ±∞.

    Clipped so that both the power and its inverse are finite.
    """
    _, exponents = np.frexp(np.where(np.isfinite(numbers), numbers, 1))
    return np.ldexp(np.ones_like(numbers), np.clip(exponents, -100, np.finfo(numbers.dtype).maxexp - 1))
