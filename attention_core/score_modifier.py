"""Score modifiers: a formula of the score and the positions that changes every score before masks and normalization."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

from attention_core.arrays import BoolArray, FloatArray, LeadingSlices, Logits
from attention_core.errors import ArgumentPath
from attention_core.expressions import Expression
from attention_core.formulas import (
    BoundFormula,
    FormulaContext,
    ParameterValue,
    PerHead,
    TilePositions,
    bind_formula,
    parse_formula,
)
from attention_core.interfaces import ELEMENTWISE_COST
from attention_core.score_tile import Tile

FORMULA_PATH: ArgumentPath = ("score_modifier", "formula")
PARAMETERS_PATH: ArgumentPath = ("score_modifier", "parameters")


@dataclass(frozen=True, slots=True, eq=False)
class ScoreModifier:
    """Changes each score by a formula: ``ScoreModifier("score + slope[h] * (j - p)", {"slope": [0.5, 0.25]})``.

    It gets the capped scores plus bias and ALiBi, and what it makes is masked and normalized.  −∞ hides the key from
    the query, as a bias of −∞ does.

    Dong et al. 2024, "Flex Attention: A Programming Model for Generating Optimized Attention Kernels", section 3.1.
    """

    formula: str
    """A number made of `score`, of the positions i, j, p, b, h, Lq, Lk, and of parameters; see
    `attention_core.formulas`."""
    parameters: Mapping[str, ParameterValue | PerHead] = field(default_factory=dict)
    """Numbers, vectors and matrices by the names that the formula uses."""
    bound: BoundFormula | None = field(default=None, repr=False, kw_only=True)
    """The formula with its parameters, checked; set by `bind`."""

    def bind(self, score_shape: tuple[int, ...], dtype: np.dtype[Any]) -> Self:
        """Return the modifier with its formula parsed and checked against its parameters.

        :param score_shape: (…, Lq, Lk); axis 1 counts heads at rank 4.
        :param dtype: compute type, float32 or float64.

        Raises InvalidValue, ShapeMismatch or UnknownName with a path that begins with score_modifier.
        """
        parsed = parse_formula(self.formula, "score_modifier", FORMULA_PATH)
        context = FormulaContext(dtype, score_shape[1] if len(score_shape) == 4 else None, None, None, score_shape)
        bound = bind_formula(parsed, self.parameters, context, FORMULA_PATH, PARAMETERS_PATH)
        return replace(self, bound=bound)

    def slice_leading(self, leading: LeadingSlices) -> Self:
        """Return the bound modifier for a block of the leading axes."""
        return replace(self, bound=self._bound.slice_leading(leading))

    def modify(self, scores: Logits, tile: Tile) -> Logits:
        """Return the modified scores of a tile in a new array, (…, q, k).

        :param scores: capped scores plus bias and ALiBi, (…, q, k).
        :param tile: rows and columns of the score matrix.
        """
        modified = np.empty_like(scores)
        modified[...] = self._bound.modify(scores, TilePositions.of(tile))
        return modified

    def backward(
        self, scores: Logits, tile: Tile, gradient: Logits, hidden: BoolArray | None = None
    ) -> tuple[Logits, Mapping[str, FloatArray]]:
        """Return ∂scores, (…, q, k), and ∂parameters by name, each in the shape of its parameter.

        :param scores: scores before modification, (…, q, k).
        :param tile: rows and columns of the score matrix.
        :param gradient: gradient of the loss with respect to the modified scores, (…, q, k); 0 at hidden pairs.
        :param hidden: pairs that have no influence whatever their score, (…, q, k); None for none.
        """
        found = self._bound.backward_modify(scores, TilePositions.of(tile), gradient)
        of_scores = np.empty_like(scores)
        of_scores[...] = found.score
        if hidden is not None:
            np.copyto(of_scores, 0, where=hidden)
        return of_scores, found.parameters

    def explain(self, variables: Mapping[str, Any], head: int) -> tuple[Expression, ...]:
        """Return the steps from one score to the modified one, which is the last.

        :param variables: numbers by name: score and the positions.
        :param head: index into parameters that differ by head.
        """
        return self._bound.explain(variables, head)

    @property
    def operations_per_score(self) -> int:
        """Operations for each score, in floating-point operations of a matrix product."""
        return ELEMENTWISE_COST * self._bound.operations_per_pair

    @property
    def scratch_per_score(self) -> int:
        """Numbers that are held at once for each score."""
        return self._bound.scratch_per_pair

    @property
    def _bound(self) -> BoundFormula:
        if self.bound is None:
            raise ValueError("a score modifier computes nothing before `bind`")
        return self.bound
