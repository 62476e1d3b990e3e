"""Make the pair function of a compiled kernel from a recognised formula: its vectors, factor and terms.

`pair_gradients` goes the way back.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from attention_core.arrays import FloatArray, Keys, Queries
from attention_core.formulas.derivatives import differentiate_matrix_product
from attention_core.formulas.evaluation import Evaluator
from attention_core.formulas.graph import COLUMNS, ROWS, Step
from attention_core.formulas.operations import Value, lift
from attention_core.formulas.recognition import KernelForm, Term
from attention_core.kernel_forms import PairFunction, Project


@dataclass(frozen=True, slots=True, eq=False)
class ProjectingEvaluator(Evaluator):
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

    def differentiate_step(
        self, step: Step, operands: Sequence[Value], value: Value, gradient: FloatArray
    ) -> list[FloatArray | None]:
        """Return the gradient of each operand of a step; through a matrix it goes row by row as well."""
        if step.level == 0 or step.operation != "@":
            return Evaluator.differentiate_step(self, step, operands, value, gradient)
        below = [self.graph.steps[operand] for operand in step.operands]
        return differentiate_matrix_product(
            below, operands, gradient, lambda matrix, vectors: self._project_rows(vectors, matrix)[..., None]
        )

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
        form, ProjectingEvaluator(evaluator.plan, evaluator.parameters, evaluator.dtype, project), shared
    ).make(queries, keys)


@dataclass(frozen=True, slots=True)
class _Maker:
    form: KernelForm
    evaluator: ProjectingEvaluator
    shared: list[Value]

    def make(self, queries: Queries, keys: Keys) -> PairFunction | None:
        """Return the pair function of some queries and keys; None where the kernels have none."""
        form = self.form
        if self._differs_by_head((*form.keys, *form.key_terms)) and keys.shape[-3:-2] != queries.shape[-3:-2]:
            return None
        of_queries, of_keys = self._values(ROWS, "q", queries), self._values(COLUMNS, "k", keys)
        scale = self._scale()
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

    def _scale(self) -> float | FloatArray:
        found = np.asarray(multiplier(self.form.scale, self.shared))
        return found.reshape(-1) if found.ndim else float(found)

    def _vectors(self, terms: Sequence[Term], values: list[Value], given: FloatArray, size: int) -> FloatArray:
        """Return the sum of some vectors, (…, n, size)."""
        first = self.evaluator.graph.steps[terms[0].step]
        if len(terms) == 1 and first.operation == "name" and self._is_plain(terms[0]):
            return given
        total: Any = None
        for term in terms:
            step = self.evaluator.graph.steps[term.step]
            value = values[term.step] if step.type.axes else lift(values[term.step])
            scaled = value if self._is_plain(term) else value * lift(self._factor(term))
            total = scaled if total is None else total + scaled
        leading = np.broadcast_shapes(given.shape[:-1], np.shape(total)[:-2] if np.ndim(total) > 2 else ())
        return np.ascontiguousarray(np.broadcast_to(total, (*leading, size, 1))[..., 0])

    def _sum_terms(self, terms: Sequence[Term], values: list[Value], given: FloatArray) -> FloatArray:
        """Return the sum of some numbers, (…, n)."""
        total: Any = np.zeros((*given.shape[:-1], 1), self.evaluator.dtype)
        for term in terms:
            total = total + self._factor(term) * values[term.step]
        return np.ascontiguousarray(total[..., 0])

    def _factor(self, term: Term) -> Any:
        return in_compute_type(multiplier(term, self.shared), self.evaluator.dtype)

    def _is_plain(self, term: Term) -> bool:
        return term.sign == 1.0 and not term.factors and not term.divisors


def multiplier(term: Term, shared: Sequence[Value]) -> Any:
    """Return what multiplies a term, a number or (Hq, 1, 1), in float64.

    :param term: a term of a recognised formula.
    :param shared: values of the steps that all pairs share.
    """
    found: Any = term.sign
    for factor in term.factors:
        found = found * np.asarray(shared[factor], np.float64)
    for divisor in term.divisors:
        found = found / np.asarray(shared[divisor], np.float64)
    return found


def in_compute_type(number: Any, dtype: np.dtype[Any]) -> Any:
    """Return a multiplier so that its product with an array has the array's type."""
    return number.astype(dtype) if np.ndim(number) else float(number)
