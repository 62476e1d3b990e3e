"""Online softmax: softmax over rows whose logits arrive tile by tile.

Milakov & Gimelshein 2018, "Online normalizer calculation for softmax"; Rabe & Staats 2021, "Self-attention Does Not
Need O(n²) Memory"; Dao et al. 2022, "FlashAttention", algorithm 1.
"""

import numpy as np

from attention_core.arrays import FloatArray, Logits, RowMaximum
from attention_core.normalizers.online import initial_maximum
from attention_core.online_normalization import OnlineRows, RowState


class OnlineSoftmax:
    """w = exp((z − m)/T) with the running maximum m; when m grows, earlier weights and sums are rescaled."""

    def __init__(self, rows: OnlineRows, temperature: float, sink: float | FloatArray) -> None:
        """Start without a key.

        :param rows: shape and dtype of the rows.
        :param temperature: > 0.
        :param sink: logit of the sink, broadcastable to (…, q, 1); −∞ for no sink.
        """
        self._temperature, self._sink = temperature, sink
        self._maximum = initial_maximum(rows)
        self._total = np.zeros_like(self._maximum)

    def update(self, logits: Logits, first_key: int) -> RowMaximum:
        """Replace logits by exponentials relative to the running maximum, and return the rescaling factor."""
        maximum = np.maximum(self._maximum, logits.max(axis=-1, keepdims=True))
        # For a row without a visible key so far: −∞ − 0 is −∞, while −∞ − (−∞) would be NaN.
        shift = np.where(np.isneginf(maximum), 0, maximum).astype(logits.dtype, copy=False)
        rescale = self._exponential(self._maximum - shift)
        logits -= shift
        self._total *= rescale
        # A matrix product with ones sums rows faster than `sum` (benchmarks/RESULTS.md, "sum as a product with ones").
        ones = np.ones((logits.shape[-1], 1), dtype=logits.dtype)
        self._total += np.matmul(self._exponential(logits), ones)
        self._maximum = maximum
        return rescale

    def _exponential(self, distances: FloatArray) -> FloatArray:
        if self._temperature != 1.0:
            distances /= self._temperature
        return np.exp(distances, out=distances)

    def finalize(self) -> RowState:
        """Return the state, with the sink added as one more key."""
        exponent = self._maximum / self._temperature
        shift = np.where(np.isneginf(exponent), 0, exponent)
        rescale = None
        divisor = self._total + np.exp(self._sink - shift)
        above = np.isposinf(divisor)
        if above.any():
            # exp(sink − shift) overflows: shift these rows by the sink instead, and rescale their sums.
            shift = np.where(above, np.maximum(exponent, self._sink), shift)
            rescale = np.exp(exponent - shift).astype(exponent.dtype, copy=False)
            divisor = np.where(above, self._total * rescale + np.exp(self._sink - shift), divisor)
        divisor = divisor.astype(exponent.dtype, copy=False)
        nan_rows = ~(self._maximum < np.inf)
        logsumexp = np.where(nan_rows, self._maximum, np.log(divisor) + shift)
        return RowState(
            maximum=self._maximum,
            divisor=np.where(divisor > 0, divisor, divisor.dtype.type(1)),
            rescale=rescale,
            logsumexp=logsumexp.astype(exponent.dtype, copy=False)[..., 0],
        )
