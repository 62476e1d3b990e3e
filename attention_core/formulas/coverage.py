"""Decide from bounds of i, j, p, b and h whether a mask formula hides all, none or some pairs of a tile."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from attention_core.arrays import FloatArray
from attention_core.formulas.graph import Graph, Step
from attention_core.formulas.intervals import ANY, EITHER, FUNCTIONS, Interval, Truth
from attention_core.formulas.operations import Value
from attention_core.formulas.parameters import Parameter
from attention_core.score_tile import Coverage, Tile

BLOCK = 64
"""Entries of a parameter whose least and largest are computed once."""

MAX_MATRIX_ENTRIES = 1 << 16
"""Maximum entries of a matrix whose least and largest are looked for in a tile; more are not looked at."""

INTEGRAL = frozenset({"negate", "abs", "+", "-", "*", "square", "minimum", "maximum", "clip"})
"""Operations that yield integers of integers."""

ROUNDED = frozenset({"floor", "sign"})
"""Operations that yield integers of numbers."""


class Extremes:
    """The least and the largest entries of a parameter over any range of its indices."""

    def __init__(self, parameter: Parameter) -> None:
        """Reduce the parameter over heads and blocks."""
        array = parameter.array
        self._least: FloatArray = array.min(axis=0) if parameter.per_head else array
        self._largest: FloatArray = array.max(axis=0) if parameter.per_head else array
        self._sizes = parameter.axes
        self.is_integral = bool((array == np.floor(array)).all())
        if len(self._sizes) == 1:
            starts = np.arange(0, self._sizes[0], BLOCK)
            self._block_least: list[float] = np.minimum.reduceat(self._least, starts).tolist()
            self._block_largest: list[float] = np.maximum.reduceat(self._largest, starts).tolist()

    def over(self, *indices: Interval) -> Interval:
        """Return the interval of the entries with indices within bounds, integers; NaN stands outside.

        :param indices: bounds of the index of each axis.
        """
        may_be_nan = False
        ranges = []
        for (least, largest, is_nan), size in zip(indices, self._sizes, strict=True):
            if least < 0 or largest > size - 1 or is_nan:
                may_be_nan = True
            first, last = max(least, 0), min(largest, size - 1)
            if not first <= last:
                return ANY
            ranges.append((int(np.floor(first)), int(last) + 1))
        return (*(self._over_vector if len(ranges) == 1 else self._over_matrix)(*ranges), may_be_nan)

    def _over_vector(self, entries: tuple[int, int]) -> tuple[float, float]:
        first, stop = entries
        first_block, stop_block = -(-first // BLOCK), stop // BLOCK
        if stop == self._sizes[0]:
            stop_block = len(self._block_least)
        if first_block >= stop_block:
            return float(self._least[first:stop].min()), float(self._largest[first:stop].max())
        least, largest = self._block_least[first_block:stop_block], self._block_largest[first_block:stop_block]
        for edge in ((first, first_block * BLOCK), (stop_block * BLOCK, stop)):
            if edge[0] < edge[1]:
                least.append(float(self._least[slice(*edge)].min()))
                largest.append(float(self._largest[slice(*edge)].max()))
        return min(least), max(largest)

    def _over_matrix(self, rows: tuple[int, int], columns: tuple[int, int]) -> tuple[float, float]:
        part = slice(*rows), slice(*columns)
        if self._least[part].size > MAX_MATRIX_ENTRIES:
            return ANY[:2]
        return float(self._least[part].min()), float(self._largest[part].max())


@dataclass(frozen=True)
class CoverageTest:
    """Classifies tiles of a mask formula."""

    graph: Graph
    parameters: Mapping[str, Parameter]
    shared: Sequence[Value]
    """Values of the steps that all pairs share."""

    def classify(self, tile: Tile) -> Coverage:
        """Return EMPTY or FULL where the bounds of the tile's positions prove it, else PARTIAL."""
        if tile.is_empty:
            return Coverage.FULL
        found = list(self._constants)
        rows, columns = tile.rows, tile.columns
        bounds: dict[str, Interval] = {
            "i": (rows.start, rows.stop - 1, False),
            "j": (columns.start, columns.stop - 1, False),
        }
        for index, function, operands in self._program:
            if function is not None:
                found[index] = function(*[found[operand] for operand in operands])
            elif self.graph.steps[index].value == "p":
                found[index] = (*tile.query_position_range, False)
            else:
                found[index] = bounds[str(self.graph.steps[index].value)]
        may_be_true, may_be_false = found[self.graph.root]
        if may_be_true and may_be_false:
            return Coverage.PARTIAL
        return Coverage.FULL if may_be_true else Coverage.EMPTY

    @cached_property
    def extremes(self) -> dict[str, Extremes]:
        """Least and largest entries of each parameter that has an index."""
        indexed = {str(step.value) for step in self.graph.steps if step.operation == "index"}
        return {name: Extremes(self.parameters[name]) for name in indexed}

    @cached_property
    def integral(self) -> list[bool]:
        """Whether each step yields integers, of magnitudes that float64 holds."""
        found: list[bool] = []
        for step, value in zip(self.graph.steps, self.shared, strict=True):
            below = [found[operand] for operand in step.operands]
            if step.level == 0 and step.type.is_truth is False:
                found.append(bool(np.all(np.asarray(value) == np.floor(value))))
            elif step.operation == "index":
                found.append(self.extremes[str(step.value)].is_integral)
            elif step.operation in ("where", "//", "%"):
                found.append(all(below[-2:]))
            else:
                found.append(
                    step.operation in ROUNDED or step.operation == "name" or (step.operation in INTEGRAL and all(below))
                )
        return found

    @cached_property
    def _constants(self) -> list[Any]:
        """Bounds of the steps that all pairs share; None for the others."""
        return [
            bound_of(value) if step.level == 0 else None
            for step, value in zip(self.graph.steps, self.shared, strict=True)
        ]

    @cached_property
    def _program(self) -> list[tuple[int, Callable[..., Any] | None, tuple[int, ...]]]:
        """Index, interval function and operands of each step that is not shared; None in the place of a variable."""
        steps = enumerate(self.graph.steps)
        return [(index, self._function(step), step.operands) for index, step in steps if step.level]

    def _function(self, step: Step) -> Callable[..., Any] | None:
        if step.operation == "name":
            return None
        unknown = EITHER if step.type.is_truth else ANY
        is_known = all(not self.graph.steps[operand].type.axes for operand in step.operands) and not step.type.axes
        if step.operation == "index":
            is_known = all(self.integral[operand] for operand in step.operands)
            return self.extremes[str(step.value)].over if is_known else lambda *_: unknown
        if is_known and step.operation in FUNCTIONS:
            return FUNCTIONS[step.operation]
        return lambda *_: unknown


def bound_of(value: Value) -> Interval | Truth:
    """Return the bounds of a value that is known."""
    array = np.asarray(value)
    if not array.size:
        return EITHER if array.dtype == np.bool_ else ANY
    if array.dtype == np.bool_:
        return bool(array.any()), not bool(array.all())
    known = array[~np.isnan(array)]
    if not known.size:
        return ANY
    return float(known.min()), float(known.max()), known.size < array.size
