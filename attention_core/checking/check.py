"""Compare a candidate, such as the output of a user's kernel, with attention in float64."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from attention_core.arrays import FloatArray
from attention_core.attend import evaluate_fields
from attention_core.call import AttentionCall, ResolvedCall, ResultField
from attention_core.checking import batch_orders, fitted_factor
from attention_core.checking.batch_orders import MAX_BATCH_ROWS, batch_size
from attention_core.checking.candidate_shapes import check_shape, require_reference, shape_of
from attention_core.checking.causes import MismatchExplanation, explain_mismatch
from attention_core.checking.comparison import DEFAULT_TOLERANCES, Comparison
from attention_core.checking.fits import SAMPLED_ROWS
from attention_core.checking.fitted_factor import MAX_KEYS, TRIED_FACTORS
from attention_core.checking.precision import WrittenPrecision
from attention_core.checking.search import MAX_VARIANTS, MAX_VERIFIED
from attention_core.checking.variants import CheckContext, Fields, Reference, put_heads_second, resolve_repeated
from attention_core.cost import Cost, predict_dense
from attention_core.differences import FieldDifference, Tolerance
from attention_core.dtypes import resolve_dtype
from attention_core.errors import InvalidValue
from attention_core.heads import arrange_output, restore_output
from attention_core.interfaces import ProgressCallback, ShouldStop
from attention_core.reference import to_float64_reference

CANDIDATES: tuple[ResultField, ...] = ("output", "weights", "scores", "logsumexp")
"""Fields that can be checked."""

PIPELINE: tuple[ResultField, ...] = ("scores", "logsumexp", "weights", "output")
"""The same fields in the order in which they are computed: an early one that is wrong makes later ones wrong."""

WHOLE_CALL_EVALUATIONS = 11
"""Cost of mistakes that need all queries at once and of references in coarser types, in evaluations of the call."""

COMPARISON_COST = 400
"""Operations of all comparisons for each number of the candidate, which is compared about twenty times."""

VARIANT_OPERATIONS = 20_000
"""Operations of one variant of a mistake on the smallest of calls."""

CAUSE_SEPARATOR = "; or "
"""Between mistakes that fit equally."""

COMPARISON_SCRATCH = 10
"""Numbers held at once for each element of a field while it is compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """Whether every field passed, how far each is off, and what explains it if one did not."""

    passed: bool
    tolerance: Tolerance
    dtype: str
    fields: Mapping[str, FieldDifference]
    explanation: MismatchExplanation

    @property
    def wrong_fields(self) -> tuple[str, ...]:
        """Fields that are wrong by more than a rounding, in the order of `PIPELINE`."""
        failed = (name for name in PIPELINE if name in self.fields and not self.fields[name].passed)
        return tuple(name for name in failed if name not in self.explanation.roundings)

    @property
    def likely_cause(self) -> str | None:
        """The mistake that reproduces the candidate; all of them with "; or " between them if they fit equally."""
        return CAUSE_SEPARATOR.join(cause.name for cause in self.explanation.causes) or None


