"""Scores that fall with distance: gaussian (squared Euclidean) and laplacian (city block)."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np

from attention_core.arrays import FloatArray, Key, Keys, Leading, Queries, Query, Scores, Side
from attention_core.interfaces import ELEMENTWISE, Features, ScoreGradient, ScoreTerms, Term
from attention_core.scores.features import (
    PerHead,
    at_head,
    bind_number,
    heads_within,
    number_gradient,
    over_pairs,
    require_equal,
    units_of_pairs,
)

SHORT_SUM = 40
"""Elementwise operations that take as long as it takes to begin the sum over a pair's features."""


@dataclass(frozen=True, slots=True, eq=False)
class Gaussian:
    """a(q, k) = −‖q − k‖² / (2·bandwidth²); bandwidth is a number (default 1) or one per query head.

    With softmax this is Nadaraya–Watson kernel regression: Nadaraya 1964, Watson 1964.  Differences are squared as they
    are: ‖q‖² + ‖k‖² − 2 q·k would be faster and lose every digit where queries and keys are close but far from zero.
    """

    bandwidth: PerHead = 1.0
    name: ClassVar[str] = "gaussian"
    key_axis: ClassVar[int] = -1

    def bind(self, features: Features, dtype: np.dtype[Any]) -> Self:
        """Check the features and the bandwidth."""
        require_equal(features, self.name)
        return replace(self, bandwidth=bind_number(self.bandwidth, "bandwidth", features, dtype, positive=True))

    def _divisors(self, dtype: np.dtype[Any]) -> tuple[PerHead, ...]:
        """−2·bandwidth², in two parts where the type cannot hold it."""
        bandwidth = over_pairs(self.bandwidth)
        with np.errstate(over="ignore", under="ignore"):
            whole = np.asarray(-2.0 * bandwidth * bandwidth, dtype=dtype)
        fits = bool((np.isfinite(whole) & (whole < 0)).all())
        return (-2.0 * bandwidth * bandwidth,) if fits else (bandwidth, -2.0 * bandwidth)

    def within(self, leading: Leading) -> Self:
        """Take the bandwidths of the block's heads."""
        return replace(self, bandwidth=heads_within(self.bandwidth, 0, leading))

    def for_queries(self, queries: Queries) -> Side:
        """The queries as they are."""
        return (queries,)

    def for_keys(self, keys: Keys) -> Side:
        """The keys as columns, (…, D, k)."""
        return (keys.swapaxes(-1, -2),)

    def pairs(self, queries: Side, keys: Side, out: Scores | None = None) -> Scores:
        """Sum the squares of the differences and divide."""
        scores = summed_differences(np.square, queries[0], keys[0], out)
        for divisor in self._divisors(scores.dtype):
            scores /= divisor
        return scores

    def query_bound(self, queries: Side) -> float:
        """None is known: far is far below."""
        return np.inf

    def key_bound(self, keys: Side) -> float:
        """None is known."""
        return np.inf

    def scores(self, queries: Queries, keys: Keys) -> Scores:
        """Return the score of every pair."""
        return self.pairs(self.for_queries(queries), self.for_keys(keys))

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
        """A subtraction and a square per feature, the sum, a division per pair."""
        return ELEMENTWISE * queries * keys * (2 * features.query + SHORT_SUM)

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
    key_axis: ClassVar[int] = -1

    def bind(self, features: Features, dtype: np.dtype[Any]) -> Self:
        """Check the features and the bandwidth."""
        require_equal(features, self.name)
        return replace(self, bandwidth=bind_number(self.bandwidth, "bandwidth", features, dtype, positive=True))

    def within(self, leading: Leading) -> Self:
        """Take the bandwidths of the block's heads."""
        return replace(self, bandwidth=heads_within(self.bandwidth, 0, leading))

    def for_queries(self, queries: Queries) -> Side:
        """The queries as they are."""
        return (queries,)

    def for_keys(self, keys: Keys) -> Side:
        """The keys as columns, (…, D, k)."""
        return (keys.swapaxes(-1, -2),)

    def pairs(self, queries: Side, keys: Side, out: Scores | None = None) -> Scores:
        """Sum the magnitudes of the differences and divide."""
        scores = summed_differences(np.abs, queries[0], keys[0], out)
        scores /= -over_pairs(self.bandwidth)
        return scores

    def query_bound(self, queries: Side) -> float:
        """None is known: far is far below."""
        return np.inf

    def key_bound(self, keys: Side) -> float:
        """None is known."""
        return np.inf

    def scores(self, queries: Queries, keys: Keys) -> Scores:
        """Return the score of every pair."""
        return self.pairs(self.for_queries(queries), self.for_keys(keys))

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
        """A subtraction and an absolute value per feature, the sum, a division per pair."""
        return ELEMENTWISE * queries * keys * (2 * features.query + SHORT_SUM)

    def scratch(self, features: Features) -> int:
        """The differences of each pair, and the score."""
        return features.query + 1


def pair_differences(queries: Queries, keys: Keys) -> FloatArray:
    """Return q − k of every pair, (…, q, k, D)."""
    return queries[..., :, None, :] - keys[..., None, :, :]


def summed_differences(size: np.ufunc, queries: Queries, keys: FloatArray, out: Scores | None) -> Scores:
    """Return Σ size(q − k) over the features of every pair; the keys are columns, (…, D, k)."""
    leading = np.broadcast_shapes(queries.shape[:-2], keys.shape[:-2])
    shape = (*leading, queries.shape[-2], keys.shape[-1])
    scores = np.empty(shape, dtype=keys.dtype) if out is None else out
    # Many short sums are made by a product with ones in half the time.
    ones = np.ones((1, queries.shape[-1]), dtype=keys.dtype)
    for rows, columns, differences in units_of_pairs(np.subtract, queries, keys):
        np.matmul(ones, size(differences, out=differences), out=scores[..., rows, None, columns])
    return scores
