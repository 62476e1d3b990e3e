"""Bilinear attention: a matrix between query and key."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np

from attention_core.arrays import FloatArray, Key, Keys, Leading, Queries, Query, Scores, Side
from attention_core.interfaces import Features, ScoreGradient, ScoreTerms
from attention_core.reductions import sum_to
from attention_core.scores.features import bind_tensor, largest_norm, products, tensor_at_head, tensor_within


@dataclass(frozen=True, slots=True, eq=False)
class Bilinear:
    """a(q, k) = qᵀ W k; weight W (Dq, Dk), or (Hq, Dq, Dk).

    Luong, Pham & Manning 2015, "Effective Approaches to Attention-based Neural Machine Translation", score "general".
    """

    weight: FloatArray
    name: ClassVar[str] = "bilinear"
    key_axis: ClassVar[int] = -1

    def bind(self, features: Features, dtype: np.dtype[Any]) -> Self:
        """Check the weight against the features and cast it."""
        expected = (features.query, features.key)
        meaning = "[features of a query Dq, features of a key Dk]"
        return replace(self, weight=bind_tensor(self.weight, expected, meaning, "weight", features, dtype))

    def within(self, leading: Leading) -> Self:
        """Take the weights of the block's heads."""
        return replace(self, weight=tensor_within(self.weight, 2, leading))

    def for_queries(self, queries: Queries) -> Side:
        """Wᵀ q."""
        return (np.matmul(queries, self.weight),)

    def for_keys(self, keys: Keys) -> Side:
        """The keys as columns."""
        return (keys.swapaxes(-1, -2),)

    def pairs(self, queries: Side, keys: Side, out: Scores | None = None) -> Scores:
        """Multiply matrices."""
        return np.matmul(queries[0], keys[0], out=out)

    def query_bound(self, queries: Side) -> float:
        """‖Wᵀ q‖."""
        return largest_norm(queries[0], axis=-1)

    def key_bound(self, keys: Side) -> float:
        """‖k‖."""
        return largest_norm(keys[0], axis=-2)

    def scores(self, queries: Queries, keys: Keys) -> Scores:
        """Return qᵀ W k for every pair."""
        return self.pairs(self.for_queries(queries), self.for_keys(keys))

    def gradient(self, queries: Queries, keys: Keys, score_gradient: Scores) -> ScoreGradient:
        """∂/∂q = Σₖ g·W k, ∂/∂k = Σ_q g·Wᵀ q, ∂/∂W = Σ g·q kᵀ."""
        mixed_keys = np.matmul(score_gradient, keys)
        return ScoreGradient(
            queries=np.matmul(mixed_keys, self.weight.swapaxes(-1, -2)),
            keys=np.matmul(np.matmul(score_gradient.swapaxes(-1, -2), queries), self.weight),
            parameters={"weight": sum_to(np.matmul(queries.swapaxes(-1, -2), mixed_keys), self.weight.shape)},
        )

    def terms(self, query: Query, key: Key, head: int) -> ScoreTerms:
        """One addend q_m·(W k)_m per feature of the query."""
        return ScoreTerms(products(query, np.matmul(tensor_at_head(self.weight, 2, head), key)))

    def operations(self, queries: int, keys: int, features: Features) -> int:
        """One product with W per query, one dot product per pair."""
        return 2 * queries * features.key * (features.query + keys)

    def scratch(self, features: Features) -> int:
        """Only the score itself; W q is as small as the queries."""
        return 1
