"""A candidate, say of somebody's own kernel, held against attention in float64."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import permutations

import numpy as np

from attention_core.arrays import FloatArray
from attention_core.call import AttentionCall, Field, ResolvedCall
from attention_core.checking.attempts import Attempt, Fields, Right
from attention_core.checking.mistakes import attempts
from attention_core.cost import Cost, field_shapes, predict
from attention_core.dense import evaluate_dense
from attention_core.differences import FieldDifference, Tolerance, difference
from attention_core.dtypes import DTYPES, DType, dtype_named
from attention_core.errors import InvalidValue, ShapeMismatch
from attention_core.heads import pack, repeat_heads
from attention_core.interfaces import Progress, ShouldStop
from attention_core.reference import in_float64
from attention_core.resolve import resolve
from attention_core.shapes import Shape

CANDIDATES: tuple[Field, ...] = ("output", "weights", "scores", "logsumexp")
"""What can be checked."""

DEFAULT_TOLERANCES: dict[str, Tolerance] = {
    "float64": Tolerance(1e-7, 1e-9),
    "float32": Tolerance(1.3e-6, 1e-5),
    "float16": Tolerance(1e-3, 1e-5),
    "bfloat16": Tolerance(1.6e-2, 1e-5),
}
"""By storage type; those of ``torch.testing.assert_close`` but for float64, whose absolute one is tighter here."""

HELD = 4
"""Expected, candidate, an attempt and their difference are held at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """Whether every field passed, how far each is off, and the mistake that reproduces the candidate, if any does."""

    passed: bool
    tolerance: Tolerance
    dtype: str
    fields: Mapping[str, FieldDifference]
    likely_cause: str | None


@dataclass(frozen=True, slots=True)
class Check:
    """A candidate whose shapes fit the call it claims to answer; `run` computes the reference and compares."""

    resolved: ResolvedCall
    candidate: Mapping[str, FloatArray]
    tolerance: Tolerance
    dtype: DType
    attempts: tuple[Attempt, ...]

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
        resolved = repeat_heads(resolve(replace(in_float64(call), include=include, top_k=None)))
        for name in include:
            _check_shape(name, candidate[name].shape, _shape(resolved, name))
        dtype = dtype_named(call.dtype, call.query, call.key, call.value)
        default = DEFAULT_TOLERANCES[dtype.name]
        tolerance = Tolerance(default.relative if rtol is None else rtol, default.absolute if atol is None else atol)
        stored: Fields = {name: _own_dtype(name, dtype).store(candidate[name]).astype(np.float64) for name in include}
        return cls(resolved, stored, tolerance, dtype, tuple(attempts(call, resolved, stored)))

    def predict(self) -> Cost:
        """Return the cost if every mistake has to be tried; the result is a handful of numbers."""
        once = predict(self.resolved)
        return Cost(once.operations * (1 + len(self.attempts)), once.bytes * HELD, 0)

    def run(self, should_stop: ShouldStop | None = None, progress: Progress | None = None) -> CheckResult:
        """Compute the reference and, if the candidate differs, what each usual mistake would have given.

        Raises Stopped as soon as `should_stop` answers True.
        """
        with np.errstate(all="ignore"):
            right = self._evaluate(self.resolved, should_stop, progress)
            fields = self._differences(right.fields)
            passed = all(field.passed for field in fields.values())
            cause = None if passed else self._cause(right, should_stop)
        return CheckResult(
            passed=passed, tolerance=self.tolerance, dtype=self.dtype.name, fields=fields, likely_cause=cause
        )

    def _cause(self, right: Right, should_stop: ShouldStop | None) -> str | None:
        """Return the first mistake under which every field of the candidate would have passed."""
        for attempt in self.attempts:
            made = right if attempt.call is None else self._evaluate(attempt.call, should_stop, None)
            wrong = attempt.then(made)
            if wrong is not None and all(field.passed for field in self._differences(wrong).values()):
                return attempt.mistake
        return None

    def _evaluate(self, call: ResolvedCall, should_stop: ShouldStop | None, progress: Progress | None) -> Right:
        fields, maximum = evaluate_dense(call, should_stop, progress)
        return Right(call, fields, np.isneginf(maximum))

    def _differences(self, fields: Fields) -> dict[str, FieldDifference]:
        found = {}
        for name, received in self.candidate.items():
            own = _own_dtype(name, self.dtype)
            expected = pack(fields[name]) if name == "output" and self.resolved.packed else fields[name]
            # What the storage type cannot hold is infinite for everybody.
            stored = own.store(expected)
            reference = np.where(np.isinf(stored), stored, expected)
            found[name] = difference(reference, received, self.tolerance, own)
        return found


def _own_dtype(name: str, dtype: DType) -> DType:
    """The type a field is returned in: logsumexp stays in the compute type."""
    return DTYPES[dtype.compute.name] if name == "logsumexp" else dtype


def _shape(call: ResolvedCall, name: Field) -> Shape:
    """The shape in which `attend` returns a field."""
    (shape,) = field_shapes(call, name)
    if name == "output" and call.packed:
        batch, heads, length, features = shape
        return batch, length, heads * features
    return shape


def _check_shape(name: str, received: Shape, expected: Shape) -> None:
    """Raise ShapeMismatch unless the shapes are equal; the advice recognises axes that are swapped or missing."""
    if received == expected:
        return
    raise ShapeMismatch(
        ("candidate", name),
        expected=f"shape {list(expected)}, as attend returns {name} for this request",
        received=f"shape {list(received)}",
        advice=_advice(received, expected),
    )


def _advice(received: Shape, expected: Shape) -> str:
    if len(received) == len(expected) and sorted(received) == sorted(expected):
        order = next(
            axes for axes in permutations(range(len(received))) if tuple(received[axis] for axis in axes) == expected
        )
        return f"The axes look swapped: transpose them to the order {list(order)}."
    if [size for size in received if size != 1] == [size for size in expected if size != 1]:
        return "Only axes of length 1 differ: reshape it."
    if len(received) == 3 and len(expected) == 4 and received[-1] == expected[1] * expected[-1]:
        return "The heads look packed into the last axis: give them an axis of their own."
    return "Return one row for each query; leading axes are those of the scores."
