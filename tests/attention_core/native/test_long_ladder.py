"""NumPy and every kernel at lengths and sizes that divide panels, blocks and spans, and at those beside them.

The reference is the plainest evaluation in extended precision, which the oracle judges here first.
"""

import itertools
from dataclasses import dataclass
from typing import get_args

import numpy as np
import pytest

from attention_core import NORMALIZERS, SCORE_MODELS, evaluate, resolve
from attention_core.dtypes import DTYPES
from attention_core.kernel_forms import NormalizerKind
from attention_core.native import evaluate_with_kernel, using_kernel
from tests import calls, core_calls, oracle, plain
from tests.attention_core.judge import FIELDS, judge
from tests.attention_core.native.kernels import KERNELS
from tests.sampling import every

KEYS = (1, 31, 32, 33, 255, 256, 257, 2047, 2048, 2049)
FEATURES = (1, 15, 16, 33, 64, 65)
QUERIES = (1, 2, 6, 13, 14, 15, 29)

MANY_KEYS, MANY_FEATURES = 1000, 20
"""From here on there are few queries and heads: the reference visits every pair."""

LIFT = 2e4
"""More than any score is below 0, so that the logits of proportional are not negative."""

SPARSE = {"sparsemax", "entmax", "hardmax"}
"""Normalizers of whole rows, which NumPy has."""


@dataclass(frozen=True)
class Sized(calls.Combination):
    """A combination with sizes of its own."""

    queries: int
    keys: int
    features: int
    value_features: int

    def request(self):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(calls, "QUERIES", self.queries)
            patch.setattr(calls, "KEYS", self.keys)
            patch.setattr(calls, "FEATURES", self.features)
            patch.setattr(calls, "FEWER_FEATURES", self.features)
            patch.setattr(calls, "UNITS", self.value_features)
            patch.setattr(calls, "VALUE_FEATURES", self.value_features)
            patch.setattr(calls, "LIFT", LIFT)
            return super().request()


def sized(pair, features):
    """One combination for each number of keys in one dtype, in turn with settings, heads and the other sizes."""
    model, normalizer = pair
    first = 7 * list(SCORE_MODELS).index(model) + 3 * list(NORMALIZERS).index(normalizer) + FEATURES.index(features)
    # Sums of thousands of raw scores leave the range of half types.
    dtypes = calls.DTYPES[:2] if normalizer == "none" else calls.DTYPES
    dtype = dtypes[first % len(dtypes)]
    chosen = []
    for place, keys in enumerate(KEYS):
        turn = first + 11 * place
        setting = list(calls.SETTINGS)[turn % len(calls.SETTINGS)]
        layouts = [name for name, layout in calls.HEADS.items() if layout.past < keys and name != "wider values"]
        queries = QUERIES
        if keys > MANY_KEYS:
            layouts, queries = ["rank 2", "cache", "grouped"][: 3 if features < MANY_FEATURES else 1], (1, 3, 5)
        if setting.startswith("rotary") and features % 2:
            setting = "everything"
        sizes = queries[turn % len(queries)], keys, features, FEATURES[(turn + place) % len(FEATURES)]
        chosen.append(Sized(model, normalizer, setting, layouts[turn % len(layouts)], dtype, *sizes))
    return chosen


PAIRS = [(model, normalizer) for model in SCORE_MODELS for normalizer in NORMALIZERS if normalizer not in SPARSE]


def test_the_sizes_are_the_whole_product():
    chosen = [one for pair in PAIRS for features in FEATURES for one in sized(pair, features)]
    assert {one.setting for one in chosen} == set(calls.SETTINGS)
    assert {one.heads for one in chosen} == set(calls.HEADS) - {"wider values"}
    for keys in KEYS:
        here = [one for one in chosen if one.keys == keys]
        assert {one.dtype for one in here} == set(DTYPES)
        assert keys > MANY_KEYS or {one.queries for one in here} == set(QUERIES)
        assert {one.value_features for one in here} == set(FEATURES)


ORACLE_POINTS = {"softmax": "everything", "sigmoid": "rotary", "relu": "bias", "none": "alibi", "proportional": "none"}
"""A setting for each normalizer."""


def test_extended_precision_equals_the_oracle():
    chosen = [
        calls.Combination(model, normalizer, setting, "grouped", "float64")
        for model in SCORE_MODELS
        for normalizer, setting in ORACLE_POINTS.items()
    ]
    for one in chosen:
        request = one.request()
        expected, received = oracle.attention(request), plain.extended(request)
        for name, numbers in received.items():
            right = np.array(expected[name], float)
            finite = np.isfinite(right)
            np.testing.assert_array_equal(numbers[~finite], right[~finite])
            largest = np.max(np.abs(right[finite]), initial=0)
            assert np.max(np.abs(numbers[finite] - right[finite]), initial=0) <= np.spacing(largest), (one, name)


# An eleventh of the points takes four minutes; neither 11 nor 13 divides the number of sizes of features.
@pytest.mark.parametrize("point", every(13, list(itertools.product(PAIRS, FEATURES))[::11]))
def test_lengths_beside_the_edges_of_panels_blocks_and_spans(point):
    judge(sized(*point), plain.extended, pool=lambda one: one.features)


def test_a_kernel_takes_every_call_that_it_has_a_score_model_and_a_normalizer_for(monkeypatch):
    """With the fields that the ladder asks for; else it compares NumPy with itself."""
    taken = []

    def spy(*given):
        taken.append(evaluate_with_kernel(*given))
        return taken[-1]

    monkeypatch.setitem(evaluate.__globals__, "evaluate_with_kernel", spy)
    for one in calls.combinations()[::101]:
        request = one.request()
        call = resolve(core_calls.core_call(request, include=FIELDS))
        for kernel in KERNELS:
            with using_kernel(kernel):
                evaluate(call)
            has_no_form = one.heads == "wider values" or request.get("score_modifier")
            is_for_kernel = one.normalizer not in SPARSE and not has_no_form
            assert (taken.pop() is not None) == is_for_kernel, (kernel, one)
    assert set(get_args(NormalizerKind)) == set(NORMALIZERS) - SPARSE
