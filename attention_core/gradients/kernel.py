"""The backward pass of a call by a compiled kernel, where the selected one has it."""

from attention_core.arrays import FloatArray
from attention_core.blockwise import Workers
from attention_core.call import ResolvedCall
from attention_core.gradients.accumulation import GradientAccumulator
from attention_core.interfaces import ProgressCallback, ShouldStop
from attention_core.native import differentiate_with_kernel, selected_kernel


def run_kernel_if_any(
    call: ResolvedCall,
    output_gradient: FloatArray,
    accumulator: GradientAccumulator,
    workers: Workers,
    should_stop: ShouldStop | None,
    progress: ProgressCallback | None,
) -> FloatArray | None:
    """Fill the gradients of a whole call, and return its output; None, with no gradient filled, where NumPy must.

    :param call: the call.
    :param output_gradient: gradient of the loss with respect to the output, in its shape.
    :param accumulator: zeros, in which gradients are replaced.
    :param workers: threads that share the work.
    :param should_stop: see `differentiate`.
    :param progress: see `differentiate`.

    Raises Stopped.
    """
    kernel = selected_kernel()
    if kernel is None:
        return None
    found = differentiate_with_kernel(kernel, call, output_gradient, workers, should_stop, progress)
    if found is None:
        return None
    accumulator.query, accumulator.key, accumulator.value = found.query, found.key, found.value
    accumulator.bias = found.bias
    accumulator.score_model, accumulator.normalizer = found.score_model, found.normalizer
    return found.output
