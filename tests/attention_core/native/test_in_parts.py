"""A call in parts that other processes compute has the bits of the whole call."""

import itertools
import pickle
import random

import numpy as np
import pytest

from attention_core import NORMALIZERS, SCORE_MODELS, Causal, Softmax, evaluate, resolve
from attention_core.call import AttentionCall
from attention_core.native import evaluate_in_parts, evaluate_part, selected_kernel, using_kernel
from tests import calls, core_calls
from tests.attention_core.native.drawn import draw
from tests.attention_core.native.kernels import KERNELS, assert_same_bits
from tests.sampling import every

PARTS = (2, 3, 7)


class Elsewhere:
    """Computes parts from copies of the memory that they name, last part first."""

    def __init__(self):
        self.parts = 0
        self.sent_bytes = 0

    def __call__(self, cut, should_stop):
        for part in reversed(cut.parts):
            copies = {number: cut.regions[number].copy() for number in part.regions}
            self.parts += 1
            self.sent_bytes += sum(one.nbytes for one in copies.values())
            yield part, evaluate_part(pickle.loads(pickle.dumps(part)), copies, should_stop)


def in_parts(call, n_parts, elsewhere):
    """The result of a resolved call in parts."""

    def run(kernel, call, required, workers, should_stop, progress):
        return evaluate_in_parts(kernel, call, required, n_parts, elsewhere, should_stop, progress)

    return evaluate(call, evaluate_kernel=run)


def assert_same_results(received, expected, case):
    assert received.notes == expected.notes, case
    assert received.arrays.keys() == expected.arrays.keys()
    for name, array in expected.arrays.items():
        assert_same_bits(received.arrays[name], array, (case, name))
    if expected.ranking is not None:
        for name in ("keys", "weights", "scores", "counts"):
            np.testing.assert_array_equal(getattr(received.ranking, name), getattr(expected.ranking, name))


INCLUDED = (("output",), ("scores", "capped_scores", "logits", "weights", "output"), ("ranking", "diagnostics"))


@pytest.mark.parametrize("point", every(5, list(itertools.product(calls.combinations()[::7], INCLUDED))[::37]))
def test_every_kind_of_call_has_the_same_bits(point):
    one, include = point
    request = one.request()
    if one.normalizer == "softmax" and include == ("output",):
        include = ("output", "logsumexp")
    call = resolve(core_calls.core_call(request, include=include))
    for kernel, n_parts in zip(KERNELS, PARTS, strict=False):
        with using_kernel(kernel):
            assert_same_results(in_parts(call, n_parts, Elsewhere()), evaluate(call), (one, include, n_parts))


@pytest.mark.soak
@pytest.mark.parametrize("normalizer", NORMALIZERS)
@pytest.mark.parametrize("score_model", SCORE_MODELS)
def test_the_whole_ladder_has_the_same_bits(score_model, normalizer):
    """Every mask, position, number of heads and type; kernels, numbers of parts and included results are drawn."""
    chosen = [one for one in calls.combinations() if (one.score_model, one.normalizer) == (score_model, normalizer)]
    assert len(chosen) == len(calls.SETTINGS) * len(calls.HEADS) * len(calls.DTYPES)
    for one in chosen:
        draw = random.Random(one.seed)
        include, n_parts, kernel = draw.choice(INCLUDED), draw.choice(PARTS), draw.choice(KERNELS)
        call = resolve(core_calls.core_call(one.request(), include=include))
        with using_kernel(kernel):
            assert_same_results(in_parts(call, n_parts, Elsewhere()), evaluate(call), (one, include, n_parts, kernel))


@pytest.mark.parametrize("seed", every(4, range(3000, 3048)))
def test_drawn_calls_have_the_same_bits(seed):
    drawn = draw(seed)
    for kernel, n_parts in itertools.product(KERNELS, PARTS):
        with using_kernel(kernel):
            call = resolve(AttentionCall(**{**drawn.arguments, "include": ("output",)}))
            assert_same_results(in_parts(call, n_parts, Elsewhere()), evaluate(call), (seed, n_parts))


def random_call(*, queries, keys, heads=1, shared_heads=None, masked=False, **options):
    rng = np.random.default_rng(queries + keys)
    arrays = [
        rng.standard_normal((1, number, length, 16)).astype(np.float32)
        for number, length in ((heads, queries), (shared_heads or heads, keys), (shared_heads or heads, keys))
    ]
    return resolve(
        AttentionCall(
            *arrays,
            mask=Causal() if masked else None,
            offset="bottom_right" if masked else None,
            include=("output", "logsumexp"),
            **options,
        )
    )


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("queries", [1, 5])
def test_few_queries_and_many_keys_are_cut_between_spans(queries, masked):
    call = random_call(queries=queries, keys=9 * 2048 + 17, heads=4, shared_heads=2, masked=masked)
    elsewhere = Elsewhere()
    assert_same_results(in_parts(call, 4, elsewhere), evaluate(call), masked)
    assert elsewhere.parts == 4
    # Each part gets its own keys and values.
    assert elsewhere.sent_bytes < 1.05 * (call.key.nbytes + call.value.nbytes)


def test_parts_of_other_heads_get_none_of_these_keys():
    call = random_call(queries=64, keys=4096, heads=8, shared_heads=4)
    elsewhere = Elsewhere()
    assert_same_results(in_parts(call, 4, elsewhere), evaluate(call), "heads")
    assert elsewhere.parts == 4
    assert elsewhere.sent_bytes < 1.05 * (call.query.nbytes + call.key.nbytes + call.value.nbytes)


def test_arrays_that_are_not_contiguous_are_read_as_they_lie():
    rng = np.random.default_rng(3)
    query, key, value = (rng.standard_normal((2, 50, 3, 8)).swapaxes(1, 2)[..., ::-1, :] for _ in range(3))
    bias = np.broadcast_to(rng.standard_normal((2, 1, 1, 50))[..., ::-1], (2, 3, 50, 50))
    call = resolve(AttentionCall(query, key, value, bias=bias))
    assert_same_results(in_parts(call, 5, Elsewhere()), evaluate(call), "strides")


def test_rows_that_are_not_finite_are_computed_again_by_this_process():
    rng = np.random.default_rng(4)
    query, key, value = (rng.standard_normal((1, 4, 40, 8)) for _ in range(3))
    query[0, 2, 7], key[0, 1, 3] = np.nan, np.inf
    call = resolve(AttentionCall(query, key, value, normalizer=Softmax()))
    assert_same_results(in_parts(call, 6, Elsewhere()), evaluate(call), "not finite")


def test_another_kernel_refuses_a_part():
    call = random_call(queries=64, keys=64)
    taken = []

    def refused(cut, should_stop):
        for part in cut.parts:
            other = part._replace(kernel=("v9", part.kernel[1])), part._replace(kernel=(part.kernel[0], "other"))
            taken.extend(evaluate_part(one, dict(enumerate(cut.regions)), should_stop) for one in other)
            yield part, evaluate_part(part, dict(enumerate(cut.regions)), should_stop)

    evaluate_in_parts(selected_kernel(), call, frozenset({"output"}), 2, refused, None, None)
    assert taken == [None] * 4


def test_progress_counts_the_tasks_of_all_parts():
    call, seen = random_call(queries=512, keys=512, heads=4), []
    evaluate_in_parts(
        selected_kernel(), call, frozenset({"output"}), 4, Elsewhere(), None, lambda *one: seen.append(one)
    )
    done, totals = zip(*seen, strict=True)
    assert list(done) == sorted(set(done))
    assert {done[-1]} == set(totals)
