"""Rows that arrive tile by tile, for the normalizers whose weights need no more of a row than a number at its end."""

from collections.abc import Callable

import numpy as np

from attention_core.arrays import Logits, RowMaximum, Weights
from attention_core.interfaces import RowEnds, Rows


class KeyByKey:
    """Weights that depend on nothing but their own logit."""

    def __init__(self, rows: Rows, weights: Callable[[Logits], Weights]) -> None:
        self._weights = weights
        self._maximum = unseen(rows)

    def weigh(self, logits: Logits, first_key: int, rows: slice) -> None:
        """Take each logit's weight; remember whether it was a number."""
        raise_to(self._maximum[..., rows, :], logits)
        logits[...] = self._weights(logits)

    def ends(self) -> RowEnds:
        """Nothing is left to divide by."""
        return RowEnds(maximum=self._maximum, divisor=None)


def unseen(rows: Rows) -> RowMaximum:
    """Return the largest logit of rows that have met no key."""
    return np.full((*rows.shape, 1), -np.inf, dtype=rows.dtype)


def raise_to(highest: RowMaximum, logits: Logits) -> None:
    """Raise the largest logit so far to those of more keys; NaN if one is."""
    np.maximum(highest, logits.max(axis=-1, keepdims=True), out=highest)


def power_of_two(numbers: RowMaximum) -> RowMaximum:
    """Return a power of two near each finite number, itself and its inverse finite: dividing by it is exact."""
    _, exponents = np.frexp(np.where(np.isfinite(numbers), numbers, 1))
    return np.ldexp(np.ones_like(numbers), np.clip(exponents, -100, np.finfo(numbers.dtype).maxexp - 1))
