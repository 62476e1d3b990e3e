"""The cost of a check stays within its prediction, and a check can be stopped."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from attention_core import AttentionCall, Stopped, attend, evaluate, resolve
from attention_core.checking import MISTAKES, Check
from attention_core.checking.search import MAX_VARIANTS
from attention_core.execution_path import choose_path
from attention_core.masks import Causal, KeyLengths, Window
from attention_core.scores import ScaledDotProduct
from tests import core_calls
from tests.service.checking.planting import REQUESTS, WITH_FORMULAS


class Counting(ScaledDotProduct):
    """Counts the pairs it scores."""

    scored = 0

    def score_pairs(self, queries, keys, out=None):
        Counting.scored += queries[0].shape[-2] * keys[0].shape[-1]
        return super().score_pairs(queries, keys, out)


def noisy_check(shape, keys, names, *, noise=0.2, **options):
    """The check of a candidate that no mistake explains."""
    rng = np.random.default_rng(1)
    key_shape = (*shape[:-2], keys, shape[-1])
    arrays = {name: rng.standard_normal(key_shape if name != "query" else shape) for name in ("query", "key", "value")}
    right = attend(**arrays, include=names, **options)
    candidate = {name: np.asarray(right.arrays[name], float) for name in names}
    candidate = {name: array * (1 + noise * rng.standard_normal(array.shape)) for name, array in candidate.items()}
    return Check.of(AttentionCall(**arrays, include=names, **options), candidate)


ALL = ("output", "weights", "scores", "logsumexp")


@pytest.mark.soak
@pytest.mark.parametrize(
    ("shape", "keys", "names", "options"),
    [
        ((2, 2, 384, 16), 384, ("output",), {}),
        ((2, 2, 384, 16), 384, ("weights",), {"dtype": "bfloat16"}),
        ((2, 2, 384, 16), 384, ALL, {"dtype": "float16", "mask": Causal()}),
        ((3000, 8), 3000, ("output",), {"dtype": "float32", "mask": Causal() & KeyLengths(np.array([2500]))}),
        ((2, 2, 384, 16), 384, ALL, {"noise": 0.0}),
        ((1, 8), 4096, ("output", "weights"), {}),
        ((2, 3, 4, 8), 5000, ("output",), {}),
    ],
)
def test_a_check_holds_no_more_than_it_predicts(shape, keys, names, options):
    check = noisy_check(shape, keys, names, **options)
    tracemalloc.start()
    try:
        check.run()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    predicted = check.predict().bytes
    assert peak <= predicted
    # The prediction is that of whole matrices, which the search may need; a long call of output alone has none.
    assert peak > predicted / 8 or choose_path(check.resolved) == "tiled"


def test_output_of_a_long_sequence_is_checked_without_the_whole_matrix():
    length = 5000
    check = noisy_check((length, 4), length, ("output",))
    tracemalloc.start()
    try:
        result = check.run()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (result.passed, result.likely_cause) == (False, None)
    assert peak <= check.predict().bytes < length * length * 8


@pytest.mark.parametrize("noise", [0.2, 0.0])
def test_a_failing_check_scores_few_more_pairs_than_a_passing_one(noise):
    queries, keys = 1024, 1024
    check = noisy_check((queries, 8), keys, ("output",), noise=noise, score_model=Counting(), mask=Causal())
    Counting.scored = 0
    assert check.run().passed == (noise == 0)
    visible = queries * (keys + 1) // 2
    assert visible <= Counting.scored <= (1 if noise == 0 else 3) * queries * keys


def test_mistakes_that_show_nowhere_are_not_tried_on_all_queries():
    """The rows that see nothing are NaN; no other mask would hide anything, so only that explains the candidate."""
    length = 400
    mask = Causal() & Window(left=length) & KeyLengths(np.array([length]))
    right = noisy_check((length, 8), length, ("output",), noise=0, score_model=Counting(), mask=mask, offset=-2)
    output = right.candidate["output"].copy()
    output[:2] = np.nan
    Counting.scored = 0
    assert replace(right, candidate={"output": output}).run().likely_cause == "rows without a visible key are NaN"
    assert Counting.scored < 3 * length * length


def test_pairs_scored_stay_within_the_predicted_operations():
    check = noisy_check((16, 8), 16, ("output", "weights"), score_model=Counting(), mask=Causal())
    per_pair = 2 * 8
    Counting.scored = 0
    check.run()
    assert Counting.scored * per_pair <= check.predict().operations


@pytest.mark.soak
def test_there_are_no_more_ways_than_were_reckoned_with():
    most = 0
    for name, request in (REQUESTS | WITH_FORMULAS).items():
        call = core_calls.core_call(request)
        rng = np.random.default_rng(0)
        shape = attend_shapes(call)
        check = Check.of(call, {field: rng.standard_normal(size) for field, size in shape.items()})
        check.candidate["output"].flat[0] = np.nan
        with np.errstate(all="ignore"):
            variants = sum(1 for mistake in MISTAKES.values() for _ in mistake(check.context()))
        assert variants <= MAX_VARIANTS, name
        most = max(most, variants)
    assert most > MAX_VARIANTS / 2


def attend_shapes(call):
    return {name: array.shape for name, array in evaluate(resolve(replace(call, include=ALL))).arrays.items()}


@pytest.mark.parametrize("after", [0, 1, 5, 25])
def test_a_check_can_be_stopped_between_mistakes(after):
    check = noisy_check((40, 4), 40, ALL, mask=Causal())
    asked = []

    def should_stop():
        asked.append(None)
        return len(asked) > after

    with pytest.raises(Stopped):
        check.run(should_stop)
    assert len(asked) == after + 1


def test_should_stop_is_called_often_during_a_search():
    check = noisy_check((2, 100, 8), 100, ("output", "weights"), mask=Causal())
    asked = []
    check.run(lambda: bool(asked.append(None)))
    assert len(asked) > 25
