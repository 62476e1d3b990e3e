"""Choose how a call runs: with whole matrices or one tile at a time, how it ranks keys, what it reads as stored."""

from math import prod
from typing import Literal

from attention_core.call import AttentionCall, ResolvedCall, ResultField
from attention_core.capabilities import refuses_logits
from attention_core.positions import Alibi
from attention_core.tile_sizes import count_block_matrices

MATRIX_FREE_FIELDS: frozenset[ResultField] = frozenset(("output", "logsumexp", "present"))
"""Fields that the tiled path can return: none needs a whole matrix of scores, logits or weights."""

MIN_TILED_PAIRS = 1 << 17
"""Minimum number of scores of a call on the tiled path; a smaller matrix fits in the cache as a whole."""

MIN_SELECTED_KEYS = 1024
"""Keys of a row from which on `top_k` of them are selected; all keys of a shorter row are sorted as quickly."""

MIN_KEYS_PER_RANKED_KEY = 8
"""Keys of a row for each key of its ranking from which on these are selected."""

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


def selects_ranked_keys(n_keys: int, top_k: int | None) -> bool:
    """Return whether a ranking selects the `top_k` keys of each row of `n_keys`, instead of sorting all of them."""
    return top_k is not None and n_keys >= max(MIN_SELECTED_KEYS, MIN_KEYS_PER_RANKED_KEY * top_k)


def keeps_stored_vectors(call: AttentionCall) -> bool:
    """Return whether keys and values stay as they are stored: not if they are rotated, joined or returned."""
    may_rotate = not (call.position is None or type(call.position) is Alibi)
    is_returned = call.include is not None and "present" in call.include
    return not (may_rotate or is_returned or call.past_key is not None)
