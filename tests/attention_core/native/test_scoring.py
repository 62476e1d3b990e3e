"""Normalizers of whole rows take their logits from a kernel: the bits that softmax has, and no matrix."""

import numpy as np
import pytest

from attention_core import (
    Allowed,
    AttentionCall,
    Causal,
    Entmax,
    Gaussian,
    Hardmax,
    KeyLengths,
    Segments,
    Softmax,
    Sparsemax,
    Stopped,
    Window,
    Workers,
    resolve,
)
from attention_core.execution_path import choose_path
from attention_core.native import find_scorer, using_kernel
from tests.attention_core.native.drawn import draw
from tests.attention_core.native.kernels import EACH_KERNEL, KERNELS, assert_same_bits, run
from tests.attention_core.native.test_same_bits import of_batch, of_head, of_queries
from tests.sampling import product_sample

SPARSE = (Sparsemax(), Entmax(), Hardmax())
MATRICES = ("scores", "capped_scores", "logits")
SEEDS, SOAK_SEEDS = range(5000, 5006), range(5100, 5160)

drawn_calls = pytest.mark.parametrize(
    "seed", [*SEEDS, *(pytest.param(seed, marks=pytest.mark.soak) for seed in SOAK_SEEDS)]
)
every_kernel = pytest.mark.parametrize("kernel", EACH_KERNEL)

RNG = np.random.default_rng(11)
LONG = 700
"""Queries and keys of a call on the tiled path: several blocks of rows, of which none divides them."""

TILED_MASKS = {
    "full": None,
    "causal": Causal(),
    "window": Window(left=40, right=300),
    "lengths": KeyLengths(np.array([LONG, 300])),
    "allowed": Allowed(RNG.random((LONG, LONG)) < 0.4),
    "segments in no order, causal": Segments(RNG.integers(0, 3, LONG), RNG.integers(0, 3, LONG)) & Causal(),
    "a row that sees nothing": Allowed(np.arange(LONG)[:, None] != 333),
}


def sparse(drawn, normalizer, **changed):
    return {**drawn.arguments, "normalizer": normalizer, **changed}


@drawn_calls
@every_kernel
def test_logits_have_the_bits_of_those_of_softmax(kernel, seed):
    drawn = draw(seed)
    expected = run(kernel, **{**drawn.arguments, "normalizer": Softmax()}, include=MATRICES)
    for normalizer in SPARSE:
        found = run(kernel, **sparse(drawn, normalizer), include=(*MATRICES, "weights"))
        for name in MATRICES:
            assert_same_bits(found.arrays[name], expected.arrays[name], (seed, normalizer.name, name))


@drawn_calls
@every_kernel
def test_neither_neighbours_nor_threads_change_a_bit_of_logits(kernel, seed):
    drawn = draw(seed)
    drawn.arguments["normalizer"] = SPARSE[seed % 3]
    expected = run(kernel, **drawn.arguments, include=("logits",)).logits
    with Workers(3) as workers:
        assert_same_bits(run(kernel, **drawn.arguments, include=("logits",), workers=workers).logits, expected, seed)
    rows = [run(kernel, **of_batch(drawn, b, b + 1), include=("logits",)).logits for b in range(drawn.batches)]
    assert_same_bits(np.concatenate(rows), expected, (seed, "batch"))
    first = drawn.queries // 3
    part = run(kernel, **of_queries(drawn, first, drawn.queries), include=("logits",)).logits
    assert_same_bits(part, expected[..., first:, :], (seed, "queries"))
    if type(drawn.arguments["position"]).__name__ != "Alibi":
        head = seed % drawn.heads
        assert_same_bits(
            run(kernel, **of_head(drawn, head), include=("logits",)).logits, expected[:, head], (seed, head)
        )


def tiled_call(mask, dtype="float32"):
    query, key, value = (
        RNG.standard_normal(shape).astype(dtype) for shape in ((2, 4, LONG, 16), (2, 2, LONG, 16), (2, 2, LONG, 5))
    )
    return {"query": query, "key": key, "value": value, "mask": mask}


