"""Choose whether a call runs with whole matrices or one tile at a time."""

from math import prod
from typing import Literal

from attention_core.call import ResolvedCall, ResultField

MATRIX_FREE_FIELDS: frozenset[ResultField] = frozenset(("output", "logsumexp", "present"))
"""Fields that the tiled path can return: none needs a whole matrix of scores, logits or weights."""

MIN_TILED_PAIRS = 1 << 17
"""Minimum number of scores of a call on the tiled path; a smaller matrix fits in the cache as a whole."""

ExecutionPath = Literal["dense", "tiled"]
"""How a call runs: with whole matrices, or one tile at a time."""


def choose_path(call: ResolvedCall) -> ExecutionPath:
    """Return "tiled" if no matrix is included and there are at least `MIN_TILED_PAIRS` scores, else "dense"."""
    return "tiled" if call.include <= MATRIX_FREE_FIELDS and prod(call.score_shape) >= MIN_TILED_PAIRS else "dense"
