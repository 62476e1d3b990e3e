"""A call whose keys are held in ranges has the bits of the same call on all keys."""

import pickle
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from attention_core import BFLOAT16, NORMALIZERS, Causal, KeyLengths, Segments, Stopped, Window, Workers
from attention_core.attend import evaluate_fields
from attention_core.call import AttentionCall
from attention_core.dense import list_ranked_fields
from attention_core.diagnostics import gather_ranking
from attention_core.dtypes import DTYPES
from attention_core.native import available_kernels, evaluate_with_kernel
from attention_core.native.candidates import (
    apply_to_range,
    find_candidates,
    keys_of_range,
    merge_sums,
    takes_candidates,
    weigh_candidates,
)
from attention_core.native.key_ranges import (
    continue_key_range,
    divide_rows,
    evaluate_key_range,
    merge_key_ranges,
    takes_key_ranges,
    without_keys,
)
from attention_core.native.range_ranking import merge_rankings, rank_range, ranks_in_ranges, required_without_ranking
from attention_core.resolve import resolve
from tests.attention_core.native.drawn import draw
from tests.attention_core.native.kernels import EACH_KERNEL, KERNELS, assert_same_bits

SPAN = 2048
KEYS = 3 * SPAN + 77
CUTS = {"each span": (0, SPAN, 2 * SPAN, 3 * SPAN, KEYS), "one holder": (0, KEYS), "uneven": (0, 2 * SPAN, KEYS)}
MATRICES = frozenset({"scores", "capped_scores", "logits", "weights"})
SEEDS = range(1000, 1005)
SOAK_SEEDS = range(2000, 2040)
LENGTHS = (SPAN + 1, 2 * SPAN + 4, 3 * SPAN + 57)
every_kernel = pytest.mark.parametrize("kernel", EACH_KERNEL)


def of_range(call, first, end):
    """What a holder of the keys from `first` to `end` evaluates: the call as it comes to another process."""
    sent = pickle.loads(pickle.dumps(without_keys(call)))
    value = call.stored_value
    return replace(
        sent,
        stored_key=call.stored_key[..., first:end, :],
        stored_value=None if value is None else value[..., first:end, :],
    )


def evaluate_in_spans(kernel, call, required, cuts, workers=None):
    """The result from the partial results of every span."""
    keyless = without_keys(call)
    assert takes_key_ranges(kernel, keyless, required)
    partials = [
        evaluate_key_range(kernel, of_range(call, first, end), required, first, workers)
        for first, end in pairwise(cuts)
    ]
    return merge_key_ranges(kernel, keyless, required, partials, workers)


def evaluate_in_turn(kernel, call, required, cuts, workers=None, max_rows=30):
    """The result of ranges that continue one another, for blocks of rows."""
    keyless, last = without_keys(call), []
    for block in divide_rows(kernel, keyless, max_rows):
        partial = None
        for first, end in pairwise(cuts):
            own = of_range(call, first, end)
            partial = continue_key_range(kernel, own, required, first, block, partial, workers)
        last.append(partial)
    return merge_key_ranges(kernel, keyless, required, last, workers)


def assert_same_results(received, expected, case):
    assert received.fields.keys() == expected.fields.keys(), case
    for name, array in expected.fields.items():
        if name.startswith("ranked") and expected.unsafe is not None:
            continue  # of rows with NaN a kernel ranks some of the keys, and NumPy does it again
        assert_same_bits(received.fields[name], array, (case, name))
    for name in ("maximum", "unsafe"):
        one, other = getattr(received, name), getattr(expected, name)
        assert (one is None) == (other is None), (case, name)
        if one is not None:
            np.testing.assert_array_equal(one, other, err_msg=str((case, name)))


def check(kernel_name, call, cuts_by_name, case):
    """Compare every way to evaluate ranges of keys with the whole call."""
    kernel = available_kernels()[0][kernel_name]
    rows = frozenset({"output"}) | ({"logsumexp"} if call.normalizer.name == "softmax" else set())
    workers = Workers(2)
    with np.errstate(all="ignore"):
        for required in (rows, rows | MATRICES, rows | {"logits", "ranking"}):
            whole = evaluate_with_kernel(kernel, call, required, None, None, None)
            for name, cuts in cuts_by_name.items():
                spans = evaluate_in_spans(kernel, call, required, cuts, workers)
                assert_same_results(spans, whole, (case, name, sorted(required)))
                if required is rows:
                    in_turn = evaluate_in_turn(kernel, call, required, cuts, workers)
                    assert_same_results(in_turn, whole, (case, name, "in turn"))


