"""Trilinear attention: a weight for each feature of the query, of the key and of their product."""

from dataclasses import dataclass, replace
from math import hypot, prod
from typing import Any, ClassVar, Self

import numpy as np

from attention_core.arrays import FloatArray, Key, Keys, Leading, Queries, Query, Scores, Side
from attention_core.interfaces import ELEMENTWISE, Features, ScoreGradient, ScoreTerms, Term
from attention_core.reductions import sum_to
from attention_core.scores.features import (
    bind_tensor,
    largest_norm,
    largest_of,
    require_equal,
    tensor_at_head,
    tensor_within,
)

PRODUCT_OF = {2: "{} × {}", 3: "{} × {} × {}"}


@dataclass(frozen=True, slots=True, eq=False)
class Trilinear:
    """a(q, k) = wᵀ[q; k; q∘k]; weight w (3D), or (Hq, 3D).

    Seo et al. 2017, "Bidirectional Attention Flow for Machine Comprehension", section 2.4.
    """

    weight: FloatArray
    name: ClassVar[str] = "trilinear"
    key_axis: ClassVar[int] = -1

    def bind(self, features: Features, dtype: np.dtype[Any]) -> Self:
        """Check the weight against the features and cast it."""
        require_equal(features, self.name)
        expected, meaning = (3 * features.query,), "[3 · features D: for q, for k, for q∘k]"
        return replace(self, weight=bind_tensor(self.weight, expected, meaning, "weight", features, dtype))

    def _parts(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """The three parts of w, each (D, 1) or (Hq, D, 1)."""
        for_query, for_key, for_product = np.split(self.weight[..., None], 3, axis=-2)
        return for_query, for_key, for_product

    def within(self, leading: Leading) -> Self:
        """Take the weights of the block's heads."""
        return replace(self, weight=tensor_within(self.weight, 1, leading))

    def for_queries(self, queries: Queries) -> Side:
        """The weighted queries, and what each query adds whatever the key, (…, q, 1)."""
        for_query, _, for_product = self._parts()
        return queries * for_product.swapaxes(-1, -2), np.matmul(queries, for_query)

    def for_keys(self, keys: Keys) -> Side:
        """The keys as columns, and what each key adds whatever the query, (…, 1, k)."""
        return keys.swapaxes(-1, -2), np.matmul(keys, self._parts()[1]).swapaxes(-1, -2)

    def pairs(self, queries: Side, keys: Side, out: Scores | None = None) -> Scores:
        """Multiply matrices and add both parts."""
        scores = np.matmul(queries[0], keys[0], out=out)
        scores += queries[1]
        scores += keys[1]
        return scores

    def query_bound(self, queries: Side) -> float:
        """The norm of [‖q∘w‖, wᵀq, 1]: xy + a + b = [x, a, 1]·[y, 1, b]."""
        return hypot(largest_norm(queries[0], axis=-1), largest_of(queries[1]), 1.0)

    def key_bound(self, keys: Side) -> float:
        """The norm of [‖k‖, 1, wᵀk]."""
        return hypot(largest_norm(keys[0], axis=-2), 1.0, largest_of(keys[1]))

    def scores(self, queries: Queries, keys: Keys) -> Scores:
        """Return the score of every pair."""
        return self.pairs(self.for_queries(queries), self.for_keys(keys))

    def gradient(self, queries: Queries, keys: Keys, score_gradient: Scores) -> ScoreGradient:
        """Every part of w weighs its features; ∂/∂w sums them."""
        for_query, for_key, for_product = (part.swapaxes(-1, -2) for part in self._parts())
        by_query, by_key = score_gradient.sum(axis=-1)[..., None], score_gradient.sum(axis=-2)[..., None]
        mixed_keys = np.matmul(score_gradient, keys)
        mixed_queries = np.matmul(score_gradient.swapaxes(-1, -2), queries)
        per_feature = ((by_query * queries), (by_key * keys), (mixed_keys * queries))
        leading = np.broadcast_shapes(*(part.shape[:-2] for part in per_feature))
        summed = [np.broadcast_to(part.sum(axis=-2), (*leading, part.shape[-1])) for part in per_feature]
        return ScoreGradient(
            queries=by_query * for_query + mixed_keys * for_product,
            keys=by_key * for_key + mixed_queries * for_product,
            parameters={"weight": sum_to(np.concatenate(summed, axis=-1), self.weight.shape)},
        )

    def terms(self, query: Query, key: Key, head: int) -> ScoreTerms:
        """Three addends per feature: of q, of k and of their product."""
        for_query, for_key, for_product = np.split(tensor_at_head(self.weight, 1, head).astype(np.float64), 3)
        by_part = {
            "query feature": zip(for_query, query, strict=True),
            "key feature": zip(for_key, key, strict=True),
            "product": zip(for_product, query, key, strict=True),
        }
        return ScoreTerms(
            tuple(
                Term(f"{part} {m}", prod(map(float, operands)), PRODUCT_OF[len(operands)], tuple(map(float, operands)))
                for part, addends in by_part.items()
                for m, operands in enumerate(addends)
            )
        )

    def operations(self, queries: int, keys: int, features: Features) -> int:
        """Two projections, one product per query, a dot product and two additions per pair."""
        return features.query * (3 * queries + 2 * keys) + queries * keys * (2 * features.query + 2 * ELEMENTWISE)

    def scratch(self, features: Features) -> int:
        """Only the score itself."""
        return 1
