"""What a score model and a normalizer are to a compiled kernel, which has four pair functions and five normalizers.

A score model or a normalizer that says nothing here is evaluated with NumPy (`capabilities.SupportsPairFunction`,
`SupportsPairGradient`, `SupportsKernelNormalizer`).
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

from attention_core.arrays import FloatArray, Keys, PerQuery, Queries

PairKind = Literal["dot", "squared_distance", "absolute_distance", "additive"]
"""Σ q·k, Σ (q − k)², Σ |q − k|, Σ v·tanh(q + k), each over the features of a pair."""

NormalizerKind = Literal["softmax", "proportional", "sigmoid", "relu", "none"]

Project = Callable[[FloatArray, FloatArray], FloatArray]
"""Returns vectors (…, n, D) times the transpose of a weight, (F, D) or (Hq, F, D): (…, n, F), each row by itself."""


class PairFunction(NamedTuple):
    """A score as scale · (pair function of two vectors) + a term of the query + a term of the key."""

    kind: PairKind
    queries: Queries
    """(…, q, F)."""
    keys: Keys
    """(…, k, F)."""
    scale: float | FloatArray = 1.0
    query_terms: PerQuery | None = None
    """(…, q); given if and only if `key_terms` is."""
    key_terms: PerQuery | None = None
    """(…, k)."""
    score_vector: FloatArray | None = None
    """(F) or (Hq, F), for "additive"."""


class PairGradient(NamedTuple):
    """Gradients of what a `PairFunction` holds.

    Leading axes are those of the scores; those of the keys where several query heads share a key and value head.
    """

    queries: Queries
    """(…, q, F)."""
    keys: Keys
    """(…, k, F)."""
    scores: PerQuery
    """Σ score · ∂score over the keys, (…, q), of which gradients of factors are made."""
    query_terms: PerQuery | None = None
    """Σ ∂score over the keys, (…, q); None for a pair function without terms."""
    key_terms: PerQuery | None = None
    """Σ ∂score over the queries, (…, k); None for a pair function without terms."""
    score_vector: FloatArray | None = None
    """Σ ∂score · tanh(q + k) over the pairs of each matrix, (…, F); None but for "additive"."""


class KernelNormalizer(NamedTuple):
    """A normalizer of the kernels."""

    kind: NormalizerKind
    parameter: float = 1.0
    """1/T of softmax, the bias of sigmoid."""
    sink: float | FloatArray | None = None
    """Logit of the sink of softmax."""
