"""Arrays that every case shares, and what a case is."""

from dataclasses import dataclass
from typing import Any

import numpy as np

B, HQ, HKV, LQ, LK, D = 2, 4, 2, 3, 5, 4
"""Batch rows, query and key-value heads, queries, keys and features."""


def drawn(*shape: int) -> np.ndarray:
    """Return standard normal numbers, the same for the same shape."""
    return np.random.default_rng(shape).standard_normal(shape)


QUERY, KEY, VALUE = drawn(B, HQ, LQ, D), drawn(B, HQ, LK, D), 1 - drawn(B, HQ, LK, D)[:, :, ::-1]
"""One key-value head for each query head."""
GROUPED = {"query": QUERY, "key": drawn(B, HKV, LK, D), "value": 1 - drawn(B, HKV, LK, D)[:, :, ::-1]}
"""Each key-value head shared by two query heads."""
FULL = {"query": QUERY, "key": KEY, "value": VALUE}
SINGLE = {"query": drawn(B, LQ, D), "key": drawn(B, LK, D), "value": 1 - drawn(B, LK, D)[:, ::-1]}
"""Without a head axis."""

ALLOWED = np.array(
    [[True, False, True, False, False], [True, True, False, True, False], [False, True, False, True, True]]
)
"""(LQ, LK): keys that a query may see, at least one each, neither causal nor a prefix."""
KEPT = np.array([[True, False, True, True, False], [True, True, True, False, True]])
"""(B, LK): keys that are no padding."""
BIAS = drawn(1, HQ, LQ, LK)
LENGTHS = np.array([3, 5])
"""(B): keys that are no padding, where padding stands at the end."""


@dataclass(frozen=True)
class Case:
    """The results of another library, and the request that is to give the same.

    `expected` holds arrays by their dotted place in the answer, in our shapes.  `path` is the endpoint.
    """

    request: dict[str, Any]
    expected: dict[str, Any]
    path: str = "/v1/attention"
    tolerance: float = 1e-9
    """Largest absolute difference; the numbers are of size 1."""


def swapped(array: Any) -> np.ndarray:
    """Return (B, L, H, D) for (B, H, L, D), and the other way."""
    return np.ascontiguousarray(np.swapaxes(np.asarray(array), 1, 2))


def hidden(allowed: np.ndarray) -> np.ndarray:
    """Return numbers to be added: 0 where a key is visible, else minus infinity."""
    return np.where(allowed, 0.0, -np.inf)
