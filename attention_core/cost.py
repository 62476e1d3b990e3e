"""What a call will cost, known before anything is computed."""

from dataclasses import dataclass
from math import prod

import numpy as np

from attention_core.call import Field, ResolvedCall


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
    operations += pairs * (call.normalizer.operations_per_logit() + (call.bias is not None) + (call.mask is not None))
    if "output" in call.include and call.value is not None:
        operations += 2 * prod(output_shape(call)) * call.key_length
    result = sum(prod(field_shape(call, name)) for name in call.include)
    held = 4 * pairs + result
    return Cost(operations, held * call.dtype.compute.itemsize, result)


def output_shape(call: ResolvedCall) -> tuple[int, ...]:
    """Return (…, Lq, Dv)."""
    if call.value is None:
        raise ValueError("a call without values has no output")
    leading = np.broadcast_shapes(call.scores[:-2], call.value.shape[:-2])
    return (*leading, call.query_length, call.value.shape[-1])


def field_shape(call: ResolvedCall, name: Field) -> tuple[int, ...]:
    """Return the shape of one field of the result."""
    if name == "output":
        return output_shape(call)
    return call.scores[:-1] if name == "logsumexp" else call.scores
