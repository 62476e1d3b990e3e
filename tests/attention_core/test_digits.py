"""The oracle's functions of `decimal` numbers are correct to at least 34 digits."""

import math
from decimal import Decimal

import pytest

from tests.digits import exact, held, in_forty_digits, tanh, turned_by

TINY = Decimal("1e-34")


@pytest.mark.parametrize("x", [0.3, -2.5, 0.001, 1e-5, 7e-6, 4e-6, -1e-7, 1e-30, 40.0, 400.0])
@in_forty_digits
def test_tanh_doubles_its_argument(x):
    once, twice = tanh(Decimal(x)), tanh(2 * Decimal(x))
    assert abs(twice - 2 * once / (1 + once * once)) <= TINY * abs(twice)
    assert float(once) == pytest.approx(math.tanh(x), rel=1e-15)


@pytest.mark.parametrize("place", [0, 1, -3, 7, 100000])
@pytest.mark.parametrize("feature", [0, 2, 6])
@in_forty_digits
def test_a_turn_done_twice_is_one_twice_as_far(place, feature):
    step = Decimal(500) ** (Decimal(-feature) / 8)
    cosine, sine = turned_by(place, step)
    angle = place * 500.0 ** (-feature / 8)
    assert (float(cosine), float(sine)) == pytest.approx((math.cos(angle), math.sin(angle)), abs=1e-11)
    lost = max(1, abs(place)) * TINY
    assert abs(cosine * cosine + sine * sine - 1) < lost
    again = turned_by(2 * place, step)
    assert abs(again[0] - (cosine * cosine - sine * sine)) < lost
    assert abs(again[1] - 2 * cosine * sine) < lost


@in_forty_digits
def test_floats_come_exactly_and_what_float64_cannot_hold_is_infinite():
    assert exact([[0.1, None], [2]]) == [
        [Decimal("0.1000000000000000055511151231257827021181583404541015625"), None],
        [2],
    ]
    assert held(Decimal("1e308") * -10) == -math.inf
    assert held(Decimal("1e308")) == Decimal("1e308")
    assert held(Decimal("NaN")).is_nan()
