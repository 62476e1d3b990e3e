"""Peak memory of calls that a kernel runs, measured in a process of its own, since a peak never falls.

    python -m tests.attention_core.native.peak KERNEL LENGTH KIND …

Prints the growth of resident memory in bytes for each call, less its output.
"""

import sys

import numpy as np

from attention_core import AttentionCall, Causal, KeyLengths, Sparsemax, Window, Workers, evaluate, resolve
from attention_core.masks import Allowed
from attention_core.native import select_kernel
from tests.attention_core.blockwise.peak import grown

FEATURES = 4


def options(kind, length):
    """What a kind of call has beside its vectors."""
    if kind in ("allowed", "two matrices allowed"):
        masks = Allowed(np.ones((length, length), bool))
        return {"mask": masks & Allowed(np.ones((length, length), bool)) if kind.startswith("two") else masks}
    if kind == "sparsemax":
        return {"normalizer": Sparsemax(), "mask": Causal()}
    if kind == "bias":
        return {"bias": np.zeros((length, length), np.float32)}
    masks = {
        "full": None,
        "causal": Causal(),
        "window": Window(left=256, right=0),
        "lengths": KeyLengths(np.full(length, length // 2)[None]),
    }
    return {"mask": masks[kind]}


def measure(kind, length, workers):
    rng = np.random.default_rng(1)
    query, key, value = (rng.standard_normal((length, FEATURES), dtype=np.float32) for _ in range(3))
    call = AttentionCall(query=query, key=key, value=value, include=("output",), **options(kind, length))
    resolved = resolve(call)
    result, growth = grown(lambda: evaluate(resolved, workers=workers))
    return growth - result.output.nbytes


if __name__ == "__main__":
    select_kernel(sys.argv[1])
    two = Workers(2)
    # The first call pays for modules that are loaded late, and for threads.
    measure("full", 3000, two)
    for name in sys.argv[3:]:
        print(measure(name, int(sys.argv[2]), two), flush=True)
