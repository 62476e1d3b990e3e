"""Comparing nested lists as they come over the wire, number by number."""

import math
from typing import Any


def assert_close(received: Any, expected: Any, tolerance: float, path: str = "") -> None:
    """Fail with the first index at which two nested lists differ by more than `tolerance`, or in shape.

    Null is minus infinity; "NaN" and "Infinity" are themselves.
    """
    if isinstance(expected, list) or isinstance(received, list):
        assert isinstance(received, list), f"{path}: received {received!r}, expected a list"
        assert isinstance(expected, list), f"{path}: received a list, expected {expected!r}"
        assert len(received) == len(expected), f"{path}: {len(received)} elements, expected {len(expected)}"
        for index, (one, other) in enumerate(zip(received, expected, strict=True)):
            assert_close(one, other, tolerance, f"{path}[{index}]")
        return
    one, other = _number(received), _number(expected)
    if math.isnan(other):
        assert math.isnan(one), f"{path}: received {received!r}, expected NaN"
    elif math.isinf(other):
        assert one == other, f"{path}: received {received!r}, expected {expected!r}"
    else:
        assert abs(one - other) <= tolerance, f"{path}: received {one!r}, expected {other!r} within {tolerance}"


def _number(value: Any) -> float:
    return -math.inf if value is None else float(value)
