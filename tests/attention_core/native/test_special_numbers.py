"""Numbers that are not ordinary: hidden NaN, infinities, denormals, huge logits, rows without keys, overflow."""

import numpy as np
import pytest

from attention_core import (
    NORMALIZERS,
    SCORE_MODELS,
    Allowed,
    Causal,
    DotProduct,
    FormulaScore,
    Gaussian,
    Identity,
    InvalidValue,
    KeyLengths,
    Proportional,
    Relu,
    ScaledDotProduct,
    Sigmoid,
    Softmax,
    Workers,
)
from tests.attention_core.native.drawn import draw
from tests.attention_core.native.kernels import EACH_KERNEL, assert_same_bits, run
from tests.calls import BUILT_IN
from tests.sampling import sample

SIZES = [(3, 5), (17, 70), (15, 300), (3, 2100)]
TWO = Workers(2)
KERNEL_NORMALIZERS = {name: NORMALIZERS[name]() for name in ("softmax", "sigmoid", "relu", "none", "proportional")}
NOT_FINITE = (np.nan, np.inf, -np.inf)
FIELDS = ("output", "scores", "logits", "weights")

every_kernel = pytest.mark.parametrize("kernel", EACH_KERNEL)
every_size = pytest.mark.parametrize(("queries", "keys"), SIZES)
both_types = pytest.mark.parametrize("dtype", ["float32", "float64"])


def vectors(queries, keys, dtype="float32", features=5, value_features=19):
    rng = np.random.default_rng(queries + keys)
    sizes = ((queries, features), (keys, features), (keys, value_features))
    return {
        name: rng.standard_normal((2, *size)).astype(dtype)
        for name, size in zip(("query", "key", "value"), sizes, strict=True)
    }


def assert_equals_numpy(kernel, include=FIELDS, tolerance=0.0, **given):
    """Fail unless a kernel returns what NumPy does: the same infinities and NaN, notes, and about the same numbers."""
    received, expected = (run(name, **given, include=include) for name in (kernel, "numpy"))
    # Few rows are divided along the keys.
    divided = run(kernel, **given, include=("output",), workers=TWO).arrays["output"]
    assert "output" not in include or (divided.tobytes() == received.output.tobytes())
    precision = tolerance or 300 * np.finfo(given["query"].dtype).eps
    for name in include:
        one, other = received.arrays[name], expected.arrays[name]
        largest = np.max(np.abs(other[np.isfinite(other)]), initial=0)
        np.testing.assert_allclose(one, other, precision, precision * largest, equal_nan=True, err_msg=name)
    assert received.notes == expected.notes
    return received


