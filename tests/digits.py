"""Forty digits: what the oracle computes in, so that its own rounding is far below that of whatever it judges.

Ten scores that are each right to the last bit of a float64 are not enough: their differences, which is all that most
normalizers see, may be wrong by twice that bit, and a plain evaluation may well be nearer to the truth.
"""

import decimal
import functools
from decimal import Decimal

CONTEXT = decimal.Context(prec=40, traps=[])
"""Without traps NaN and infinities pass, as in floats."""

PI = Decimal("3.14159265358979323846264338327950288419716939937510582097494459")

LARGEST = Decimal(2) ** 1024


def in_forty_digits(function):
    """Let a function compute in forty digits, whatever thread it runs in."""

    @functools.wraps(function)
    def inside(*arguments, **named):
        with decimal.localcontext(CONTEXT):
            return function(*arguments, **named)

    return inside


def exact(nested):
    """The same nested lists and objects with decimals for numbers: no digit is lost.  None and texts stay."""
    if isinstance(nested, list):
        return [exact(item) for item in nested]
    if isinstance(nested, dict):
        return {name: exact(item) for name, item in nested.items()}
    return nested if nested is None or isinstance(nested, str) else Decimal(nested)


def held(number):
    """The number itself, or an infinity where float64 has none so large."""
    return number if not abs(number) >= LARGEST else Decimal("Infinity").copy_sign(number)


def tanh(x):
    """By exponentials; by its series where these would cancel."""
    if abs(x) < Decimal("1e-5"):
        square = x * x
        return x * (1 - square / 3 + 2 * square**2 / 15 - 17 * square**3 / 315)
    small = (-2 * abs(x)).exp()
    return ((1 - small) / (1 + small)).copy_sign(x)


@functools.cache
def turned_by(place, step):
    """Cosine and sine of place · step."""
    angle = (place * step) % (2 * PI)
    cosine = term = Decimal(1)
    sine = Decimal(0)
    for n in range(1, 80):
        term = term * angle / n
        if n % 2:
            sine += term if n % 4 == 1 else -term
        else:
            cosine += term if n % 4 == 0 else -term
    return cosine, sine
