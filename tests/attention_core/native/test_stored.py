"""Keys and values of two bytes a number are read in place, with the bits that their numbers in float32 give."""

import numpy as np
import pytest

from attention_core import (
    BFLOAT16,
    NORMALIZERS,
    SCORE_MODELS,
    Alibi,
    Allowed,
    AttentionCall,
    Bilinear,
    Causal,
    DotProduct,
    Gaussian,
    Heads,
    InvalidValue,
    KeyLengths,
    Laplacian,
    Rotary,
    ScaledDotProduct,
    Softmax,
    Sparsemax,
    Workers,
    attend,
    call,
    differentiate,
    evaluate,
    predict,
    resolve,
)
from attention_core.dtypes import widen
from attention_core.explanation import explain
from attention_core.kernel_forms import PairFunction
from attention_core.native import using_kernel
from attention_core.native.plans import count_plans, forget_plans
from tests.attention_core.native.drawn import draw
from tests.attention_core.native.kernels import EACH_KERNEL, assert_same_bits, run
from tests.attention_core.native.stored import STORED, in_four_bytes, in_two_bytes, stored
from tests.sampling import sample

SEEDS, SOAK_SEEDS = range(7000, 7005), range(7100, 7140)
MATRICES = ("scores", "capped_scores", "logits", "weights")
RNG = np.random.default_rng(19)
ALL_BITS = np.arange(2**16, dtype=np.uint16)

every_kernel = pytest.mark.parametrize("kernel", EACH_KERNEL)
every_dtype = pytest.mark.parametrize("dtype", STORED)
drawn_calls = pytest.mark.parametrize(
    "seed", [*SEEDS, *(pytest.param(seed, marks=pytest.mark.soak) for seed in SOAK_SEEDS)]
)


@pytest.fixture
def no_copy(monkeypatch):
    """Let a call fail that makes float32 of all its keys or values."""
    monkeypatch.setattr(call, "widen", lambda _: pytest.fail("keys or values are copied"))


