"""Predict the cost of a call before it runs."""

from dataclasses import dataclass
from math import prod

from attention_core.call import ResolvedCall
from attention_core.execution_path import ExecutionPath, averages_in_blocks, choose_path, selects_ranked_keys
from attention_core.field_shapes import field_shapes, output_shape
from attention_core.formula_mask import FormulaMask
from attention_core.interfaces import ELEMENTWISE_COST
from attention_core.masks import masks_in
from attention_core.memory import (
    ARRAYS_PER_BFLOAT16_ROUNDING,
    count_block_numbers,
    count_dense_numbers,
    count_tiled_numbers,
)

LOGIT_STEP_COST, NEW_MEMORY_COST, SORTING_COST, SELECTION_COST = 10, 20, 450, 10
"""Elementwise operations per pair: of one step from scores to logits, of new memory for a matrix, of a ranking that
sorts all keys, of one that selects some."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Predicted cost of a call.  For measured over predicted see benchmarks/RESULTS.md, "Predicted cost"."""

    operations: int
    """Floating-point operations of a matrix product that takes as long; other operations count by their time."""
    bytes: int
    """Peak memory beside the inputs, results included, in bytes."""
    result_numbers: int
    """Numbers in the result."""
    path: ExecutionPath = "dense"
    """The path that the call takes."""


def predict(call: ResolvedCall, threads: int = 1) -> Cost:
    """Return the predicted cost of a call on the path that `choose_path` chooses.

    :param call: what `resolve` returned.
    :param threads: number of threads on the tiled path, each with tiles of its own; default 1.
    """
    path = choose_path(call)
    if path == "tiled":
        held = count_tiled_numbers(call, threads)
    elif "mean_weights" in call.include and averages_in_blocks(call):
        held = count_block_numbers(call)
    else:
        held = count_dense_numbers(call)
        if "mean_weights" in call.include and "weights" not in call.include:
            held += prod(call.score_shape)
    return _predict(call, path, held)


def predict_dense(call: ResolvedCall) -> Cost:
    """Return the predicted cost of a call on the dense path, for callers that always take it."""
    return _predict(call, "dense", count_dense_numbers(call))


def _predict(call: ResolvedCall, path: ExecutionPath, held: int) -> Cost:
    """Return the cost of a call that holds `held` numbers at once beside its inputs and results."""
    pairs = prod(call.score_shape)
    leading = prod(call.score_shape[:-2])
    model = call.score_model
    operations = leading * model.count_operations(call.query_length, call.key_length, call.features)
    steps = (call.softcap, call.softcap, call.bias, call.mask, call.position)
    passes = call.normalizer.operations_per_logit + LOGIT_STEP_COST * sum([step is not None for step in steps])
    passes += NEW_MEMORY_COST if path == "dense" else 0
    if "ranking" in call.include:
        passes += SELECTION_COST if selects_ranked_keys(call.key_length, call.top_k) else SORTING_COST
    passes += LOGIT_STEP_COST if "mean_weights" in call.include else 0
    operations += ELEMENTWISE_COST * pairs * passes + pairs * _formula_operations(call)
    if "output" in call.include and call.stored_value is not None:
        operations += 2 * prod(output_shape(call)) * call.key_length
    held += leading * model.projected_numbers(call.query_length, call.key_length)
    sizes = [prod(shape) for name in call.include for shape in field_shapes(call, name)]
    result = sum(sizes)
    if call.layout != "bhsd" and "output" in call.include:
        held += prod(output_shape(call))
    if call.dtype.name == "bfloat16":
        held += ARRAYS_PER_BFLOAT16_ROUNDING * max(sizes, default=0)
    return Cost(operations, (held + result) * call.dtype.compute.itemsize, result, path)


def _formula_operations(call: ResolvedCall) -> int:
    """Return the operations for each pair of the formulas of score modifier and mask, as if no tile were skipped."""
    modifier = 0 if call.score_modifier is None else call.score_modifier.operations_per_score
    return modifier + sum(mask.operations_per_pair for mask in masks_in(call.mask) if isinstance(mask, FormulaMask))
