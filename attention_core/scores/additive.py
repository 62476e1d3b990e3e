"""Additive attention: a small network with one hidden layer scores each pair."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np

from attention_core.arrays import FloatArray, Key, Keys, Queries, Query, Scores
from attention_core.errors import ShapeMismatch
from attention_core.interfaces import Features, ScoreGradient, ScoreTerms, Term
from attention_core.shapes import check_parameter


@dataclass(frozen=True, slots=True, eq=False)
class Additive:
    """a(q, k) = vᵀ tanh(W_k k + W_q q + b).

    Shapes: query_weight W_q (U, Dq), key_weight W_k (U, Dk), score_vector v (U), hidden_bias b (U) or None.
    Bahdanau, Cho & Bengio 2015, "Neural Machine Translation by Jointly Learning to Align and Translate", section A.1.2.
    """

    query_weight: FloatArray
    key_weight: FloatArray
    score_vector: FloatArray
    hidden_bias: FloatArray | None = None
    name: ClassVar[str] = "additive"

    def bind(self, features: Features, dtype: np.dtype[Any]) -> Self:
        """Check the parameters against the features and cast them."""
        given = {
            "query_weight": self.query_weight,
            "key_weight": self.key_weight,
            "score_vector": self.score_vector,
        }
        if self.hidden_bias is not None:
            given["hidden_bias"] = self.hidden_bias
        parameters = {name: np.asarray(array, dtype=dtype) for name, array in given.items()}
        if parameters["score_vector"].ndim != 1:
            raise ShapeMismatch(
                ("score_vector",),
                expected="one number per hidden unit, shape [U]",
                received=f"shape {list(parameters['score_vector'].shape)}",
                advice="Send a flat list.",
            )
        units = len(parameters["score_vector"])
        expected = {
            "query_weight": ((units, features.query), "[hidden units U, features of a query Dq]"),
            "key_weight": ((units, features.key), "[hidden units U, features of a key Dk]"),
            "score_vector": ((units,), "[hidden units U]"),
            "hidden_bias": ((units,), "[hidden units U]"),
        }
        for name, array in parameters.items():
            shape, meaning = expected[name]
            check_parameter(array, shape, f"{meaning}, with U = {units} from score_vector", (name,))
        return replace(self, **parameters)

    def _hidden(self, queries: Queries, keys: Keys) -> FloatArray:
        """tanh(W_q q + W_k k + b) of every pair: (…, q, k, U)."""
        from_queries = np.matmul(queries, self.query_weight.T)
        if self.hidden_bias is not None:
            from_queries += self.hidden_bias
        from_keys = np.matmul(keys, self.key_weight.T)
        hidden = from_queries[..., :, None, :] + from_keys[..., None, :, :]
        return np.tanh(hidden, out=hidden)

    def scores(self, queries: Queries, keys: Keys) -> Scores:
        """Return the score of every pair; holds (…, q, k, U) numbers while it works."""
        return np.matmul(self._hidden(queries, keys), self.score_vector)

    def gradient(self, queries: Queries, keys: Keys, score_gradient: Scores) -> ScoreGradient:
        """Back through v, tanh (whose slope is 1 − tanh²) and the two projections."""
        hidden = self._hidden(queries, keys)
        upstream = score_gradient[..., None]
        parameters = {"score_vector": _sum_to_last(upstream * hidden)}
        inner = upstream * self.score_vector * (1.0 - hidden * hidden)
        by_query, by_key = inner.sum(axis=-2), inner.sum(axis=-3)
        parameters["query_weight"] = _outer_sum(by_query, queries)
        parameters["key_weight"] = _outer_sum(by_key, keys)
        if self.hidden_bias is not None:
            parameters["hidden_bias"] = _sum_to_last(by_query)
        return ScoreGradient(
            queries=np.matmul(by_query, self.query_weight),
            keys=np.matmul(by_key, self.key_weight),
            parameters=parameters,
        )

    def terms(self, query: Query, key: Key) -> ScoreTerms:
        """One addend v_u·tanh(…) per hidden unit."""
        hidden = self._hidden(query[None, :], key[None, :])[0, 0]
        return ScoreTerms(
            tuple(
                Term(f"unit {u}", float(v) * float(h))
                for u, (v, h) in enumerate(zip(self.score_vector, hidden, strict=True))
            ),
            factor=1.0,
        )

    def operations(self, queries: int, keys: int, features: Features) -> int:
        """Two projections, then an addition, a tanh and a multiply-add per hidden unit of each pair."""
        units = len(self.score_vector)
        return 2 * units * (queries * features.query + keys * features.key) + 4 * units * queries * keys

    def scratch(self, features: Features) -> int:
        """The hidden layer of each pair, and the score."""
        return len(self.score_vector) + 1


def _sum_to_last(array: FloatArray) -> FloatArray:
    """Sum over every axis but the last."""
    return array.sum(axis=tuple(range(array.ndim - 1)))


def _outer_sum(units: FloatArray, features: FloatArray) -> FloatArray:
    """Σ units ⊗ features over every axis but the last of each, which broadcast: (U, D)."""
    features = np.broadcast_to(features, (*units.shape[:-1], features.shape[-1]))
    return np.tensordot(units, features, axes=(range(units.ndim - 1), range(units.ndim - 1)))
