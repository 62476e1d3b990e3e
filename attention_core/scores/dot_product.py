"""Dot-product attention, plain and scaled."""

from dataclasses import dataclass, field
from math import sqrt
from typing import Any, ClassVar, Self

import numpy as np

from attention_core.arrays import Key, Keys, Projection, Queries, Query, Scores
from attention_core.descriptions import Description, Text, parameter
from attention_core.expressions import Expression, ScoreTerms, explain_features
from attention_core.interfaces import ELEMENTWISE_COST, FeatureSizes, ScoreGradient, ScoreModel
from attention_core.kernel_forms import PairFunction, PairGradient, Project
from attention_core.parameters import (
    PerHead,
    broadcast_over_pairs,
    select_parameters,
    sum_scalar_gradient,
)
from attention_core.shapes import require_equal_features


@dataclass(frozen=True, slots=True)
class DotProduct(ScoreModel):
    """a(q, k) = q·k.

    Luong, Pham & Manning 2015, "Effective Approaches to Attention-based Neural Machine Translation", score "dot".
    """

    name: ClassVar[str] = "dot_product"
    keeps_keys: ClassVar[bool] = True
    description: ClassVar[Description] = Description(
        title=Text("点积", "Dot product"),
        summary=Text(
            "查询与键逐个特征相乘再求和；方向越一致、长度越大，得分越高。",
            "Features of query and key are multiplied one by one and summed: the more they point the same way and the "
            "longer they are, the higher the score.",
        ),
        latex=r"a(q, k) = q \cdot k",
        plain="a(q, k) = q·k",
        source="Luong, Pham & Manning 2015, Effective Approaches to Attention-based Neural Machine Translation, dot",
        example={},
    )

    def score_pairs(self, queries: Projection, keys: Projection, out: Scores | None = None) -> Scores:
        """Return the matrix product of queries and keys, (…, q, k)."""
        return np.matmul(queries[0], keys[0], out=out)

    def pair_function(self, queries: Queries, keys: Keys, project: Project) -> PairFunction:
        """Return q·k."""
        return PairFunction("dot", queries, keys)

    def backward_pair_function(
        self, queries: Queries, keys: Keys, gradient: PairGradient, project: Project
    ) -> ScoreGradient:
        """Return the gradients of queries and keys as they are."""
        return ScoreGradient(gradient.queries, gradient.keys)

    def backward(self, queries: Queries, keys: Keys, score_gradient: Scores) -> ScoreGradient:
        """Return ∂/∂q = Σₖ g·k and ∂/∂k = Σ_q g·q."""
        return ScoreGradient(
            queries=np.matmul(score_gradient, keys),
            keys=np.matmul(score_gradient.swapaxes(-1, -2), queries),
        )

    def explain_score(self, query: Query, key: Key, head: int) -> ScoreTerms:
        """Return one product for each feature."""
        return ScoreTerms(explain_features(query, key))

    def count_operations(self, n_queries: int, n_keys: int, features: FeatureSizes) -> int:
        """Count a multiplication and an addition per feature of each pair."""
        return 2 * n_queries * n_keys * features.query

    def scratch_per_score(self, features: FeatureSizes) -> int:
        """Return 1, the score itself."""
        return 1


@dataclass(frozen=True, slots=True, eq=False)
class ScaledDotProduct(ScoreModel):
    """a(q, k) = scale · q·k, with scale = 1/√D by default.

    Vaswani et al. 2017, "Attention Is All You Need", equation 1: for features of unit variance q·k has variance D,
    under which the softmax saturates and its gradient vanishes; the factor 1/√D brings the variance back to 1.
    """

    scale: PerHead | None = field(
        default=None, metadata=parameter(zh="缩放因子", en="Factor of q·k", default_text=Text("1/√D", "1/√D"))
    )
    name: ClassVar[str] = "scaled_dot_product"
    keeps_keys: ClassVar[bool] = True
    description: ClassVar[Description] = Description(
        title=Text("缩放点积", "Scaled dot product"),
        summary=Text(
            "点积除以特征数的平方根：方差不随维度增长，softmax 不会饱和，梯度不会消失。",
            "The dot product divided by the square root of the number of features, so that its variance does not grow "
            "with them, the softmax does not saturate and its gradient does not vanish.",
        ),
        latex=r"a(q, k) = \frac{q \cdot k}{\sqrt{D}}",
        plain="a(q, k) = q·k · scale, scale = 1/√D",
        source="Vaswani et al. 2017, Attention Is All You Need, equation 1",
        example={"scale": 0.5},
    )

    def bind(self, features: FeatureSizes, dtype: np.dtype[Any]) -> Self:
        """Return the model with the scale resolved, checked and cast; raise ShapeMismatch or InvalidValue."""
        if self.scale is not None:
            return ScoreModel.bind(self, features, dtype)
        require_equal_features(features.query, features.key, self.name)
        return type(self)(1.0 / sqrt(features.query))

    @property
    def _bound_scale(self) -> PerHead:
        if self.scale is None:
            raise ValueError("bind() resolves the default scale before anything is computed")
        return self.scale

    def score_pairs(self, queries: Projection, keys: Projection, out: Scores | None = None) -> Scores:
        """Return the matrix product of queries and keys, times scale, (…, q, k)."""
        scores = np.matmul(queries[0], keys[0], out=out)
        scores *= broadcast_over_pairs(self._bound_scale)
        return scores

    def pair_function(self, queries: Queries, keys: Keys, project: Project) -> PairFunction:
        """Return scale · q·k."""
        return PairFunction("dot", queries, keys, self._bound_scale)

    def backward_pair_function(
        self, queries: Queries, keys: Keys, gradient: PairGradient, project: Project
    ) -> ScoreGradient:
        """Return the gradients of queries and keys as they are, and ∂/∂scale = Σ score·∂score / scale."""
        per_query = gradient.scores[..., None] / broadcast_over_pairs(self._bound_scale)
        of_scale = np.asarray(sum_scalar_gradient(per_query, self._bound_scale))
        return ScoreGradient(gradient.queries, gradient.keys, {"scale": of_scale})

    def backward(self, queries: Queries, keys: Keys, score_gradient: Scores) -> ScoreGradient:
        """Return the gradient of the dot product times scale, and ∂/∂scale = Σ g·(q·k) = Σ_q q·(Σₖ g·k)."""
        plain = DotProduct().backward(queries, keys, score_gradient)
        per_query = np.sum(queries * plain.queries, axis=-1, keepdims=True)
        factor = broadcast_over_pairs(self._bound_scale)
        return ScoreGradient(
            queries=plain.queries * factor,
            keys=plain.keys * factor,
            parameters={"scale": sum_scalar_gradient(per_query, self._bound_scale)},
        )

    def explain_score(self, query: Query, key: Key, head: int) -> ScoreTerms:
        """Return one product for each feature, with the factor scale."""
        scale, default = float(select_parameters(self, head)["scale"]), 1.0 / sqrt(len(query))
        by_default = Expression("default scale", default, "1/√{}", (float(len(query)),))
        factor = by_default if scale == default else Expression("scale", scale, "{}", (scale,))
        return ScoreTerms(explain_features(query, key), factor)

    def count_operations(self, n_queries: int, n_keys: int, features: FeatureSizes) -> int:
        """Count the dot product and a multiplication per pair."""
        return DotProduct().count_operations(n_queries, n_keys, features) + ELEMENTWISE_COST * n_queries * n_keys

    def scratch_per_score(self, features: FeatureSizes) -> int:
        """Return 1, the score itself."""
        return 1