@dataclass(frozen=True, slots=True)
class Check:
    """A candidate whose shapes fit the call it claims to answer; `run` computes the reference and compares."""

    sent: AttentionCall
    """The call in float64, its vectors (B, H, L, D) whatever its layout."""
    resolved: ResolvedCall
    candidate: Fields
    comparison: Comparison
    precisions: Mapping[str, WrittenPrecision]

    @classmethod
    def of(
        cls,
        call: AttentionCall,
        candidate: Mapping[str, FloatArray],
        *,
        rtol: float | None = None,
        atol: float | None = None,
    ) -> "Check":
        """Return the check of a candidate.

        :param call: the call that the candidate claims to answer.
        :param candidate: any of `CANDIDATES` by name, each in the shape that `attend` returns.
        :param rtol: relative tolerance, ≥ 0; default that of the storage type, `DEFAULT_TOLERANCES`.
        :param atol: absolute tolerance, ≥ 0; default that of the storage type.

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
        sent = replace(to_float64_reference(call), include=include, top_k=None)
        resolved = resolve_repeated(sent)
        if resolved.layout == "bshd":
            sent = put_heads_second(sent)
        for name in include:
            check_shape(name, candidate[name].shape, shape_of(resolved, name), resolved.layout)
        dtype = resolve_dtype(call.dtype, call.query, call.key, call.value)
        default = DEFAULT_TOLERANCES[dtype.name]
        comparison = Comparison(
            dtype,
            Tolerance(default.relative if rtol is None else rtol, default.absolute if atol is None else atol),
        )
        stored: Fields = {name: comparison.stored(name, candidate[name]) for name in include}
        precisions: dict[str, WrittenPrecision] = {name: WrittenPrecision.of(candidate[name]) for name in include}
        return cls(sent, resolved, stored, comparison, precisions)

    def predict(self) -> Cost:
        """Return the maximum cost, the search for a mistake included; the result is a handful of numbers."""
        call = self.resolved
        once = predict_dense(call)
        sampled = min(1.0, 3 * SAMPLED_ROWS / max(1, call.query_length))
        variants = int(MAX_VARIANTS * (VARIANT_OPERATIONS + sampled * once.operations))
        fitting = TRIED_FACTORS * once.operations // max(1, prod(call.score_shape[:-1]))
        numbers = sum(array.size for array in self.candidate.values())
        operations = (
            (1 + MAX_VERIFIED + WHOLE_CALL_EVALUATIONS) * once.operations
            + variants
            + fitting
            + COMPARISON_COST * numbers
        )
        held = COMPARISON_SCRATCH * numbers + fitted_factor.NUMBERS_PER_KEY * min(MAX_KEYS, call.key_length)
        if batch_size(call) > 1:
            keys = call.scores_per_query
            operations += (
                batch_orders.SEARCHES
                * min(batch_size(call), MAX_BATCH_ROWS)
                * (VARIANT_OPERATIONS + batch_orders.OPERATIONS_PER_KEY * keys)
            )
            held += batch_orders.NUMBERS_PER_KEY * keys
        return Cost(operations, once.bytes + held * np.dtype(np.float64).itemsize, 0)

    def run(self, should_stop: ShouldStop | None = None, progress: ProgressCallback | None = None) -> CheckResult:
        """Compute the reference and, if the candidate differs, search for the usual mistake that reproduces it.

        :param should_stop: called between blocks and between variants of mistakes; True ends the check; default none.
        :param progress: called after each block of the reference; default none.

        Raises Stopped as soon as `should_stop` returns True.
        """
        with np.errstate(all="ignore"):
            fields, maximum = evaluate_fields(self.resolved, None, should_stop, progress)
            sees_none = np.zeros(self.resolved.score_shape[:-1], np.bool_) if maximum is None else np.isneginf(maximum)
            reference = Reference(self.resolved, fields, sees_none)
            found = {name: self._difference(name, fields[name]) for name in self.candidate}
            failed = [name for name, field in found.items() if not field.passed]
            explanation = (
                explain_mismatch(self.context(should_stop), reference, failed) if failed else MismatchExplanation()
            )
        return CheckResult(
            passed=not failed,
            tolerance=self.comparison.tolerance,
            dtype=self.comparison.dtype.name,
            fields=found,
            explanation=explanation,
        )

    def context(self, should_stop: ShouldStop | None = None) -> CheckContext:
        """Return the call and the candidate, its heads unpacked and on axis 1, for the search."""
        return CheckContext(self.sent, self.resolved, self._unpacked(), self.comparison, self.precisions, should_stop)

    def _difference(self, name: str, expected: FloatArray) -> FieldDifference:
        """Compare one field as it was sent."""
        arranged = arrange_output(self.resolved, expected) if name == "output" else expected
        return self.comparison.difference(name, arranged, self.candidate[name])

    def _unpacked(self) -> Fields:
        if "output" not in self.candidate:
            return self.candidate
        return {**self.candidate, "output": restore_output(self.resolved, self.candidate["output"], "output")}
