"""The request and the response of /v1/attention/explain."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field, WithJsonSchema

from service.schemas.attention import AttentionRequest, as_list
from service.schemas.base import StrictModel
from service.schemas.components import reference_within
from service.schemas.tensors import Result

Index = Annotated[int, Field(ge=0)]


def _as_indices(numbers: Any) -> Any:
    """Undo what the codec made of a list of numbers; one fraction among them does not make fractions of the others."""
    whole = as_list(numbers)
    if not isinstance(whole, list):
        return whole
    return [int(number) if isinstance(number, float) and number.is_integer() else number for number in whole]


Number = Annotated[float | Literal["NaN", "Infinity"] | None, WithJsonSchema(reference_within("ExtendedNumber"))]


class ExplainRequest(StrictModel):
    """Which weight of which attention request to explain. 要解释哪一个权重。"""

    request: AttentionRequest = Field(description="As for /v1/attention. 与 /v1/attention 的请求相同。")
    index: Annotated[list[Index], BeforeValidator(_as_indices)] | None = Field(
        None,
        description="One number for each leading axis of the scores (batch, head, …); default the first of each. "
        "前导轴（批、头……）的下标。",
    )
    query_index: Index = Field(description="Which query, counted from 0. 查询的下标。")
    key_index: Index = Field(description="Which key, past and new, counted from 0. 键的下标。")
    language: Literal["en", "zh"] | None = Field(None, description="Of the sentences; default en. 句子的语言。")


class TermResponse(BaseModel, extra="forbid", title="Term"):
    """One addend of the score. 得分中的一项。"""

    name: str = Field(description="The feature or hidden unit it comes from. 来自哪个特征或隐藏单元。")
    value: Number = Field(description="Its value. 数值。")
    expression: str = Field(description='How it comes about, such as "2 × 1.9". 算式。')


class StepResponse(BaseModel, extra="forbid", title="Step"):
    """One step on the way from terms to contribution. 一步计算。"""

    name: str = Field(description="sum, factor, score, softcap, bias, mask, logit, …, weight, contribution. 步骤名称。")
    formula: str = Field(description="With the numbers filled in. 代入数字的公式。")
    value: Number = Field(
        description="What comes out; 1 or 0 for true or false, null where it is no single number. "
        "结果；真为 1，假为 0。"
    )
    sentence: str = Field(description="What it means, in the language asked for. 这一步的含义。")


class TypesetFormula(BaseModel, extra="forbid"):
    """A formula of the request, typeset. 排版后的公式。"""

    text: str = Field(description="As it was sent. 原文。")
    latex: str = Field(description="LaTeX for math mode. 公式的 LaTeX。")
    mathml: str = Field(description="A MathML element. 公式的 MathML。")


class ExplainResponse(BaseModel, extra="forbid", arbitrary_types_allowed=True):
    """Every number behind one weight, computed in float64; what does not apply is null.

    score = factor · Σ terms, the factor being a step. 一个权重背后的全部数字；不适用的为 null。
    """

    score: Number = Field(description="The raw score. 得分。")
    capped_score: Number = Field(description="After the soft cap; the score itself without one. 软上限之后的得分。")
    bias: Number = Field(description="What bias adds; null without bias, and for minus infinity. 偏置。")
    visible: bool = Field(description="Whether the query sees the key. 是否可见。")
    masked_by: list[str] = Field(description="What hides the key: causal, window, allowed, bias, …. 被什么掩盖。")
    logit: Number = Field(description="Capped score, bias and ALiBi; null for a hidden key. 归一化之前的值。")
    maximum: Number = Field(description="Taken off before the exponential. 先减去的最大值。")
    exponential: Number = Field(description="Softmax: exp(logit/T − maximum). 指数。")
    denominator: Number = Field(description="What the weight is divided by. 分母。")
    threshold: Number = Field(description="Sparsemax and entmax: subtracted from the logits. 阈值。")
    weight: Number = Field(description="The weight. 权重。")
    contribution: Result | None = Field(
        description="Weight · value, the key's share of the output, (Dv). 对输出的贡献。"
    )
    terms: list[TermResponse] = Field(description="The addends of the score. 得分的各项。")
    steps: list[StepResponse] = Field(description="The way from terms to contribution. 每一步。")
    formulas: dict[str, TypesetFormula] | None = Field(
        None,
        description="The formulas of the request, by the field that holds them: score_model, score_modifier, mask; "
        "absent without any. 请求中的公式，按所在的字段；没有则省略。",
    )
