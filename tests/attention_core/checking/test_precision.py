"""The precision in which the numbers of a candidate are written."""

from itertools import pairwise

import numpy as np
import pytest

from attention_core.checking.comparison import Comparison, first_informative_level
from attention_core.checking.precision import Rounding, WrittenPrecision, half_unit
from attention_core.differences import Tolerance
from attention_core.dtypes import DTYPES

RANDOM = np.random.default_rng(0).standard_normal((7, 30))


@pytest.mark.parametrize("places", range(9))
def test_decimals_are_counted(places):
    assert WrittenPrecision.of(np.round(RANDOM, places)).decimals == places


@pytest.mark.parametrize("digits", range(1, 9))
def test_significant_digits_are_counted_over_many_sizes(digits):
    sizes = RANDOM * 10.0 ** np.arange(-15, 15)
    numbers = np.vectorize(lambda number: float(f"{number:.{digits}g}"))(sizes)
    precision = WrittenPrecision.of(numbers)
    assert (precision.decimals, precision.digits) == (None, digits)


def test_numbers_in_full_are_rounded_to_nothing():
    precision = WrittenPrecision.of(RANDOM)
    assert (precision.decimals, precision.digits, precision.roundings) == (None, None, ())
    assert precision.half_step == 2.0**-53


def test_one_longer_number_beyond_the_first_ones_counts():
    numbers = np.round(np.tile(RANDOM, (10, 1)), 3)
    numbers[-1, -1] = 0.12345
    assert WrittenPrecision.of(numbers).decimals == 5
    assert WrittenPrecision.joined(map(WrittenPrecision.of, [numbers[:1], np.round(RANDOM, 6)])).decimals == 6


@pytest.mark.parametrize(("dtype", "half_step"), [(np.float32, 2.0**-24), (np.float16, 2.0**-11)])
def test_a_binary_type_is_recognised_behind_float64(dtype, half_step):
    assert WrittenPrecision.of(RANDOM.astype(dtype).astype(np.float64)).half_step == half_step


def test_decimals_are_seen_through_float32():
    assert WrittenPrecision.of(np.round(RANDOM, 4).astype(np.float32)).decimals == 4


def test_non_finite_numbers_and_zeros_do_not_count():
    precision = WrittenPrecision.of(np.array([np.nan, np.inf, -np.inf, 0.0, 0.25]))
    assert precision.decimals == 2
    assert WrittenPrecision.of(np.array([np.nan])).decimals == 0


@pytest.mark.parametrize("rounding", [Rounding("decimals", 3), Rounding("digits", 3)])
def test_half_a_unit_covers_every_rounding_and_little_more(rounding):
    numbers = RANDOM * 10.0 ** np.arange(-15, 15) if rounding.kind == "digits" else RANDOM
    written = "{:.3f}" if rounding.kind == "decimals" else "{:.3g}"
    rounded = np.vectorize(lambda number: float(written.format(number)))(numbers)
    errors, allowed = np.abs(rounded - numbers), half_unit(rounding, rounded)
    assert np.all(errors <= allowed)
    assert np.max(errors / allowed) > 0.85


def test_a_rounding_finer_than_the_dtype_tells_is_no_level_of_its_own():
    for dtype, places, informative in (("float64", 4, 1), ("float64", 8, 1), ("float32", 4, 1), ("float32", 6, 0)):
        comparison = Comparison(DTYPES[dtype], Tolerance(0, 0))
        precision = WrittenPrecision.of(np.round(RANDOM, places))
        levels = comparison.levels(precision)
        assert first_informative_level(levels, precision) == informative
        for closer, wider in pairwise(level.tolerance for level in levels):
            assert closer != wider
            assert closer.relative <= wider.relative
            assert closer.absolute <= wider.absolute
