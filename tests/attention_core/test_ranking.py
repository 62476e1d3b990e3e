"""The ranking selects from long rows what sorting all their keys would put first."""

import importlib
import random

import numpy as np
import pytest

from attention_core import (
    All,
    Allowed,
    Identity,
    KeyLengths,
    Relu,
    Segments,
    Sigmoid,
    Softmax,
    Sparsemax,
    Workers,
    attend,
)
from attention_core.diagnostics import MAX_GROUP_KEYS, rank_keys
from attention_core.execution_path import MIN_SELECTED_KEYS
from tests.attention_core.native.drawn import draw
from tests.attention_core.native.kernels import EACH_KERNEL, assert_same_bits, run
from tests.sampling import draws

attend_module = importlib.import_module("attention_core.attend")

LENGTHS = (MIN_SELECTED_KEYS - 1, MIN_SELECTED_KEYS, MIN_SELECTED_KEYS + 1, 2049, 4100, 10_007)
NORMALIZERS = (Softmax(), Softmax(temperature=0.01), Softmax(sink=2.0), Sigmoid(), Relu(), Identity(), Sparsemax())

WEIGHTS = {
    "distinct": lambda rng, shape: rng.standard_normal(shape),
    "few values": lambda rng, shape: rng.integers(-2, 3, shape),
    "equal": lambda rng, shape: np.ones(shape),
    "a few above zero": lambda rng, shape: np.where(rng.random(shape) < 3 / shape[-1], rng.random(shape), 0.0),
    "ascending": lambda rng, shape: np.broadcast_to(np.arange(shape[-1]), shape),
    "descending": lambda rng, shape: np.broadcast_to(-np.arange(shape[-1]), shape),
    "zeros of both signs": lambda rng, shape: np.copysign(0.0, rng.standard_normal(shape)),
    "NaN here and there": lambda rng, shape: np.where(rng.random(shape) < 0.1, np.nan, rng.standard_normal(shape)),
    "NaN but for a few": lambda rng, shape: np.where(rng.random(shape) < 3 / shape[-1], 1.0, np.nan),
    "infinities of both signs": lambda rng, shape: rng.choice((np.inf, -np.inf, 0.5, -0.5), shape),
    "−∞ but for a few": lambda rng, shape: np.where(rng.random(shape) < 3 / shape[-1], 1.0, -np.inf),
}
VISIBLE = {
    "all": lambda rng, shape: np.ones(shape, bool),
    "most": lambda rng, shape: rng.random(shape) < 0.9,
    "a few": lambda rng, shape: rng.random(shape) < 4 / shape[-1],
    "one range": lambda rng, shape: np.broadcast_to((np.arange(shape[-1]) // 7) % 50 == 3, shape),
    "none": lambda rng, shape: np.zeros(shape, bool),
    "another part of each row": lambda rng, shape: rng.random(shape) < rng.choice((0, 0.002, 0.5, 1), (*shape[:-1], 1)),
}


def sorted_keys(weights, visible):
    """The keys of each row in the order of the contract, by sorting tuples: what `rank_keys` is compared with."""
    ranked = np.empty(weights.shape, np.intp)
    for row in np.ndindex(weights.shape[:-1]):
        numbers, seen = weights[row].tolist(), visible[row].tolist()
        places = [
            (not shown, number != number, 0.0 if number != number or not shown else -number, key)
            for key, (number, shown) in enumerate(zip(numbers, seen, strict=True))
        ]
        ranked[row] = [place[-1] for place in sorted(places)]
    return ranked


@pytest.mark.parametrize("weights_of", WEIGHTS)
@pytest.mark.parametrize("visible_of", VISIBLE)
def test_the_ranking_has_the_keys_that_sorting_puts_first(weights_of, visible_of):
    position = [*WEIGHTS].index(weights_of) * len(VISIBLE) + [*VISIBLE].index(visible_of)
    chance, rng = random.Random(position), np.random.default_rng(position)
    for _ in range(draws(16)):
        n_keys, dtype = chance.choice(LENGTHS), chance.choice((np.float32, np.float64))
        shape = (2, chance.choice((1, 3)), n_keys)
        visible = VISIBLE[visible_of](rng, shape)
        weights = np.where(visible, WEIGHTS[weights_of](rng, shape), 0).astype(dtype)
        logits = np.where(visible, rng.standard_normal(shape), -np.inf).astype(dtype)
        scores = rng.standard_normal(shape).astype(dtype)
        expected = sorted_keys(weights, visible)
        for top_k in (1, 2, 10, n_keys // 9, n_keys // 8, n_keys // 7, n_keys, n_keys + 1, None):
            found = rank_keys(weights, scores, logits, top_k)
            first = expected[..., :top_k]
            case = (weights_of, visible_of, n_keys, top_k)
            np.testing.assert_array_equal(found.keys, first, err_msg=str(case))
            assert_same_bits(found.weights, np.take_along_axis(weights, first, axis=-1), case)
            assert_same_bits(found.scores, np.take_along_axis(scores, first, axis=-1), case)
            np.testing.assert_array_equal(found.counts, np.minimum(visible.sum(axis=-1), first.shape[-1]))
            assert found.keys.dtype == found.counts.dtype == np.intp


def test_equal_weights_of_different_logits_are_in_the_order_of_their_keys():
    # The exponential of a logit that is 200 below the largest is 0 in float32.
    logits = np.concatenate((np.full(3000, 1.0), [2.0, 300.0, 90.0], np.full(3000, -1.0))).reshape(-1, 1)
    ranking = attend([[1.0]], logits, dtype="float32", include=("ranking",), top_k=20).ranking
    assert ranking.keys[0].tolist() == [3001, *range(19)]
    assert ranking.weights[0].tolist() == [1.0] + [0.0] * 19
    assert ranking.scores[0].tolist() == [300.0] + [1.0] * 19


def test_the_last_keys_of_a_row_are_in_no_group():
    # 10 007 is no multiple of a group: the keys left over are compared all the same.
    assert 10_007 % (10_007 // MAX_GROUP_KEYS)
    key = np.zeros((10_007, 1))
    key[-1], key[-2] = 2.0, 1.0
    assert attend([[1.0]], key, include=("ranking",), top_k=2).ranking.keys.tolist() == [[10_006, 10_005]]


@pytest.mark.parametrize("kernel", [*EACH_KERNEL, "numpy"])
@pytest.mark.parametrize("normalizer", NORMALIZERS, ids=lambda one: f"{one.name}-{getattr(one, 'temperature', 1)}")
def test_the_ranking_of_a_call_is_that_of_its_weights(kernel, normalizer):
    rng = np.random.default_rng(5)
    for dtype in ("float64", "float32", "float16", "bfloat16"):
        query, key = rng.standard_normal((2, 3, 8)), np.round(rng.standard_normal((2, 5000, 8)), 1)
        mask = KeyLengths(np.array([4000, 7])) & Allowed(rng.random(5000) < 0.7)
        for given in ({"mask": mask}, {"softcap": 3.0}, {}):
            call = {"query": query, "key": key, "normalizer": normalizer, "dtype": dtype, **given}
            whole = run(kernel, **call, include=("weights", "scores", "logits", "ranking"))
            few = run(kernel, **call, include=("ranking",), top_k=10).ranking
            assert_same_bits(few.weights, whole.ranking.weights[..., :10], (dtype, given))
            assert_same_bits(few.scores, whole.ranking.scores[..., :10], (dtype, given))
            np.testing.assert_array_equal(few.keys, whole.ranking.keys[..., :10])
            np.testing.assert_array_equal(few.counts, np.minimum(whole.ranking.counts, 10))


def assert_first(few, whole, top_k, case):
    """Fail unless a ranking of `top_k` keys is the first part of a ranking of all, in every bit."""
    np.testing.assert_array_equal(few.keys, whole.keys[..., :top_k], err_msg=str(case))
    np.testing.assert_array_equal(few.counts, np.minimum(whole.counts, top_k), err_msg=str(case))
    assert few.keys.dtype == few.counts.dtype == np.int64
    for name in ("scores", "weights"):
        assert_same_bits(getattr(few, name), getattr(whole, name)[..., :top_k], (case, name))


@pytest.mark.parametrize("kernel", EACH_KERNEL)
@pytest.mark.parametrize(
    "seed", [*range(8000, 8010), *(pytest.param(one, marks=pytest.mark.soak) for one in range(8100, 8160))]
)
def test_a_kernel_ranks_the_keys_that_sorting_puts_first(kernel, seed):
    drawn, chance = draw(seed), random.Random(seed)
    arguments = dict(drawn.arguments)
    n_keys = max(drawn.keys, MIN_SELECTED_KEYS + seed % 100)
    # Few different numbers have many equal weights; keys come again and again.
    places = np.resize(np.arange(drawn.keys), n_keys)
    for name in ("key", "value"):
        arguments[name] = np.round(arguments[name][..., places, :] * chance.choice((1, 2, 100)))
    masks = [one for one in drawn.masks if not isinstance(one, Allowed | Segments)]
    if chance.random() < 0.5:
        masks.append(Allowed(np.random.default_rng(seed).random((drawn.queries, n_keys)) < chance.choice((0.002, 0.6))))
    arguments["mask"] = All(tuple(masks)) if masks else None
    if arguments["normalizer"].name == "proportional":
        arguments["bias"] = np.full((1, 1), 1e13)  # no logit may be negative
    elif arguments["bias"] is not None:
        arguments["bias"] = arguments["bias"][:, places]
    whole = run(kernel, **arguments, include=("ranking", "weights")).ranking
    with Workers(3) as workers:
        for top_k in (1, 10, n_keys // 9):
            for threads in (None, workers):
                found = run(kernel, **arguments, include=("ranking",), top_k=top_k, workers=threads)
                assert_first(found.ranking, whole, top_k, (seed, top_k))


@pytest.mark.parametrize("kernel", EACH_KERNEL)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("weights_of", [name for name in WEIGHTS if not name.startswith("infinities")])
def test_a_kernel_ranks_any_order_of_logits(kernel, dtype, weights_of):
    rng = np.random.default_rng([*WEIGHTS].index(weights_of))
    for n_keys in LENGTHS[1:]:
        key = np.array(WEIGHTS[weights_of](rng, (1, n_keys)), np.float64)[0]
        for bias in (None, np.where(rng.random((1, n_keys)) < 0.99, 0.0, -np.inf)):
            call = {
                "query": [[1.0]],
                "key": np.where(np.isneginf(key), -1e30, key)[:, None],
                "bias": bias,
                "dtype": dtype,
            }
            for normalizer in (Softmax(), Identity(), Sigmoid(), Relu()):
                whole = run(kernel, **call, normalizer=normalizer, include=("ranking", "weights")).ranking
                for top_k in (1, 10, n_keys // 8):
                    few = run(kernel, **call, normalizer=normalizer, include=("ranking",), top_k=top_k).ranking
                    assert_first(few, whole, top_k, (weights_of, n_keys, normalizer.name, top_k))


@pytest.mark.parametrize("kernel", EACH_KERNEL)
def test_a_kernel_that_ranks_keys_makes_no_matrix_of_weights(kernel, monkeypatch):
    monkeypatch.setattr(attend_module, "rank_keys", lambda *_: pytest.fail("whole weights are ranked"))
    query, key = np.ones((2, 4)), np.ones((5000, 4))
    for mask in (None, KeyLengths(np.array([30]))):
        ranking = run(kernel, query=query, key=key, mask=mask, include=("ranking", "logsumexp"), top_k=3).ranking
        assert ranking.keys.tolist() == [[0, 1, 2]] * 2


@pytest.mark.parametrize("kernel", EACH_KERNEL)
@pytest.mark.parametrize("normalizer", NORMALIZERS, ids=lambda one: f"{one.name}-{getattr(one, 'temperature', 1)}")
def test_threads_change_no_bit_of_matrices_of_a_single_row(kernel, normalizer):
    rng = np.random.default_rng(6)
    include = ("scores", "logits", "weights", "ranking", *(("logsumexp",) if normalizer.name == "softmax" else ()))
    with Workers(3) as workers:
        for n_keys in (2048, 2049, 100_000):
            query, key = rng.standard_normal((1, 64)), rng.standard_normal((n_keys, 64))
            for mask in (None, KeyLengths(np.array([n_keys // 3])), Allowed(rng.random(n_keys) < 0.5)):
                call = {"query": query, "key": key, "normalizer": normalizer, "dtype": "float32", "mask": mask}
                one = run(kernel, **call, include=include, top_k=10)
                three = run(kernel, **call, include=include, top_k=10, workers=workers)
                assert one.notes == three.notes
                for name, array in one.arrays.items():
                    assert_same_bits(three.arrays[name], array, (n_keys, name))
                np.testing.assert_array_equal(three.ranking.keys, one.ranking.keys)
