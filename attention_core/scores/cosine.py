"""Cosine similarity."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np

from attention_core.arrays import FloatArray, Key, Keys, Leading, Queries, Query, Scores, Side
from attention_core.interfaces import ELEMENTWISE, Features, ScoreGradient, ScoreTerms, Term
from attention_core.scores.dot_product import DotProduct
from attention_core.scores.features import (
    PerHead,
    at_head,
    bind_number,
    heads_within,
    largest_norm,
    largest_of,
    number_gradient,
    over_pairs,
    products,
    require_equal,
)


@dataclass(frozen=True, slots=True, eq=False)
class Cosine:
    """a(q, k) = scale · q·k / (‖q‖‖k‖), 0 for a zero vector; scale is a number (default 1) or one per query head.

    Graves, Wayne & Danihelka 2014, "Neural Turing Machines", equation 6.
    """

    scale: PerHead = 1.0
    name: ClassVar[str] = "cosine"
    key_axis: ClassVar[int] = -1

    def bind(self, features: Features, dtype: np.dtype[Any]) -> Self:
        """Check the features and the scale."""
        require_equal(features, self.name)
        return replace(self, scale=bind_number(self.scale, "scale", features, dtype, positive=False))

    def within(self, leading: Leading) -> Self:
        """Take the scales of the block's heads."""
        return replace(self, scale=heads_within(self.scale, 0, leading))

    def for_queries(self, queries: Queries) -> Side:
        """Unit vectors."""
        return (directions(queries)[0],)

    def for_keys(self, keys: Keys) -> Side:
        """Unit vectors as columns."""
        return (directions(keys)[0].swapaxes(-1, -2),)

    def pairs(self, queries: Side, keys: Side, out: Scores | None = None) -> Scores:
        """Multiply matrices and scale."""
        scores = np.matmul(queries[0], keys[0], out=out)
        scores *= over_pairs(self.scale)
        return scores

    def query_bound(self, queries: Side) -> float:
        """|scale|, times a norm of 1."""
        return largest_norm(queries[0], axis=-1) * largest_of(self.scale)

    def key_bound(self, keys: Side) -> float:
        """Such a norm."""
        return largest_norm(keys[0], axis=-2)

    def scores(self, queries: Queries, keys: Keys) -> Scores:
        """Return the scaled cosine for every pair."""
        return self.pairs(self.for_queries(queries), self.for_keys(keys))

    def gradient(self, queries: Queries, keys: Keys, score_gradient: Scores) -> ScoreGradient:
        """∂/∂q = scale·(k̂ − (q̂·k̂) q̂)/‖q‖ summed over keys, likewise for k; 0 for a zero vector."""
        (query_directions, query_norms), (key_directions, key_norms) = directions(queries), directions(keys)
        cosines = DotProduct().scores(query_directions, key_directions)
        scaled = score_gradient * over_pairs(self.scale)
        along = scaled * cosines
        plain = DotProduct().gradient(query_directions, key_directions, scaled)
        return ScoreGradient(
            queries=(plain.queries - along.sum(axis=-1)[..., None] * query_directions) / query_norms,
            keys=(plain.keys - along.sum(axis=-2)[..., None] * key_directions) / key_norms,
            parameters={"scale": number_gradient(score_gradient * cosines, self.scale)},
        )

    def terms(self, query: Query, key: Key, head: int) -> ScoreTerms:
        """One product per feature, times scale / (‖q‖‖k‖)."""
        scale = at_head(self.scale, head)
        if not query.any() or not key.any():
            return ScoreTerms(products(query, key), Term("zero vector", 0.0, "{}", (0.0,)))
        query_norm, key_norm = (float(directions(vector)[1][0]) for vector in (query, key))
        factor = Term("scale and norms", scale / query_norm / key_norm, "{} / ({} × {})", (scale, query_norm, key_norm))
        return ScoreTerms(products(query, key), factor)

    def operations(self, queries: int, keys: int, features: Features) -> int:
        """Norms and directions of both, a dot product and a multiplication per pair."""
        return 3 * features.query * (queries + keys) + queries * keys * (2 * features.query + ELEMENTWISE)

    def scratch(self, features: Features) -> int:
        """Only the score itself."""
        return 1


def directions(vectors: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return unit vectors and norms (…, 1); a zero vector stays zero and has norm 1 here, so that it divides safely.

    The largest component is taken out before squaring, so that no norm overflows or vanishes.
    """
    largest = np.max(np.abs(vectors), axis=-1, keepdims=True)
    safe = np.where(largest > 0, largest, 1)
    shrunk = vectors / safe
    norms = np.sqrt(np.sum(shrunk * shrunk, axis=-1, keepdims=True))
    norms = np.where(largest > 0, norms, 1)
    return shrunk / norms, norms * safe
