"""Lists as arrays and arrays as lists."""

from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

NUMBERS: frozenset[type] = frozenset((int, float))
BOOLEANS: frozenset[type] = frozenset((bool,))
EXTENDED: frozenset[type] = NUMBERS | {str, type(None)}

NON_FINITE: dict[Any, float] = {None: -np.inf, "NaN": np.nan, "Infinity": np.inf}
"""What stands in a document for the numbers that JSON does not have."""

MOST_DIMENSIONS = 64
"""NumPy holds no more."""


@dataclass(frozen=True, slots=True)
class Extended:
    """A list of numbers, some of them spelled as in NON_FINITE: an array where that is allowed, else what it was."""

    numbers: NDArray[np.float64]

    def lists(self) -> list[Any]:
        """Return the lists that were sent."""
        return plain(self.numbers)


def as_array(nested: list[Any]) -> NDArray[Any] | Extended | None:
    """Return the array of float64, int64 or bool that the nested lists spell out, or None if they do not.

    None: ragged or empty anywhere, anything but numbers (or but booleans), or a number beyond float64.
    """
    shape = [len(nested)]
    level = nested
    while (types := set(map(type, level))) == {list}:
        lengths = set(map(len, level))
        if len(lengths) != 1 or len(shape) == MOST_DIMENSIONS:
            return None
        shape.append(lengths.pop())
        level = list(chain.from_iterable(level))
    if not level:
        return None
    if types == BOOLEANS:
        return np.array(level, dtype=np.bool_).reshape(shape)
    if types <= NUMBERS:
        return _number_array(level, types, shape)
    if types <= EXTENDED:
        return _extended_array(level, shape)
    return None


def _number_array(level: list[Any], types: set[type], shape: list[int]) -> NDArray[Any] | None:
    if types == {int}:
        try:
            return np.array(level, dtype=np.int64).reshape(shape)
        except OverflowError:
            pass
    try:
        array = np.array(level, dtype=np.float64).reshape(shape)
    except OverflowError:
        return None
    return array if np.isfinite(array).all() else None


def _extended_array(level: list[Any], shape: list[int]) -> Extended | None:
    """Read what may hold null, "NaN" and "Infinity"; any other string, or a number beyond float64, is not an array."""
    if not NON_FINITE.keys() >= {leaf for leaf in level if leaf is None or isinstance(leaf, str)}:
        return None
    numbers = [NON_FINITE.get(leaf, leaf) for leaf in level]
    try:
        array = np.array(numbers, dtype=np.float64)
    except OverflowError:
        return None
    spelled = sum(level.count(name) for name in NON_FINITE)
    if len(level) - np.count_nonzero(np.isfinite(array)) != spelled:
        return None
    return Extended(array.reshape(shape))


def plain(array: NDArray[Any]) -> Any:
    """Return nested lists in which −∞ is null, NaN "NaN" and +∞ "Infinity"."""
    if np.isfinite(array).all():
        return array.tolist()
    mixed = array.astype(object)
    mixed[np.isneginf(array)] = None
    mixed[np.isnan(array)] = "NaN"
    mixed[np.isposinf(array)] = "Infinity"
    return mixed.tolist()
