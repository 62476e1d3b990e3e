"""`jax.nn.dot_product_attention` on the CPU, compiled once, with inputs in its own layout (B, L, H, D)."""

import os
import sys

import jax
import numpy as np

from benchmarks.backends.loop import Arrays, Prepared, serve
from benchmarks.work import Work


def prepare(work: Work, arrays: Arrays) -> Prepared:
    """Compile a call; it waits for its result, since JAX computes in the background."""
    tensors = [jax.numpy.asarray(np.ascontiguousarray(one.swapaxes(1, 2))) for one in arrays.values()]
    call = jax.jit(lambda *inputs: jax.nn.dot_product_attention(*inputs, is_causal=work.causal))
    return Prepared(lambda: call(*tensors).block_until_ready(), lambda result: [np.asarray(result).swapaxes(1, 2)])


if __name__ == "__main__":
    # XLA starts as many threads as the process has cores, at the first computation.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: int(sys.argv[1])])
    serve(prepare)
