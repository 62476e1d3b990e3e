"""Peak memory of calls, measured in a process of its own, since a peak never falls.

    python -m tests.attention_core.blockwise.peak QUERIES KEYS MODEL:NORMALIZER …

Prints for each call the growth of resident memory in bytes, over inputs that are there before and less its outputs, and
the prediction, outputs left out too.
"""

import sys
from pathlib import Path

import numpy as np

from attention_core import NORMALIZERS, SCORE_MODELS, AttentionCall, evaluate, predict, resolve
from tests import calls, core_calls


def resident(field):
    """A size from /proc/self/status, in bytes."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) * 1024


def call_of(queries, keys, model, normalizer):
    """A call of float32 vectors with few features."""
    rng = np.random.default_rng(1)
    parameters = calls.MODEL_PARAMETERS[model][-1](rng.standard_normal)
    query, key, value = (
        rng.standard_normal((length, size), dtype=np.float32)
        for length, size in (
            (queries, calls.FEATURES),
            (keys, calls.key_features(model)),
            (keys, calls.VALUE_FEATURES),
        )
    )
    return AttentionCall(
        query=query, key=key, value=value,
        score_model=SCORE_MODELS[model](**core_calls.core_parameters(parameters)), normalizer=NORMALIZERS[normalizer](),
        bias=np.full(1, 200, np.float32) if normalizer in calls.POSITIVE else None, include=("output",),
    )  # fmt: skip


def grown(work):
    """What work returns, and by how many bytes the process grew at most meanwhile."""
    before = resident("VmRSS")
    # Resets the peak.
    Path("/proc/self/clear_refs").write_text("5")
    result = work()
    return result, resident("VmHWM") - before


def measure(queries, keys, model, normalizer):
    resolved = resolve(call_of(queries, keys, model, normalizer))
    cost = predict(resolved)
    assert cost.path == "tiled"
    result, growth = grown(lambda: evaluate(resolved))
    return growth - result.output.nbytes, cost.bytes - result.output.nbytes


if __name__ == "__main__":
    for pair in sys.argv[3:]:
        print(*measure(int(sys.argv[1]), int(sys.argv[2]), *pair.split(":")), flush=True)