@pytest.mark.parametrize("number", sample(NOT_FINITE, np.inf))
@pytest.mark.parametrize("normalizer", KERNEL_NORMALIZERS)
@every_size
@every_kernel
def test_numbers_of_hidden_keys_change_no_bit(kernel, queries, keys, normalizer, number):
    given = vectors(queries, keys)
    rng = np.random.default_rng(1)
    hidden = rng.random(keys) < 0.3
    hidden[keys // 2] = True
    bias = np.full((queries, keys), 50, np.float32)
    named = {"normalizer": KERNEL_NORMALIZERS[normalizer], "mask": Allowed(np.broadcast_to(~hidden, (queries, keys)))}
    expected = run(kernel, **given, **named, bias=bias, include=("output", "weights"))
    assert np.isfinite(expected.output).all()
    for name in ("key", "value", "bias"):
        spoilt = {**given, "bias": bias}
        spoilt[name] = spoilt[name].copy()
        if name == "bias":
            spoilt[name][:, hidden] = number
        else:
            spoilt[name][:, hidden, :] = number
        received = run(kernel, **spoilt, **named, include=("output", "weights"))
        assert_same_bits(received.output, expected.output, (name, number))
        assert_same_bits(received.weights, expected.weights, (name, number))


@pytest.mark.parametrize("number", sample(NOT_FINITE, np.inf))
@pytest.mark.parametrize("score_model", BUILT_IN)
@every_kernel
def test_numbers_of_hidden_keys_change_no_bit_with_any_score_model(kernel, score_model, number):
    drawn = next(
        one for one in map(draw, range(9000)) if type(one.arguments["score_model"]) is SCORE_MODELS[score_model]
    )
    given = drawn.changed(normalizer=Softmax(), mask=KeyLengths(np.full(drawn.batches, drawn.keys - 1)), bias=None)
    past = {f"past_{name}": given[name].copy() for name in ("key", "value")}
    expected = run(kernel, **given, include=("output",)).output
    spoilt = {name: array.copy() for name, array in given.items() if name in ("key", "value")}
    for array in spoilt.values():
        array[..., -1, :] = number
    assert_same_bits(run(kernel, **{**given, **spoilt}, include=("output",)).output, expected, number)
    # The same in a cache, of which the first half is hidden.
    shape = (drawn.queries, 2 * drawn.keys)
    seen = np.broadcast_to(np.arange(shape[1]) >= drawn.keys, shape)
    given = drawn.changed(normalizer=Softmax(), mask=Allowed(seen), bias=None, offset=drawn.keys)
    expected = run(kernel, **given, **past, include=("output",)).output
    for array in past.values():
        array[...] = number
    assert_same_bits(run(kernel, **given, **past, include=("output",)).output, expected, number)


@pytest.mark.parametrize("normalizer", KERNEL_NORMALIZERS)
@every_size
@every_kernel
def test_a_row_that_sees_nan_or_infinity_is_nan_and_no_other(kernel, queries, keys, normalizer):
    given = {**vectors(queries, keys), "normalizer": KERNEL_NORMALIZERS[normalizer], "bias": np.full((1, 1), 60.0)}
    for name, number in (("query", np.nan), ("query", np.inf), ("key", np.nan), ("value", np.nan), ("value", np.inf)):
        spoilt = {**given, name: given[name].copy()}
        spoilt[name][0, -1, 0] = number
        for mask in (None, Causal()):
            assert_equals_numpy(kernel, **spoilt, mask=mask, offset=keys - queries)
    # A bias that is not finite, seen by one row.
    for number in (np.nan, np.inf):
        bias = np.full((queries, keys), 60.0)
        bias[-1, keys // 2] = number
        received = assert_equals_numpy(kernel, **{**given, "bias": bias})
        assert np.isfinite(received.output[:, :-1]).all()
        assert normalizer == "none" or np.isnan(received.output[:, -1]).all()


@pytest.mark.parametrize("spoilt", [5, 2060])
@pytest.mark.parametrize("normalizer", sorted(set(KERNEL_NORMALIZERS) - {"none"}))
@every_kernel
def test_nan_alone_in_its_span_makes_the_row_nan(kernel, normalizer, spoilt):
    given = vectors(3, 2100)
    given["key"][:, spoilt] = np.nan
    seen = np.zeros((3, 2100), bool)
    seen[:, [5, 2060]] = True
    named = {"mask": Allowed(seen), "bias": np.full((1, 1), 60.0), "normalizer": KERNEL_NORMALIZERS[normalizer]}
    for workers in (None, TWO):
        assert np.isnan(run(kernel, **given, **named, include=("output",), workers=workers).output).all()


@both_types
@every_size
@every_kernel
def test_huge_logits_overflow_nothing(kernel, queries, keys, dtype):
    given = vectors(queries, keys, dtype)
    for factor in (1e3, 1e15, 1e30):
        scaled = {**given, "query": given["query"] * given["query"].dtype.type(factor)}
        for normalizer in (Softmax(), Softmax(sink=1.5), Softmax(temperature=1e-3), Sigmoid()):
            received = assert_equals_numpy(
                kernel, ("weights", "output"), 0.02 if dtype == "float32" else 1e-6, **scaled, normalizer=normalizer
            )
            assert np.isfinite(received.output).all()
    # 1000 against 999, exactly.
    one = np.ones((1, 1), dtype)
    near = np.array([[1000], [999]], dtype)
    weights = run(kernel, query=one, key=near, score_model=DotProduct(), include=("weights",)).weights
    np.testing.assert_allclose(weights, [[1 / (1 + np.exp(-1)), 1 / (1 + np.exp(1))]], 1e-6)


@both_types
@every_size
@every_kernel
def test_exponentials_far_below_the_maximum_are_denormal_and_then_zero(kernel, queries, keys, dtype):
    largest = {"float32": 106.0, "float64": 750.0}[dtype]
    key = np.linspace(0, -largest, keys, dtype=dtype)[:, None]
    query = np.ones((queries, 1), dtype)
    value = np.ones((keys, 1), dtype)
    received = run(
        kernel, query=query, key=key, value=value, score_model=DotProduct(), include=("weights", "logsumexp")
    )
    exact = np.exp(key[:, 0].astype(np.longdouble))
    right = (exact / exact.sum()).astype(dtype)
    smallest = np.finfo(dtype).smallest_subnormal
    np.testing.assert_allclose(received.weights, np.broadcast_to(right, (queries, keys)), 1e-5, 3 * smallest)
    assert received.weights[0, -1] == 0
    assert keys < 70 or (received.weights[0] < np.finfo(dtype).tiny).sum() > (received.weights[0] == 0).sum()


@both_types
@every_kernel
def test_denormal_numbers_are_numbers(kernel, dtype):
    tiny = np.finfo(dtype).tiny
    given = vectors(15, 300, dtype)
    for name in ("key", "value"):
        small = {**given, name: (given[name] * tiny / 8).astype(dtype)}
        received = assert_equals_numpy(kernel, ("scores", "output"), 1e-3, **small, score_model=DotProduct())
        assert received.output.any()


@every_size
@every_kernel
def test_rows_without_a_visible_key(kernel, queries, keys):
    given = vectors(queries, keys)
    seen = np.ones((queries, keys), bool)
    seen[::2] = False
    bias = np.where(seen, np.float32(60), -np.inf)
    for normalizer in (*KERNEL_NORMALIZERS.values(), Softmax(sink=0.5), Softmax(temperature=2.0, sink=-3.0)):
        include = (*FIELDS, "logsumexp") if isinstance(normalizer, Softmax) else FIELDS
        for hiding in ({"mask": Allowed(seen), "bias": np.full((1, 1), 60.0)}, {"bias": bias}):
            received = assert_equals_numpy(kernel, include, **given, **hiding, normalizer=normalizer)
            assert not received.output[:, ::2].any()
            assert not received.weights[:, ::2].any()
            if isinstance(normalizer, Softmax):
                empty = -np.inf if normalizer.sink is None else normalizer.sink
                assert (received.arrays["logsumexp"][:, ::2] == empty).all()


@every_size
@every_kernel
def test_sinks_of_any_size_take_their_share(kernel, queries, keys):
    given = vectors(queries, keys)
    include = ("weights", "output", "logsumexp")
    for sink in (-1e30, -200.0, 0.0, 3.0, 200.0, 1e30):
        for temperature in (0.5, 2.0):
            assert_equals_numpy(kernel, include, **given, normalizer=Softmax(temperature=temperature, sink=sink))


@every_size
@every_kernel
def test_proportional_refuses_the_same_negative_logit_in_the_same_words(kernel, queries, keys):
    given = vectors(queries, keys)
    bias = np.full((queries, keys), 60.0)
    bias[queries - 1, keys - 2] = -60
    given["normalizer"] = Proportional()
    told = []
    for name, workers in ((kernel, None), (kernel, TWO), ("numpy", None)):
        with pytest.raises(InvalidValue) as error:
            run(name, **given, bias=bias, include=("output",), workers=workers)
        told.append(str(error.value))
    assert len(set(told)) == 1
    # Hidden, it does no harm.
    seen = np.ones((queries, keys), bool)
    seen[queries - 1, keys - 2] = False
    assert_equals_numpy(kernel, **given, bias=bias, mask=Allowed(seen))


@every_size
@every_kernel
def test_rows_whose_sums_overflow_are_numpys_and_others_are_not(kernel, queries, keys):
    """NumPy divides before it adds; a kernel's row would be infinite."""
    given = vectors(queries, keys)
    given["query"][:] = 1
    given["key"] = np.clip(np.abs(given["key"]), 0, 2)
    given["query"][0, 0] = 3e37
    plain = run(kernel, **given, score_model=DotProduct(), normalizer=Proportional(), include=("output",)).output
    expected = run("numpy", **given, score_model=DotProduct(), normalizer=Proportional(), include=("output",)).output
    np.testing.assert_allclose(plain, expected, 1e-4, 1e-5)
    assert np.isfinite(plain).all()
    usual = {**given, "query": np.ones_like(given["query"])}
    rest = run(kernel, **usual, score_model=DotProduct(), normalizer=Proportional(), include=("output",)).output
    assert_same_bits(plain[0, 1:], rest[0, 1:], "the rows beside it")
    # Large values: a weighted average of them is finite, and their weighted sum before the division is not.
    large = {**vectors(queries, keys), "value": np.full((2, keys, 3), 3e38, np.float32)}
    for normalizer in (Softmax(), Relu()):
        received = assert_equals_numpy(
            kernel,
            ("output",),
            1e-4,
            **large,
            score_model=ScaledDotProduct(scale=0.01),
            bias=np.full((1, 1), 0.5),
            normalizer=normalizer,
        )
        assert np.isfinite(received.output).all()


@every_size
@every_kernel
def test_raw_scores_may_overflow_to_infinity(kernel, queries, keys):
    given = vectors(queries, keys)
    given = {**given, "query": np.full_like(given["query"], 1e25), "key": np.ones_like(given["key"])}
    given["value"] = np.full((2, keys, 3), 1e20, np.float32)
    assert_equals_numpy(kernel, ("output",), **given, score_model=DotProduct(), normalizer=Identity())


@every_kernel
def test_factors_beyond_the_range_of_the_type_are_numpys(kernel):
    given = vectors(3, 5)
    for model in (Gaussian(bandwidth=1e-25), Gaussian(bandwidth=1e25)):
        assert_equals_numpy(kernel, ("scores", "weights"), **given, score_model=model)
    for temperature in (1e-38, 1e38):
        assert_equals_numpy(kernel, ("weights", "output"), **given, normalizer=Softmax(temperature=temperature))


@both_types
@every_kernel
def test_a_zero_vector_makes_a_written_cosine_nan_for_those_alone_who_see_it(kernel, dtype):
    given = vectors(15, 300, dtype)
    model = FormulaScore("dot(q, k) / (norm(q) * norm(k))")
    whole = run(kernel, **given, score_model=model, mask=Causal(), include=FIELDS)
    given["query"][:, 4], given["key"][:, 11], given["key"][:, 40] = 0, 0, 0
    found = run(kernel, **given, score_model=model, mask=Causal(), include=FIELDS)
    sees_zero = np.isin(np.arange(15), [4, 11, 12, 13, 14])
    assert np.isnan(found.output[:, sees_zero]).all()
    assert_same_bits(found.output[:, ~sees_zero], whole.output[:, ~sees_zero], kernel)
    assert_equals_numpy(kernel, tolerance=1e-5, **given, score_model=model, mask=Causal())


@pytest.mark.parametrize("place", [5, 300, 2099])
@pytest.mark.parametrize("number", [*NOT_FINITE, 6e4])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
@every_kernel
def test_values_that_are_not_finite_give_one_query_the_bits_that_it_has_among_others(kernel, dtype, number, place):
    """The values of a single row are looked at only where its sums are not finite."""
    given = vectors(3, 2100, features=16, value_features=32)
    given["key"][:, 5] *= -1e4  # whose weight is 0 by underflow
    given["value"][:, place, ::3] = number
    if dtype == "float32" and number == 6e4:
        given["value"][:, place:] = 3e38  # finite, and their sum is not
    seen = np.arange(2100) != 300
    for normalizer in (Softmax(), Relu()):
        for mask in (None, Allowed(seen)):
            named = {"dtype": dtype, "normalizer": normalizer, "mask": mask, "include": ("output",)}
            together = run(kernel, **given, **named).output
            for row, workers in ((0, None), (2, TWO)):
                alone = given | {"query": given["query"][:, row : row + 1]}
                received, expected = run(kernel, **alone, **named, workers=workers).output, together[:, row : row + 1]
                if place == 300 and mask is not None and not np.isfinite(number):
                    assert np.isfinite(expected).all()
                if not np.isfinite(expected).all() or float(np.abs(expected).max()) > 1e38:
                    # NumPy computes such rows again, and its bits depend on the batch.
                    np.testing.assert_allclose(received, expected, 1e-2, 1e-2, equal_nan=True)
                else:
                    assert_same_bits(received, expected, (normalizer, mask, row))
