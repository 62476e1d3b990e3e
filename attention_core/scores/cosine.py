"""Cosine similarity attention."""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from attention_core.arrays import FloatArray, Key, Keys, Projection, Queries, Query, Scores
from attention_core.descriptions import Description, Text, parameter
from attention_core.expressions import Expression, ScoreTerms, explain_features
from attention_core.interfaces import ELEMENTWISE_COST, FeatureSizes, ScoreGradient, ScoreModel
from attention_core.kernel_forms import PairFunction, PairGradient, Project
from attention_core.parameters import PerHead, broadcast_over_pairs, select_parameters, sum_scalar_gradient
from attention_core.reductions import all_finite
from attention_core.scores.dot_product import DotProduct


@dataclass(frozen=True, slots=True, eq=False)
class Cosine(ScoreModel):
    """a(q, k) = scale · q·k / (‖q‖‖k‖), 0 where q or k is the zero vector; NaN where a number of either is NaN or ±∞.

    Graves, Wayne & Danihelka 2014, "Neural Turing Machines", equation 6.
    """

    scale: PerHead = field(default=1.0, metadata=parameter(zh="缩放因子", en="Factor of the cosine"))
    name: ClassVar[str] = "cosine"
    description: ClassVar[Description] = Description(
        title=Text("余弦", "Cosine"),
        summary=Text(
            "只看方向，不看长度：得分在 −scale 与 scale 之间；零向量得 0 分。",
            "Only directions count, not lengths: scores lie between −scale and scale, and a zero vector scores 0.",
        ),
        latex=r"a(q, k) = \mathrm{scale} \cdot \frac{q \cdot k}{\|q\| \|k\|}",
        plain="a(q, k) = scale · q·k / (‖q‖‖k‖)",
        source="Graves, Wayne & Danihelka 2014, Neural Turing Machines",
        example={"scale": 5},
    )

    def project_queries(self, queries: Queries) -> Projection:
        """Return the queries' unit vectors, (…, q, D)."""
        return (unit_vectors(queries)[0],)

    def project_keys(self, keys: Keys) -> Projection:
        """Return the keys' unit vectors, transposed: (…, D, k)."""
        return (unit_vectors(keys)[0].swapaxes(-1, -2),)

    def score_pairs(self, queries: Projection, keys: Projection, out: Scores | None = None) -> Scores:
        """Return the matrix product of the unit vectors, times scale, (…, q, k)."""
        scores = np.matmul(queries[0], keys[0], out=out)
        scores *= broadcast_over_pairs(self.scale)
        return scores

    def pair_function(self, queries: Queries, keys: Keys, project: Project) -> PairFunction:
        """Return scale · q·k of the unit vectors."""
        return PairFunction("dot", unit_vectors(queries)[0], unit_vectors(keys)[0], self.scale)

    def backward_pair_function(
        self, queries: Queries, keys: Keys, gradient: PairGradient, project: Project
    ) -> ScoreGradient:
        """Return ∂/∂q = (∂q̂ − (q̂·∂q̂) q̂)/‖q‖, ∂/∂k by symmetry, and ∂/∂scale = Σ score·∂score / scale.

        The gradient of a zero vector is 0.
        """
        per_query = gradient.scores[..., None] / broadcast_over_pairs(self.scale)
        return ScoreGradient(
            _backward_unit_vectors(queries, gradient.queries),
            _backward_unit_vectors(keys, gradient.keys),
            {"scale": np.asarray(sum_scalar_gradient(per_query, self.scale))},
        )

    def backward(self, queries: Queries, keys: Keys, score_gradient: Scores) -> ScoreGradient:
        """Return ∂/∂q = Σₖ g·scale·(k̂ − (q̂·k̂) q̂)/‖q‖, ∂/∂k by symmetry, and ∂/∂scale = Σ g·q̂·k̂.

        The gradient of a zero vector is 0: its score is 0 wherever the other vector points, and no slope is one of all
        directions.  NaN among its ∂scores makes it NaN.
        """
        query_directions, key_directions = unit_vectors(queries)[0], unit_vectors(keys)[0]
        cosines = DotProduct().compute_scores(query_directions, key_directions)
        scaled = score_gradient * broadcast_over_pairs(self.scale)
        along = scaled * cosines
        plain = DotProduct().backward(query_directions, key_directions, scaled)
        return ScoreGradient(
            queries=_divide_by_norms(plain.queries - along.sum(axis=-1)[..., None] * query_directions, queries),
            keys=_divide_by_norms(plain.keys - along.sum(axis=-2)[..., None] * key_directions, keys),
            parameters={"scale": sum_scalar_gradient(score_gradient * cosines, self.scale)},
        )

    def explain_score(self, query: Query, key: Key, head: int) -> ScoreTerms:
        """Return one product for each feature, with the factor scale / (‖q‖‖k‖)."""
        scale = float(select_parameters(self, head)["scale"])
        if not (query.any() and key.any()) and all_finite(query) and all_finite(key):
            return ScoreTerms(explain_features(query, key), Expression("zero vector", 0.0, "{}", (0.0,)))
        query_norm, key_norm = (float(unit_vectors(vector)[1][0]) for vector in (query, key))
        factor = Expression(
            "scale and norms", scale / query_norm / key_norm, "{} / ({} × {})", (scale, query_norm, key_norm)
        )
        return ScoreTerms(explain_features(query, key), factor)

    def count_operations(self, n_queries: int, n_keys: int, features: FeatureSizes) -> int:
        """Count the unit vectors of queries and keys, a dot product and a multiplication per pair."""
        normalization = 3 * features.query * (n_queries + n_keys)
        return normalization + n_queries * n_keys * (2 * features.query + ELEMENTWISE_COST)

    def scratch_per_score(self, features: FeatureSizes) -> int:
        """Return 1, the score itself."""
        return 1


def unit_vectors(vectors: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return unit vectors (…, D) and norms (…, 1); a zero vector stays zero, with norm 1 so that it divides safely.

    Vectors are divided by their largest component before squaring, so that no norm overflows or underflows.
    """
    largest = np.max(np.abs(vectors), axis=-1, keepdims=True)
    safe = np.where(largest > 0, largest, 1)
    shrunk = vectors / safe
    norms = np.sqrt(np.sum(shrunk * shrunk, axis=-1, keepdims=True))
    norms = np.where(largest > 0, norms, 1)
    return shrunk / norms, norms * safe


def _backward_unit_vectors(vectors: FloatArray, gradient: FloatArray) -> FloatArray:
    """Return the gradient of vectors (…, n, D) from that of their unit vectors."""
    directions = unit_vectors(vectors)[0]
    along = np.sum(directions * gradient, axis=-1, keepdims=True)
    return _divide_by_norms(gradient - along * directions, vectors)


def _divide_by_norms(gradient: FloatArray, vectors: FloatArray) -> FloatArray:
    """Return a gradient of unit vectors divided by the vectors' norms, 0 for a zero vector; NaN stays NaN."""
    is_defined = vectors.any(axis=-1, keepdims=True)
    return np.where(is_defined | np.isnan(gradient), gradient / unit_vectors(vectors)[1], 0)
