"""What a call will cost, known before anything is computed."""

from dataclasses import dataclass
from math import prod

import numpy as np

from attention_core.call import Field, ResolvedCall

BLOCK_NUMBERS = 1 << 22
"""About how many numbers a block of queries may hold while it is scored."""

MATRICES = 4
"""Besides its scores a block holds logits, weights and what it takes to make them."""

NUMBERS_PER_RANK = 3
"""A ranked key, its score and its weight."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Predicted cost: floating-point operations, peak bytes beside the inputs, and numbers in the result."""

    operations: int
    bytes: int
    result_numbers: int


def predict(call: ResolvedCall) -> Cost:
    """Return the cost of the dense path."""
    pairs = prod(call.scores)
    leading = prod(call.scores[:-2])
    model = call.score_model
    operations = leading * model.operations(call.query_length, call.key_length, call.features)
    steps = (call.softcap, call.softcap, call.bias, call.mask, call.position)
    operations += pairs * (call.normalizer.operations_per_logit() + sum(step is not None for step in steps))
    if "output" in call.include and call.value is not None:
        operations += 2 * prod(output_shape(call)) * call.key_length
    result = sum(prod(shape) for name in call.include for shape in field_shapes(call, name))
    block = min(pairs, queries_per_block(call) * call.scores_per_query)
    held = block * (model.scratch(call.features) + MATRICES) + result
    return Cost(operations, held * call.dtype.compute.itemsize, result)


def queries_per_block(call: ResolvedCall) -> int:
    """Return how many queries the dense path takes at once, so that their scratch stays near BLOCK_NUMBERS."""
    per_query = call.scores_per_query * call.score_model.scratch(call.features)
    return max(1, BLOCK_NUMBERS // max(1, per_query))


def output_shape(call: ResolvedCall) -> tuple[int, ...]:
    """Return (…, Lq, Dv)."""
    if call.value is None:
        raise ValueError("a call without values has no output")
    leading = np.broadcast_shapes(call.scores[:-2], call.value.shape[:-2])
    return (*leading, call.query_length, call.value.shape[-1])


def field_shapes(call: ResolvedCall, name: Field) -> list[tuple[int, ...]]:
    """Return the shapes of the arrays that one field of the result consists of."""
    rows, keys = call.scores[:-1], (*call.scores[:-2], call.scores[-1])
    if name == "output":
        return [output_shape(call)]
    if name == "logsumexp":
        return [rows]
    if name == "present":
        return [] if call.present is None else [array.shape for array in call.present]
    if name == "diagnostics":
        spread = 5 if call.normalizer.is_distribution else 2
        return [rows] * spread + [keys]
    if name == "ranking":
        most = call.key_length if call.top_k is None else min(call.top_k, call.key_length)
        return [(*rows, most)] * NUMBERS_PER_RANK
    return [call.scores]
