"""The score models on the wire: parameters, titles, formulas, sources.  The core computes them.

Every parameter may have a leading axis with one entry for each query head, when the scores have rank 4.
"""

from typing import Annotated, Literal

from pydantic import Field

from attention_core import SCORE_MODELS
from attention_core.interfaces import ScoreModel
from service.schemas.base import About, Described, OneOf, Text
from service.schemas.tensors import MatrixPerHead, NumberPerHead, VectorPerHead


class ScoreModelSchema(Described):
    """A score model in a request."""

    name: str

    def to_core(self) -> ScoreModel:
        """Return the core's object of the same name; a parameter that is null keeps the core's default."""
        return SCORE_MODELS[self.name](**self.parameters())


class ScaledDotProduct(ScoreModelSchema):
    name: Literal["scaled_dot_product"] = "scaled_dot_product"
    scale: NumberPerHead | None = Field(
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
    query_weight: MatrixPerHead = Field(
        description="W_q, shape [U, Dq]: hidden units × features of a query. 查询权重。"
    )
    key_weight: MatrixPerHead = Field(description="W_k, shape [U, Dk]: hidden units × features of a key. 键权重。")
    score_vector: VectorPerHead = Field(description="v, shape [U]: what each hidden unit adds to the score. 得分向量。")
    hidden_bias: VectorPerHead | None = Field(None, description="b, shape [U]; null means none. 隐藏层偏置。")

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


class Bilinear(ScoreModelSchema):
    name: Literal["bilinear"] = "bilinear"
    weight: MatrixPerHead = Field(description="W, shape [Dq, Dk]: features of a query × features of a key. 权重矩阵。")

    about = About(
        title=Text("双线性", "Bilinear"),
        description=Text(
            "查询与键之间放一个矩阵：学到的不是“是否相同”，而是“哪些特征互相匹配”。查询与键的特征数可以不同。",
            "A matrix between query and key: it learns which features match which. Queries and keys may differ in "
            "their number of features; W = I/√D is the scaled dot product.",
        ),
        latex=r"a(q, k) = q^\top W k",
        plain="a(q, k) = qᵀ W k",
        reference="Luong, Pham & Manning 2015, Effective Approaches to Attention-based Neural Machine Translation",
        example={"name": "bilinear", "weight": [[0.5, 0, 0, 0], [0, 0.5, 0, 0], [0, 0, 0.5, 0], [0, 0, 0, 0.5]]},
    )


class Cosine(ScoreModelSchema):
    name: Literal["cosine"] = "cosine"
    scale: NumberPerHead | None = Field(None, description="Factor of the cosine; default 1. 缩放因子，缺省为 1。")

    about = About(
        title=Text("余弦", "Cosine"),
        description=Text(
            "只看方向，不看长度：得分在 −scale 与 scale 之间；零向量得 0 分。",
            "Only directions count, not lengths: scores lie between −scale and scale, and a zero vector scores 0.",
        ),
        latex=r"a(q, k) = \mathrm{scale} \cdot \frac{q \cdot k}{\|q\| \|k\|}",
        plain="a(q, k) = scale · q·k / (‖q‖‖k‖)",
        reference="Graves, Wayne & Danihelka 2014, Neural Turing Machines",
        example={"name": "cosine", "scale": 5},
    )


class Gaussian(ScoreModelSchema):
    name: Literal["gaussian"] = "gaussian"
    bandwidth: NumberPerHead | None = Field(None, description="Width of the kernel, > 0; default 1. 带宽，缺省为 1。")

    about = About(
        title=Text("高斯核", "Gaussian"),
        description=Text(
            "键离查询越近得分越高；配合 softmax 就是 Nadaraya–Watson 核回归。",
            "The nearer a key is to the query, the higher it scores; with softmax this is Nadaraya–Watson kernel "
            "regression.",
        ),
        latex=r"a(q, k) = -\frac{\|q - k\|^2}{2 \cdot \mathrm{bandwidth}^2}",
        plain="a(q, k) = −‖q − k‖² / (2·bandwidth²)",
        reference="Nadaraya 1964 and Watson 1964, kernel regression",
        example={"name": "gaussian", "bandwidth": 0.5},
    )


class Laplacian(ScoreModelSchema):
    name: Literal["laplacian"] = "laplacian"
    bandwidth: NumberPerHead | None = Field(None, description="Width of the kernel, > 0; default 1. 带宽，缺省为 1。")

    about = About(
        title=Text("拉普拉斯核", "Laplacian"),
        description=Text(
            "用各特征之差的绝对值之和作距离，对个别特征的大偏差不那么敏感。",
            "Distance is the sum of absolute differences, so that one far feature counts less than in the gaussian.",
        ),
        latex=r"a(q, k) = -\frac{\|q - k\|_1}{\mathrm{bandwidth}}",
        plain="a(q, k) = −‖q − k‖₁ / bandwidth",
        reference="Kim et al. 2019, Attentive Neural Processes",
        example={"name": "laplacian", "bandwidth": 2},
    )


class Trilinear(ScoreModelSchema):
    name: Literal["trilinear"] = "trilinear"
    weight: VectorPerHead = Field(description="w, shape [3·D]: for q, for k, for q∘k. 三段权重。")

    about = About(
        title=Text("三线性", "Trilinear"),
        description=Text(
            "查询、键以及两者逐项之积各有权重，再求和。",
            "The features of the query, of the key and of their product are weighed and summed.",
        ),
        latex=r"a(q, k) = w^\top [q; k; q \circ k]",
        plain="a(q, k) = wᵀ[q; k; q∘k]",
        reference="Seo et al. 2017, Bidirectional Attention Flow for Machine Comprehension",
        example={"name": "trilinear", "weight": [0, 0, 0, 0, 0.1, 0, 0, 0, 0.5, 0.5, 0.5, 0.5]},
    )


SCORE_MODEL_SCHEMAS: tuple[type[ScoreModelSchema], ...] = (
    ScaledDotProduct,
    DotProduct,
    Additive,
    Bilinear,
    Cosine,
    Gaussian,
    Laplacian,
    Trilinear,
)

AnyScoreModel = Annotated[ScoreModelSchema, OneOf("a score model", SCORE_MODEL_SCHEMAS)]
