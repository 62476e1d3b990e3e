"""Intervals of numbers and of truth values: what an operation can yield of operands within bounds.

An interval says ``(least, largest, may be NaN)``, a truth ``(may be true, may be false)``.  Each function returns an
interval that holds every value that `attention_core.formulas.operations` yields; a wider one is right too.  Bounds are
computed in float64 as the values are, and rounding is monotone, so that bounds of sums, products and quotients hold;
those of exponentials and logarithms are widened.
"""

from collections.abc import Callable, Mapping
from math import inf, isfinite
from typing import Any

import numpy as np

from attention_core.formulas.operations import sigmoid, softplus

Interval = tuple[float, float, bool]
"""Least and largest value, −∞ and ∞ where unknown, and whether NaN may be among the values."""

Truth = tuple[bool, bool]
"""Whether it may be true, and whether it may be false."""

ANY: Interval = (-inf, inf, True)
EITHER: Truth = (True, True)

WIDENING = 1e-13
"""Relative error of a function that is not correctly rounded, with a margin."""

MAX_QUOTIENT = float(1 << 50)
"""Magnitude up to which the floor of a quotient is exact."""


def _hull(corners: tuple[float, ...], *, may_be_nan: bool) -> Interval:
    """Return the interval of values that lie between some; any number if one of them is NaN."""
    for corner in corners:
        if corner != corner:
            return ANY
    return min(corners), max(corners), may_be_nan


def add(a: Interval, b: Interval) -> Interval:
    """Return the interval of a sum."""
    if a[0] == -inf or a[1] == inf or b[0] == -inf or b[1] == inf:
        return _hull((a[0] + b[0], a[0] + b[1], a[1] + b[0], a[1] + b[1]), may_be_nan=a[2] or b[2])
    return a[0] + b[0], a[1] + b[1], a[2] or b[2]


def negate(a: Interval) -> Interval:
    """Return the interval of a number with the opposite sign."""
    return -a[1], -a[0], a[2]


def subtract(a: Interval, b: Interval) -> Interval:
    """Return the interval of a difference."""
    return add(a, negate(b))


def multiply(a: Interval, b: Interval) -> Interval:
    """Return the interval of a product."""
    if not (_is_finite(a) and _is_finite(b)):
        return ANY
    return _hull((a[0] * b[0], a[0] * b[1], a[1] * b[0], a[1] * b[1]), may_be_nan=a[2] or b[2])


def divide(a: Interval, b: Interval) -> Interval:
    """Return the interval of a quotient."""
    if b[0] <= 0 <= b[1] or not (_is_finite(a) and _is_finite(b)):
        return ANY
    return _hull((a[0] / b[0], a[0] / b[1], a[1] / b[0], a[1] / b[1]), may_be_nan=a[2] or b[2])


