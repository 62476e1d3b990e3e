"""Protocol of online normalization: rows whose logits arrive one tile at a time, each tile once.

Milakov & Gimelshein 2018, "Online normalizer calculation for softmax"; Dao et al. 2022, "FlashAttention".
"""

from typing import Any, NamedTuple, Protocol

import numpy as np

from attention_core.arrays import Logits, PerQuery, RowMaximum


class OnlineRows(NamedTuple):
    """Rows that an online normalizer is about to receive."""

    shape: tuple[int, ...]
    """(…, q)."""
    first_index: tuple[int, ...]
    """Index of the first row in the whole matrix, (…, q)."""
    dtype: np.dtype[Any]
    """Compute type."""
    n_keys: int
    """Maximum number of keys that a row sees."""


class RowState(NamedTuple):
    """State of rows after their last tile: how to turn the accumulated output into the output."""

    maximum: RowMaximum
    """(…, q, 1): −∞ for a row without a visible key, NaN or +∞ for a row with NaN or +∞ among its visible logits, else
    any finite number."""
    divisor: RowMaximum | None
    """(…, q, 1), never 0: the accumulated output is divided by it; None for 1."""
    rescale: RowMaximum | None = None
    """(…, q, 1): the accumulated output is multiplied by it before the division; None for 1."""
    logsumexp: PerQuery | None = None
    """(…, q), if the normalizer has one."""


class OnlineNormalizer(Protocol):
    """Normalization of rows whose logits arrive tile by tile, as in online softmax.

    Milakov & Gimelshein 2018, "Online normalizer calculation for softmax".
    """

    def update(self, logits: Logits, first_key: int) -> RowMaximum | None:
        """Replace the logits of one tile by unnormalized weights, in place.

        :param logits: (…, q, k) of the tile; overwritten.
        :param first_key: index of the tile's first key.

        Returns the factor (…, q, 1) by which the output accumulated so far is to be rescaled; None for 1.
        """
        ...

    def finalize(self) -> RowState:
        """Return the state after the last tile."""
        ...