@pytest.mark.parametrize(
    ("kernel", "normalizer", "mask"),
    product_sample(3, KERNELS, SPARSE, TILED_MASKS),
    ids=lambda one: getattr(one, "name", None),
)
def test_the_tiled_path_gives_what_whole_matrices_give(kernel, normalizer, mask):
    given = {**tiled_call(TILED_MASKS[mask]), "normalizer": normalizer, "score_model": Gaussian(2.0), "softcap": 6.0}
    whole = run(kernel, **given, include=("logits", "output"))
    with Workers(2) as workers:
        tiled = run(kernel, **given, include=("output",), workers=workers)
    assert choose_path(resolve(AttentionCall(**given, include=("output",)))) == "tiled"
    # Equal logits: what differs is the order in which NumPy sums.
    np.testing.assert_allclose(tiled.output, whole.output, rtol=0, atol=2e-5)
    numpy = run("numpy", **given, include=("output",))
    if normalizer.name != "hardmax":
        np.testing.assert_allclose(tiled.output, numpy.output, rtol=0, atol=2e-4)
    assert tiled.notes == numpy.notes


INCLUDED = {"tiled": ("output",), "dense": ("output", "scores", "logits", "weights")}


@pytest.mark.parametrize(("kernel", "broken", "path"), product_sample(3, KERNELS, [np.nan, np.inf, -np.inf], INCLUDED))
def test_numbers_that_are_not_finite_reach_what_they_reach_with_numpy(kernel, broken, path):
    include = INCLUDED[path]
    given = {**tiled_call(Causal(), "float64"), "normalizer": Sparsemax()}
    given["key"][0, 1, 650, 3] = broken
    given["value"][1, 0, 690, 2] = broken
    found, expected = (run(name, **given, include=include) for name in (kernel, "numpy"))
    assert found.notes == expected.notes
    for name in include:
        received, right = found.arrays[name], expected.arrays[name]
        finite = np.isfinite(right)
        np.testing.assert_array_equal(received[~finite], right[~finite], err_msg=name)
        np.testing.assert_allclose(received[finite], right[finite], rtol=1e-9, atol=1e-11, err_msg=name)


@pytest.mark.parametrize(
    ("kernel", "mask"), product_sample(3, KERNELS, [name for name in TILED_MASKS if name != "full"])
)
def test_hidden_numbers_have_no_influence(kernel, mask):
    given = {**tiled_call(TILED_MASKS[mask]), "normalizer": Entmax()}
    given["mask"] = KeyLengths(np.array([LONG - 2, LONG - 2])) & TILED_MASKS[mask]
    before = run(kernel, **given, include=("output",))
    given["key"][..., -1, :], given["value"][..., -2, :] = np.nan, np.inf
    assert_same_bits(run(kernel, **given, include=("output",)).output, before.output, mask)


@every_kernel
def test_should_stop_ends_a_call(kernel):
    left = iter([False] * 3)
    with pytest.raises(Stopped):
        run(
            kernel,
            **tiled_call(None),
            normalizer=Sparsemax(),
            include=("output",),
            should_stop=lambda: next(left, True),
        )


@every_kernel
def test_progress_rises_by_one_tile_to_the_end(kernel):
    told = []
    run(kernel, **tiled_call(None), normalizer=Sparsemax(), include=("output",), progress=lambda *n: told.append(n))
    assert [done for done, _ in told] == list(range(1, told[-1][1] + 1))


@every_kernel
def test_calls_of_whole_rows_alone_have_a_scorer(kernel):
    arrays = [np.ones((2, 3, 4, 5))] * 3
    with using_kernel(kernel) as chosen:
        for normalizer, has_one in ((Softmax(), False), *((one, True) for one in SPARSE)):
            call = resolve(AttentionCall(*arrays, normalizer=normalizer))
            assert (find_scorer(chosen, call, None) is not None) == has_one
        more_values = resolve(AttentionCall(arrays[0][0], arrays[1][0], arrays[2], normalizer=Sparsemax()))
        assert find_scorer(chosen, more_values, None) is None
