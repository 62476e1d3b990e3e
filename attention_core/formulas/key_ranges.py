"""Find the keys that each query sees by a mask formula, where these are a range.

Ranges are what compiled kernels and skipped tiles need.  Found are, of comparisons of integers,

::

    j <= p, p - j < 128, doc[i] == j, …     j alone on one side, after moving the rest to the other
    doc[i] == doc[j]                        where doc ascends along the keys
    i < 4                                   without j: all keys or none

and their conjunctions, their disjunctions where the union is a range, and the opposites of single comparisons.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from attention_core.arrays import IntArray
from attention_core.formulas.coverage import CoverageTest
from attention_core.formulas.graph import COLUMNS, Step
from attention_core.formulas.operations import Value

KeyRange = tuple[IntArray, IntArray]
"""First visible key, and the key after the last: integers that broadcast to (…, q, 1)."""

OPPOSITES = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}
MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}

LARGEST = float(1 << 52)
"""Magnitude below which sums of integers are exact in float64, with a margin."""


@dataclass(frozen=True, slots=True)
class KeyRangeFinder:
    """Finds the range of keys of each query."""

    test: CoverageTest
    """The formula, and which of its steps are integers."""
    compute: Callable[[int | None], list[Value]]
    """Returns the values of all steps: for all keys, or as if there were only the key of an index."""
    n_keys: int

    def find(self) -> KeyRange | None:
        """Return the range of each query; None where the keys are no range, or it is not known whether they are."""
        return self._range_of(self.test.graph.root, is_opposite=False)

    def _range_of(self, index: int, *, is_opposite: bool) -> KeyRange | None:
        step = self.test.graph.steps[index]
        if not step.level & COLUMNS:
            truth = np.asarray(self.compute(0)[index])
            return self._everywhere(~truth if is_opposite else truth)
        if step.operation == "not":
            return self._range_of(step.operands[0], is_opposite=not is_opposite)
        if step.operation in ("and", "or"):
            ranges = [self._range_of(operand, is_opposite=is_opposite) for operand in step.operands]
            found = [one for one in ranges if one is not None]
            if len(found) < len(ranges):
                return None
            return self._intersect(found) if (step.operation == "and") is not is_opposite else self._unite(found)
        if step.operation in OPPOSITES:
            operation = OPPOSITES[step.operation] if is_opposite else step.operation
            return self._range_of_comparison(step, operation)
        return None

    def _everywhere(self, truth: Any) -> KeyRange:
        """Return all keys where true, none where false."""
        end = np.where(truth, self.n_keys, 0)
        end = end if end.ndim > 1 else end.reshape(1, 1)
        return np.zeros((1, 1), np.int64), end

    def _intersect(self, ranges: list[KeyRange]) -> KeyRange:
        first, end = ranges[0]
        for one in ranges[1:]:
            first, end = np.maximum(first, one[0]), np.minimum(end, one[1])
        return first, end

    def _unite(self, ranges: list[KeyRange]) -> KeyRange | None:
        """Return the union; None where two ranges of a query have a gap between them."""
        first, end = self._within(ranges[0])
        for one in ranges[1:]:
            other_first, other_end = self._within(one)
            is_empty, other_is_empty = end <= first, other_end <= other_first
            touches = (np.maximum(first, other_first) <= np.minimum(end, other_end)) | is_empty | other_is_empty
            if not touches.all():
                return None
            joined = np.minimum(first, other_first), np.maximum(end, other_end)
            first = np.where(is_empty, other_first, np.where(other_is_empty, first, joined[0]))
            end = np.where(is_empty, other_end, np.where(other_is_empty, end, joined[1]))
        return first, end

    def _within(self, one: KeyRange) -> KeyRange:
        return np.clip(one[0], 0, self.n_keys), np.clip(one[1], 0, self.n_keys)

    def _range_of_comparison(self, step: Step, operation: str) -> KeyRange | None:
        """Return the keys of which a comparison holds; None unless it is one of integers, with j in one place."""
        left, right = step.operands
        integral, steps = self.test.integral, self.test.graph.steps
        if not (integral[left] and integral[right]) or any(steps[side].type.axes for side in step.operands):
            return None
        slopes = self._slope(left), self._slope(right)
        if None in slopes or slopes[0] == slopes[1]:
            return self._range_of_equals(left, right) if operation == "==" else None
        values = self.compute(0)
        bounds = [np.asarray(values[side], dtype=np.float64) for side in (right, left)]
        if not all((np.abs(bound) < LARGEST).all() for bound in bounds):
            return None
        # left₀ + a·j against right₀ + b·j, with a − b = ±1: j against ±(right₀ − left₀).
        bound = np.subtract(*bounds)
        if (slopes[0] or 0) - (slopes[1] or 0) == 1:
            return self._beside(operation, bound)
        if (slopes[0] or 0) - (slopes[1] or 0) == -1:
            return self._beside(MIRRORED[operation], -bound)
        return None

    def _beside(self, operation: str, bound: Any) -> KeyRange | None:
        """Return the keys j with ``j operation bound``."""
        whole = np.clip(bound, -1.0, self.n_keys + 1.0).astype(np.int64)
        whole = whole if whole.ndim > 1 else whole.reshape(1, 1)
        none, every = np.zeros_like(whole), np.full_like(whole, self.n_keys)
        found: dict[str, KeyRange] = {
            "<": (none, whole),
            "<=": (none, whole + 1),
            ">": (whole + 1, every),
            ">=": (whole, every),
            "==": (whole, whole + 1),
        }
        return found.get(operation)

    def _slope(self, index: int) -> int | None:
        """Return a of a·j + (what does not depend on j), 0, 1 or −1; None for another form."""
        step = self.test.graph.steps[index]
        if not step.level & COLUMNS:
            return 0
        if step.operation == "name":
            return 1
        if step.operation not in ("+", "-", "negate"):
            return None
        slopes = [self._slope(operand) for operand in step.operands]
        if None in slopes:
            return None
        first, last = slopes[0] or 0, slopes[-1] or 0
        slope = -first if step.operation == "negate" else first + (last if step.operation == "+" else -last)
        return slope if abs(slope) <= 1 else None

    def _range_of_equals(self, left: int, right: int) -> KeyRange | None:
        """Return the keys whose value equals the query's; None unless the keys' values ascend."""
        steps = self.test.graph.steps
        if steps[left].level & COLUMNS:
            left, right = right, left
        if steps[left].level & COLUMNS or steps[right].level != COLUMNS:
            return None
        values = self.compute(None)
        of_queries, of_keys = np.asarray(values[left], np.float64), np.asarray(values[right], np.float64)
        if of_keys.ndim != 2 or np.isnan(of_queries).any() or not (np.diff(of_keys[0]) >= 0).all():
            return None
        of_queries = of_queries if of_queries.ndim > 1 else of_queries.reshape(1, 1)
        return (
            np.searchsorted(of_keys[0], of_queries, side="left"),
            np.searchsorted(of_keys[0], of_queries, side="right"),
        )
