"""Differences of two lists of numbers in plain Python: bits from `struct`, sums from `math.fsum`."""

import math
import struct

from tests import oracle

FORMATS = {"float64": ("d", 64), "float32": ("f", 32), "float16": ("e", 16)}


def ordinal(number, dtype):
    """The place of a number among all that the type can hold, 0 and −0 at 0."""
    if dtype == "bfloat16":
        bits, width = struct.unpack(">I", struct.pack(">f", number))[0] >> 16, 16
    else:
        letter, width = FORMATS[dtype]
        bits = int.from_bytes(struct.pack(f">{letter}", number), "big")
    sign = 1 << (width - 1)
    return sign - bits if bits & sign else bits


def neighbour(number, steps, dtype):
    """The number a given count of representable numbers further along."""
    place = ordinal(number, dtype) + steps
    width = 16 if dtype == "bfloat16" else FORMATS[dtype][1]
    bits = place if place >= 0 else (1 << (width - 1)) - place
    if dtype == "bfloat16":
        return struct.unpack(">f", struct.pack(">I", bits << 16))[0]
    return struct.unpack(f">{FORMATS[dtype][0]}", bits.to_bytes(width // 8, "big"))[0]


def stored(number, dtype):
    """The nearest number that the type can hold."""
    return number if dtype == "float64" else oracle.ROUND[dtype](number)


def apart(expected, received, dtype, rtol, atol):
    """The figures of a check for two flat lists of finite numbers."""
    errors = [abs(r - e) for e, r in zip(expected, received, strict=True)]
    excess = [error / (atol + rtol * abs(e)) for error, e in zip(errors, expected, strict=True)]
    worst = excess.index(max(excess))
    return {
        "passed": max(excess) <= 1,
        "max_abs_error": max(errors),
        "max_rel_error": max((error / abs(e) for error, e in zip(errors, expected, strict=True) if e), default=None),
        "max_ulps": max(
            abs(ordinal(stored(e, dtype), dtype) - ordinal(stored(r, dtype), dtype))
            for e, r in zip(expected, received, strict=True)
        ),
        "correlation": correlation(expected, received),
        "worst": worst,
    }


def correlation(one, other):
    """Pearson's."""
    means = [math.fsum(side) / len(side) for side in (one, other)]
    sides = [[number - mean for number in side] for side, mean in zip((one, other), means, strict=True)]
    products = math.fsum(a * b for a, b in zip(*sides, strict=True))
    return products / math.sqrt(math.prod(math.fsum(a * a for a in side) for side in sides))
