"""Scores by a formula that the caller writes: any function of a query and a key that the language of formulas has."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

import numpy as np

from attention_core.arrays import Key, Keys, LeadingSlices, Projection, Queries, Query, Scores
from attention_core.descriptions import Description, Text, parameter
from attention_core.expressions import Expression, ScoreTerms
from attention_core.formulas import (
    BoundFormula,
    FormulaContext,
    FormulaGradient,
    ParameterValue,
    PerHead,
    bind_formula,
    parse_formula,
)
from attention_core.interfaces import ELEMENTWISE_COST, FeatureSizes, ScoreGradient, ScoreModel
from attention_core.kernel_forms import PairFunction, PairGradient, Project


@dataclass(frozen=True, slots=True, eq=False)
class FormulaScore(ScoreModel):
    """a(q, k) by a formula: ``FormulaScore("-sum(abs(q - k)) / tau", {"tau": 2.0})``.

    Dong et al. 2024, "Flex Attention: A Programming Model for Generating Optimized Attention Kernels", section 3.1,
    lets the caller write how a score is modified; here the score itself is written.
    """

    formula: str = field(
        metadata=parameter(
            zh="q 与 k 的公式，每一对得到一个数", en="Formula of q and k that yields a number", kind="formula"
        )
    )
    parameters: Mapping[str, ParameterValue | PerHead] | None = field(
        default=None,
        metadata=parameter(
            zh='公式中其他名称的值：数、向量或矩阵；每个查询头各有一个则写作 {"per_head": […]}',
            en="Values of the other names in the formula: numbers, vectors or matrices; one for each query head is "
            '{"per_head": […]}',
            kind="named values",
        ),
    )
    bound: BoundFormula | None = field(default=None, repr=False)
    """The formula with its parameters, checked; set by `bind`."""
    name: ClassVar[str] = "expression"
    description: ClassVar[Description] = Description(
        title=Text("公式", "Expression"),
        summary=Text(
            "自己写打分函数：q 与 k 的任何公式，参数按名字给出。语言见 /v1/expressions。",
            "A score function of one's own: any formula of q and k, with parameters by name. /v1/expressions lists the "
            "language.",
        ),
        latex=r"a(q, k) = f(q, k; \theta)",
        plain="a(q, k) = formula(q, k, parameters)",
        source="Dong et al. 2024, Flex Attention, section 3.1, for scores instead of their modification",
        example={"formula": "-sum(abs(q - k)) / tau", "parameters": {"tau": 2}},
    )

    def bind(self, features: FeatureSizes, dtype: np.dtype[Any]) -> Self:
        """Return the model with its formula parsed and checked against its parameters.

        :param features: sizes of query and key, and the number of query heads.
        :param dtype: compute type, float32 or float64.

        Raises InvalidValue, ShapeMismatch or UnknownName with a path that begins with formula or parameters.
        """
        parsed = parse_formula(self.formula, "score_model", ("formula",))
        context = FormulaContext(dtype, features.n_heads, features.query, features.key, None)
        bound = bind_formula(parsed, self.parameters or {}, context, ("formula",), ("parameters",))
        return replace(self, bound=bound)

    def slice_leading(self, leading: LeadingSlices) -> Self:
        """Return the bound model for a block of the leading axes."""
        return replace(self, bound=self._bound.slice_leading(leading))

    def has_head_tensors(self) -> bool:
        """Return whether a vector or matrix among the parameters has one part for each query head."""
        values = (self.parameters or {}).values()
        return any(isinstance(value, PerHead) and np.ndim(value.values) > 1 for value in values)

    def project_queries(self, queries: Queries) -> Projection:
        """Return what depends on queries alone, each array (…, q, n)."""
        return self._bound.project_queries(queries)

    def project_keys(self, keys: Keys) -> Projection:
        """Return what depends on keys alone."""
        return self._bound.project_keys(keys)

    def score_pairs(self, queries: Projection, keys: Projection, out: Scores | None = None) -> Scores:
        """Return the formula's number for every pair, (…, q, k)."""
        return self._bound.score_pairs(queries, keys, out)

    def pair_function(self, queries: Queries, keys: Keys, project: Project) -> PairFunction | None:
        """Return the pair function that the formula is by its form; None where a kernel has none."""
        return self._bound.pair_function(queries, keys, project)

    def backward_pair_function(
        self, queries: Queries, keys: Keys, gradient: PairGradient, project: Project
    ) -> ScoreGradient:
        """Return the gradients by reverse mode over the formula, from those of its vectors, factor and terms."""
        return _score_gradient(self._bound.backward_pair_function(queries, keys, gradient, project))

    def backward(self, queries: Queries, keys: Keys, score_gradient: Scores) -> ScoreGradient:
        """Return the gradients by reverse mode over the formula; 0 at kinks."""
        return _score_gradient(self._bound.backward_pairs(queries, keys, score_gradient))

    def explain_score(self, query: Query, key: Key, head: int) -> ScoreTerms:
        """Return one term for each element of a sum at the root, with the factors beside it, else a single term."""
        return self._bound.explain_score(query, key, head)

    def explain_steps(self, query: Query, key: Key, head: int) -> tuple[Expression, ...]:
        """Return the operations of the formula, each with its operands, but for those that the terms show."""
        return self._bound.explain_score_steps(query, key, head)

    def count_operations(self, n_queries: int, n_keys: int, features: FeatureSizes) -> int:
        """Count the operations of the formula for each pair."""
        return ELEMENTWISE_COST * self._bound.operations_per_pair * n_queries * n_keys

    def projected_numbers(self, n_queries: int, n_keys: int) -> int:
        """Return twice the numbers that are computed from queries and keys alone: results, and steps to them."""
        return 2 * self._bound.projected_numbers(n_queries, n_keys)

    def scratch_per_score(self, features: FeatureSizes) -> int:
        """Return the numbers that the formula holds at once for each pair."""
        return self._bound.scratch_per_pair

    @property
    def _bound(self) -> BoundFormula:
        if self.bound is None:
            raise ValueError("a formula computes nothing before `bind`")
        return self.bound


def _score_gradient(found: FormulaGradient) -> ScoreGradient:
    if found.queries is None or found.keys is None:
        raise ValueError("the formula of a score model has gradients of queries and keys")
    return ScoreGradient(queries=found.queries, keys=found.keys, parameters=found.parameters)
