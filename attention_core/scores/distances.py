"""Scores that decrease with distance: gaussian (squared Euclidean) and laplacian (L1)."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from attention_core.arrays import FloatArray, Key, Keys, Projection, Queries, Query, Scores
from attention_core.descriptions import Description, Text, parameter
from attention_core.expressions import Expression, ScoreTerms, explain_features
from attention_core.interfaces import FeatureSizes, ScoreGradient, ScoreModel
from attention_core.kernel_forms import PairFunction, PairGradient, Project
from attention_core.parameters import PerHead, broadcast_over_pairs, select_parameters, sum_scalar_gradient
from attention_core.reductions import all_finite
from attention_core.scores.pairwise import iterate_pair_units

MAX_SUMMED_FEATURES = 16
"""Magnitudes that are summed in one product; rounding errors of one sign grow with their number."""

BANDWIDTH = parameter(zh="带宽", en="Width of the kernel", above=0)


@dataclass(frozen=True, slots=True, eq=False)
class Gaussian(ScoreModel):
    """a(q, k) = −‖q − k‖² / (2·bandwidth²).

    With softmax this is Nadaraya–Watson kernel regression: Nadaraya 1964, "On Estimating Regression"; Watson 1964,
    "Smooth Regression Analysis".  Computed from differences: ‖q‖² + ‖k‖² − 2 q·k would lose every digit where queries
    and keys are close to each other but far from zero.
    """

    bandwidth: PerHead = field(default=1.0, metadata=BANDWIDTH)
    name: ClassVar[str] = "gaussian"
    keeps_keys: ClassVar[bool] = True
    description: ClassVar[Description] = Description(
        title=Text("高斯核", "Gaussian"),
        summary=Text(
            "键离查询越近得分越高；配合 softmax 就是 Nadaraya–Watson 核回归。",
            "The nearer a key is to the query, the higher it scores; with softmax this is Nadaraya–Watson kernel "
            "regression.",
        ),
        latex=r"a(q, k) = -\frac{\|q - k\|^2}{2 \cdot \mathrm{bandwidth}^2}",
        plain="a(q, k) = −‖q − k‖² / (2·bandwidth²)",
        source="Nadaraya 1964 and Watson 1964, kernel regression",
        example={"bandwidth": 0.5},
    )

    def _divisors(self, dtype: np.dtype[Any]) -> tuple[PerHead, ...]:
        """Return −2·bandwidth², in two factors where the dtype cannot hold the product."""
        bandwidth = broadcast_over_pairs(self.bandwidth)
        with np.errstate(over="ignore", under="ignore"):
            whole = np.asarray(-2.0 * bandwidth * bandwidth, dtype=dtype)
        fits = bool((np.isfinite(whole) & (whole < 0)).all())
        return (-2.0 * bandwidth * bandwidth,) if fits else (bandwidth, -2.0 * bandwidth)

    def score_pairs(self, queries: Projection, keys: Projection, out: Scores | None = None) -> Scores:
        """Return the sum of squared differences of every pair, divided by −2·bandwidth², (…, q, k)."""
        scores = sum_differences(np.square, queries[0], keys[0], out)
        for divisor in self._divisors(scores.dtype):
            scores /= divisor
        return scores

    def pair_function(self, queries: Queries, keys: Keys, project: Project) -> PairFunction:
        """Return −1/(2·bandwidth²) · Σ (q − k)²."""
        with np.errstate(all="ignore"):
            scale = np.divide(-0.5, np.square(_in_compute_type(self.bandwidth, keys.dtype)))
        return PairFunction("squared_distance", queries, keys, scale)

    def backward_pair_function(
        self, queries: Queries, keys: Keys, gradient: PairGradient, project: Project
    ) -> ScoreGradient:
        """Return the gradients of queries and keys as they are, and ∂/∂bandwidth = −2 Σ score·∂score / bandwidth."""
        per_query = -2.0 * gradient.scores[..., None] / broadcast_over_pairs(self.bandwidth)
        of_bandwidth = np.asarray(sum_scalar_gradient(per_query, self.bandwidth))
        return ScoreGradient(gradient.queries, gradient.keys, {"bandwidth": of_bandwidth})

    def backward(self, queries: Queries, keys: Keys, score_gradient: Scores) -> ScoreGradient:
        """Return ∂/∂q = −Σₖ g·(q − k)/h², ∂/∂k = Σ_q g·(q − k)/h² and ∂/∂h = −2 Σ g·a/h, with h the bandwidth."""
        bandwidth = broadcast_over_pairs(self.bandwidth)
        # In two steps, as the square of a bandwidth may be 0 or infinite.
        per_pair_gradient = _times((score_gradient / bandwidth)[..., None], pair_differences(queries, keys))
        per_pair_gradient /= bandwidth[..., None] if isinstance(bandwidth, np.ndarray) else bandwidth
        per_pair = -2.0 * _times(score_gradient, self.compute_scores(queries, keys)) / bandwidth
        return ScoreGradient(
            queries=-per_pair_gradient.sum(axis=-2),
            keys=per_pair_gradient.sum(axis=-3),
            parameters={"bandwidth": sum_scalar_gradient(per_pair, self.bandwidth)},
        )

    def explain_score(self, query: Query, key: Key, head: int) -> ScoreTerms:
        """Return one squared difference for each feature, with the factor −1/(2·bandwidth²)."""
        bandwidth = float(select_parameters(self, head)["bandwidth"])
        return ScoreTerms(
            explain_features(query, key, lambda q, k: (q - k) * (q - k), "({} − {})²"),
            Expression("bandwidth", float(np.divide(1.0, -2.0 * bandwidth * bandwidth)), "−1/(2 × {}²)", (bandwidth,)),
        )

    def scratch_per_score(self, features: FeatureSizes) -> int:
        """Return D + 1: the differences of each pair, and the score."""
        return features.query + 1


@dataclass(frozen=True, slots=True, eq=False)
class Laplacian(ScoreModel):
    """a(q, k) = −‖q − k‖₁ / bandwidth.

    Kim et al. 2019, "Attentive Neural Processes", section 3.2.
    """

    bandwidth: PerHead = field(default=1.0, metadata=BANDWIDTH)
    name: ClassVar[str] = "laplacian"
    keeps_keys: ClassVar[bool] = True
    description: ClassVar[Description] = Description(
        title=Text("拉普拉斯核", "Laplacian"),
        summary=Text(
            "用各特征之差的绝对值之和作距离，对个别特征的大偏差不那么敏感。",
            "Distance is the sum of absolute differences, so that one far feature counts less than in the gaussian.",
        ),
        latex=r"a(q, k) = -\frac{\|q - k\|_1}{\mathrm{bandwidth}}",
        plain="a(q, k) = −‖q − k‖₁ / bandwidth",
        source="Kim et al. 2019, Attentive Neural Processes",
        example={"bandwidth": 2},
    )

    def score_pairs(self, queries: Projection, keys: Projection, out: Scores | None = None) -> Scores:
        """Return the sum of absolute differences of every pair, divided by −bandwidth, (…, q, k)."""
        scores = sum_differences(np.abs, queries[0], keys[0], out)
        scores /= -broadcast_over_pairs(self.bandwidth)
        return scores

    def pair_function(self, queries: Queries, keys: Keys, project: Project) -> PairFunction:
        """Return −1/bandwidth · Σ |q − k|."""
        bandwidth = _in_compute_type(self.bandwidth, keys.dtype)
        return PairFunction("absolute_distance", queries, keys, np.divide(-1.0, bandwidth))

    def backward_pair_function(
        self, queries: Queries, keys: Keys, gradient: PairGradient, project: Project
    ) -> ScoreGradient:
        """Return the gradients of queries and keys as they are, and ∂/∂bandwidth = −Σ score·∂score / bandwidth."""
        per_query = -gradient.scores[..., None] / broadcast_over_pairs(self.bandwidth)
        of_bandwidth = np.asarray(sum_scalar_gradient(per_query, self.bandwidth))
        return ScoreGradient(gradient.queries, gradient.keys, {"bandwidth": of_bandwidth})

    def backward(self, queries: Queries, keys: Keys, score_gradient: Scores) -> ScoreGradient:
        """Return ∂/∂q = −Σₖ g·sign(q − k)/b, ∂/∂k = Σ_q g·sign(q − k)/b and ∂/∂b = −Σ g·a/b, with sign(0) = 0."""
        bandwidth = broadcast_over_pairs(self.bandwidth)
        per_pair_gradient = _times((score_gradient / bandwidth)[..., None], np.sign(pair_differences(queries, keys)))
        per_pair = -_times(score_gradient, self.compute_scores(queries, keys)) / bandwidth
        return ScoreGradient(
            queries=-per_pair_gradient.sum(axis=-2),
            keys=per_pair_gradient.sum(axis=-3),
            parameters={"bandwidth": sum_scalar_gradient(per_pair, self.bandwidth)},
        )

    def explain_score(self, query: Query, key: Key, head: int) -> ScoreTerms:
        """Return one absolute difference for each feature, with the factor −1/bandwidth."""
        bandwidth = float(select_parameters(self, head)["bandwidth"])
        return ScoreTerms(
            explain_features(query, key, lambda q, k: abs(q - k), "|{} − {}|"),
            Expression("bandwidth", -1.0 / bandwidth, "−1/{}", (bandwidth,)),
        )

    def scratch_per_score(self, features: FeatureSizes) -> int:
        """Return D + 1: the differences of each pair, and the score."""
        return features.query + 1


def _in_compute_type(bandwidth: PerHead, dtype: np.dtype[Any]) -> FloatArray:
    """Return a bandwidth rounded to the compute type, in float64, so that one for all heads and one for each agree."""
    return np.asarray(bandwidth, dtype).astype(np.float64)


def _times(gradient: FloatArray, factor: FloatArray) -> FloatArray:
    """Return gradient · factor, 0 where one of them is 0 although the other is infinite.

    A score that overflows to −∞ has the weight 0 and the gradient 0; where a query equals a key its slope is 0, however
    small the bandwidth.
    """
    product = gradient * factor
    if not all_finite(product):
        np.copyto(product, 0, where=np.isnan(product) & ~(np.isnan(gradient) | np.isnan(factor)))
    return product


def pair_differences(queries: Queries, keys: Keys) -> FloatArray:
    """Return q − k of every pair, (…, q, k, D)."""
    return queries[..., :, None, :] - keys[..., None, :, :]


def sum_differences(magnitude: np.ufunc, queries: Queries, keys: FloatArray, out: Scores | None) -> Scores:
    """Return Σ magnitude(q − k) over the features of every pair, (…, q, k).

    :param magnitude: `np.square` or `np.abs`.
    :param queries: (…, q, D).
    :param keys: transposed, (…, D, k).
    :param out: array for the result, or None for a new one.
    """
    leading = np.broadcast_shapes(queries.shape[:-2], keys.shape[:-2])
    shape = (*leading, queries.shape[-2], keys.shape[-1])
    scores = np.empty(shape, dtype=keys.dtype) if out is None else out
    # A matrix product with ones sums a short axis faster than `np.sum` (benchmarks/RESULTS.md, "sum as a product").
    ones = np.ones((1, MAX_SUMMED_FEATURES), dtype=keys.dtype)
    for rows, columns, differences in iterate_pair_units(np.subtract, queries, keys):
        summands, sums = magnitude(differences, out=differences), scores[..., rows, None, columns]
        sums[...] = 0
        for first in range(0, queries.shape[-1], MAX_SUMMED_FEATURES):
            part = summands[..., first : first + MAX_SUMMED_FEATURES, :]
            sums += np.matmul(ones[:, : part.shape[-2]], part)
    return scores