def floor_divide(a: Interval, b: Interval) -> Interval:
    """Return the interval of a quotient that is rounded down: Python's ``//`` is that of NumPy."""
    if b[0] <= 0 <= b[1] or not (_is_finite(a) and _is_finite(b)):
        return ANY
    corners = (a[0] // b[0], a[0] // b[1], a[1] // b[0], a[1] // b[1])
    if max(map(abs, corners)) > MAX_QUOTIENT:
        return ANY
    return _hull(corners, may_be_nan=a[2] or b[2])


def remainder(a: Interval, b: Interval) -> Interval:
    """Return the interval of a remainder, which has the sign of the divisor."""
    if b[0] <= 0 <= b[1] or not (_is_finite(a) and _is_finite(b)):
        return ANY
    may_be_nan = a[2] or b[2]
    if b[0] == b[1] and abs(a[0] / b[0]) < MAX_QUOTIENT and a[0] // b[0] == a[1] // b[0]:
        first, last = a[0] % b[0], a[1] % b[0]
        if first <= last:
            return first, last, may_be_nan
    return (0.0, b[1], may_be_nan) if b[0] > 0 else (b[0], 0.0, may_be_nan)


def power(a: Interval, b: Interval) -> Interval:
    """Return the interval of a power; of a base that may be negative it is unknown."""
    if a[0] < 0 or (a[0] == 0 and b[0] < 0) or not (_is_finite(a) and _is_finite(b)):
        return ANY
    with np.errstate(all="ignore"):
        corners = tuple(float(np.power(base, exponent)) for base in a[:2] for exponent in b[:2])
    if a[0] < 1 < a[1] or b[0] < 0 < b[1]:
        corners = (*corners, 1.0)
    least, largest, may_be_nan = _hull(corners, may_be_nan=a[2] or b[2])
    return _widen(least, largest, may_be_nan=may_be_nan)


def absolute(a: Interval) -> Interval:
    """Return the interval of a magnitude."""
    least, largest = min(abs(a[0]), abs(a[1])), max(abs(a[0]), abs(a[1]))
    return (0.0 if a[0] <= 0 <= a[1] else least), largest, a[2]


def square(a: Interval) -> Interval:
    """Return the interval of a square."""
    least, largest, may_be_nan = absolute(a)
    return least * least, largest * largest, may_be_nan


def minimum(a: Interval, b: Interval) -> Interval:
    """Return the interval of the smaller of two numbers."""
    return min(a[0], b[0]), min(a[1], b[1]), a[2] or b[2]


def maximum(a: Interval, b: Interval) -> Interval:
    """Return the interval of the larger of two numbers."""
    return max(a[0], b[0]), max(a[1], b[1]), a[2] or b[2]


def clip(a: Interval, least: Interval, most: Interval) -> Interval:
    """Return the interval of a number that is clipped."""
    return minimum(maximum(a, least), most)


def where(condition: Truth, a: Interval, b: Interval) -> Interval:
    """Return the interval of what a condition chooses."""
    if not condition[1]:
        return a
    if not condition[0]:
        return b
    return min(a[0], b[0]), max(a[1], b[1]), a[2] or b[2]


def sign(a: Interval) -> Interval:
    """Return the interval of a sign."""
    return float(np.sign(a[0])), float(np.sign(a[1])), a[2]


def round_down(a: Interval) -> Interval:
    """Return the interval of a number that is rounded down."""
    return float(np.floor(a[0])), float(np.floor(a[1])), a[2]


def relu(a: Interval) -> Interval:
    """Return the interval of the larger of a number and 0."""
    return max(a[0], 0.0), max(a[1], 0.0), a[2]


def _wave(a: Interval) -> Interval:
    return -1.0, 1.0, a[2] or not _is_finite(a)


def _increasing(function: Callable[[float], Any], domain: float = -inf) -> Callable[[Interval], Interval]:
    """Return the interval function of an increasing function, which is NaN below its domain."""

    def of(a: Interval) -> Interval:
        if a[0] < domain:
            return ANY
        with np.errstate(all="ignore"):
            return _widen(float(function(a[0])), float(function(a[1])), may_be_nan=a[2])

    return of


def _widen(least: float, largest: float, *, may_be_nan: bool) -> Interval:
    if least != least or largest != largest:
        return ANY
    below = WIDENING * abs(least) + 1e-300 if isfinite(least) else 0.0
    above = WIDENING * abs(largest) + 1e-300 if isfinite(largest) else 0.0
    return least - below, largest + above, may_be_nan


def _is_finite(a: Interval) -> bool:
    return -inf < a[0] and a[1] < inf


def less(a: Interval, b: Interval) -> Truth:
    """Return whether a < b may be true, may be false; beside NaN it is false."""
    return a[0] < b[1], a[2] or b[2] or not a[1] < b[0]


def less_equal(a: Interval, b: Interval) -> Truth:
    """Return whether a ≤ b may be true, may be false; beside NaN it is false."""
    return a[0] <= b[1], a[2] or b[2] or not a[1] <= b[0]


def equal(a: Interval, b: Interval) -> Truth:
    """Return whether a = b may be true, may be false; beside NaN it is false."""
    return a[0] <= b[1] and b[0] <= a[1], a[2] or b[2] or not a[0] == a[1] == b[0] == b[1]


def unequal(a: Interval, b: Interval) -> Truth:
    """Return whether a ≠ b may be true, may be false; beside NaN it is true."""
    may_be_true, may_be_false = equal(a, b)
    return may_be_false, may_be_true


def both(*truths: Truth) -> Truth:
    """Return whether all may be true, whether one may be false."""
    return all(one[0] for one in truths), any(one[1] for one in truths)


def either(*truths: Truth) -> Truth:
    """Return whether one may be true, whether all may be false."""
    return any(one[0] for one in truths), all(one[1] for one in truths)


def opposite(truth: Truth) -> Truth:
    """Return whether the opposite may be true, may be false."""
    return truth[1], truth[0]


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "negate": negate,
    "not": opposite,
    "abs": absolute,
    "sqrt": _increasing(np.sqrt, 0.0),
    "exp": _increasing(np.exp),
    "expm1": _increasing(np.expm1),
    "log": _increasing(np.log, 0.0),
    "log1p": _increasing(np.log1p, -1.0),
    "tanh": _increasing(np.tanh),
    "sigmoid": _increasing(sigmoid),
    "softplus": _increasing(softplus),
    "sin": _wave,
    "cos": _wave,
    "relu": relu,
    "square": square,
    "sign": sign,
    "floor": round_down,
    "+": add,
    "-": subtract,
    "*": multiply,
    "/": divide,
    "//": floor_divide,
    "%": remainder,
    "**": power,
    "minimum": minimum,
    "maximum": maximum,
    "clip": clip,
    "where": where,
    "<": less,
    "<=": less_equal,
    ">": lambda a, b: less(b, a),
    ">=": lambda a, b: less_equal(b, a),
    "==": equal,
    "!=": unequal,
    "and": both,
    "or": either,
}
"""The function of each operation on numbers; the result of any other is unknown."""
