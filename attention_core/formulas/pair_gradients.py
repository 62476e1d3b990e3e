"""Gradients of a recognised formula from those of its pair function, which a compiled kernel has: the way back of
`pair_functions`.

Vectors and terms are sums of steps, each times a number that all pairs share.  Their gradients go on to these steps and
numbers, and from there through the tree in reverse; queries and keys each by themselves, row by row.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from attention_core.arrays import FloatArray, Keys, Queries
from attention_core.formulas.context import FormulaGradient
from attention_core.formulas.derivatives import times
from attention_core.formulas.differentiation import Pending, go_back, reduce_to_step, zeros_of_parameters
from attention_core.formulas.evaluation import Evaluator
from attention_core.formulas.graph import COLUMNS, ROWS
from attention_core.formulas.operations import Value, lift
from attention_core.formulas.pair_functions import ProjectingEvaluator, in_compute_type, multiplier
from attention_core.formulas.recognition import KernelForm, Term
from attention_core.kernel_forms import PairGradient, Project


def differentiate_pair_function(
    form: KernelForm,
    evaluator: Evaluator,
    shared: list[Value],
    queries: Queries,
    keys: Keys,
    gradient: PairGradient,
    project: Project,
) -> FormulaGradient:
    """Return the gradients of queries, keys and parameters.

    :param form: what `recognise` returned.
    :param evaluator: the formula with its parameters.
    :param shared: values of the steps that all pairs share.
    :param queries: (…, q, Dq), finite.
    :param keys: (…, k, Dk), finite.
    :param gradient: gradients of what `make_pair_function` returned.
    :param project: multiplies rows by a weight.

    Gradients of queries and keys have the leading axes of those of the pair function.
    """
    plan = evaluator.plan
    by_row = ProjectingEvaluator(plan.with_keys_as_rows, evaluator.parameters, evaluator.dtype, project)
    found = _Collector(by_row, shared, {}, zeros_of_parameters(evaluator, gradient.queries.dtype))
    by_query = _Side("q", queries, form.queries, gradient.queries, form.query_terms, gradient.query_terms)
    by_key = _Side("k", keys, form.keys, gradient.keys, form.key_terms, gradient.key_terms)
    of_queries, of_keys = (found.take(side, plan.level(level)) for side, level in ((by_query, ROWS), (by_key, COLUMNS)))
    if form.score_vector is not None and gradient.score_vector is not None:
        found.add(form.score_vector, gradient.score_vector[..., None, :, None], shared)
    # Σ score · ∂score, divided by a factor of the scores, is the gradient of the factor.
    scale = in_compute_type(multiplier(form.scale, shared), evaluator.dtype)
    found.add_to_factors(form.scale, gradient.scores[..., None] / scale)
    go_back(by_row, reversed(plan.level(0)), shared, found.pending, found.parameters)
    return FormulaGradient(queries=of_queries, keys=of_keys, parameters=found.parameters)


class _Side(NamedTuple):
    """Queries or keys, and the gradients of what the pair function has of them."""

    name: str
    """"q" or "k"."""
    given: FloatArray
    """(…, n, D)."""
    vectors: tuple[Term, ...]
    """Steps whose sum is the vector."""
    of_vectors: FloatArray
    """Gradient of the vector, (…, n, F)."""
    terms: tuple[Term, ...]
    """Steps whose sum is the term."""
    of_terms: FloatArray | None
    """Gradient of the term, (…, n); None for a pair function without terms."""


@dataclass(frozen=True, slots=True)
class _Collector:
    """Gradients on their way to queries, keys and parameters."""

    evaluator: ProjectingEvaluator
    shared: list[Value]
    """Values of the steps that all pairs share."""
    pending: Pending
    """Gradients that have reached a step."""
    parameters: dict[str, FloatArray]

    def take(self, side: _Side, indices: Sequence[int]) -> FloatArray:
        """Return the gradient of queries or keys; those of steps that all pairs share stay pending.

        :param side: queries or keys.
        :param indices: the steps that are computed from them alone.
        """
        values = list(self.shared)
        self.evaluator.compute(indices, values, {side.name: side.given[..., None]})
        self._add_terms(side.vectors, side.of_vectors[..., None], values, is_vector=True)
        if side.of_terms is not None:
            self._add_terms(side.terms, side.of_terms[..., None], values, is_vector=False)
        go_back(self.evaluator, reversed(indices), values, self.pending, self.parameters)
        steps = self.evaluator.graph.steps
        named = [index for index in indices if steps[index].operation == "name" and index in self.pending]
        reached = [self.pending.pop(index)[..., 0] for index in named]
        shape = (*side.of_vectors.shape[:-1], side.given.shape[-1])
        zero = np.zeros((), side.of_vectors.dtype)
        return np.broadcast_to(reached[0] if reached else zero, shape)

    def _add_terms(
        self, terms: Sequence[Term], gradient: FloatArray, values: Sequence[Value], *, is_vector: bool
    ) -> None:
        """Add the gradient of a sum to those of its steps and of what multiplies them.

        :param terms: the terms that are added.
        :param gradient: of the sum, (…, n, F, 1) of a vector, (…, n, 1) of a number.
        :param values: those of all steps of queries, or of keys.
        :param is_vector: whether the sum is a vector, to which a number adds itself everywhere.
        """
        for term in terms:
            is_number = is_vector and not self.evaluator.graph.steps[term.step].type.axes
            reached = gradient.sum(axis=-2) if is_number else gradient
            is_of_elements = is_vector and not is_number
            factor = in_compute_type(multiplier(term, self.shared), self.evaluator.dtype)
            self.add(term.step, times(reached, lift(factor) if is_of_elements else factor), values)
            if term.factors or term.divisors:
                along = times(reached, values[term.step])
                self.add_to_factors(term, along.sum(axis=-2) if is_of_elements else along)

    def add_to_factors(self, term: Term, along: FloatArray) -> None:
        """Add the gradients of the numbers that multiply and divide a term.

        :param term: the term.
        :param along: Σ gradient · step, before it is multiplied, (…, n, 1).
        """
        for position, factor in enumerate(term.factors):
            others = term._replace(factors=term.factors[:position] + term.factors[position + 1 :])
            self.add(factor, times(along, multiplier(others, self.shared)), self.shared)
        for divisor in term.divisors:
            slope = -multiplier(term, self.shared) / np.asarray(self.shared[divisor], np.float64)
            self.add(divisor, times(along, slope), self.shared)

    def add(self, index: int, gradient: FloatArray, values: Sequence[Value]) -> None:
        """Add a gradient to those that have reached a step.

        :param index: index of the step.
        :param gradient: of its value, before the axes are summed over which the value was broadcast.
        :param values: those of all steps.
        """
        step = self.evaluator.graph.steps[index]
        if step.has_gradient:
            reduced = reduce_to_step(gradient, step, values[index])
            self.pending[index] = reduced if index not in self.pending else self.pending[index] + reduced
