"""Dot products, plain and scaled."""

from dataclasses import dataclass, replace
from math import frexp, sqrt
from typing import Any, ClassVar, Self

import numpy as np

from attention_core.arrays import Key, Keys, Leading, Queries, Query, Scores, Side
from attention_core.interfaces import ELEMENTWISE, Features, ScoreGradient, ScoreTerms, Term
from attention_core.reductions import product
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


@dataclass(frozen=True, slots=True)
class DotProduct:
    """a(q, k) = q·k.

    Luong, Pham & Manning 2015, "Effective Approaches to Attention-based Neural Machine Translation", score "dot".
    """

    name: ClassVar[str] = "dot_product"
    key_axis: ClassVar[int] = -1

    def bind(self, features: Features, dtype: np.dtype[Any]) -> Self:
        """Check that queries and keys have the same number of features."""
        require_equal(features, self.name)
        return self

    def within(self, leading: Leading) -> Self:
        """There is nothing to cut."""
        return self

    def for_queries(self, queries: Queries) -> Side:
        """The queries as they are."""
        return (queries,)

    def for_keys(self, keys: Keys) -> Side:
        """The keys as columns."""
        return (keys.swapaxes(-1, -2),)

    def pairs(self, queries: Side, keys: Side, out: Scores | None = None) -> Scores:
        """Multiply matrices."""
        return np.matmul(queries[0], keys[0], out=out)

    def query_bound(self, queries: Side) -> float:
        """‖q‖, since |q·k| ≤ ‖q‖·‖k‖."""
        return largest_norm(queries[0], axis=-1)

    def key_bound(self, keys: Side) -> float:
        """‖k‖."""
        return largest_norm(keys[0], axis=-2)

    def scores(self, queries: Queries, keys: Keys) -> Scores:
        """Return q·k for every pair."""
        return self.pairs(self.for_queries(queries), self.for_keys(keys))

    def gradient(self, queries: Queries, keys: Keys, score_gradient: Scores) -> ScoreGradient:
        """∂/∂q = Σₖ g·k and ∂/∂k = Σ_q g·q."""
        return ScoreGradient(
            queries=np.matmul(score_gradient, keys),
            keys=np.matmul(score_gradient.swapaxes(-1, -2), queries),
            parameters={},
        )

    def terms(self, query: Query, key: Key, head: int) -> ScoreTerms:
        """One product per feature."""
        return ScoreTerms(products(query, key))

    def operations(self, queries: int, keys: int, features: Features) -> int:
        """One multiplication and one addition per feature of each pair."""
        return 2 * queries * keys * features.query

    def scratch(self, features: Features) -> int:
        """Only the score itself."""
        return 1


@dataclass(frozen=True, slots=True, eq=False)
class ScaledDotProduct:
    """a(q, k) = q·k · scale, by default with scale = 1/√D; scale is a number or one per query head, shape (Hq,).

    Vaswani et al. 2017, "Attention Is All You Need", equation 1: for unit-variance features q·k has variance D, which
    saturates the softmax and starves it of gradient; dividing by √D undoes that.
    """

    scale: PerHead | None = None
    name: ClassVar[str] = "scaled_dot_product"
    key_axis: ClassVar[int] = -1

    def bind(self, features: Features, dtype: np.dtype[Any]) -> Self:
        """Resolve the default scale; raise InvalidValue for a scale that is not finite."""
        require_equal(features, self.name)
        if self.scale is None:
            return type(self)(1.0 / sqrt(features.query))
        return replace(self, scale=bind_number(self.scale, "scale", features, dtype, positive=False))

    @property
    def _factor(self) -> PerHead:
        if self.scale is None:
            raise ValueError("bind() resolves the default scale before anything is computed")
        return self.scale

    def within(self, leading: Leading) -> Self:
        """Take the scales of the block's heads."""
        scale = self._factor
        return self if isinstance(scale, float) else replace(self, scale=heads_within(scale, 0, leading))

    def for_queries(self, queries: Queries) -> Side:
        """The queries times the scale if that loses nothing, so that pairs need not be scaled; else both.

        A power of two loses nothing unless something over- or underflows, which the way back shows.
        """
        scale = self._factor
        if isinstance(scale, float) and abs(frexp(scale)[0]) == 0.5:
            scaled = queries * scale
            if (scaled / scale == queries).all():
                return (scaled,)
        return (queries, np.asarray(over_pairs(scale), dtype=queries.dtype))

    def for_keys(self, keys: Keys) -> Side:
        """The keys as columns."""
        return DotProduct().for_keys(keys)

    def pairs(self, queries: Side, keys: Side, out: Scores | None = None) -> Scores:
        """Multiply matrices, and scale if that is still to be done."""
        vectors, *factors = queries
        scores = np.matmul(vectors, keys[0], out=out)
        for factor in factors:
            scores *= factor
        return scores

    def query_bound(self, queries: Side) -> float:
        """‖q‖·|scale|."""
        vectors, *factors = queries
        return largest_norm(vectors, axis=-1) * (largest_of(factors[0]) if factors else 1.0)

    def key_bound(self, keys: Side) -> float:
        """‖k‖."""
        return largest_norm(keys[0], axis=-2)

    def scores(self, queries: Queries, keys: Keys) -> Scores:
        """Return q·k · scale for every pair."""
        scores, factor = product(queries, keys.swapaxes(-1, -2)), self._factor
        scores *= factor if isinstance(factor, float) else over_pairs(factor)
        return scores

    def gradient(self, queries: Queries, keys: Keys, score_gradient: Scores) -> ScoreGradient:
        """The dot product's gradient times scale, and ∂/∂scale = Σ g·(q·k), which is Σ q·(Σₖ g·k)."""
        plain = DotProduct().gradient(queries, keys, score_gradient)
        per_query = np.sum(queries * plain.queries, axis=-1, keepdims=True)
        factor = over_pairs(self._factor)
        return ScoreGradient(
            queries=plain.queries * factor,
            keys=plain.keys * factor,
            parameters={"scale": number_gradient(per_query, self._factor)},
        )

    def terms(self, query: Query, key: Key, head: int) -> ScoreTerms:
        """One product per feature, times scale."""
        scale, default = at_head(self._factor, head), 1.0 / sqrt(len(query))
        by_default = Term("default scale", default, "1/√{}", (float(len(query)),))
        factor = by_default if scale == default else Term("scale", scale, "{}", (scale,))
        return ScoreTerms(products(query, key), factor)

    def operations(self, queries: int, keys: int, features: Features) -> int:
        """The dot product and one multiplication."""
        return DotProduct().operations(queries, keys, features) + ELEMENTWISE * queries * keys

    def scratch(self, features: Features) -> int:
        """Only the score itself."""
        return 1
