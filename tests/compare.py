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


def assert_same(received: Any, expected: Any, tolerance: float, path: str = "") -> None:
    """Fail with the first place at which two documents differ, numbers by more than a tolerance relative to 1 or them.

    Whole numbers that count or index are told apart by any tolerance below 1.
    """
    if isinstance(expected, dict):
        assert isinstance(received, dict), f"{path}: received {received!r}, expected an object"
        assert list(received) == list(expected), f"{path}: received {list(received)}, expected {list(expected)}"
        for name in expected:
            assert_same(received[name], expected[name], tolerance, f"{path}/{name}")
    elif isinstance(expected, list):
        assert isinstance(received, list), f"{path}: received {received!r}, expected a list"
        assert len(received) == len(expected), f"{path}: {len(received)} elements, expected {len(expected)}"
        for index, (one, other) in enumerate(zip(received, expected, strict=True)):
            assert_same(one, other, tolerance, f"{path}/{index}")
    elif isinstance(expected, float) and isinstance(received, int | float):
        assert abs(received - expected) <= tolerance * max(1, abs(expected)), f"{path}: {received!r}, {expected!r}"
    else:
        assert received == expected, f"{path}: received {received!r}, expected {expected!r}"


def _number(value: Any) -> float:
    return -math.inf if value is None else float(value)
