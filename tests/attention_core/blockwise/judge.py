"""Compare the tiled path with the oracle in float64, and with the dense path in float64 for other types.

The ladder holds the one against the other.  The bound is that of the ladder: twice the error of the plainest evaluation
in the same precision, and one unit in the last place.
"""

from collections import defaultdict
from itertools import groupby
from operator import itemgetter

import numpy as np

from attention_core import Workers, resolve
from attention_core.blockwise import evaluate_tiled
from attention_core.dense import evaluate_dense
from attention_core.heads import pack_heads
from attention_core.reference import to_float64_reference
from attention_core.tile_sizes import TileSizes
from tests import bounds, core_calls, oracle, plain

SIZES = (TileSizes(2, 2), TileSizes(3, 5, 4), TileSizes(1, 3, 2), TileSizes(8, 4, 3))
"""Of scores of 3 × 5: none divides both, one is the whole, one is larger; some hold several matrices."""

ONE_THREAD = Workers(1)


def tiled(call, sizes, workers=ONE_THREAD, should_stop=None, progress=None):
    """Fields of the tiled path alone, and the largest logits."""
    with np.errstate(all="ignore"):
        return evaluate_tiled(call, sizes, workers, should_stop, progress)


def dense(call):
    """Fields of the dense path as they are returned, unrounded."""
    with np.errstate(all="ignore"):
        fields, _ = evaluate_dense(call, None, None)
    return fields | {"output": pack_heads(fields["output"])} if call.has_packed_heads else fields


def judge(chosen):
    """Fail unless output and logsumexp of every combination are within the derived bound at each of its tile sizes.

    `chosen` holds pairs of a combination and tile sizes; those of one combination stand together.
    """
    pools = defaultdict(list)
    for one, pairs in groupby(chosen, key=itemgetter(0)):
        for field, numbers in _fields(one, [sizes for _, sizes in pairs]):
            pools[one.score_model, one.normalizer, one.dtype, field].append(numbers)
    for key, pooled in pools.items():
        received, reference, simple = (np.concatenate([numbers[n] for numbers in pooled]) for n in range(3))
        dtype = plain.COMPUTE[key[2]].__name__ if key[3] == "logsumexp" else key[2]
        error, limit = np.max(np.abs(received - reference), initial=0), bounds.bound(reference, simple, dtype)
        assert error <= limit, (key, error, limit)


def _fields(one, every_size):
    """Yield each field's received, reference and plain numbers where the reference is finite."""
    request = one.request()
    names = ("output", "logsumexp") if one.normalizer == "softmax" else ("output",)
    call = resolve(core_calls.core_call(request, include=names))
    exact = to_float64_reference(core_calls.core_call(request, include=(*names, "scores")))
    expected = oracle.attention(request) if one.dtype == "float64" else dense(resolve(exact))
    simple = bounds.worst((request,), expected)
    for sizes in every_size:
        fields, _ = tiled(call, sizes)
        for name in names:
            received, reference = fields[name], np.array(expected[name], float)
            if name == "output":
                received = call.dtype.store(pack_heads(fields[name]) if call.has_packed_heads else fields[name])
            assert received.shape == reference.shape, (one, name)
            finite = np.isfinite(reference)
            np.testing.assert_array_equal(received[~finite], reference[~finite], err_msg=f"{one} {sizes} {name}")
            assert np.isfinite(received[finite]).all(), (one, sizes, name)
            plainly = np.broadcast_to(simple[name], reference.shape)
            yield name, (received[finite].astype(float), reference[finite], plainly[finite])
