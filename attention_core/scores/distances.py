"""Scores that fall with distance: gaussian (squared Euclidean) and laplacian (city block)."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np

from attention_core.arrays import FloatArray, Key, Keys, Queries, Query, Scores
from attention_core.interfaces import Features, ScoreGradient, ScoreTerms, Term
from attention_core.scores.features import PerHead, at_head, bind_number, number_gradient, over_pairs, require_equal


@dataclass(frozen=True, slots=True, eq=False)
class Gaussian:
    """a(q, k) = −‖q − k‖² / (2·bandwidth²); bandwidth is a number (default 1) or one per query head.

    With softmax this is Nadaraya–Watson kernel regression: Nadaraya 1964, Watson 1964.  Differences are squared as they
    are: ‖q‖² + ‖k‖² − 2 q·k would be faster and lose every digit where queries and keys are close but far from zero.
    """

    bandwidth: PerHead = 1.0
    name: ClassVar[str] = "gaussian"

    def bind(self, features: Features, dtype: np.dtype[Any]) -> Self:
        """Check the features and the bandwidth."""
        require_equal(features, self.name)
        return replace(self, bandwidth=bind_number(self.bandwidth, "bandwidth", features, dtype, positive=True))

    def _divisor(self) -> PerHead:
        bandwidth = over_pairs(self.bandwidth)
        return -2.0 * bandwidth * bandwidth

    def scores(self, queries: Queries, keys: Keys) -> Scores:
        """Return the score of every pair; holds (…, q, k, D) numbers while it works."""
        differences = pair_differences(queries, keys)
        scores = np.sum(np.square(differences, out=differences), axis=-1)
        scores /= self._divisor()
        return scores

    def gradient(self, queries: Queries, keys: Keys, score_gradient: Scores) -> ScoreGradient:
        """∂/∂q = −g·(q − k)/h² summed over keys, ∂/∂k its mirror, ∂/∂h = −2·g·a/h."""
        bandwidth = over_pairs(self.bandwidth)
        pulls = pair_differences(queries, keys) * (score_gradient / (bandwidth * bandwidth))[..., None]
        per_pair = -2.0 * score_gradient * self.scores(queries, keys) / bandwidth
        return ScoreGradient(
            queries=-pulls.sum(axis=-2),
            keys=pulls.sum(axis=-3),
            parameters={"bandwidth": number_gradient(per_pair, self.bandwidth)},
        )

    def terms(self, query: Query, key: Key, head: int) -> ScoreTerms:
        """One squared difference per feature, times −1/(2·bandwidth²)."""
        bandwidth = at_head(self.bandwidth, head)
        pairs = [(float(q), float(k)) for q, k in zip(query, key, strict=True)]
        return ScoreTerms(
            tuple(Term(f"feature {m}", (q - k) * (q - k), "({} − {})²", (q, k)) for m, (q, k) in enumerate(pairs)),
            Term("bandwidth", float(np.divide(1.0, -2.0 * bandwidth * bandwidth)), "−1/(2 × {}²)", (bandwidth,)),
        )

    def operations(self, queries: int, keys: int, features: Features) -> int:
        """Subtraction, square and sum per feature, a division per pair."""
        return queries * keys * (3 * features.query + 1)

    def scratch(self, features: Features) -> int:
        """The differences of each pair, and the score."""
        return features.query + 1


@dataclass(frozen=True, slots=True, eq=False)
class Laplacian:
    """a(q, k) = −‖q − k‖₁ / bandwidth; bandwidth is a number (default 1) or one per query head.

    Kim et al. 2019, "Attentive Neural Processes", section 3.2.
    """

    bandwidth: PerHead = 1.0
    name: ClassVar[str] = "laplacian"

    def bind(self, features: Features, dtype: np.dtype[Any]) -> Self:
        """Check the features and the bandwidth."""
        require_equal(features, self.name)
        return replace(self, bandwidth=bind_number(self.bandwidth, "bandwidth", features, dtype, positive=True))

    def scores(self, queries: Queries, keys: Keys) -> Scores:
        """Return the score of every pair; holds (…, q, k, D) numbers while it works."""
        differences = pair_differences(queries, keys)
        scores = np.sum(np.abs(differences, out=differences), axis=-1)
        scores /= -over_pairs(self.bandwidth)
        return scores

    def gradient(self, queries: Queries, keys: Keys, score_gradient: Scores) -> ScoreGradient:
        """∂/∂q = −g·sign(q − k)/b summed over keys, ∂/∂k its mirror, ∂/∂b = −g·a/b; 0 where features are equal."""
        bandwidth = over_pairs(self.bandwidth)
        pulls = np.sign(pair_differences(queries, keys)) * (score_gradient / bandwidth)[..., None]
        per_pair = -score_gradient * self.scores(queries, keys) / bandwidth
        return ScoreGradient(
            queries=-pulls.sum(axis=-2),
            keys=pulls.sum(axis=-3),
            parameters={"bandwidth": number_gradient(per_pair, self.bandwidth)},
        )

    def terms(self, query: Query, key: Key, head: int) -> ScoreTerms:
        """One absolute difference per feature, times −1/bandwidth."""
        bandwidth = at_head(self.bandwidth, head)
        pairs = [(float(q), float(k)) for q, k in zip(query, key, strict=True)]
        return ScoreTerms(
            tuple(Term(f"feature {m}", abs(q - k), "|{} − {}|", (q, k)) for m, (q, k) in enumerate(pairs)),
            Term("bandwidth", -1.0 / bandwidth, "−1/{}", (bandwidth,)),
        )

    def operations(self, queries: int, keys: int, features: Features) -> int:
        """Subtraction, absolute value and sum per feature, a division per pair."""
        return queries * keys * (3 * features.query + 1)

    def scratch(self, features: Features) -> int:
        """The differences of each pair, and the score."""
        return features.query + 1


def pair_differences(queries: Queries, keys: Keys) -> FloatArray:
    """Return q − k of every pair, (…, q, k, D)."""
    return queries[..., :, None, :] - keys[..., None, :, :]
