"""Lists as arrays and arrays as lists."""

from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attention_wire.documents import plain

LISTS: frozenset[type] = frozenset((list,))
INTEGERS: frozenset[type] = frozenset((int,))
NUMBERS: frozenset[type] = frozenset((int, float))
BOOLEANS: frozenset[type] = frozenset((bool,))
EXTENDED: frozenset[type] = NUMBERS | {str, type(None)}

NON_FINITE: dict[Any, float] = {None: -np.inf, "NaN": np.nan, "Infinity": np.inf}
"""The values that stand in a document for the numbers that JSON cannot spell."""

MAX_DIMENSIONS = 64
"""Maximum axes of a NumPy array."""


class Overflowing(float):
    """A number beyond float64; it is no element of an array."""


@dataclass(frozen=True, slots=True)
class Extended:
    """A list of numbers, some of them spelled as in NON_FINITE: the schema takes the array, or the lists again."""

    numbers: NDArray[np.float64]

    @property
    def ndim(self) -> int:
        """Axes of the array."""
        return self.numbers.ndim

    def lists(self) -> list[Any]:
        """Return the lists that were sent."""
        return plain(self.numbers)


def as_array(nested: list[Any]) -> NDArray[Any] | Extended | None:
    """Return the array of float64, int64 or bool that the nested lists spell out, or None if they do not.

    None: ragged or empty anywhere, anything but numbers (or but booleans), or a number beyond float64.
    """
    if nested and isinstance(nested[0], str) and nested[0] not in NON_FINITE:
        return None
    shape = [len(nested)]
    level = nested
    while (types := set(map(type, level))) == LISTS:
        lengths = set(map(len, level))
        if len(lengths) != 1 or len(shape) == MAX_DIMENSIONS:
            return None
        shape.append(lengths.pop())
        level = list(chain.from_iterable(level))
    if not level:
        return None
    array: NDArray[Any] | None = None
    if types <= NUMBERS:
        array = _number_array(level, types)
    elif types == BOOLEANS:
        array = np.array(level, np.bool_)
    elif types <= EXTENDED:
        return _extended_array(level, shape)
    return None if array is None else array.reshape(shape)


def _number_array(level: list[Any], types: set[type]) -> NDArray[Any] | None:
    if types == INTEGERS:
        try:
            return np.array(level, np.int64)
        except OverflowError:
            pass
    try:
        return np.array(level, np.float64)
    except OverflowError:
        return None


def _extended_array(level: list[Any], shape: list[int]) -> Extended | None:
    """Return numbers, null, "NaN" and "Infinity" as an array, or None where there is any other string."""
    if not NON_FINITE.keys() >= {leaf for leaf in level if leaf is None or isinstance(leaf, str)}:
        return None
    try:
        array = np.array([NON_FINITE.get(leaf, leaf) for leaf in level], np.float64)
    except OverflowError:
        return None
    return Extended(array.reshape(shape))
