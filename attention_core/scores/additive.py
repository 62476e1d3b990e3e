"""Additive attention: a small network with one hidden layer scores each pair."""

from dataclasses import dataclass, replace
from math import tanh
from typing import Any, ClassVar, Self

import numpy as np

from attention_core.arrays import FloatArray, Key, Keys, Leading, Queries, Query, Scores, Side
from attention_core.errors import ShapeMismatch
from attention_core.interfaces import ELEMENTWISE, Features, ScoreGradient, ScoreTerms, Term
from attention_core.reductions import sum_to
from attention_core.scores.features import bind_tensor, tensor_at_head, tensor_within, units_of_pairs

RANKS = {"query_weight": 2, "key_weight": 2, "score_vector": 1, "hidden_bias": 1}
"""Of each parameter without a head axis."""


@dataclass(frozen=True, slots=True, eq=False)
class Additive:
    """a(q, k) = vᵀ tanh(W_k k + W_q q + b).

    Shapes: query_weight W_q (U, Dq), key_weight W_k (U, Dk), score_vector v (U), hidden_bias b (U) or None; each may
    have a leading axis Hq.
    Bahdanau, Cho & Bengio 2015, "Neural Machine Translation by Jointly Learning to Align and Translate", section A.1.2.
    """

    query_weight: FloatArray
    key_weight: FloatArray
    score_vector: FloatArray
    hidden_bias: FloatArray | None = None
    name: ClassVar[str] = "additive"
    key_axis: ClassVar[int] = -1

    def bind(self, features: Features, dtype: np.dtype[Any]) -> Self:
        """Check the parameters against the features and cast them."""
        units = self._units()
        expected = {
            "query_weight": ((units, features.query), "[hidden units U, features of a query Dq]"),
            "key_weight": ((units, features.key), "[hidden units U, features of a key Dk]"),
            "score_vector": ((units,), "[hidden units U]"),
            "hidden_bias": ((units,), "[hidden units U]"),
        }
        bound = {
            name: bind_tensor(array, shape, f"{meaning}, with U = {units} from score_vector", name, features, dtype)
            for name, (shape, meaning) in expected.items()
            if (array := getattr(self, name)) is not None
        }
        return replace(self, **bound)

    def _units(self) -> int:
        """U, read off the last axis of v."""
        shape = np.shape(self.score_vector)
        if len(shape) not in (1, 2) or shape[-1] == 0:
            raise ShapeMismatch(
                ("score_vector",),
                expected="one number per hidden unit, shape [U] or [Hq, U]",
                received=f"shape {list(shape)}",
                advice="Send a flat list, or one list for each query head.",
            )
        return shape[-1]

    def within(self, leading: Leading) -> Self:
        """Take the parameters of the block's heads."""
        own = {name: tensor_within(array, RANKS[name], leading) for name, array in self._parameters().items()}
        return replace(self, **own)

    def _parameters(self) -> dict[str, FloatArray]:
        """Those that are there, by name."""
        return {name: array for name in RANKS if (array := getattr(self, name)) is not None}

    def for_queries(self, queries: Queries) -> Side:
        """W_q q + b, (…, q, U)."""
        projected = np.matmul(queries, self.query_weight.swapaxes(-1, -2))
        return (projected if self.hidden_bias is None else projected + self.hidden_bias[..., None, :],)

    def for_keys(self, keys: Keys) -> Side:
        """W_k k as columns, (…, U, k)."""
        return (np.matmul(keys, self.key_weight.swapaxes(-1, -2)).swapaxes(-1, -2),)

    def _sums(self, queries: Queries, keys: Keys) -> FloatArray:
        """W_q q + W_k k + b of every pair: (…, q, k, U)."""
        (from_queries,), (from_keys,) = self.for_queries(queries), self.for_keys(keys)
        sums: FloatArray = from_queries[..., :, None, :] + from_keys.swapaxes(-1, -2)[..., None, :, :]
        return sums

    def _hidden(self, queries: Queries, keys: Keys) -> FloatArray:
        """The hidden layer of every pair, tanh of the sums: (…, q, k, U)."""
        sums = self._sums(queries, keys)
        return np.tanh(sums, out=sums)

    def pairs(self, queries: Side, keys: Side, out: Scores | None = None) -> Scores:
        """Put a few pairs at a time through tanh, while they are in the cache."""
        (from_queries,), (from_keys,) = queries, keys
        leading = np.broadcast_shapes(from_queries.shape[:-2], from_keys.shape[:-2], self.score_vector.shape[:-1])
        shape = (*leading, from_queries.shape[-2], from_keys.shape[-1])
        scores = np.empty(shape, dtype=from_keys.dtype) if out is None else out
        vector = self.score_vector[..., None, :] if self.score_vector.ndim == 1 else self.score_vector[:, None, None, :]
        for rows, columns, sums in units_of_pairs(np.add, from_queries, from_keys):
            np.matmul(vector, np.tanh(sums, out=sums), out=scores[..., rows, None, columns])
        return scores

    def query_bound(self, queries: Side) -> float:
        """Σ |v|, since |tanh| ≤ 1, and a little more for rounding."""
        return float(np.max(np.sum(np.abs(self.score_vector), axis=-1))) * 1.01

    def key_bound(self, keys: Side) -> float:
        """1: the keys make no difference."""
        return 1.0

    def scores(self, queries: Queries, keys: Keys) -> Scores:
        """Return the score of every pair."""
        return self.pairs(self.for_queries(queries), self.for_keys(keys))

    def gradient(self, queries: Queries, keys: Keys, score_gradient: Scores) -> ScoreGradient:
        """Back through v, tanh (whose slope is 1 − tanh²) and the two projections."""
        hidden = self._hidden(queries, keys)
        upstream = score_gradient[..., None]
        inner = upstream * self.score_vector[..., None, None, :] * (1.0 - hidden * hidden)
        by_query, by_key = inner.sum(axis=-2), inner.sum(axis=-3)
        parameters = {
            "query_weight": sum_to(np.matmul(by_query.swapaxes(-1, -2), queries), self.query_weight.shape),
            "key_weight": sum_to(np.matmul(by_key.swapaxes(-1, -2), keys), self.key_weight.shape),
            "score_vector": sum_to((upstream * hidden).sum(axis=(-3, -2)), self.score_vector.shape),
        }
        if self.hidden_bias is not None:
            parameters["hidden_bias"] = sum_to(by_query.sum(axis=-2), self.hidden_bias.shape)
        return ScoreGradient(
            queries=np.matmul(by_query, self.query_weight),
            keys=np.matmul(by_key, self.key_weight),
            parameters=parameters,
        )

    def terms(self, query: Query, key: Key, head: int) -> ScoreTerms:
        """One addend v_u·tanh(…) per hidden unit."""
        own = {name: tensor_at_head(array, RANKS[name], head) for name, array in self._parameters().items()}
        sums = replace(self, **own)._sums(query[None, :], key[None, :])[0, 0]
        pairs = [(float(v), float(x)) for v, x in zip(own["score_vector"], sums, strict=True)]
        return ScoreTerms(
            tuple(Term(f"unit {u}", v * tanh(x), "{} × tanh({})", (v, x)) for u, (v, x) in enumerate(pairs))
        )

    def operations(self, queries: int, keys: int, features: Features) -> int:
        """Two projections, then an addition, a tanh worth three and a multiply-add per hidden unit of each pair."""
        units = self._units()
        return 2 * units * (queries * features.query + keys * features.key) + 5 * ELEMENTWISE * units * queries * keys

    def scratch(self, features: Features) -> int:
        """The hidden layer of each pair, and the score."""
        return self._units() + 1
