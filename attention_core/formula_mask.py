"""Masks written as formulas of the positions, such as ``j <= p and p - j < 128``."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

import numpy as np

from attention_core.arrays import BoolArray, IntArray, LeadingSlices
from attention_core.descriptions import Text
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
from attention_core.mask_base import BaseMask
from attention_core.score_tile import Coverage, Tile
from attention_core.shapes import Shape

FORMULA_PATH: ArgumentPath = ("mask", "formula")
PARAMETERS_PATH: ArgumentPath = ("mask", "parameters")


@dataclass(frozen=True, slots=True, eq=False)
class FormulaMask(BaseMask):
    """Key j is visible to query i iff a formula of their positions holds.

    Dong et al. 2024, "Flex Attention: A Programming Model for Generating Optimized Attention Kernels", section 3.1.
    """

    formula: str
    """A condition on the positions i, j, p, b, h, Lq, Lk and on parameters; see `attention_core.formulas`."""
    parameters: Mapping[str, ParameterValue | PerHead] = field(default_factory=dict)
    """Numbers, vectors and matrices by the names that the formula uses."""
    bound: BoundFormula | None = field(default=None, repr=False, kw_only=True)
    """The formula with its parameters, checked; set by `bind`."""

    name: ClassVar[str] = "formula"
    title: ClassVar[Text] = Text("公式掩码", "the mask formula")
    shows: ClassVar[Text] = Text(
        "公式成立，例如 `j <= p and p - j < 128`；`parameters` 是公式中的参数",
        "the formula holds, such as `j <= p and p - j < 128`; `parameters` are those of the formula",
    )

    def bind(self, score_shape: Shape) -> Self:
        """Return the mask with its formula parsed and checked against its parameters.

        Numbers are float64, so that every position is exact, and every row is masked alike in every dtype.

        Raises InvalidValue, ShapeMismatch or UnknownName with a path that begins with mask.
        """
        parsed = parse_formula(self.formula, "mask", FORMULA_PATH)
        heads = score_shape[1] if len(score_shape) == 4 else None
        context = FormulaContext(np.dtype(np.float64), heads, None, None, score_shape)
        return replace(self, bound=bind_formula(parsed, self.parameters, context, FORMULA_PATH, PARAMETERS_PATH))

    def slice_leading(self, leading: LeadingSlices) -> Self:
        """Return the bound mask for a block of the leading axes; the mask itself if it is the same there."""
        sliced = self._bound.slice_leading(leading)
        return self if sliced is self.bound else replace(self, bound=sliced)

    def coverage(self, tile: Tile) -> Coverage:
        """Return the coverage as far as the ranges of the positions in the tile decide it, else PARTIAL."""
        return Coverage.FULL if tile.is_empty else self._bound.coverage(tile)

    def visible(self, tile: Tile) -> BoolArray:
        """Return where the formula holds, broadcastable to (…, q, k)."""
        return self._bound.holds(TilePositions.of(tile))

    def find_key_range(self, tile: Tile) -> tuple[IntArray | int, IntArray | int] | None:
        """Return the first key that each query of a tile sees, and the key after the last, as (…, q, 1).

        Both may lie outside of the keys.  None where the keys are no range, or that is not known.

        :param tile: some queries, and all keys.
        """
        return self._bound.key_range(TilePositions.of(tile))

    def explain(self, variables: Mapping[str, int], head: int) -> tuple[Expression, ...]:
        """Return the steps to the truth value of one pair, which is the last; none for a constant alone.

        :param variables: the positions by name.
        :param head: index into parameters that differ by head.
        """
        return self._bound.explain(variables, head)

    @property
    def operations_per_pair(self) -> int:
        """Operations for each pair, in floating-point operations of a matrix product."""
        return ELEMENTWISE_COST * self._bound.operations_per_pair

    @property
    def scratch_per_score(self) -> int:
        """Numbers that are held at once for each pair."""
        return self._bound.scratch_per_pair

    @property
    def _bound(self) -> BoundFormula:
        if self.bound is None:
            raise ValueError("a mask formula says nothing before `bind`")
        return self.bound
