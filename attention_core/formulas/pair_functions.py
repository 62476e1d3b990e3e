"""Make the pair function of a compiled kernel from a recognised formula: its vectors, factor and terms."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from attention_core.arrays import FloatArray, Keys, Queries
from attention_core.formulas.evaluation import Evaluator
from attention_core.formulas.graph import COLUMNS, ROWS, Step
from attention_core.formulas.operations import Value, lift
from attention_core.formulas.recognition import KernelForm, Term
from attention_core.kernel_forms import PairFunction, Project


@dataclass(frozen=True, slots=True, eq=False)
class _ProjectingEvaluator(Evaluator):
    """Computes steps of queries alone, or of keys alone, each row by itself: vectors are (…, n, U, 1).

    A matrix product of BLAS rounds a row in one way or another as the number of rows changes.
    """

    project: Project

    def _compute_step(self, step: Step, operands: Sequence[Value], variables: Mapping[str, Value]) -> Value:
        if step.level == 0 or step.operation not in ("@", "dot", "sum"):
            return Evaluator._compute_step(self, step, operands, variables)
        if step.operation == "sum":
            return np.sum(operands[0][..., 0], axis=-1)[..., None]
        for one, other, mine in zip(operands, operands[::-1], step.operands, strict=True):
            below = self.graph.steps[mine]
            if below.level == 0:
                if step.operation == "@":
                    weight = one if mine == step.operands[0] else one.swapaxes(-1, -2)
                    return self._project_rows(other, weight)[..., None]
                # (U, 1) or (Hq, 1, U, 1) as (1, U) or (Hq, 1, U).
                weight = one.swapaxes(-1, -2) if one.ndim == 2 else one[..., 0]
                return self._project_rows(other, weight)
        return np.sum((operands[0] * operands[1])[..., 0], axis=-1)[..., None]

    def _project_rows(self, vectors: FloatArray, weight: FloatArray) -> FloatArray:
        return self.project(np.ascontiguousarray(vectors[..., 0]), np.ascontiguousarray(weight))


def make_pair_function(
    form: KernelForm, evaluator: Evaluator, shared: list[Value], queries: Queries, keys: Keys, project: Project
) -> PairFunction | None:
    """Return the pair function of a recognised formula.

    :param form: what `recognise` returned.
    :param evaluator: the formula with its parameters.
    :param shared: values of the steps that all pairs share.
    :param queries: (…, q, Dq).
    :param keys: (…, k, Dk).
    :param project: multiplies rows by a weight.

    Returns None where heads share keys that the formula makes different for each.
    """
    return _Maker(
        form, _ProjectingEvaluator(evaluator.plan, evaluator.parameters, evaluator.dtype, project), shared
    ).make(queries, keys)


@dataclass(frozen=True, slots=True)
class _Maker:
    form: KernelForm
    evaluator: _ProjectingEvaluator
    shared: list[Value]

    def make(self, queries: Queries, keys: Keys) -> PairFunction | None:
        """Return the pair function of some queries and keys; None where the kernels have none."""
        form = self.form
        if self._differs_by_head((*form.keys, *form.key_terms)) and keys.shape[:-2] != queries.shape[:-2]:
            return None
        of_queries, of_keys = self._values(ROWS, "q", queries), self._values(COLUMNS, "k", keys)
        scale = self._scale(form.scale)
        if not np.all(np.isfinite(scale) & (np.asarray(scale) != 0)):
            # A quotient may be finite where its divisor's reciprocal is not.
            return None
        has_terms = bool(form.query_terms or form.key_terms)
        size = self._size(form.queries + form.keys)
        return PairFunction(
            form.kind,
            self._vectors(form.queries, of_queries, queries, size),
            self._vectors(form.keys, of_keys, keys, size),
            scale,
            self._sum_terms(form.query_terms, of_queries, queries) if has_terms else None,
            self._sum_terms(form.key_terms, of_keys, keys) if has_terms else None,
            self._score_vector(size) if form.kind == "additive" else None,
        )

    def _differs_by_head(self, terms: Sequence[Term]) -> bool:
        """Return whether terms depend on a parameter that differs by head."""
        differs: list[bool] = []
        for step, value in zip(self.evaluator.graph.steps, self.shared, strict=True):
            below = any(differs[operand] for operand in step.operands)
            is_indexed = step.operation == "index" and self.evaluator.parameters[str(step.value)].per_head
            differs.append(below or is_indexed or (step.operation == "parameter" and np.ndim(value) > 2))
        return any(differs[index] for term in terms for index in (term.step, *term.factors, *term.divisors))

    def _values(self, level: int, name: str, vectors: FloatArray) -> list[Value]:
        """Return the values of the steps of queries alone, or of keys alone."""
        values = list(self.shared)
        self.evaluator.compute(self.evaluator.plan.level(level), values, {name: vectors[..., None]})
        return values

    def _size(self, terms: Sequence[Term]) -> int:
        return max(size for term in terms for size in (1, *self.evaluator.graph.steps[term.step].type.axes))

    def _score_vector(self, size: int) -> FloatArray:
        """Return v, (U) or (Hq, U)."""
        if self.form.score_vector is None:
            return np.ones(size, self.evaluator.dtype)
        vector = self.shared[self.form.score_vector][..., 0]
        return vector if vector.ndim == 1 else vector[:, 0]

    def _multiplier(self, term: Term) -> Any:
        """Return what multiplies a term, a number or (Hq, 1, 1)."""
        found: Any = term.sign
        for factor in term.factors:
            found = found * np.asarray(self.shared[factor], np.float64)
        for divisor in term.divisors:
            found = found / np.asarray(self.shared[divisor], np.float64)
        return found

    def _scale(self, term: Term) -> float | FloatArray:
        found = np.asarray(self._multiplier(term))
        return found.reshape(-1) if found.ndim else float(found)

    def _vectors(self, terms: Sequence[Term], values: list[Value], given: FloatArray, size: int) -> FloatArray:
        """Return the sum of some vectors, (…, n, size)."""
        first = self.evaluator.graph.steps[terms[0].step]
        if len(terms) == 1 and first.operation == "name" and self._is_plain(terms[0]):
            # A kernel's backward pass takes the query itself for a formula without parameters.
            return given.view() if self.evaluator.parameters else given
        total: Any = None
        for term in terms:
            step = self.evaluator.graph.steps[term.step]
            value = values[term.step] if step.type.axes else lift(values[term.step])
            scaled = value if self._is_plain(term) else value * lift(self._in_compute_type(self._multiplier(term)))
            total = scaled if total is None else total + scaled
        leading = np.broadcast_shapes(given.shape[:-1], np.shape(total)[:-2] if np.ndim(total) > 2 else ())
        return np.ascontiguousarray(np.broadcast_to(total, (*leading, size, 1))[..., 0])

    def _sum_terms(self, terms: Sequence[Term], values: list[Value], given: FloatArray) -> FloatArray:
        """Return the sum of some numbers, (…, n)."""
        total: Any = np.zeros((*given.shape[:-1], 1), self.evaluator.dtype)
        for term in terms:
            total = total + self._in_compute_type(self._multiplier(term)) * values[term.step]
        return np.ascontiguousarray(total[..., 0])

    def _in_compute_type(self, multiplier: Any) -> Any:
        return multiplier.astype(self.evaluator.dtype) if np.ndim(multiplier) else float(multiplier)

    def _is_plain(self, term: Term) -> bool:
        return term.sign == 1.0 and not term.factors and not term.divisors