@pytest.mark.parametrize("seed", [*SEEDS, *(pytest.param(seed, marks=pytest.mark.soak) for seed in SOAK_SEEDS)])
@every_kernel
def test_drawn_calls_have_the_bits_of_the_whole(kernel, seed):
    drawn = draw(seed, LENGTHS)
    call = resolve(AttentionCall(**drawn.arguments, include=("output",)))
    check(kernel, call, {"two": (0, SPAN, drawn.keys)}, seed)


def vectors(dtype, queries=3, **special):
    """Query, key and value of grouped heads in a dtype, with some numbers replaced."""
    rng = np.random.default_rng(7)
    shapes = {"query": (2, 4, queries, 16), "key": (2, 2, KEYS, 16), "value": (2, 2, KEYS, 8)}
    arrays = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    for name, places in special.items():
        for place, number in places.items():
            arrays[name][place] = number
    # Keys and values of half types come as they are stored.
    return {name: DTYPES[dtype].round(array.astype(DTYPES[dtype].compute)) for name, array in arrays.items()}


def stored(dtype, arrays):
    """The arrays as a memory holds them: float16 and bfloat16 in two bytes."""
    if dtype != "bfloat16":
        return arrays
    bits = {name: (arrays[name].view(np.uint32) >> 16).astype(np.uint16).view(BFLOAT16) for name in ("key", "value")}
    return {**arrays, **bits}


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
@pytest.mark.parametrize("cut", CUTS)
@every_kernel
def test_every_cut_and_dtype_has_the_bits_of_the_whole(kernel, cut, dtype):
    lengths = KeyLengths(np.array([KEYS, SPAN - 3]))
    arrays = stored(dtype, vectors(dtype))
    call = resolve(AttentionCall(**arrays, mask=Causal() & lengths, offset=KEYS - 3, dtype=dtype, include=("output",)))
    if DTYPES[dtype].narrow:
        assert call.stored_key.itemsize == 2
    check(kernel, call, {cut: CUTS[cut]}, (dtype, cut))


@pytest.mark.parametrize("name", ["softmax", "sigmoid", "relu", "none", "proportional"])
@pytest.mark.parametrize("mask", ["window", "segments", "lengths"])
@every_kernel
def test_rows_that_are_hidden_or_not_finite_have_the_bits_of_the_whole(kernel, mask, name):
    rng = np.random.default_rng(3)
    masks = {
        "window": Window(left=700, right=20),
        "segments": Segments(np.array([0, 1, 2]), np.sort(rng.integers(0, 4, KEYS))),
        "lengths": KeyLengths(np.array([[0, 1, SPAN + 1], [2 * SPAN, KEYS, 5]])),
    }
    special = {
        "key": {(0, 0, SPAN + 5, 3): np.nan, (1, 1, 3 * SPAN, 0): np.inf, (1, 0, KEYS - 1, 0): 1e30},
        "value": {(0, 1, 4, 2): np.inf, (1, 0, 2 * SPAN, 1): np.nan, (0, 1, SPAN + 9, 2): -np.inf},
    }
    call = resolve(
        AttentionCall(
            **vectors("float32", **special),
            mask=masks[mask],
            offset=2 * SPAN - 1,
            normalizer=NORMALIZERS[name](),
            include=("output",),
        )
    )
    check(kernel, call, {"each span": CUTS["each span"]}, (mask, name))


def test_a_call_without_keys_is_small_when_it_is_sent():
    call = resolve(AttentionCall(**vectors("float32"), mask=Causal(), offset=KEYS, include=("output",)))
    assert call.stored_key.nbytes > 1e6
    assert len(pickle.dumps(without_keys(call))) < 2 * call.query.nbytes + 4096


def test_a_range_ends_once_it_is_told_to_and_begins_at_a_span():
    kernel = available_kernels()[0][KERNELS[0]]
    call = resolve(AttentionCall(**vectors("float32", queries=200), include=("output",)))
    required = frozenset({"output"})
    with pytest.raises(Stopped):
        evaluate_key_range(kernel, of_range(call, 0, SPAN), required, 0, None, lambda: True)
    with pytest.raises(ValueError, match="a multiple of 2048 as first_key; received 100"):
        evaluate_key_range(kernel, of_range(call, 100, SPAN), required, 100)


def test_what_a_kernel_leaves_to_numpy_is_not_taken_in_ranges():
    kernel = available_kernels()[0][KERNELS[0]]
    call = resolve(AttentionCall(**vectors("float32"), normalizer=NORMALIZERS["sparsemax"](), include=("output",)))
    assert not takes_key_ranges(kernel, without_keys(call), frozenset({"output"}))
    assert evaluate_key_range(kernel, of_range(call, 0, SPAN), frozenset({"output"}), 0) is None


