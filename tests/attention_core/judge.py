"""Holding a path against the oracle, within the bound that the plainest evaluation in the same precision sets.

The bound compares largest errors.  On a tensor of twenty numbers the plain evaluation may be right by luck, so that
combinations which differ in setting and heads only are judged together, as one large tensor.
"""

from collections import defaultdict

import numpy as np

from attention_core import evaluate, resolve
from tests import calls, oracle, plain

FIELDS = ("scores", "capped_scores", "logits", "weights", "output")


def judge(combinations):
    """Fail unless every field of every combination is within the derived bound of the oracle."""
    pools = defaultdict(list)
    for one in combinations:
        for field, received, reference, simple in _fields(one):
            # A dtype's logsumexp stays in the type that it is computed in.
            dtype = plain.COMPUTE[one.dtype].__name__ if field == "logsumexp" else one.dtype
            pools[one.score_model, one.normalizer, one.dtype, field, dtype].append((received, reference, simple))
    for key, pooled in pools.items():
        received, reference, simple = (np.concatenate([numbers[n] for numbers in pooled]) for n in range(3))
        error = np.max(np.abs(received - reference), initial=0)
        limit = plain.bound(reference, simple, key[-1])
        assert error <= limit, (key, error, limit)


def _fields(combination):
    """Yield name, received, reference and plain numbers of each field, where the reference is finite."""
    request = combination.request()
    names = (*FIELDS, "logsumexp") if combination.normalizer == "softmax" else FIELDS
    result = evaluate(resolve(calls.core_call(request, include=names)))
    expected = oracle.attention(request)
    simple = plain.attention(request)
    for name in names:
        received, reference = result.arrays[name].astype(float), np.array(expected[name], float)
        assert received.shape == reference.shape, (combination, name)
        finite = np.isfinite(reference)
        np.testing.assert_array_equal(received[~finite], reference[~finite], err_msg=f"{combination} {name}")
        assert np.isfinite(received[finite]).all(), (combination, name)
        yield name, received[finite], reference[finite], np.broadcast_to(simple[name], reference.shape)[finite]
