"""Bilinear attention: a matrix between query and key."""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from attention_core.arrays import FloatArray, Key, Keys, Projection, Queries, Query, Scores
from attention_core.descriptions import Description, Text, parameter
from attention_core.expressions import ScoreTerms, explain_features
from attention_core.interfaces import FeatureSizes, ScoreGradient, ScoreModel
from attention_core.kernel_forms import PairFunction, PairGradient, Project
from attention_core.parameters import select_parameters
from attention_core.reductions import sum_to_shape


@dataclass(frozen=True, slots=True, eq=False)
class Bilinear(ScoreModel):
    """a(q, k) = qᵀ W k.

    Luong, Pham & Manning 2015, "Effective Approaches to Attention-based Neural Machine Translation", score "general".
    """

    weight: FloatArray = field(
        metadata=parameter(zh="权重矩阵", en="features of a query × features of a key", symbol="W", axes=("Dq", "Dk"))
    )
    name: ClassVar[str] = "bilinear"
    keeps_keys: ClassVar[bool] = True
    description: ClassVar[Description] = Description(
        title=Text("双线性", "Bilinear"),
        summary=Text(
            "查询与键之间放一个矩阵：学到的不是“是否相同”，而是“哪些特征互相匹配”。查询与键的特征数可以不同。",
            "A matrix between query and key: it learns which features match which. Queries and keys may differ in "
            "their number of features; W = I/√D is the scaled dot product.",
        ),
        latex=r"a(q, k) = q^\top W k",
        plain="a(q, k) = qᵀ W k",
        source="Luong, Pham & Manning 2015, Effective Approaches to Attention-based Neural Machine Translation, "
        "general",
        example={"weight": [[0.5, 0, 0, 0], [0, 0.5, 0, 0], [0, 0, 0.5, 0], [0, 0, 0, 0.5]]},
    )

    def project_queries(self, queries: Queries) -> Projection:
        """Return Wᵀ q, (…, q, Dk)."""
        return (np.matmul(queries, self.weight),)

    def score_pairs(self, queries: Projection, keys: Projection, out: Scores | None = None) -> Scores:
        """Return the matrix product of the projections, (…, q, k)."""
        return np.matmul(queries[0], keys[0], out=out)

    def pair_function(self, queries: Queries, keys: Keys, project: Project) -> PairFunction:
        """Return (Wᵀ q)·k."""
        return PairFunction("dot", project(queries, self.weight.swapaxes(-1, -2)), keys)

    def backward_pair_function(
        self, queries: Queries, keys: Keys, gradient: PairGradient, project: Project
    ) -> ScoreGradient:
        """Return ∂/∂q = W ∂p, ∂/∂k as it is, and ∂/∂W = Σ q ∂pᵀ, with p = Wᵀ q."""
        per_matrix = np.matmul(queries.swapaxes(-1, -2), gradient.queries)
        return ScoreGradient(
            project(gradient.queries, self.weight),
            gradient.keys,
            {"weight": sum_to_shape(per_matrix, self.weight.shape)},
        )

    def backward(self, queries: Queries, keys: Keys, score_gradient: Scores) -> ScoreGradient:
        """Return ∂/∂q = Σₖ g·W k, ∂/∂k = Σ_q g·Wᵀ q and ∂/∂W = Σ g·q kᵀ."""
        mixed_keys = np.matmul(score_gradient, keys)
        return ScoreGradient(
            queries=np.matmul(mixed_keys, self.weight.swapaxes(-1, -2)),
            keys=np.matmul(np.matmul(score_gradient.swapaxes(-1, -2), queries), self.weight),
            parameters={"weight": sum_to_shape(np.matmul(queries.swapaxes(-1, -2), mixed_keys), self.weight.shape)},
        )

    def explain_score(self, query: Query, key: Key, head: int) -> ScoreTerms:
        """Return one term q_m·(W k)_m for each feature of the query."""
        return ScoreTerms(explain_features(query, np.matmul(select_parameters(self, head)["weight"], key)))

    def count_operations(self, n_queries: int, n_keys: int, features: FeatureSizes) -> int:
        """Count a product with W per query and a dot product per pair."""
        return 2 * n_queries * features.key * (features.query + n_keys)

    def scratch_per_score(self, features: FeatureSizes) -> int:
        """Return 1, the score itself; Wᵀ q is as small as the queries."""
        return 1
