"""Storage types: rounding to the nearest, ties to even, in one step; overflow named."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attention_core import (
    Bilinear,
    Cosine,
    Gaussian,
    InvalidValue,
    Laplacian,
    ScaledDotProduct,
    Sigmoid,
    Softmax,
    attend,
)
from attention_core.dtypes import DTYPES, resolve_dtype
from tests import oracle
from tests.sampling import draws


def rounded(numbers, name):
    return DTYPES[name].round(np.array(numbers, np.float64)).astype(np.float64).tolist()


@settings(max_examples=draws(500))
@given(st.floats(allow_nan=False, allow_infinity=False))
@pytest.mark.parametrize("name", ["float16", "bfloat16"])
def test_rounding_is_the_oracles(name, number):
    if abs(number) > DTYPES[name].max_finite:
        number = number % DTYPES[name].max_finite
    assert rounded([number], name) == [oracle.ROUND[name](number)]


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (1 + 2**-8, 1.0),
        (1 + 3 * 2**-8, 1 + 2**-6),
        (1 + 2**-8 + 2**-40, 1 + 2**-7),
        (2.0**-133, 2.0**-133),
        (2.0**-134, 0.0),
        (1.5 * 2.0**-133, 2.0**-132),
        (-0.0, -0.0),
    ],
)
def test_bfloat16_ties_go_to_even_and_nothing_is_rounded_twice(number, expected):
    received = rounded([number], "bfloat16")[0]
    assert received == expected
    assert np.signbit(received) == np.signbit(expected)


def test_float32_is_rounded_to_bfloat16_as_the_same_numbers_in_float64_are():
    """All exponents and both signs, with every last bit around every tie, and any other bits there are."""
    upper = np.arange(2**16, dtype=np.uint32) << 16
    ties = np.array([0x0000, 0x0001, 0x7FFF, 0x8000, 0x8001, 0xFFFF], np.uint32)
    drawn = np.random.default_rng(5).integers(0, 2**32, 200_000, np.uint32)
    single = np.concatenate([(upper[:, None] | ties).ravel(), drawn]).view(np.float32)
    with np.errstate(invalid="ignore"):  # some of the bits are signalling NaN
        expected = DTYPES["bfloat16"].round(single.astype(np.float64))
    received = DTYPES["bfloat16"].round(single)
    assert received.dtype == np.float32
    nan = np.isnan(single)
    np.testing.assert_array_equal(received[~nan].view(np.uint32), expected[~nan].view(np.uint32))
    np.testing.assert_array_equal(received[nan].view(np.uint32), single[nan].view(np.uint32))


def test_non_finite_numbers_stay():
    for name in DTYPES:
        received = rounded([np.nan, np.inf, -np.inf], name)
        assert np.isnan(received[0])
        assert received[1:] == [np.inf, -np.inf]


@pytest.mark.parametrize(
    ("name", "fits", "too_large"),
    [
        ("float32", 3.4028234e38, 3.4028236e38),
        ("float16", 65519.99, 65520.0),
        ("bfloat16", 3.3895e38, 3.3962e38),
    ],
)
def test_a_number_that_does_not_fit_is_named_and_the_last_that_does_is_kept(name, fits, too_large):
    assert np.isfinite(attend([[fits]], [[0.0]], dtype=name, include=("weights",)).weights).all()
    with pytest.raises(InvalidValue, match=rf"key\[1\]\[0\]: expected a number within the range of {name}"):
        attend([[1.0]], [[0.0], [too_large]], dtype=name)


@pytest.mark.parametrize("name", ["float16", "bfloat16"])
def test_half_types_compute_in_float32_and_round_once(name):
    rng = np.random.default_rng(3)
    query, key, value = rng.standard_normal((4, 8)), rng.standard_normal((6, 8)), rng.standard_normal((6, 3))
    half = attend(query, key, value, dtype=name, include=("output", "logsumexp"))
    loaded = [DTYPES[name].round(array).astype(np.float32) for array in (query, key, value)]
    single = attend(*loaded, include=("output", "logsumexp"))
    np.testing.assert_array_equal(half.output, DTYPES[name].round(single.output))
    np.testing.assert_array_equal(half.logsumexp, single.logsumexp)
    assert half.logsumexp.dtype == np.float32


@pytest.mark.parametrize(
    ("dtypes", "expected"),
    [(("float32",) * 3, "float32"), (("float16",) * 3, "float16"), (("float32", "float64", "float32"), "float64")],
)
def test_without_a_name_it_is_what_the_inputs_share(dtypes, expected):
    assert resolve_dtype(None, *(np.zeros(1, dtype) for dtype in dtypes)).name == expected


ONES = np.ones((1, 2, 3, 4), np.float32)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize(
    ("path", "options"),
    [
        (("bias", 0, 1), {"bias": np.array([[0, 1e39, 0]] * 3)}),
        (("softcap",), {"softcap": 1e39}),
        (("softcap",), {"softcap": 1e-60}),
        (("normalizer", "temperature"), {"normalizer": Softmax(temperature=1e39)}),
        (("normalizer", "temperature"), {"normalizer": Softmax(temperature=1e-60)}),
        (("normalizer", "sink"), {"normalizer": Softmax(sink=1e39)}),
        (("normalizer", "sink", 1), {"normalizer": Softmax(sink=np.array([0, -1e39]))}),
        (("normalizer", "bias"), {"normalizer": Sigmoid(bias=-1e39)}),
        (("score_model", "scale"), {"score_model": ScaledDotProduct(scale=1e39)}),
        (("score_model", "scale", 1), {"score_model": Cosine(scale=np.array([1, 1e39]))}),
        (("score_model", "bandwidth"), {"score_model": Gaussian(bandwidth=1e39)}),
        (("score_model", "bandwidth"), {"score_model": Laplacian(bandwidth=1e-60)}),
        (("score_model", "weight", 0, 2), {"score_model": Bilinear(np.array([[0, 0, 1e39, 0]] * 4))}),
    ],
)
def test_what_does_not_fit_the_compute_type_is_named(path, options, dtype):
    with pytest.raises(InvalidValue) as caught:
        attend(ONES, ONES, ONES, dtype=dtype, **options)
    assert caught.value.path == path


def test_a_bias_of_minus_infinity_fits_every_dtype():
    bias = np.array([[0.0, -np.inf, 0.0]])
    weights = attend(ONES, ONES, bias=bias, dtype="float16").weights
    assert weights[0, 0, 0].tolist() == [0.5, 0.0, 0.5]


@pytest.mark.parametrize("bandwidth", [1e-30, 1e30])
@pytest.mark.parametrize("kernel", [Gaussian, Laplacian])
def test_an_extreme_bandwidth_gives_no_nan(kernel, bandwidth):
    vectors = np.arange(6, dtype=np.float32).reshape(3, 2)
    weights = attend(vectors, vectors, score_model=kernel(bandwidth=bandwidth)).weights
    expected = np.eye(3) if bandwidth < 1 else np.full((3, 3), 1 / 3)
    np.testing.assert_allclose(weights, expected, rtol=1e-6)
