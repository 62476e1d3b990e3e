"""The normalizers on the wire: parameters, titles, formulas, sources.  The core computes them."""

from typing import Annotated, Literal

from pydantic import Field

from attention_core import NORMALIZERS
from attention_core.interfaces import Normalizer
from service.schemas.base import About, Described, FiniteFloat, OneOf, PositiveFloat, Text
from service.schemas.tensors import NumberPerHead


class NormalizerSchema(Described):
    """A normalizer in a request."""

    name: str

    def to_core(self) -> Normalizer:
        """Return the core's object of the same name; a parameter that is null keeps the core's default."""
        return NORMALIZERS[self.name](**self.parameters())


class Softmax(NormalizerSchema):
    name: Literal["softmax"] = "softmax"
    temperature: PositiveFloat | None = Field(
        None, description="T > 0, default 1; smaller is sharper, larger is flatter. 温度，缺省为 1，越小越集中。"
    )
    sink: NumberPerHead | None = Field(
        None,
        description="A key that is always there and carries no value: its logit, or one for each query head; not "
        "divided by T. Null means none. 注意力汇：始终存在但不带值的键。",
    )

    about = About(
        title=Text("Softmax", "Softmax"),
        description=Text(
            "取指数再除以总和：权重为正，每行之和为 1。先减去最大值，再大的得分也不会溢出。",
            "Exponentials over their sum: weights are positive and each row sums to 1. The maximum is taken off first, "
            "so no finite score overflows.",
        ),
        latex=r"w_j = \frac{e^{z_j / T}}{\sum_i e^{z_i / T} + e^{\mathrm{sink}}}",
        plain="w_j = exp(z_j / T) / (Σ exp(z_i / T) + exp(sink))",
        reference="Vaswani et al. 2017, equation 1; temperature: Hinton, Vinyals & Dean 2015, equation 1",
        example={"name": "softmax", "temperature": 0.5},
    )


class Proportional(NormalizerSchema):
    name: Literal["proportional"] = "proportional"

    about = About(
        title=Text("按比例", "Proportional"),
        description=Text(
            "得分除以得分总和：70、15、10、5 变成 0.70、0.15、0.10、0.05。得分不能为负；全为零的行权重为零。",
            "Each score over the sum of scores: 70, 15, 10, 5 become 0.70, 0.15, 0.10, 0.05. Scores must not be "
            "negative; a row of zeros weighs nothing.",
        ),
        latex=r"w_j = \frac{z_j}{\sum_i z_i}",
        plain="w_j = z_j / Σ z_i",
        reference="The founding tutorial of this project",
        example={"name": "proportional"},
    )


class Sparsemax(NormalizerSchema):
    name: Literal["sparsemax"] = "sparsemax"

    about = About(
        title=Text("Sparsemax", "Sparsemax"),
        description=Text(
            "把得分投影到概率单纯形上：落后太多的键权重正好为 0。",
            "The scores are projected on the simplex: keys that lie too far behind weigh exactly 0.",
        ),
        latex=r"w = \arg\min_{p \in \Delta} \|p - z\|^2",
        plain="w_j = max(z_j − τ, 0) with τ so that Σ w = 1",
        reference="Martins & Astudillo 2016, From Softmax to Sparsemax",
        example={"name": "sparsemax"},
    )


class Entmax(NormalizerSchema):
    name: Literal["entmax"] = "entmax"
    alpha: Annotated[FiniteFloat, Field(ge=1)] | None = Field(
        None, description="α ≥ 1, default 1.5; 1 is softmax, 2 is sparsemax. 1 即 softmax，2 即 sparsemax。"
    )

    about = About(
        title=Text("α-entmax", "α-entmax"),
        description=Text(
            "介于 softmax 与 sparsemax 之间：α 越大越稀疏。",
            "Between softmax and sparsemax: the larger α, the sparser the weights.",
        ),
        latex=r"w_j = [(\alpha - 1) z_j - \tau]_+^{1/(\alpha - 1)}",
        plain="w_j = max((α − 1)·z_j − τ, 0)^(1/(α − 1)) with τ so that Σ w = 1",
        reference="Peters, Niculae & Martins 2019, Sparse Sequence-to-Sequence Models",
        example={"name": "entmax", "alpha": 1.5},
    )


class Sigmoid(NormalizerSchema):
    name: Literal["sigmoid"] = "sigmoid"
    bias: FiniteFloat | None = Field(None, description="Added to every logit; default 0. 加到每个得分上。")

    about = About(
        title=Text("Sigmoid", "Sigmoid"),
        description=Text(
            "每个键单独决定，互不竞争；每行之和不必为 1。",
            "Each key is decided on its own, without competition; rows need not sum to 1.",
        ),
        latex=r"w_j = \frac{1}{1 + e^{-(z_j + \mathrm{bias})}}",
        plain="w_j = 1 / (1 + exp(−(z_j + bias)))",
        reference="Ramapuram et al. 2024, Theory, Analysis, and Best Practices for Sigmoid Self-Attention",
        example={"name": "sigmoid", "bias": -1},
    )


class Relu(NormalizerSchema):
    name: Literal["relu"] = "relu"

    about = About(
        title=Text("ReLU", "ReLU"),
        description=Text(
            "取正的得分，再除以可见键的个数。",
            "The positive part of each score over the number of visible keys.",
        ),
        latex=r"w_j = \frac{\max(z_j, 0)}{n}",
        plain="w_j = max(z_j, 0) / (number of visible keys)",
        reference="Wortsman et al. 2023, Replacing softmax with ReLU in Vision Transformers",
        example={"name": "relu"},
    )


class Hardmax(NormalizerSchema):
    name: Literal["hardmax"] = "hardmax"

    about = About(
        title=Text("Hardmax", "Hardmax"),
        description=Text(
            "全部注意力给得分最高的键；并列时取下标最小的。",
            "All attention on the key with the highest score, the lowest index on ties.",
        ),
        latex=r"w_j = [j = \arg\max_i z_i]",
        plain="w_j = 1 at the largest z_j, else 0",
        reference="The limit of softmax as T → 0",
        example={"name": "hardmax"},
    )


class Identity(NormalizerSchema):
    name: Literal["none"] = "none"

    about = About(
        title=Text("不归一化", "None"),
        description=Text(
            "权重就是得分本身：最朴素的线性注意力。",
            "The weights are the scores themselves: raw linear attention.",
        ),
        latex=r"w_j = z_j",
        plain="w_j = z_j",
        reference="Katharopoulos et al. 2020, Transformers are RNNs",
        example={"name": "none"},
    )


NORMALIZER_SCHEMAS: tuple[type[NormalizerSchema], ...] = (
    Softmax,
    Proportional,
    Sparsemax,
    Entmax,
    Sigmoid,
    Relu,
    Hardmax,
    Identity,
)

AnyNormalizer = Annotated[NormalizerSchema, OneOf("a normalizer", NORMALIZER_SCHEMAS)]
