"""What a formula is bound to, what it is evaluated at, and the gradients that it has."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from attention_core.arrays import FloatArray, IntArray, Keys, Queries, Scores
from attention_core.score_tile import Tile


class FormulaContext(NamedTuple):
    """What a formula is bound to."""

    dtype: np.dtype[Any]
    """Compute type, float32 or float64."""
    n_heads: int | None = None
    """Query heads, Hq; None unless the scores have a head axis."""
    query_features: int | None = None
    """Dq; for a score model."""
    key_features: int | None = None
    """Dk; for a score model."""
    score_shape: tuple[int, ...] | None = None
    """(…, Lq, Lk); for a score modifier or a mask."""

    @property
    def sizes(self) -> dict[str, int | None]:
        """Sizes by their names in a formula; None for those that are not known."""
        n_queries, n_keys = (None, None) if self.score_shape is None else self.score_shape[-2:]
        return {"Dq": self.query_features, "Dk": self.key_features, "Lq": n_queries, "Lk": n_keys}


class TilePositions(NamedTuple):
    """Indices and positions of a tile's queries and keys."""

    i: IntArray
    """Indices of the queries, (q, 1)."""
    j: IntArray
    """Indices of the keys, (k,)."""
    p: IntArray
    """Positions of the queries, (…, q, 1)."""

    @classmethod
    def of(cls, tile: Tile) -> "TilePositions":
        """Return those of a tile."""
        return cls(
            np.arange(tile.rows.start, tile.rows.stop)[:, None],
            np.arange(tile.columns.start, tile.columns.stop),
            tile.query_positions,
        )


@dataclass(frozen=True, slots=True)
class FormulaGradient:
    """Gradients of a formula; those that it has no input for are None."""

    queries: Queries | None = None
    """∂queries, (…, q, Dq) with the leading axes of the scores."""
    keys: Keys | None = None
    """∂keys, (…, k, Dk) with the leading axes of the scores."""
    score: Scores | None = None
    """∂score, (…, q, k)."""
    parameters: Mapping[str, FloatArray] = field(default_factory=dict)
    """Gradients of the parameters by name, each in its own shape, with a leading axis Hq if it differs by head."""
