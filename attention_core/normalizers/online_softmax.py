"""Softmax over a row that arrives tile by tile.

Milakov & Gimelshein 2018, "Online normalizer calculation for softmax"; Rabe & Staats 2021, "Self-attention Does Not
Need O(n²) Memory"; Dao et al. 2022, "FlashAttention", algorithm 1.
"""

from functools import lru_cache
from math import exp, inf, log
from typing import Any

import numpy as np

from attention_core.arrays import FloatArray, Logits, RowMaximum
from attention_core.interfaces import RowEnds, Rows, Stream
from attention_core.reductions import product

LIMITS = {kind: (float(np.finfo(kind).max), float(np.finfo(kind).tiny)) for kind in "fd"}
"""The largest number of a compute type, and the smallest with all its digits."""

SHORT = 512
"""Keys of a row whose sum a product takes without losing more than summing in pairs does."""

RESERVE = 2.0**30
"""How far from over- and underflow exponentials must stay to be taken without their maximum."""


def stream_softmax(rows: Rows, temperature: float, sink: FloatArray | float | None) -> Stream:
    """Return the state that suits the rows; a sink broadcasts over (…, q, 1).

    Where a bound on the logits proves that no exponential can overflow, and that none can be lost to underflow, the
    maximum, its subtraction and the rescaling of what came before are left out.  Not beside a sink: what all
    exponentials of a row are wrong by cancels out among them, but not against it.
    """
    if temperature == 1.0 and sink is None and exponentials_fit(rows):
        return _Bounded(rows)
    return _Online(rows, temperature, sink)


def exponentials_fit(rows: Rows) -> bool:
    """Whether exp(logit), summed or times a value, stays within the type's range, with all its digits."""
    largest, smallest = LIMITS[rows.dtype.char]
    if not (rows.bound < log(largest) and rows.largest_value < inf):
        return False
    above = exp(rows.bound) * max(rows.keys, 1) * max(rows.largest_value, 1.0)
    below = exp(-rows.bound) * (min(rows.largest_value, 1.0) or 1.0)
    return above * RESERVE < largest and below > smallest * RESERVE


class _Bounded:
    """Exponentials as they are: w = exp(z), and their sum."""

    def __init__(self, rows: Rows) -> None:
        self._total = np.zeros((*rows.shape, 1), dtype=rows.dtype)
        self._logsumexp = rows.logsumexp

    def weigh(self, logits: Logits, first_key: int, rows: slice) -> None:
        """Take exponentials and add their sum."""
        np.exp(logits, out=logits)
        self._total[..., rows, :] += row_sum(logits)

    def ends(self) -> RowEnds:
        """A row without a visible key has a sum of 0, a poisoned one a sum of NaN or +∞."""
        total = self._total
        if total.min(initial=np.inf) > 0 and total.max(initial=0) < np.inf:
            # Of the largest logit nothing counts but that it is finite, which the sum itself is.
            return RowEnds(maximum=total, divisor=total, logsumexp=np.log(total)[..., 0] if self._logsumexp else None)
        maximum = np.where(np.isfinite(total), total.dtype.type(0), total)
        maximum[total == 0] = -np.inf
        return softmax_ends(maximum, maximum, total, None)


class _Online:
    """w = exp((z − m)/T) with the largest logit so far, m; when it grows, what came before shrinks."""

    def __init__(self, rows: Rows, temperature: float, sink: float | FloatArray | None) -> None:
        self._temperature, self._sink = temperature, sink
        self._maximum = np.full((*rows.shape, 1), -np.inf, dtype=rows.dtype)
        self._total = np.zeros((*rows.shape, 1), dtype=rows.dtype)

    def weigh(self, logits: Logits, first_key: int, rows: slice) -> RowMaximum | None:
        """Take exponentials of the distance to the largest logit."""
        before, total = self._maximum[..., rows, :], self._total[..., rows, :]
        maximum = np.maximum(before, logits.max(axis=-1, keepdims=True))
        # A row that has not met a visible key yet: −∞ − 0 is −∞, where −∞ − (−∞) would be NaN.
        shift = np.where(np.isneginf(maximum), 0, maximum).astype(logits.dtype, copy=False)
        factor = None
        if not np.array_equal(before, maximum):
            factor = self._exponential(before - shift)
            total *= factor
        logits -= shift
        total += row_sum(self._exponential(logits))
        before[...] = maximum
        return factor

    def _exponential(self, distances: FloatArray) -> FloatArray:
        if self._temperature != 1.0:
            distances /= self._temperature
        return np.exp(distances, out=distances)

    def ends(self) -> RowEnds:
        """The sink joins in as if it were one more key."""
        exponent = self._maximum / self._temperature
        return softmax_ends(self._maximum, exponent, self._total, self._sink)


def softmax_ends(
    maximum: RowMaximum, exponent: RowMaximum, total: RowMaximum, sink: float | FloatArray | None
) -> RowEnds:
    """Return the ends of rows whose exponentials, shifted by `exponent`, sum to `total`, beside a sink of exp(sink)."""
    factor = None
    divisor, shift = total, exponent
    if sink is not None:
        shift = np.where(np.isneginf(exponent), 0, exponent)
        divisor = total + np.exp(sink - shift)
        above = np.isposinf(divisor)
        if above.any():
            # In rows with a sink so far above, what it is compared with must shrink instead; others stay as they are.
            shift = np.where(above, np.maximum(exponent, sink), shift)
            factor = np.exp(exponent - shift).astype(total.dtype, copy=False)
            divisor = np.where(above, total * factor + np.exp(sink - shift), divisor)
        divisor = divisor.astype(total.dtype, copy=False)
    logsumexp = np.log(divisor) + shift
    poisoned = ~(maximum < np.inf)
    return RowEnds(
        maximum=maximum,
        divisor=np.where(divisor > 0, divisor, divisor.dtype.type(1)),
        factor=factor,
        logsumexp=np.where(poisoned, maximum, logsumexp).astype(total.dtype, copy=False)[..., 0],
    )


def row_sum(numbers: FloatArray) -> RowMaximum:
    """Return the sum of each row, (…, q, 1).

    Of short rows as a product with ones, which is several times faster than a sum and as exact; of long ones in pairs.
    """
    length = numbers.shape[-1]
    if length > SHORT:
        total: RowMaximum = np.add.reduce(numbers, axis=-1, keepdims=True)
        return total
    return product(numbers, _ones(length, numbers.dtype))


@lru_cache(maxsize=64)
def _ones(length: int, dtype: np.dtype[Any]) -> FloatArray:
    ones: FloatArray = np.ones((length, 1), dtype=dtype)
    ones.flags.writeable = False
    return ones