def vectors(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


@every_kernel
@every_dtype
@pytest.mark.parametrize("features", [1, 3, 8, 16, 33])
def test_every_number_is_read_exactly(kernel, dtype, features, no_copy):
    numbers = np.resize(ALL_BITS, (-(-(2**16) // features), features)).view(STORED[dtype])
    wide = widen(numbers)
    query = np.zeros((1, features), np.float32)
    query[0, -1] = 1
    finite = np.where(np.isfinite(wide), wide, 0)
    only = {
        "query": query,
        "score_model": DotProduct(),
        "dtype": dtype,
        "mask": Allowed(np.isfinite(wide).all(axis=-1)),
    }
    keys = run(kernel, **only, key=stored(finite, dtype), include=("scores",)).scores[0]
    np.testing.assert_array_equal(keys, finite[:, -1])
    # Values one by one: each of a few rows alone is what its query sees.
    chosen = np.linspace(0, len(wide) - 1, 200).astype(int)
    see = np.zeros((len(chosen), len(wide)), bool)
    see[np.arange(len(chosen)), chosen] = True
    value = run(
        kernel,
        query=np.zeros((len(chosen), 1), np.float32),
        key=stored(np.zeros((len(wide), 1)), dtype),
        value=stored(finite, dtype),
        mask=Allowed(see),
        dtype=dtype,
        include=("output",),
    ).output
    np.testing.assert_array_equal(value.astype(np.float32), finite[chosen])


@drawn_calls
@every_kernel
@every_dtype
def test_numbers_in_two_bytes_give_the_bits_of_the_same_in_four(kernel, seed, dtype):
    drawn = draw(seed)
    if drawn.arguments["bias"] is not None and NORMALIZERS["proportional"] is type(drawn.arguments["normalizer"]):
        # Logits must not be negative.
        drawn.arguments["bias"] = np.full((1, 1), 3e4)
    is_softmax = type(drawn.arguments["normalizer"]).__name__ == "Softmax"
    include = ("output", *MATRICES, *(("logsumexp",) if is_softmax else ()))
    two, four = (made(drawn.arguments, dtype) for made in (in_two_bytes, in_four_bytes))
    expected = run(kernel, **four, include=include)
    with Workers(3) as workers:
        for names, threads in ((include, None), (("output",), None), (("output",), workers), (("weights",), workers)):
            found = run(kernel, **two, include=names, workers=threads)
            assert found.notes == expected.notes
            for name in names:
                assert_same_bits(found.arrays[name], expected.arrays[name], (seed, dtype, name))


@every_kernel
@every_dtype
@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_give_what_the_same_give_in_four_bytes(kernel, dtype, broken):
    key, value = vectors(2, 700, 19), vectors(2, 700, 37)
    key[0, 600, 3], value[1, 650, 36] = broken, broken
    for mask in (None, KeyLengths(np.array([500, 660])), KeyLengths(np.array([700, 640]))):
        arguments = {"query": vectors(2, 30, 19), "key": key, "value": value, "mask": mask}
        found = run(kernel, **in_two_bytes(arguments, dtype), include=("output", "weights"))
        expected = run(kernel, **in_four_bytes(arguments, dtype), include=("output", "weights"))
        assert found.notes == expected.notes
        for name in ("output", "weights"):
            assert_same_bits(found.arrays[name], expected.arrays[name], (dtype, broken, name))


@every_kernel
@every_dtype
@pytest.mark.parametrize("width", sample([8, 16, 32, 40, 64, 96, 128, 160], 40, 128))
def test_one_query_reads_values_in_place(kernel, dtype, width):
    chance = np.random.default_rng(width)
    for n_keys in (1, 60, 300, 2049):
        for broken in (None, np.inf, np.nan):
            arguments = {"query": vectors(3, 1, 16), "key": vectors(3, n_keys, 16), "value": vectors(3, n_keys, width)}
            if broken is not None:
                arguments["value"][0, n_keys // 2, width - 1] = broken
                arguments["value"][1, n_keys - 1, 0] = broken
            for mask in (
                None,
                KeyLengths(np.array([n_keys, n_keys - 1, n_keys // 2])),
                Allowed(chance.random(n_keys) < 0.8),
            ):
                arguments["mask"] = mask
                two, four = (run(kernel, **made(arguments, dtype)) for made in (in_two_bytes, in_four_bytes))
                assert_same_bits(two.output, four.output, (dtype, width, n_keys, broken, mask))
                assert two.notes == four.notes


@every_dtype
@every_kernel
def test_largest_and_smallest_values_are_finite(kernel, dtype):
    bits = {"float16": (0x7BFF, 0xFBFF, 0x0001, 0x8000), "bfloat16": (0x7F7F, 0xFF7F, 0x0001, 0x8000)}[dtype]
    for number in bits:
        value = np.full((300, 64), number, np.uint16).view(STORED[dtype])
        key = stored(np.zeros((300, 1)), dtype)
        mask = Allowed(np.arange(300) == 299)
        found = run(kernel, query=np.zeros((1, 1), np.float32), key=key, value=value, mask=mask, dtype=dtype)
        np.testing.assert_array_equal(found.output.astype(np.float32)[0], widen(value)[0])


def decoding(dtype, heads=8, groups=2, keys=3000, features=40):
    """A step of decoding: one query for each head, keys and values in buffers with room behind them."""
    key, value = (
        stored(vectors(1, heads // groups, keys + 500, size), dtype)[:, :, :keys] for size in (features, features + 1)
    )
    return {"query": vectors(1, heads, 1, features), "key": key, "value": value, "dtype": dtype, "include": ("output",)}


COVERED = {
    "a step of decoding": {},
    "no groups": {"groups": 1},
    "one key": {"keys": 1},
    "dot product": {"score_model": DotProduct()},
    "gaussian": {"score_model": Gaussian(3.0)},
    "laplacian": {"score_model": Laplacian(3.0)},
    "bilinear": {"score_model": Bilinear(np.eye(40))},
    "masks": {"mask": Causal() & KeyLengths(np.array([2000])), "offset": 2500},
    "a matrix of booleans": {"mask": Allowed(RNG.random(3000) < 0.5)},
    "alibi": {"position": Alibi()},
    "softcap": {"softcap": 5.0},
    "sink": {"normalizer": Softmax(sink=0.5, temperature=0.3)},
    "matrices": {"include": ("output", "weights", "scores", "logits", "mean_weights", "diagnostics")},
    "ranking": {"include": ("ranking",), "top_k": 5},
    **{
        name: {"normalizer": one(), **({"bias": np.full((1, 1), 1e3)} if name == "proportional" else {})}
        for name, one in NORMALIZERS.items()
        if name in ("softmax", "sigmoid", "relu", "none", "proportional")
    },
}


@every_kernel
@every_dtype
@pytest.mark.parametrize("case", COVERED)
def test_a_covered_call_makes_no_copy(kernel, dtype, case, no_copy):
    options = dict(COVERED[case])
    made = decoding(dtype, **{name: options.pop(name) for name in ("groups", "keys") if name in options}) | options
    resolved = resolve(AttentionCall(**made))
    predict(resolved)
    with using_kernel(kernel):
        evaluate(resolved)
    assert resolved.stored_key.dtype == resolved.stored_value.dtype == STORED[dtype]
    assert np.shares_memory(resolved.stored_key, made["key"])


@every_kernel
@every_dtype
def test_scores_of_normalizers_of_whole_rows_copy_no_keys(kernel, dtype, monkeypatch):
    copied = []
    monkeypatch.setattr(call, "widen", lambda array: copied.append(array.shape) or widen(array))
    made = decoding(dtype)
    run(kernel, **{**made, "value": None, "normalizer": Sparsemax(), "include": ("weights",)})
    assert copied == []


@every_dtype
@pytest.mark.parametrize("layout", ["heads packed", "bshd"])
def test_other_orders_of_axes_make_no_copy(dtype, layout, no_copy):
    query, key, value = vectors(2, 3, 4, 5), vectors(2, 300, 2, 5), vectors(2, 300, 2, 6)
    expected = attend(query, stored(key, dtype), stored(value, dtype), dtype=dtype, layout="bshd", include=("output",))
    if layout == "bshd":
        # Each matrix has its own start, whatever the order of its axes in memory.
        key, value = (stored(one, dtype).swapaxes(1, 2).copy().swapaxes(1, 2) for one in (key, value))
        found = attend(query, key, value, dtype=dtype, layout="bshd", include=("output",))
        assert_same_bits(found.output, expected.output, layout)
    else:
        packed = (one.reshape(*one.shape[:2], -1) for one in (query, stored(key, dtype), stored(value, dtype)))
        found = attend(*packed, dtype=dtype, heads=Heads(query=4, key_value=2), include=("output",))
        assert_same_bits(found.output.reshape(expected.output.shape), expected.output, layout)


UNCOVERED = {
    "rotary": {"position": Rotary()},
    "present": {"include": ("output", "present")},
    "more leading axes of values": {"value": vectors(3, 1, 1, 4, 6)},
    "every score model": {},
}


@pytest.mark.parametrize("kernel", [*EACH_KERNEL, "numpy"])
@every_dtype
@pytest.mark.parametrize("case", UNCOVERED)
def test_other_calls_are_computed_from_copies(kernel, dtype, case):
    models = [one for name, one in SCORE_MODELS.items() if name in ("cosine", "trilinear", "additive", "expression")]
    parameters = {
        "trilinear": {"weight": np.ones(12)},
        "additive": {"query_weight": np.ones((2, 4)), "key_weight": np.ones((2, 4)), "score_vector": np.ones(2)},
        "expression": {"formula": "dot(q, k) / 2"},
    }
    models = [one(**parameters.get(one.name, {})) for one in models] if case == "every score model" else [None]
    for model in models:
        arguments = {
            "query": vectors(2, 5, 4),
            "key": vectors(2, 4, 4),
            "value": vectors(2, 4, 3),
            "score_model": model,
            **UNCOVERED[case],
        }
        found, expected = (run(kernel, **made(arguments, dtype)) for made in (in_two_bytes, in_four_bytes))
        assert list(found.arrays) == list(expected.arrays)
        for name, array in expected.arrays.items():
            assert_same_bits(found.arrays[name], array, (dtype, case, name))


@pytest.mark.parametrize("kernel", [*EACH_KERNEL, "numpy"])
@every_dtype
def test_caches_normalizers_gradients_and_explanations_take_numbers_in_two_bytes(kernel, dtype):
    arguments = {"query": vectors(1, 2, 3, 4), "key": vectors(1, 2, 5, 4), "value": vectors(1, 2, 5, 4)}
    two, four = (made(arguments, dtype) for made in (in_two_bytes, in_four_bytes))
    with using_kernel(kernel):
        for name, normalizer in NORMALIZERS.items():
            bias = np.full((1, 1), 1e3) if name == "proportional" else None
            found, expected = (attend(**one, normalizer=normalizer(), bias=bias) for one in (two, four))
            for field, array in expected.arrays.items():
                assert_same_bits(found.arrays[field], array, (dtype, name, field))
        expected = attend(**four, past_key=four["key"], past_value=four["value"], include=("output",))
        for new, past in ((two, two), (two, four), (four, two)):
            found = attend(**new, past_key=past["key"], past_value=past["value"], include=("output",))
            assert_same_bits(found.output, expected.output, dtype)
        gradients = [differentiate(**one, output_gradient=np.ones((1, 2, 3, 4))) for one in (two, four)]
        for name in ("query", "key", "value"):
            assert_same_bits(*(getattr(one, name) for one in gradients), (dtype, name))
    explained = [repr(explain(resolve(AttentionCall(**one)), (0, 1), 2, 3)) for one in (two, four)]
    assert explained[0] == explained[1]


@pytest.mark.parametrize("model", [DotProduct(), ScaledDotProduct(1.0), Gaussian(), Laplacian(), Bilinear(np.eye(4))])
def test_score_models_that_keep_keys_return_them_and_compute_nothing_else(model):
    assert model.keeps_keys
    pair = model.pair_function(vectors(3, 4), keys := vectors(5, 4), lambda rows, weight: rows @ weight.T)
    assert pair.keys is keys
    assert pair.key_terms is None
    # What depends on the numbers of the keys would be another number now.
    other = model.pair_function(pair.queries, keys + 1, lambda rows, weight: rows @ weight.T)
    assert pair.scale == other.scale
    assert isinstance(pair, PairFunction)


def test_score_models_keep_keys_if_a_list_here_says_so():
    keeping = {"dot_product", "scaled_dot_product", "gaussian", "laplacian", "bilinear"}
    assert {name for name, model in SCORE_MODELS.items() if model.keeps_keys} == keeping


@every_kernel
def test_a_plan_is_of_one_type_of_numbers(kernel):
    numbers = vectors(40, 8)
    forget_plans()
    with using_kernel(kernel):
        for dtype in STORED:
            for made in (in_two_bytes, in_four_bytes):
                for _ in range(2):
                    attend(**made({"query": numbers, "key": numbers, "value": numbers}, dtype), include=("output",))
        assert count_plans() == 4
    forget_plans()


def test_the_type_of_bits_is_the_type_of_a_call():
    bits = stored(vectors(4, 3), "bfloat16")
    assert attend(bits, bits).dtype == "bfloat16"
    assert attend(vectors(2, 3), bits).dtype == "float64"
    expected = attend(widen(bits), widen(bits), dtype="bfloat16").weights
    assert_same_bits(attend(bits, bits).weights, expected, "bits alone")
    for dtype in ("float64", "float32", "float16"):
        assert_same_bits(
            attend(bits, bits, dtype=dtype).weights, attend(widen(bits), widen(bits), dtype=dtype).weights, 0
        )


def test_numbers_beyond_another_type_are_named_by_their_place():
    bits = stored(np.array([[1.0], [1e30]]), "bfloat16")
    with pytest.raises(InvalidValue) as caught:
        attend(bits, bits, dtype="float16")
    assert caught.value.path == ("query", 1, 0)


def test_nothing_takes_bits_for_numbers():
    assert BFLOAT16.itemsize == 2
    with pytest.raises(TypeError):
        np.add(ALL_BITS.view(BFLOAT16), 1)
