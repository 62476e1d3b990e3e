"""Fits of mistakes to a candidate, and the queries by which they are sampled."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from attention_core.arrays import BoolArray, FloatArray, IntArray
from attention_core.checking.variants import ChangedCall, FittedNumber

SAMPLED_ROWS = 4
"""Number of queries that are evaluated first, of the wrong ones that see a key, of all wrong ones, and of all."""


@dataclass(frozen=True, slots=True)
class Cause:
    """A mistake that reproduces the candidate, by its name, and the number that was fitted for it, if one was."""

    name: str
    fitted: FittedNumber | None = None
    exact: bool = True
    """Whether it gives the candidate's own numbers; False if only to within its rounding or a tolerance."""


@dataclass(frozen=True, slots=True)
class Fit:
    """Closeness with which a variant reproduces the candidate, and the evidence for it."""

    cause: Cause
    excess: tuple[float, ...]
    """For each level the largest error in tolerances; ∞ at levels closer than the first that it exceeds."""
    level: int
    digits: float
    variant: ChangedCall | None
    """The variant, which is not evaluated for all queries yet; None if it is."""


def first_level_within(excess: Iterable[float]) -> int:
    """Return the first level at which an error is within the tolerance; the number of levels if there is none."""
    found = list(excess)
    return next((level for level, errors in enumerate(found) if errors <= 1), len(found))


def spread_rows(rows: BoolArray) -> IntArray:
    """Return some of the marked rows, from the first to the last."""
    marked = np.flatnonzero(rows)
    return marked[np.linspace(0, len(marked) - 1, min(SAMPLED_ROWS, len(marked))).astype(int)]


def farthest_rows(far: FloatArray, rows: BoolArray) -> IntArray:
    """Return some of the marked rows, those that are farthest from right."""
    marked = np.flatnonzero(rows)
    return marked[np.argsort(-far[marked], kind="stable")[:SAMPLED_ROWS]]
