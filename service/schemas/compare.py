"""The request and the response of /v1/attention/compare."""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field

from service.schemas.attention import AttentionRequest, as_list
from service.schemas.base import StrictModel
from service.schemas.explain import Number
from service.schemas.results import AttentionResponse
from service.schemas.tensors import fault

BASE = "base"
MAX_VARIANTS = 15
"""With the base that makes 120 pairs."""


class VariantSchema(StrictModel, title="Variant"):
    """The differences of one variant. 一个变体与基准的不同之处。"""

    label: Annotated[str, Field(min_length=1, max_length=200)] = Field(description="What to call it. 名称。")
    overrides: dict[str, Any] = Field(
        description="A merge patch (RFC 7386) of the base: null removes a field, objects are merged; a changed name "
        "replaces that object. 对基准请求的合并补丁；null 表示删除，改变 name 则整体替换。"
    )


def _with_labels_of_their_own(variants: list[VariantSchema]) -> list[VariantSchema]:
    seen = {BASE}
    for i, variant in enumerate(variants):
        if variant.label in seen:
            raise fault(
                "duplicate",
                "expected a label of its own for each variant, other than base; received '{label}' again. Rename it.",
                label=variant.label[:40],
                index=(i, "label"),
            )
        seen.add(variant.label)
    return variants


class CompareRequest(StrictModel):
    """One attention request, and what to change about it. 一个基准请求及其若干变体。"""

    base: AttentionRequest = Field(description="As for /v1/attention; its label is base. 基准请求。")
    variants: Annotated[
        list[VariantSchema],
        Field(min_length=1, max_length=MAX_VARIANTS),
        BeforeValidator(as_list),
        AfterValidator(_with_labels_of_their_own),
    ] = Field(description="Each with a label of its own. 变体，名称各不相同。")


class LabelledResult(BaseModel, extra="forbid"):
    """The result of the base or of a variant. 一个结果。"""

    label: str = Field(description="base, or the label of the variant. 名称。")
    result: AttentionResponse = Field(description="As /v1/attention answers. 与 /v1/attention 的响应相同。")


class MaxAbsDifference(BaseModel, extra="forbid"):
    """Largest absolute differences; null where shapes differ or a result has no output. 最大绝对差。"""

    scores: Number = Field(description="Of the scores. 得分。")
    weights: Number = Field(description="Of the weights. 权重。")
    output: Number = Field(description="Of the output. 输出。")


class TotalVariation(BaseModel, extra="forbid"):
    """Half the sum of absolute differences of the weights of a row: 0 equal, 1 disjoint. 全变差。"""

    mean: Number = Field(description="Over all rows. 各行平均。")
    max: Number = Field(description="Of the most different row. 最大的一行。")


class PairResponse(BaseModel, extra="forbid", title="Pair"):
    """How far two results are apart. 两个结果的差别。"""

    a: str = Field(description="Label of one. 其一的名称。")
    b: str = Field(description="Label of the other. 其二的名称。")
    max_abs_difference: MaxAbsDifference = Field(description="Largest absolute differences. 最大绝对差。")
    correlation: Number = Field(
        description="Pearson's, of all weights; null where one side is constant or shapes differ. 权重的相关系数。"
    )
    total_variation: TotalVariation = Field(description="Of the weights, row by row. 权重逐行的全变差。")


class CompareResponse(BaseModel, extra="forbid"):
    """Every result, the base first, and every two compared. 全部结果及两两比较。"""

    results: list[LabelledResult] = Field(description="In the order of the request. 按请求中的顺序。")
    pairs: list[PairResponse] = Field(description="Every two results. 两两比较。")
