"""Trilinear attention: a weight for each feature of the query, of the key and of their elementwise product."""

from dataclasses import dataclass, field
from math import prod
from typing import ClassVar

import numpy as np

from attention_core.arrays import FloatArray, Key, Keys, Projection, Queries, Query, Scores
from attention_core.descriptions import Description, Text, parameter
from attention_core.expressions import Expression, ScoreTerms
from attention_core.interfaces import ELEMENTWISE_COST, FeatureSizes, ScoreGradient, ScoreModel
from attention_core.kernel_forms import PairFunction, PairGradient, Project
from attention_core.parameters import select_parameters
from attention_core.reductions import sum_to_shape

PRODUCT_TEMPLATES = {2: "{} × {}", 3: "{} × {} × {}"}


@dataclass(frozen=True, slots=True, eq=False)
class Trilinear(ScoreModel):
    """a(q, k) = wᵀ[q; k; q∘k].

    Seo et al. 2017, "Bidirectional Attention Flow for Machine Comprehension", section 2.4.
    """

    weight: FloatArray = field(metadata=parameter(zh="三段权重", en="for q, for k, for q∘k", symbol="w", axes=("3·D",)))
    name: ClassVar[str] = "trilinear"
    description: ClassVar[Description] = Description(
        title=Text("三线性", "Trilinear"),
        summary=Text(
            "查询、键以及两者逐项之积各有权重，再求和。",
            "The features of the query, of the key and of their product are weighed and summed.",
        ),
        latex=r"a(q, k) = w^\top [q; k; q \circ k]",
        plain="a(q, k) = wᵀ[q; k; q∘k]",
        source="Seo et al. 2017, Bidirectional Attention Flow for Machine Comprehension",
        example={"weight": [0, 0, 0, 0, 0.1, 0, 0, 0, 0.5, 0.5, 0.5, 0.5]},
    )

    def _split_weight(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return the weights for q, for k and for q∘k, each (D, 1) or (Hq, D, 1)."""
        for_query, for_key, for_product = np.split(self.weight[..., None], 3, axis=-2)
        return for_query, for_key, for_product

    def project_queries(self, queries: Queries) -> Projection:
        """Return q∘w_product, (…, q, D), and the key-independent addend w_queryᵀ q, (…, q, 1)."""
        for_query, _, for_product = self._split_weight()
        return queries * for_product.swapaxes(-1, -2), np.matmul(queries, for_query)

    def project_keys(self, keys: Keys) -> Projection:
        """Return the keys, transposed (…, D, k), and the query-independent addend w_keyᵀ k, (…, 1, k)."""
        return keys.swapaxes(-1, -2), np.matmul(keys, self._split_weight()[1]).swapaxes(-1, -2)

    def score_pairs(self, queries: Projection, keys: Projection, out: Scores | None = None) -> Scores:
        """Return the matrix product of queries and keys plus both addends, (…, q, k)."""
        scores = np.matmul(queries[0], keys[0], out=out)
        scores += queries[1]
        scores += keys[1]
        return scores

    def pair_function(self, queries: Queries, keys: Keys, project: Project) -> PairFunction:
        """Return (q∘w_product)·k + w_queryᵀ q + w_keyᵀ k."""
        for_query, for_key, for_product = (part.swapaxes(-1, -2) for part in self._split_weight())
        terms = project(queries, for_query)[..., 0], project(keys, for_key)[..., 0]
        return PairFunction("dot", queries * for_product, keys, 1.0, *terms)

    def backward_pair_function(
        self, queries: Queries, keys: Keys, gradient: PairGradient, project: Project
    ) -> ScoreGradient:
        """Return ∂/∂q = w_query Σ∂score + w_product∘∂p, ∂/∂k = w_key Σ∂score + ∂k, and ∂/∂w, with p = q∘w_product."""
        if gradient.query_terms is None or gradient.key_terms is None:
            raise ValueError("trilinear has a term of each query and key")
        for_query, for_key, for_product = (part.swapaxes(-1, -2) for part in self._split_weight())
        by_query, by_key = gradient.query_terms[..., None], gradient.key_terms[..., None]
        of_part = (*self.weight.shape[:-1], queries.shape[-1])
        per_feature = (by_query * queries, by_key * keys, gradient.queries * queries)
        parts = [sum_to_shape(part.sum(axis=-2), of_part) for part in per_feature]
        return ScoreGradient(
            queries=by_query * for_query + gradient.queries * for_product,
            keys=by_key * for_key + gradient.keys,
            parameters={"weight": np.concatenate(parts, axis=-1)},
        )

    def backward(self, queries: Queries, keys: Keys, score_gradient: Scores) -> ScoreGradient:
        """Return ∂/∂q = Σₖ g·(w_query + w_product∘k), ∂/∂k by symmetry, and ∂/∂w = Σ g·[q; k; q∘k]."""
        for_query, for_key, for_product = (part.swapaxes(-1, -2) for part in self._split_weight())
        by_query, by_key = score_gradient.sum(axis=-1)[..., None], score_gradient.sum(axis=-2)[..., None]
        mixed_keys = np.matmul(score_gradient, keys)
        mixed_queries = np.matmul(score_gradient.swapaxes(-1, -2), queries)
        per_feature = ((by_query * queries), (by_key * keys), (mixed_keys * queries))
        leading = np.broadcast_shapes(*(part.shape[:-2] for part in per_feature))
        summed = [np.broadcast_to(part.sum(axis=-2), (*leading, part.shape[-1])) for part in per_feature]
        return ScoreGradient(
            queries=by_query * for_query + mixed_keys * for_product,
            keys=by_key * for_key + mixed_queries * for_product,
            parameters={"weight": sum_to_shape(np.concatenate(summed, axis=-1), self.weight.shape)},
        )

    def explain_score(self, query: Query, key: Key, head: int) -> ScoreTerms:
        """Return three terms for each feature: of q, of k and of their product."""
        for_query, for_key, for_product = np.split(select_parameters(self, head)["weight"].astype(np.float64), 3)
        by_part = {
            "query feature": zip(for_query, query, strict=True),
            "key feature": zip(for_key, key, strict=True),
            "product": zip(for_product, query, key, strict=True),
        }
        return ScoreTerms(
            tuple(
                Expression(
                    f"{part} {m}",
                    prod(map(float, operands)),
                    PRODUCT_TEMPLATES[len(operands)],
                    tuple(map(float, operands)),
                )
                for part, addends in by_part.items()
                for m, operands in enumerate(addends)
            )
        )

    def count_operations(self, n_queries: int, n_keys: int, features: FeatureSizes) -> int:
        """Count two projections, a product per query, a dot product and two additions per pair."""
        projections = features.query * (3 * n_queries + 2 * n_keys)
        return projections + n_queries * n_keys * (2 * features.query + 2 * ELEMENTWISE_COST)

    def scratch_per_score(self, features: FeatureSizes) -> int:
        """Return 1, the score itself."""
        return 1
