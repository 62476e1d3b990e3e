"""Predicted cost: the size of the result exactly, operations and memory in proportion."""

import numpy as np
import pytest

from attention_core import NORMALIZERS, AttentionCall, Causal, attend, evaluate, predict, resolve
from attention_core.tile_sizes import choose_tile_sizes
from tests import calls, core_calls
from tests.sampling import sample

COMBINATIONS = [one for one in calls.combinations() if one.setting == "none" and one.dtype == "float64"]


@pytest.mark.parametrize("step", sample((5, 1), 5))
def test_the_size_of_every_result_is_predicted_exactly(step):
    for combination in COMBINATIONS[::step]:
        for include in (("scores",), ("weights", "output"), ("output",), ()):
            call = resolve(core_calls.core_call(combination.request(), include=include))
            numbers = sum(array.size for array in evaluate(call).arrays.values())
            assert predict(call).result_numbers == numbers, combination


@pytest.mark.parametrize("factor", [2, 5])
def test_operations_are_proportional_to_queries(factor):
    rng = np.random.default_rng(1)
    key, value = rng.standard_normal((50, 8)), rng.standard_normal((50, 3))

    def operations(queries):
        return predict(resolve(AttentionCall(query=np.ones((queries, 8)), key=key, value=value))).operations

    assert operations(10 * factor) == factor * operations(10)


def test_a_call_too_large_to_compute_is_predicted_at_once():
    huge = np.broadcast_to(np.float64(1), (100_000, 1))
    cost = predict(resolve(AttentionCall(query=huge, key=huge, include=("weights",))))
    assert cost.result_numbers == 10**10
    assert cost.bytes >= 8 * 10**10


def test_without_matrices_in_the_result_memory_does_not_grow_with_the_queries():
    many = np.broadcast_to(np.float64(1), (100_000, 1))
    whole = predict(resolve(AttentionCall(query=many, key=many, value=many, include=("output",))))
    part = predict(resolve(AttentionCall(query=many[:10_000], key=many, value=many, include=("output",))))
    assert whole.bytes < 2**28
    # Beside its output each query keeps its largest logit.
    assert whole.bytes - part.bytes == 8 * (whole.result_numbers - part.result_numbers + 90_000)


def test_an_empty_axis_does_not_hide_the_rows_that_broadcasting_makes():
    query, key = np.ones((2**19, 1, 1, 1, 1), np.float32), np.ones((1, 2**19, 1, 0, 1), np.float32)
    for pair in ((query, key), (key, query)):
        cost = predict(resolve(AttentionCall(query=pair[0], key=pair[1], include=("weights",))))
        assert cost.bytes >= 4 * 2**38


def test_dimensions_by_hand():
    # 2 · 2 · 3 · 4 multiplications and additions and 2 · 2 · 3 · 5 to mix; 16 times as much for each of 6 pairs by the
    # scale, 5 for its softmax, 20 for memory that is new.
    call = resolve(AttentionCall(query=np.ones((2, 4)), key=np.ones((3, 4)), value=np.ones((3, 5))))
    assert predict(call).operations == 48 + 60 + 16 * 6 * (1 + 5 + 20)
    assert attend(np.ones((2, 4)), np.ones((3, 4)), np.ones((3, 5))).output.shape == (2, 5)


def test_a_ranking_of_a_few_keys_costs_less_than_one_of_all():
    def operations(include, **options):
        return predict(long(include, queries=2, **options)).operations

    matrices = operations(("scores",))
    assert matrices < operations(("ranking",), top_k=10) < 2 * matrices < operations(("ranking",)) / 5


def long(include, queries=4096, keys=4096, **options):
    """A long call that holds no numbers of its own."""
    vectors = {
        name: np.broadcast_to(np.float32(1), (1, 2, length, 64)) for name, length in (("query", queries), ("key", keys))
    }
    return resolve(AttentionCall(**vectors, value=vectors["key"], include=include, **options))


@pytest.mark.parametrize(
    ("include", "path"),
    [
        (("output",), "tiled"),
        (("logsumexp",), "tiled"),
        (("output", "logsumexp", "present"), "tiled"),
        (("output", "weights"), "dense"),
        (("output", "diagnostics"), "dense"),
        (("ranking",), "dense"),
    ],
)
def test_the_path_follows_from_the_included_fields(include, path):
    assert predict(long(include)).path == path
    assert predict(long(include, queries=8, keys=64)).path == "dense"


def test_a_tiled_call_holds_tiles_and_no_matrix():
    cost = predict(long(("output",), queries=32768, keys=32768))
    assert cost.bytes - 4 * cost.result_numbers < 64 * 2**20
    assert predict(long(("output",), 32768, 32768), threads=4).bytes > cost.bytes
    assert predict(long(("weights",), 32768, 32768)).bytes > 4 * 2 * 32768**2


@pytest.mark.parametrize("normalizer", [NORMALIZERS["softmax"](), NORMALIZERS["entmax"]()], ids=lambda one: one.name)
@pytest.mark.parametrize(("queries", "keys"), [(1, 10**6), (10**6, 1), (10**5, 3), (3, 10**5), (1000, 1000)])
@pytest.mark.parametrize("mask", [None, Causal()])
def test_tiles_fit_the_scores_and_stay_small(normalizer, queries, keys, mask):
    call = long(("output",), queries, keys, normalizer=normalizer, mask=mask)
    sizes = choose_tile_sizes(call)
    assert 1 <= sizes.rows <= queries
    width = min(sizes.columns, keys) if normalizer.name == "softmax" else keys
    one = sizes.rows * width
    # A tile that a mask cuts is taken step by step.
    assert one * sizes.matrices <= max(2**18 if mask is None or normalizer.name == "entmax" else 2**20, keys)