@pytest.mark.parametrize(
    "normalizer", [NORMALIZERS["sparsemax"](), NORMALIZERS["hardmax"](), *map(NORMALIZERS["entmax"], (1.3, 1.5, 2, 4))]
)
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_sparse_normalizers_have_the_output_of_the_whole(dtype, normalizer):
    kernel = available_kernels()[0][KERNELS[0]]
    arrays = vectors(dtype, queries=5)
    arrays["key"][0, 0, : 2 * SPAN] = arrays["key"][0, 0, 0]  # ties in two ranges
    lengths = KeyLengths(np.array([KEYS, 0]))
    given = {**arrays, "mask": lengths, "normalizer": normalizer, "dtype": dtype, "include": ("output",)}
    call = resolve(AttentionCall(**given))
    keyless, cuts = without_keys(call), list(pairwise(CUTS["each span"]))
    assert takes_candidates(kernel, keyless, frozenset({"output"}))
    parts = [find_candidates(kernel, of_range(call, *cut), cut[0], None, None) for cut in cuts]
    with np.errstate(all="ignore"):
        maximum, weighted = weigh_candidates(keyless, parts)
    sums = [apply_to_range(of_range(call, *cut), cut[0], keys_of_range(weighted, *cut)) for cut in cuts]
    result = merge_sums(keyless, maximum, sums)
    expected, largest = evaluate_fields(call, None, None, None)
    np.testing.assert_array_equal(result.maximum, largest)
    scale = 1e-12 if dtype == "float64" else 1e-5
    np.testing.assert_allclose(result.fields["output"], expected["output"], rtol=scale, atol=scale)
    assert sum(part.keys.size for part in parts) < np.prod(call.score_shape) / 2


def test_a_range_with_numbers_that_are_not_finite_has_no_candidates():
    kernel = available_kernels()[0][KERNELS[0]]
    for special in ({"key": {(0, 0, 5, 0): np.nan}}, {"value": {(1, 0, 9, 0): np.inf}}):
        arrays = vectors("float32", **special)
        call = resolve(AttentionCall(**arrays, normalizer=NORMALIZERS["sparsemax"](), include=("output",)))
        assert find_candidates(kernel, of_range(call, 0, SPAN), 0, None, None) is None
        assert find_candidates(kernel, of_range(call, SPAN, KEYS), SPAN, None, None) is not None


@pytest.mark.parametrize("normalizer", ["softmax", "relu", "sigmoid", "none", "proportional"])
@pytest.mark.parametrize("masked", [False, True])
@every_kernel
def test_rankings_of_ranges_have_the_bits_of_the_whole(kernel, masked, normalizer):
    kernel = available_kernels()[0][kernel]
    arrays = vectors("float32", queries=5)
    arrays["key"][:, :, 7 :: SPAN // 2] = arrays["key"][:, :, 7:8]  # ties in all ranges
    if normalizer == "proportional":
        arrays = {name: abs(array) for name, array in arrays.items()}
    mask = KeyLengths(np.array([KEYS - 5, 2])) if masked else None
    given = {**arrays, "mask": mask, "normalizer": NORMALIZERS[normalizer](), "include": ("ranking", "output")}
    call = resolve(AttentionCall(**given, top_k=9))
    required = list_ranked_fields(call)
    assert required is not None
    assert ranks_in_ranges(call, required)
    whole = evaluate_with_kernel(kernel, call, required, None, None, None)
    expected = gather_ranking(whole.fields)
    keyless, cuts = without_keys(call), list(pairwise(CUTS["each span"]))
    first = required_without_ranking(required)
    partials = [evaluate_key_range(kernel, of_range(call, *cut), first, cut[0]) for cut in cuts]
    assert_same_bits(
        merge_key_ranges(kernel, keyless, first, partials).fields["output"], whole.fields["output"], "output"
    )
    states = np.concatenate([partial.state for partial in partials])
    parts = [rank_range(kernel, of_range(call, *cut), cut[0], states, None, None) for cut in cuts]
    ranking = gather_ranking(merge_rankings(keyless, parts))
    np.testing.assert_array_equal(ranking.counts, expected.counts)
    shown = np.arange(9) < expected.counts[..., None]
    for name in ("keys", "weights", "scores"):
        received, wanted = getattr(ranking, name), getattr(expected, name)
        assert_same_bits(received[shown], wanted[shown], name)
