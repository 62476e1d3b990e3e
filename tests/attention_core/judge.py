"""Compare NumPy and every kernel with the oracle, within the bound of the plainest evaluation in the same precision.

The bound compares largest errors.  On a tensor of twenty numbers the plain evaluation may be right by luck, so that
combinations which differ in setting and heads only are judged together, as one large tensor.
"""

from collections import defaultdict

import numpy as np

from attention_core import evaluate, resolve
from attention_core.native import using_kernel
from tests import bounds, core_calls, oracle, plain
from tests.attention_core.native.kernels import KERNELS

FIELDS = ("scores", "capped_scores", "logits", "weights", "output")
"""Fields that kernels have: beside modified scores, which they lack, NumPy would compute all of them."""


def judge(
    combinations,
    reference=oracle.attention,
    pool=lambda one: None,
    kernels=("numpy", *KERNELS),
    ways=lambda request: (request,),
):
    """Fail unless every field of every combination is within the derived bound of the reference, with every kernel.

    `reference` returns the fields of a request, `pool` what else combinations that are judged together share, and
    `ways` the ways of writing a request whose plain evaluations count.
    """
    pools = defaultdict(list)
    for one in combinations:
        for kernel, field, *numbers in _fields(one, reference, kernels, ways):
            # A dtype's logsumexp stays in the type that it is computed in.
            dtype = plain.COMPUTE[one.dtype].__name__ if field == "logsumexp" else one.dtype
            pools[kernel, one.score_model, one.normalizer, one.dtype, field, pool(one), dtype].append(numbers)
    for key, pooled in pools.items():
        received, expected, simple = (np.concatenate([numbers[n] for numbers in pooled]) for n in range(3))
        error = np.max(np.abs(received - expected), initial=0)
        limit = bounds.bound(expected, simple, key[-1])
        assert error <= limit, (key, error, limit)


def _fields(combination, reference, kernels, ways):
    """Yield kernel, name, received, reference and plain numbers of each field, where the reference is finite."""
    request = combination.request()
    names = (*FIELDS, "logsumexp") if combination.normalizer == "softmax" else FIELDS
    expected = reference(request)
    simple = bounds.worst(ways(request), expected)
    if combination.normalizer == "hardmax" and _has_new_ties(expected, plain.COMPUTE[combination.dtype]):
        names = tuple(name for name in names if name not in ("weights", "output"))
    right = {name: np.array(expected[name], float) for name in (*names, "modified")}
    finite = {name: np.isfinite(numbers) for name, numbers in right.items()}
    compared = {
        name: (right[name][where], np.broadcast_to(simple[name], where.shape)[where]) for name, where in finite.items()
    }
    for kernel, fields in (*((kernel, names) for kernel in kernels), ("numpy", ("modified",))):
        with using_kernel(kernel):
            result = evaluate(resolve(core_calls.core_call(request, include=fields)))
        for name in fields:
            received, where, case = result.arrays[name].astype(float), finite[name], (kernel, combination, name)
            assert received.shape == where.shape, case
            assert np.array_equal(received[~where], right[name][~where], equal_nan=True), case
            assert np.isfinite(received[where]).all(), case
            yield kernel, name, received[where], *compared[name]


def _has_new_ties(expected, compute):
    """Whether the largest logits of a row are the same number in the compute type and are not; either may win then."""
    exact = np.array(expected["logits"], float)
    rounded = exact.astype(compute)
    winners = [(logits == logits.max(-1, keepdims=True)).sum(-1) for logits in (exact, rounded)]
    return bool(np.any(winners[0] != winners[1]))
