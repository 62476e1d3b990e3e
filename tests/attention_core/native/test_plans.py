"""A plan is kept for each form of a call: it holds on to all that it points into, and to nothing of the call."""

import gc
import weakref

import numpy as np
import pytest

from attention_core import Workers, attend
from attention_core.native import plans, using_kernel
from attention_core.native.leading import starts
from tests.attention_core.native.kernels import EACH_KERNEL, KERNELS


@pytest.fixture(autouse=True)
def _without_plans():
    plans.forget_plans()
    yield
    plans.forget_plans()


def vectors(*shape):
    return np.random.default_rng(len(shape)).standard_normal(shape)


@pytest.mark.parametrize("kernel", EACH_KERNEL)
@pytest.mark.parametrize("mask", [None, "bias"])
def test_a_plan_holds_on_to_where_its_matrices_begin(kernel, mask):
    query, bias = vectors(2, 3, 4, 8), None if mask is None else vectors(2, 3, 4, 4)
    with using_kernel(kernel):
        expected = attend(query, query, query, bias=bias).output
        # Other layouts push these out of the cache, and their memory is given to arrays of the same size.
        starts.cache_clear()
        zeros = [np.zeros(6, np.int64) for _ in range(1000)]
        np.testing.assert_array_equal(attend(query, query, query, bias=bias).output, expected)
    assert len(zeros) == 1000


@pytest.mark.parametrize("kernel", EACH_KERNEL)
def test_a_plan_is_made_once_for_a_form_and_keeps_none_of_its_arrays(kernel):
    with using_kernel(kernel):
        for _ in range(3):
            query = vectors(4, 8)
            alive = weakref.ref(query)
            attend(query, query, query)
            del query
            gc.collect()
            assert alive() is None
        assert plans.count_plans() == 1
        attend(vectors(5, 8), vectors(4, 8), vectors(4, 8))
        assert plans.count_plans() == 2


def test_plans_are_limited():
    with using_kernel(KERNELS[0]):
        for length in range(1, plans.MAX_PLANS + 20):
            attend(np.ones((length, 1)), np.ones((2, 1)))
            assert plans.count_plans() <= plans.MAX_PLANS


KEYS = (3, 1, 4096, 2, 2049, 2048, 300, 6000, 1)
"""Numbers of keys, one after the other: more than a span and fewer, and one, whose axis has no stride."""


@pytest.mark.parametrize("kernel", EACH_KERNEL)
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("shape", [(), (2,), (2, 3)])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_a_plan_serves_every_number_of_keys_with_the_same_bits(kernel, threads, shape, dtype):
    rng = np.random.default_rng(0)
    key, value = (rng.standard_normal((*shape, max(KEYS), width)).astype(dtype) for width in (8, 5))
    query = rng.standard_normal((*shape, 2, 8)).astype(dtype)
    options = {"include": ("output", "logsumexp")}

    def results(n_keys, workers):
        found = attend(query, key[..., :n_keys, :], value[..., :n_keys, :], workers=workers, **options)
        return [array.tobytes() for array in found.arrays.values()]

    with using_kernel(kernel), Workers(threads) as workers:
        found = [results(n_keys, workers) for n_keys in KEYS]
        assert plans.count_plans() == 2  # of one key, and of several
        for n_keys, received in zip(KEYS, found, strict=True):
            plans.forget_plans()
            assert received == results(n_keys, workers)


@pytest.mark.parametrize("kernel", EACH_KERNEL)
def test_results_with_an_axis_of_keys_have_a_plan_for_each_number(kernel):
    key = vectors(40, 8)
    with using_kernel(kernel):
        for n_keys in (5, 40, 7):
            assert attend(key[:2], key[:n_keys], include=("weights",)).weights.shape == (2, n_keys)
        assert plans.count_plans() == 3
