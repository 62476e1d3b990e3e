"""Additive attention: a network with one hidden layer scores each pair."""

from collections import Counter
from dataclasses import dataclass, field, replace
from math import tanh
from typing import ClassVar

import numpy as np

from attention_core.arrays import FloatArray, Key, Keys, Projection, Queries, Query, Scores
from attention_core.descriptions import Description, Text, parameter, parameters_of
from attention_core.errors import ShapeMismatch
from attention_core.expressions import Expression, ScoreTerms
from attention_core.interfaces import ELEMENTWISE_COST, FeatureSizes, ScoreGradient, ScoreModel
from attention_core.kernel_forms import PairFunction, PairGradient, Project
from attention_core.parameters import select_parameters
from attention_core.reductions import sum_to_shape
from attention_core.scores.pairwise import iterate_pair_units

MAX_WRITTEN_PRODUCTS = 16
"""Features of query and key together up to which an explanation writes each product of a hidden unit."""


@dataclass(frozen=True, slots=True, eq=False)
class Additive(ScoreModel):
    """a(q, k) = vᵀ tanh(W_q q + W_k k + b).

    Bahdanau, Cho & Bengio 2015, "Neural Machine Translation by Jointly Learning to Align and Translate", section A.1.2.
    """

    query_weight: FloatArray = field(
        metadata=parameter(zh="查询权重", en="hidden units × features of a query", symbol="W_q", axes=("U", "Dq"))
    )
    key_weight: FloatArray = field(
        metadata=parameter(zh="键权重", en="hidden units × features of a key", symbol="W_k", axes=("U", "Dk"))
    )
    score_vector: FloatArray = field(
        metadata=parameter(zh="得分向量", en="what each hidden unit adds to the score", symbol="v", axes=("U",))
    )
    hidden_bias: FloatArray | None = field(default=None, metadata=parameter(zh="隐藏层偏置", symbol="b", axes=("U",)))
    name: ClassVar[str] = "additive"
    description: ClassVar[Description] = Description(
        title=Text("加性", "Additive"),
        summary=Text(
            "一层小网络给每一对打分：查询与键先各自投影到 U 个隐藏单元，相加后取 tanh，再与 v 点乘。"
            "查询与键的特征数可以不同。",
            "A small network scores each pair: query and key are projected to U hidden units, added, squashed by tanh "
            "and weighed by v. Queries and keys may differ in their number of features.",
        ),
        latex=r"a(q, k) = v^\top \tanh(W_k k + W_q q + b)",
        plain="a(q, k) = vᵀ tanh(W_k k + W_q q + b)",
        source="Bahdanau, Cho & Bengio 2015, Neural Machine Translation by Jointly Learning to Align and Translate, "
        "section A.1.2",
        example={
            "query_weight": [[0, 0, 0, -2], [-2, 0, 0, 0]],
            "key_weight": [[0.5, 0, 0, 0], [0, 0, 0, 0.5]],
            "score_vector": [3.8, 3.8],
        },
    )

    def free_sizes(self) -> dict[str, int]:
        """Return the U that most parameters have, that of v if none has a majority.

        A parameter that has another is then the one that is wrong: a column (U, 1) for v, a transposed weight.
        """
        shape = np.shape(self.score_vector)
        if len(shape) not in (1, 2) or shape[-1] == 0:
            raise ShapeMismatch(
                ("score_vector",),
                expected="one number per hidden unit, shape [U] or [Hq, U]",
                received=f"shape {list(shape)}",
                advice="Send a flat list, or one list for each query head.",
            )
        sizes = [
            np.shape(array)[-one.rank]
            for name, one in parameters_of(type(self)).items()
            if np.ndim(array := getattr(self, name)) >= one.rank
        ]
        units, agreeing = Counter(sizes).most_common(1)[0]
        return {"U": units if units and 2 * agreeing > len(sizes) else shape[-1]}

    def project_queries(self, queries: Queries) -> Projection:
        """Return W_q q + b, (…, q, U)."""
        projected = np.matmul(queries, self.query_weight.swapaxes(-1, -2))
        return (projected if self.hidden_bias is None else projected + self.hidden_bias[..., None, :],)

    def project_keys(self, keys: Keys) -> Projection:
        """Return W_k k, transposed: (…, U, k)."""
        return (np.matmul(keys, self.key_weight.swapaxes(-1, -2)).swapaxes(-1, -2),)

    def _sums(self, queries: Queries, keys: Keys) -> FloatArray:
        """Return W_q q + W_k k + b of every pair, (…, q, k, U)."""
        (from_queries,), (from_keys,) = self.project_queries(queries), self.project_keys(keys)
        sums: FloatArray = from_queries[..., :, None, :] + from_keys.swapaxes(-1, -2)[..., None, :, :]
        return sums

    def score_pairs(self, queries: Projection, keys: Projection, out: Scores | None = None) -> Scores:
        """Return vᵀ tanh(·) of every pair, a block of pairs at a time so that its hidden layer stays in the cache."""
        (from_queries,), (from_keys,) = queries, keys
        leading = np.broadcast_shapes(from_queries.shape[:-2], from_keys.shape[:-2], self.score_vector.shape[:-1])
        shape = (*leading, from_queries.shape[-2], from_keys.shape[-1])
        scores = np.empty(shape, dtype=from_keys.dtype) if out is None else out
        vector = self.score_vector[..., None, :] if self.score_vector.ndim == 1 else self.score_vector[:, None, None, :]
        for rows, columns, sums in iterate_pair_units(np.add, from_queries, from_keys):
            np.matmul(vector, np.tanh(sums, out=sums), out=scores[..., rows, None, columns])
        return scores

    def pair_function(self, queries: Queries, keys: Keys, project: Project) -> PairFunction:
        """Return Σ v·tanh(W_q q + b + W_k k) over the hidden units."""
        from_queries = project(queries, self.query_weight)
        if self.hidden_bias is not None:
            from_queries = from_queries + self.hidden_bias[..., None, :]
        return PairFunction("additive", from_queries, project(keys, self.key_weight), score_vector=self.score_vector)

    def backward_pair_function(
        self, queries: Queries, keys: Keys, gradient: PairGradient, project: Project
    ) -> ScoreGradient:
        """Return the gradients through the two projections, and ∂/∂v = Σ ∂score·tanh(·)."""
        if gradient.score_vector is None:
            raise ValueError("additive has a score vector")
        by_query, by_key = gradient.queries, gradient.keys
        parameters = {
            "query_weight": sum_to_shape(np.matmul(by_query.swapaxes(-1, -2), queries), self.query_weight.shape),
            "key_weight": sum_to_shape(np.matmul(by_key.swapaxes(-1, -2), keys), self.key_weight.shape),
            "score_vector": sum_to_shape(gradient.score_vector, self.score_vector.shape),
        }
        if self.hidden_bias is not None:
            parameters["hidden_bias"] = sum_to_shape(by_query.sum(axis=-2), self.hidden_bias.shape)
        return ScoreGradient(
            queries=project(by_query, self.query_weight.swapaxes(-1, -2)),
            keys=project(by_key, self.key_weight.swapaxes(-1, -2)),
            parameters=parameters,
        )

    def backward(self, queries: Queries, keys: Keys, score_gradient: Scores) -> ScoreGradient:
        """Return the gradients through v, tanh (whose slope is 1 − tanh²) and the two projections."""
        hidden = np.tanh(self._sums(queries, keys))
        # ∞ − ∞, which large numbers overflow to: the pair is hidden, or its row is NaN already.
        np.copyto(hidden, 0, where=np.isnan(hidden))
        upstream = score_gradient[..., None]
        inner = upstream * self.score_vector[..., None, None, :] * (1.0 - hidden * hidden)
        by_query, by_key = inner.sum(axis=-2), inner.sum(axis=-3)
        parameters = {
            "query_weight": sum_to_shape(np.matmul(by_query.swapaxes(-1, -2), queries), self.query_weight.shape),
            "key_weight": sum_to_shape(np.matmul(by_key.swapaxes(-1, -2), keys), self.key_weight.shape),
            "score_vector": sum_to_shape((upstream * hidden).sum(axis=(-3, -2)), self.score_vector.shape),
        }
        if self.hidden_bias is not None:
            parameters["hidden_bias"] = sum_to_shape(by_query.sum(axis=-2), self.hidden_bias.shape)
        return ScoreGradient(
            queries=np.matmul(by_query, self.query_weight),
            keys=np.matmul(by_key, self.key_weight),
            parameters=parameters,
        )

    def explain_score(self, query: Query, key: Key, head: int) -> ScoreTerms:
        """Return one term v_u·tanh(…) for each hidden unit."""
        of_head = select_parameters(self, head)
        sums = replace(self, **of_head)._sums(query[None, :], key[None, :])[0, 0]
        pairs = [(float(v), float(x)) for v, x in zip(of_head["score_vector"], sums, strict=True)]
        return ScoreTerms(
            tuple(Expression(f"unit {u}", v * tanh(x), "{} × tanh({})", (v, x)) for u, (v, x) in enumerate(pairs))
        )

    def explain_steps(self, query: Query, key: Key, head: int) -> tuple[Expression, ...]:
        """Return the argument of each tanh: its products of weight and feature, or their values where they are many."""
        of_head = select_parameters(self, head)
        sums = replace(self, **of_head)._sums(query[None, :], key[None, :])[0, 0]
        bias = of_head["hidden_bias"] if self.hidden_bias is not None else None
        features, steps = np.concatenate((query, key)), list[Expression]()
        for u, total in enumerate(sums):
            weights = np.concatenate((of_head["query_weight"][u], of_head["key_weight"][u]))
            addends = () if bias is None else (float(bias[u]),)
            if len(features) <= MAX_WRITTEN_PRODUCTS:
                template = " + ".join([*["{} × {}"] * len(features), *["{}"] * len(addends)])
                operands = [float(number) for pair in zip(weights, features, strict=True) for number in pair]
            else:
                template, operands = "{* + }", (weights * features).tolist()
            steps.append(Expression(f"unit {u}", float(total), template, (*operands, *addends)))
        return tuple(steps)

    def count_operations(self, n_queries: int, n_keys: int, features: FeatureSizes) -> int:
        """Count two projections; and an addition, a tanh (as three operations) and a sum per pair and hidden unit."""
        units = self.score_vector.shape[-1]
        projections = 2 * units * (n_queries * features.query + n_keys * features.key)
        return projections + 5 * ELEMENTWISE_COST * units * n_queries * n_keys

    def scratch_per_score(self, features: FeatureSizes) -> int:
        """Return U + 1: the hidden layer of each pair, and the score."""
        return self.score_vector.shape[-1] + 1
