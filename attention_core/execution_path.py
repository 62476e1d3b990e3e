"""Choose whether a call runs with whole matrices or one tile at a time."""

from math import prod
from typing import Literal

from attention_core.call import ResolvedCall, ResultField
from attention_core.capabilities import refuses_logits
from attention_core.tile_sizes import count_block_matrices

MATRIX_FREE_FIELDS: frozenset[ResultField] = frozenset(("output", "logsumexp", "present"))
"""Fields that the tiled path can return: none needs a whole matrix of scores, logits or weights."""

MIN_TILED_PAIRS = 1 << 17
"""Minimum number of scores of a call on the tiled path; a smaller matrix fits in the cache as a whole."""

ExecutionPath = Literal["dense", "tiled"]
"""How a call runs: with whole matrices, or one tile at a time."""


def averages_in_blocks(call: ResolvedCall) -> bool:
    """Return whether a call with mean_weights computes the weights of some matrices at a time: nothing else needs them.

    Normalizers that refuse logits name the first one in the whole call, of which a block knows its own part alone.
    """
    if not call.include <= MATRIX_FREE_FIELDS | {"mean_weights"} or refuses_logits(call.normalizer):
        return False
    return count_block_matrices(call) < prod(call.score_shape[:-2])


def choose_path(call: ResolvedCall) -> ExecutionPath:
    """Return "tiled" if no matrix is included and there are at least `MIN_TILED_PAIRS` scores, else "dense"."""
    return "tiled" if call.include <= MATRIX_FREE_FIELDS and prod(call.score_shape) >= MIN_TILED_PAIRS else "dense"
