"""A formula with its parameters and sizes: what a tile of pairs is computed with."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attention_core.arrays import (
    BoolArray,
    IntArray,
    Key,
    Keys,
    LeadingSlices,
    Logits,
    Projection,
    Queries,
    Query,
    Scores,
)
from attention_core.expressions import Expression, ScoreTerms
from attention_core.formulas.building import build_graph
from attention_core.formulas.context import FormulaContext, FormulaGradient, TilePositions
from attention_core.formulas.coverage import CoverageTest
from attention_core.formulas.differentiation import differentiate
from attention_core.formulas.evaluation import Evaluator
from attention_core.formulas.explaining import Explainer, explain_pair
from attention_core.formulas.graph import COLUMNS, PAIRS, ROWS, Graph, Step
from attention_core.formulas.key_ranges import KeyRange, KeyRangeFinder
from attention_core.formulas.operations import Value
from attention_core.formulas.pair_functions import make_pair_function
from attention_core.formulas.pair_gradients import differentiate_pair_function
from attention_core.formulas.parameters import Parameter
from attention_core.formulas.parsing import Formula
from attention_core.formulas.plan import Plan
from attention_core.kernel_forms import PairFunction, PairGradient, Project
from attention_core.score_tile import Coverage, Tile
from attention_core.shapes import slice_leading


@dataclass(frozen=True, slots=True, eq=False)
class BoundFormula:
    """A formula with its parameters; made by `bind_formula`."""

    formula: Formula
    graph: Graph
    parameters: Mapping[str, Parameter]
    context: FormulaContext
    leading_variables: Mapping[str, Value]
    """b and h of a block of the leading axes."""
    plan: Plan
    """In which order the steps are computed."""
    _shared: list[list[Value]] = field(default_factory=list)
    """Values of the steps that all pairs share, once they are computed."""
    _tests: list[CoverageTest] = field(default_factory=list)
    """What classifies tiles, once it is made."""

    def slice_leading(self, leading: LeadingSlices) -> "BoundFormula":
        """Return the formula for a block of the leading axes: its heads' parameters, its batch rows and heads."""
        parameters = {name: one.slice_leading(leading) for name, one in self.parameters.items()}
        variables = {
            name: slice_leading(value, leading) if isinstance(value, np.ndarray) else value
            for name, value in self.leading_variables.items()
        }
        return replace(self, parameters=parameters, leading_variables=variables, _shared=[], _tests=[])

    def take_heads(self, heads: IntArray) -> "BoundFormula":
        """Return the formula with the parameters, and h, of another query head in the place of each.

        :param heads: index of the other head for each one, (Hq).
        """
        parameters = {
            name: replace(one, array=one.array[heads]) if one.per_head else one for name, one in self.parameters.items()
        }
        head = self.leading_variables["h"]
        taken = head[heads] if isinstance(head, np.ndarray) else head
        variables = {**self.leading_variables, "h": taken}
        return replace(self, parameters=parameters, leading_variables=variables, _shared=[], _tests=[])

    @property
    def _evaluator(self) -> Evaluator:
        return Evaluator(self.plan, self.parameters, self.context.dtype)

    def _shared_values(self) -> list[Value]:
        """Return a new list of values of all steps: those that all pairs share, None for the others."""
        if not self._shared:
            values: list[Value] = [None] * len(self.graph.steps)
            self._evaluator.compute(self.plan.level(0), values, self.leading_variables)
            self._shared.append(values)
        return list(self._shared[0])

    def _project(self, level: int, variables: Mapping[str, Value]) -> list[Value]:
        """Return the values of the steps of queries alone, or of keys alone, beside those that all pairs share."""
        values = self._shared_values()
        self._evaluator.compute(self.plan.level(level), values, variables)
        return values

    def index_outside(self, step: Step) -> float | None:
        """Return the first index of a step that is no integer from 0 to the size of its parameter; None for none.

        :param step: an index that all pairs share.
        """
        with np.errstate(all="ignore"):
            values = self._shared_values()
        for operand, size in zip(step.operands, self.parameters[str(step.value)].axes, strict=True):
            index = np.ravel(np.asarray(values[operand], np.float64))
            outside = index[~((index >= 0) & (index < size) & (index == np.floor(index)))]
            if outside.size:
                return float(outside[0])
        return None

    # Score models

    def project_queries(self, queries: Queries) -> Projection:
        """Return the queries, and the values that depend on queries alone.

        :param queries: (…, q, Dq).
        """
        with np.errstate(all="ignore"):
            values = self._project(ROWS, {"q": queries[..., None]})
        return (queries, *(values[index] for index in self.plan.row_outputs))

    def project_keys(self, keys: Keys) -> Projection:
        """Return the keys, and the values that depend on keys alone.

        :param keys: (…, k, Dk).
        """
        with np.errstate(all="ignore"):
            values = self._project(COLUMNS, {"k": keys.swapaxes(-1, -2)[..., None, :, :]})
        found = (values[index] for index in self.plan.column_outputs)
        # The inner loop over pairs runs along the keys.
        return (keys, *(map(np.ascontiguousarray, found) if self.plan.has_pair_vectors else found))

    def score_pairs(self, queries: Projection, keys: Projection, out: Scores | None = None) -> Scores:
        """Return a(q, k) of every pair of projections, (…, q, k).

        :param queries: what `project_queries` returned.
        :param keys: what `project_keys` returned.
        :param out: array for the scores; None for a new one.
        """
        with np.errstate(all="ignore"):
            values = self._shared_values()
            for outputs, projection in ((self.plan.row_outputs, queries), (self.plan.column_outputs, keys)):
                for index, value in zip(outputs, projection[1:], strict=True):
                    values[index] = value
            leading = np.broadcast_shapes(queries[0].shape[:-2], keys[0].shape[:-2], self._head_axis)
            shape = (*leading, queries[0].shape[-2], keys[0].shape[-2])
            scores = np.empty(shape, self.context.dtype) if out is None else out
            self._compute_pairs(values, {}, scores)
        return scores

    @property
    def _head_axis(self) -> tuple[int, ...]:
        """Shape of the heads of the block, which broadcasts to the leading axes of the scores."""
        heads = [len(one.array) for one in self.parameters.values() if one.per_head]
        return (heads[0],) if heads else ()

    def _compute_pairs(self, values: list[Value], variables: Mapping[str, Value], out: NDArray[Any]) -> None:
        """Write the value of the formula to an array, (…, q, k), a block of pairs at a time if each needs vectors.

        :param values: those of all steps but the ones of pairs.
        :param variables: values of variables that differ from pair to pair.
        :param out: array of the type of the values.
        """
        evaluator, plan = self._evaluator, self.plan
        if self.graph.steps[self.graph.root].level != PAIRS:
            out[...] = values[self.graph.root]
        elif not plan.has_pair_vectors:
            found = evaluator.compute_pairs(values, variables, out)
            if found is not out:
                out[...] = found
        else:
            for rows, columns, part, inputs in evaluator.blocks(values, variables, out.shape, plan.numbers_per_pair):
                out[..., rows, columns] = evaluator.compute_pairs(part, inputs, None)

    def backward_pairs(self, queries: Queries, keys: Keys, gradient: Scores) -> FormulaGradient:
        """Return the gradients of queries, keys and parameters.

        :param queries: (…, q, Dq).
        :param keys: (…, k, Dk).
        :param gradient: gradient of the loss with respect to the scores, (…, q, k).
        """
        with np.errstate(all="ignore"):
            values = self._project(ROWS, {"q": queries[..., None]})
            self._evaluator.compute(
                self.plan.level(COLUMNS), values, {"k": np.ascontiguousarray(keys.swapaxes(-1, -2))[..., None, :, :]}
            )
            found = differentiate(self._evaluator, values, {}, gradient)
        leading, zero = gradient.shape[:-2], np.zeros((), gradient.dtype)
        by_query, by_key = (found.variables.get(name) for name in ("q", "k"))
        return FormulaGradient(
            queries=np.broadcast_to(zero if by_query is None else by_query[..., 0], (*leading, *queries.shape[-2:])),
            keys=np.broadcast_to(
                zero if by_key is None else by_key[..., 0, :, :].swapaxes(-1, -2), (*leading, *keys.shape[-2:])
            ),
            parameters=found.parameters,
        )

    def pair_function(self, queries: Queries, keys: Keys, project: Project) -> PairFunction | None:
        """Return what the formula is to a compiled kernel; None for a form that the kernels do not have.

        :param queries: (…, q, Dq).
        :param keys: (…, k, Dk).
        :param project: multiplies rows by a weight, each by itself.
        """
        form = self.plan.kernel_form
        if form is None:
            return None
        with np.errstate(all="ignore"):
            return make_pair_function(form, self._evaluator, self._shared_values(), queries, keys, project)

    def backward_pair_function(
        self, queries: Queries, keys: Keys, gradient: PairGradient, project: Project
    ) -> FormulaGradient:
        """Return the gradients of queries, keys and parameters, given those of the pair function.

        :param queries: (…, q, Dq), finite.
        :param keys: (…, k, Dk), finite.
        :param gradient: gradients of what `pair_function` returned.
        :param project: multiplies rows by a weight, each by itself.
        """
        form = self.plan.kernel_form
        if form is None:
            raise ValueError("a formula that is no pair function has no gradient of one")
        with np.errstate(all="ignore"):
            return differentiate_pair_function(
                form, self._evaluator, self._shared_values(), queries, keys, gradient, project
            )

    # Score modifiers and masks

    def _values_at(self, positions: TilePositions) -> list[Value]:
        """Return the values of all steps but those of pairs, at the positions of a tile."""
        i, j, p = (positions.i, positions.j[None, :], positions.p)
        values = self._project(ROWS, {"i": i.astype(np.float64), "p": p.astype(np.float64)})
        self._evaluator.compute(self.plan.level(COLUMNS), values, {"j": j.astype(np.float64)})
        return values

    def modify(self, scores: Scores, positions: TilePositions) -> Logits:
        """Return the modified scores, (…, q, k), in a new array.

        :param scores: (…, q, k), in the compute type.
        :param positions: indices and positions of the tile.
        """
        found = np.empty(scores.shape, scores.dtype)
        with np.errstate(all="ignore"):
            self._compute_pairs(self._values_at(positions), {"score": scores}, found)
        return found

    def backward_modify(self, scores: Scores, positions: TilePositions, gradient: Logits) -> FormulaGradient:
        """Return the gradients of the scores and of the parameters.

        :param scores: (…, q, k).
        :param positions: indices and positions of the tile.
        :param gradient: gradient of the loss with respect to the modified scores, (…, q, k).
        """
        with np.errstate(all="ignore"):
            found = differentiate(self._evaluator, self._values_at(positions), {"score": scores}, gradient)
        score = found.variables.get("score")
        return FormulaGradient(score=np.zeros_like(scores) if score is None else score, parameters=found.parameters)

    def holds(self, positions: TilePositions) -> BoolArray:
        """Return whether the formula holds of each pair, broadcastable to (…, q, k).

        :param positions: indices and positions of the tile.
        """
        with np.errstate(all="ignore"):
            values = self._values_at(positions)
            if self.plan.has_pair_vectors:
                batch, head = (np.shape(self.leading_variables[name]) for name in ("b", "h"))
                leading = np.broadcast_shapes(positions.p.shape[:-2], batch[:-2], head[:-2], self._head_axis)
                holds = np.empty((*leading, len(positions.i), len(positions.j)), np.bool_)
                self._compute_pairs(values, {}, holds)
                return holds
            found = values[self.graph.root]
            if found is None:
                found = self._evaluator.compute_pairs(values, {}, None)
        return np.asarray(found) if np.ndim(found) > 1 else np.full((1, 1), found)

    def coverage(self, tile: Tile) -> Coverage:
        """Return whether a mask formula hides all, none or some pairs of a tile; PARTIAL is always right."""
        return self._coverage_test.classify(tile)

    @property
    def _coverage_test(self) -> CoverageTest:
        if not self._tests:
            with np.errstate(all="ignore"):
                self._tests.append(CoverageTest(self.graph, self.parameters, self._shared_values()))
        return self._tests[0]

    def key_range(self, positions: TilePositions) -> KeyRange | None:
        """Return which keys each query sees by a mask formula, where these are a range.

        :param positions: indices and positions of some queries and of all keys.

        Returns the first visible key and the key after the last, integers that broadcast to (…, q, 1) and may lie
        outside of the keys; None where they are no range, or it is not known whether they are.
        """

        @cache
        def compute(key: int | None) -> list[Value]:
            if key is None:
                return self._values_at(positions)
            values = self._values_at(positions._replace(j=np.array([key])))
            self._evaluator.compute(self.plan.level(PAIRS), values, {})
            return values

        with np.errstate(all="ignore"):
            return KeyRangeFinder(self._coverage_test, compute, len(positions.j)).find()

    # Cost and explanation

    @property
    def operations_per_pair(self) -> int:
        """Elementwise operations for each pair (`attention_core.interfaces.ELEMENTWISE_COST`)."""
        return self.plan.operations_per_pair

    @property
    def scratch_per_pair(self) -> int:
        """Numbers that are held at once for each pair, the result included, as `ScoreModel.scratch_per_score`."""
        return self.plan.numbers_per_pair + 1

    def projected_numbers(self, n_queries: int, n_keys: int) -> int:
        """Return how many numbers are computed from queries alone and from keys alone, of one matrix of scores.

        :param n_queries: number of queries.
        :param n_keys: number of keys.
        """
        sides = ((n_queries, self.plan.row_outputs), (n_keys, self.plan.column_outputs))
        return sum(n * prod(self.plan.graph.steps[index].type.axes) for n, outputs in sides for index in outputs)

    def explain(self, variables: Mapping[str, Any], head: int) -> tuple[Expression, ...]:
        """Return the operations of the formula for one pair, each with its operands and value.

        A score model whose whole is ``sum(…)`` has a line for each element instead, which add up to the score.

        :param variables: values of the formula's variables: vectors q and k, or numbers.
        :param head: index into parameters that differ by head.
        """
        if self.formula.kind == "score_model" and self.formula.root.operation == "sum":
            return self.explain_score(variables["q"], variables["k"], head).terms
        return self._explain(variables, head).lines()

    def explain_score(self, query: Query, key: Key, head: int) -> ScoreTerms:
        """Return a score as a sum of terms: one for each element of a sum at the root, else a single one.

        :param query: (Dq).
        :param key: (Dk).
        :param head: index into parameters that differ by head.
        """
        return self._explain({"q": query, "k": key}, head).terms(len(query))

    def explain_score_steps(self, query: Query, key: Key, head: int) -> tuple[Expression, ...]:
        """Return the operations that `explain_score` does not show, each with its operands and value.

        :param query: (Dq).
        :param key: (Dk).
        :param head: index into parameters that differ by head.
        """
        return self._explain({"q": query, "k": key}, head).lines_before_terms()

    def _explain(self, variables: Mapping[str, Any], head: int) -> Explainer:
        axes = {name: one.axes for name, one in self.parameters.items()}
        written = build_graph(self.formula, axes, self.context.sizes, (), rewrites=False)
        parameters = {name: one.of_head(head) for name, one in self.parameters.items()}
        dtype = np.dtype(np.float64)
        return explain_pair(written, lambda graph: Evaluator(Plan(graph), parameters, dtype), variables)
