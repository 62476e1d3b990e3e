"""A candidate, say of somebody's own kernel, held against attention in float64."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from attention_core.arrays import FloatArray
from attention_core.call import AttentionCall, Field, ResolvedCall
from attention_core.checking.attempts import Fields, Given, Right, resolve_repeated
from attention_core.checking.comparison import DEFAULT_TOLERANCES, Comparison
from attention_core.checking.fitting import check_shape, require_reference, shape_of
from attention_core.checking.mistakes import MISTAKES
from attention_core.checking.search import MOST_VERIFIED, MOST_WAYS, TRIED_ROWS, coarser_type, likely_cause
from attention_core.cost import Cost, predict_dense
from attention_core.dense import evaluate_dense
from attention_core.differences import FieldDifference, Tolerance
from attention_core.dtypes import dtype_named
from attention_core.errors import InvalidValue
from attention_core.heads import pack, unpack
from attention_core.interfaces import Progress, ShouldStop
from attention_core.reference import in_float64

CANDIDATES: tuple[Field, ...] = ("output", "weights", "scores", "logsumexp")
"""What can be checked."""

WHOLE = 11
"""Mistakes that need all queries at once, and references in coarser types, cost about so many evaluations."""

COMPARING = 400
"""Operations for each number of the candidate: it is compared about twenty times."""

WAY_OPERATIONS = 20_000
"""What it takes to try a way on the smallest of calls, as operations."""

HELD_PER_NUMBER = 10
"""While a field is compared, so many numbers are held for each of its elements."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """Whether every field passed, how far each is off, and the mistake that reproduces the candidate, if any does."""

    passed: bool
    tolerance: Tolerance
    dtype: str
    fields: Mapping[str, FieldDifference]
    likely_cause: str | None
    coarser: str | None
    """The finest type below the call's own in which all would pass; None if it is right or a mistake explains it."""


@dataclass(frozen=True, slots=True)
class Check:
    """A candidate whose shapes fit the call it claims to answer; `run` computes the reference and compares."""

    sent: AttentionCall
    resolved: ResolvedCall
    candidate: Fields
    comparison: Comparison

    @classmethod
    def of(
        cls,
        call: AttentionCall,
        candidate: Mapping[str, FloatArray],
        *,
        rtol: float | None = None,
        atol: float | None = None,
    ) -> "Check":
        """Return the check of a candidate: any of `CANDIDATES` by name, each in the shape that `attend` returns.

        Raises CallError about the call, or with a path that begins with candidate.
        """
        if not candidate:
            raise InvalidValue(
                ("candidate",),
                expected=f"at least one of {', '.join(CANDIDATES)}",
                received="none",
                advice="Send what your own attention returned.",
            )
        include = tuple(name for name in CANDIDATES if name in candidate)
        require_reference(call, include)
        sent = replace(in_float64(call), include=include, top_k=None)
        resolved = resolve_repeated(sent)
        for name in include:
            check_shape(name, candidate[name].shape, shape_of(resolved, name))
        dtype = dtype_named(call.dtype, call.query, call.key, call.value)
        default = DEFAULT_TOLERANCES[dtype.name]
        comparison = Comparison(
            dtype,
            Tolerance(default.relative if rtol is None else rtol, default.absolute if atol is None else atol),
        )
        stored: Fields = {name: comparison.stored(name, candidate[name]) for name in include}
        return cls(sent, resolved, stored, comparison)

    def predict(self) -> Cost:
        """Return what it costs at most, the search for a mistake included; the result is a handful of numbers."""
        once = predict_dense(self.resolved)
        share = min(1.0, 3 * TRIED_ROWS / max(1, self.resolved.query_length))
        ways = int(MOST_WAYS * (WAY_OPERATIONS + share * once.operations))
        numbers = sum(array.size for array in self.candidate.values())
        operations = (1 + MOST_VERIFIED + WHOLE) * once.operations + ways + COMPARING * numbers
        return Cost(operations, once.bytes + HELD_PER_NUMBER * numbers * np.dtype(np.float64).itemsize, 0)

    def run(self, should_stop: ShouldStop | None = None, progress: Progress | None = None) -> CheckResult:
        """Compute the reference and, if the candidate differs, look for the usual mistake that gives the same.

        Raises Stopped as soon as `should_stop` answers True.
        """
        with np.errstate(all="ignore"):
            fields, maximum = evaluate_dense(self.resolved, should_stop, progress)
            right = Right(self.resolved, fields, np.isneginf(maximum))
            candidate = self._unpacked()
            found = {name: self._difference(name, fields[name]) for name in self.candidate}
            passed = all(field.passed for field in found.values())
            cause = coarser = None
            if not passed:
                given = Given(self.sent, self.resolved, candidate, self.comparison, should_stop)
                cause = likely_cause(given, right, MISTAKES)
                coarser = coarser_type(given, right) if cause is None else None
        return CheckResult(
            passed=passed,
            tolerance=self.comparison.tolerance,
            dtype=self.comparison.dtype.name,
            fields=found,
            likely_cause=cause,
            coarser=coarser,
        )

    def _difference(self, name: str, expected: FloatArray) -> FieldDifference:
        """Compare one field as it was sent."""
        packed = name == "output" and self.resolved.packed
        return self.comparison.difference(name, pack(expected) if packed else expected, self.candidate[name])

    def _unpacked(self) -> Fields:
        if not self.resolved.packed or "output" not in self.candidate:
            return self.candidate
        heads = self.resolved.scores[1]
        return {**self.candidate, "output": unpack(self.candidate["output"], heads, "output")}
