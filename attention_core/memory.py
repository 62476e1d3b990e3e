"""Count the numbers that a call holds at once, and size the query blocks of the dense path by them."""

from dataclasses import replace
from math import prod

from attention_core.call import ResolvedCall
from attention_core.capabilities import supports_online
from attention_core.formula_mask import FormulaMask
from attention_core.masks import masks_in
from attention_core.scores.pairwise import PAIR_BLOCK_NUMBERS
from attention_core.tile_sizes import choose_tile_sizes, count_block_matrices

MAX_QUERY_BLOCK_NUMBERS = 1 << 22
"""About how many numbers a block of queries holds at once on the dense path while it is scored."""

ARRAYS_PER_ONLINE_TILE = 4
"""Arrays of a tile's shape that a tile holds at once with an online normalizer."""

ARRAYS_PER_BFLOAT16_ROUNDING = 3
"""Arrays held at once, beside the result, while an array is rounded to bfloat16."""

MAX_PAIR_BYTES = 1 << 26
"""Largest matrix of bytes that is made for a kernel of masks that show no ranges; else NumPy takes the call."""

ARRAYS_PER_VECTOR = 4
"""Arrays of a tile's queries, keys or values that projecting them holds at once, as where cosine makes unit vectors."""


def count_dense_numbers(call: ResolvedCall) -> int:
    """Return how many numbers a block of queries holds at once on the dense path.

    At least one number for each row and each key, even in a call without keys or without rows.
    """
    rows_or_keys = prod(call.score_shape[:-2]) * max(1, call.query_length, call.key_length)
    block = max(rows_or_keys, min(prod(call.score_shape), queries_per_block(call) * call.scores_per_query))
    scratch = _scratch_per_score(call) + call.normalizer.scratch_per_logit
    keys_and_values = call.stored_key.size + (0 if call.stored_value is None else call.stored_value.size)
    repeated = (call.queries_per_kv_head - 1) * keys_and_values
    return block * scratch + repeated + _mask_numbers(call)


def count_block_numbers(call: ResolvedCall) -> int:
    """Return how many numbers a block of matrices holds at once while weights are averaged over heads."""
    matrices = count_block_matrices(call)
    block = replace(call, score_shape=(1, matrices, *call.score_shape[-2:]), queries_per_kv_head=1)
    of_output = 0 if call.stored_value is None else matrices * call.query_length * call.stored_value.shape[-1]
    return count_dense_numbers(block) + prod(block.score_shape) + of_output


def count_tiled_numbers(call: ResolvedCall, threads: int) -> int:
    """Return how many numbers all threads hold at once on the tiled path: tiles and projected vectors."""
    sizes = choose_tile_sizes(call)
    is_online = supports_online(call.normalizer)
    whole_row = (call.normalizer.scratch_per_logit + 1) * call.key_length
    row = ARRAYS_PER_ONLINE_TILE * sizes.columns if is_online else whole_row + sizes.columns
    features = max(*call.features[:2], 0 if call.stored_value is None else call.stored_value.shape[-1])
    row += _formula_scratch(call) * sizes.columns
    vectors = ARRAYS_PER_VECTOR * features * (sizes.rows + sizes.columns)
    tile = sizes.matrices * (sizes.rows * row + vectors) + 2 * PAIR_BLOCK_NUMBERS
    return threads * tile + prod(call.score_shape[:-1]) + _mask_numbers(call)


def _scratch_per_score(call: ResolvedCall) -> int:
    """Return how many numbers the steps from vectors to logits hold at once for each score."""
    return call.score_model.scratch_per_score(call.features) + _formula_scratch(call)


def _formula_scratch(call: ResolvedCall) -> int:
    """Return how many numbers the formulas of score modifier and mask hold at once for each score."""
    modifier = 0 if call.score_modifier is None else call.score_modifier.scratch_per_score
    return modifier + sum(mask.scratch_per_score for mask in masks_in(call.mask) if isinstance(mask, FormulaMask))


def _mask_numbers(call: ResolvedCall) -> int:
    """Return how many numbers the bytes take that a kernel reads a mask formula from, if it shows no ranges."""
    pairs = prod(call.score_shape)
    has_formula = any(isinstance(mask, FormulaMask) for mask in masks_in(call.mask))
    return -(-pairs // call.dtype.compute.itemsize) if has_formula and pairs <= MAX_PAIR_BYTES else 0


def queries_per_block(call: ResolvedCall) -> int:
    """Return how many queries a block of the dense path has, so that it holds about `MAX_QUERY_BLOCK_NUMBERS`."""
    numbers = prod(call.score_shape) * _scratch_per_score(call)
    # Most calls are one block, for which nothing needs dividing.
    if numbers <= MAX_QUERY_BLOCK_NUMBERS:
        return call.query_length
    return max(1, MAX_QUERY_BLOCK_NUMBERS * call.query_length // numbers)
