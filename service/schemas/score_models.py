"""The score models on the wire: parameters, titles, formulas, sources.  The core computes them."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from attention_core import SCORE_MODELS
from attention_core.interfaces import ScoreModel
from service.schemas.base import About, Described, FiniteFloat, Named, Text
from service.schemas.tensors import Matrix, Vector


class ScoreModelSchema(Described):
    """A score model in a request."""

    name: str

    def to_core(self) -> ScoreModel:
        """Return the core's object of the same name; a parameter that is null keeps the core's default."""
        parameters = {name: value for name, value in self if name != "name" and value is not None}
        return SCORE_MODELS[self.name](**parameters)


class ScaledDotProduct(ScoreModelSchema):
    name: Literal["scaled_dot_product"] = "scaled_dot_product"
    scale: FiniteFloat | None = Field(
        None, description="Factor of q·k; null means 1/√D with D features. 缩放因子，缺省为 1/√D。"
    )

    about = About(
        title=Text("缩放点积", "Scaled dot product"),
        description=Text(
            "点积除以特征数的平方根：方差不随维度增长，softmax 不会饱和，梯度不会消失。",
            "The dot product divided by the square root of the number of features, so that its variance does not grow "
            "with them, the softmax does not saturate and its gradient does not vanish.",
        ),
        latex=r"a(q, k) = \frac{q \cdot k}{\sqrt{D}}",
        plain="a(q, k) = q·k · scale, scale = 1/√D",
        reference="Vaswani et al. 2017, Attention Is All You Need, equation 1",
        example={"name": "scaled_dot_product", "scale": 0.5},
    )


class DotProduct(ScoreModelSchema):
    name: Literal["dot_product"] = "dot_product"

    about = About(
        title=Text("点积", "Dot product"),
        description=Text(
            "查询与键逐个特征相乘再求和；方向越一致、长度越大，得分越高。",
            "Features of query and key are multiplied one by one and summed: the more they point the same way and the "
            "longer they are, the higher the score.",
        ),
        latex=r"a(q, k) = q \cdot k",
        plain="a(q, k) = q·k",
        reference="Luong, Pham & Manning 2015, Effective Approaches to Attention-based Neural Machine Translation",
        example={"name": "dot_product"},
    )


class Additive(ScoreModelSchema):
    name: Literal["additive"] = "additive"
    query_weight: Matrix = Field(description="W_q, shape [U, Dq]: hidden units × features of a query. 查询权重。")
    key_weight: Matrix = Field(description="W_k, shape [U, Dk]: hidden units × features of a key. 键权重。")
    score_vector: Vector = Field(description="v, shape [U]: what each hidden unit adds to the score. 得分向量。")
    hidden_bias: Vector | None = Field(None, description="b, shape [U]; null means none. 隐藏层偏置。")

    about = About(
        title=Text("加性", "Additive"),
        description=Text(
            "一层小网络给每一对打分：查询与键先各自投影到 U 个隐藏单元，相加后取 tanh，再与 v 点乘。"
            "查询与键的特征数可以不同。",
            "A small network scores each pair: query and key are projected to U hidden units, added, squashed by tanh "
            "and weighed by v. Queries and keys may differ in their number of features.",
        ),
        latex=r"a(q, k) = v^\top \tanh(W_k k + W_q q + b)",
        plain="a(q, k) = vᵀ tanh(W_k k + W_q q + b)",
        reference="Bahdanau, Cho & Bengio 2015, Neural Machine Translation by Jointly Learning to Align and Translate",
        example={
            "name": "additive",
            "query_weight": [[0, 0, 0, -2], [-2, 0, 0, 0]],
            "key_weight": [[0.5, 0, 0, 0], [0, 0, 0, 0.5]],
            "score_vector": [3.8, 3.8],
        },
    )


SCORE_MODEL_SCHEMAS: tuple[type[ScoreModelSchema], ...] = (ScaledDotProduct, DotProduct, Additive)

_NAMED = Named("a score model", SCORE_MODEL_SCHEMAS)

AnyScoreModel = Annotated[
    Annotated[ScaledDotProduct | DotProduct | Additive, Field(discriminator="name")],
    BeforeValidator(_NAMED),
    _NAMED,
]
