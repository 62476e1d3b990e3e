"""Predict the cost of a backward pass before it runs."""

from math import prod

from attention_core.call import ResolvedCall
from attention_core.cost import Cost, predict
from attention_core.field_shapes import output_shape
from attention_core.gradients.call import GradientCall
from attention_core.gradients.evaluate import choose_backward_tile_sizes, max_backward_threads, numbers_per_thread
from attention_core.memory import ARRAYS_PER_BFLOAT16_ROUNDING
from attention_core.native.backward import MAX_CHUNKS
from attention_core.native.library import DOMINANT_INTEGERS
from attention_core.scores import DotProduct, ScaledDotProduct

OPERATIONS_OF_FORWARD = 3.5
"""Operations of the forward and the backward pass together, as a multiple of those predicted for the forward pass.

A dot product has two matrix products forward, and five back: the scores once more, and those that make ∂value,
∂weights, ∂query and ∂key."""

OPERATIONS_OF_FORWARD_WITH_NUMPY = 12
"""The same for score models other than dot products, for which NumPy takes several arrays for each step back."""

NUMBERS_PER_DOMINANT_KEY = 2 * DOMINANT_INTEGERS
"""Numbers of four bytes that a kernel notes down of the dominant key of a row."""


def predict_gradients(call: GradientCall, threads: int = 1) -> Cost:
    """Return the predicted cost of a backward pass, that of its forward pass included.

    :param call: what `resolve_gradients` returned.
    :param threads: number of threads, each with rows of its own; default 1.

    Its `path` is always "tiled", as no matrix is ever whole.  Memory is that of NumPy or of a kernel, whichever is
    more: rows with NaN or ∞ among their numbers are left to NumPy once a kernel has differentiated the others.  Raises
    nothing.
    """
    resolved = call.resolved
    forward = predict(resolved)
    is_product = isinstance(resolved.score_model, DotProduct | ScaledDotProduct)
    factor = OPERATIONS_OF_FORWARD if is_product else OPERATIONS_OF_FORWARD_WITH_NUMPY
    numbers = max(_count_kernel_numbers(resolved), _count_numpy_numbers(resolved, threads)) + sum(call.sizes.values())
    if resolved.dtype.name == "bfloat16":
        numbers += ARRAYS_PER_BFLOAT16_ROUNDING * max(call.sizes.values())
    return Cost(
        int(factor * forward.operations),
        numbers * resolved.dtype.compute.itemsize,
        sum(call.sizes[name] for name in call.include),
        "tiled",
    )


def _count_kernel_numbers(call: ResolvedCall) -> int:
    """Return how many numbers a kernel holds at once: gradients of queries for each chunk of keys, and of all else."""
    leading, rows = prod(call.score_shape[:-2]), prod(call.score_shape[:-1])
    value_features = output_shape(call)[-1]
    queries = MAX_CHUNKS * rows * (call.query.shape[-1] + 3) + rows * NUMBERS_PER_DOMINANT_KEY
    keys = leading // call.queries_per_kv_head * call.key_length * (call.key.shape[-1] + value_features + 1)
    bias = 0 if call.bias is None else call.bias.size
    # The output and its gradient, which may be one number for all of it.
    return queries + keys + bias + 2 * prod(output_shape(call))


def _count_numpy_numbers(call: ResolvedCall, threads: int) -> int:
    """Return how many numbers all threads hold at once with NumPy: sums of gradients, and rows with their keys."""
    sizes = choose_backward_tile_sizes(call)
    given = (call.query, call.key, call.value, call.bias)
    sums = sum(array.size for array in given if array is not None)
    n_tasks = -(-prod(call.score_shape[:-2]) // sizes.matrices) * -(-call.query_length // sizes.rows)
    threads = min(threads, n_tasks, max_backward_threads(call, sizes))
    return threads * numbers_per_thread(call, sizes) + sums + 2 * prod(output_shape(call)) + prod(call.score_shape[:-1])
