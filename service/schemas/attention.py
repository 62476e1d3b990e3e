"""The request of /v1/attention."""

from typing import Annotated, Any, Literal

import numpy as np
from pydantic import AfterValidator, BeforeValidator, Field

from attention_core import AttentionCall, Heads
from attention_core.call import ResultField as FieldName
from service.codecs.json import Extended
from service.schemas.base import PositiveFloat, StrictModel
from service.schemas.components import Component
from service.schemas.fields import FlatName, JsonOnly, models_in, parts_of, request_fields
from service.schemas.formulas import ScoreModifierSchema
from service.schemas.masks import MaskSchema
from service.schemas.models import AnyNormalizer, AnyPosition, AnyScoreModel
from service.schemas.tensors import Bias, Vectors, fault

DTypeName = Literal["float64", "float32", "float16", "bfloat16"]

DType = Annotated[DTypeName, Component("DType", "How numbers are stored. 数值类型。")]
ResultField = Annotated[FieldName, Component("ResultField", "A result that can be included. 可返回的结果。")]


def as_list(names: Any) -> Any:
    """Undo what the codec made of a list of numbers, so that the first of them can be pointed to."""
    if isinstance(names, Extended):
        return names.lists()
    return names.tolist() if isinstance(names, np.ndarray) else names


Names = Annotated[list[str], BeforeValidator(as_list)]


def _without_duplicates(names: list[str]) -> list[str]:
    for index, name in enumerate(names):
        if name in names[:index]:
            raise fault(
                "duplicate", "expected each field once; received '{name}' twice. Remove one.", name=name, index=(index,)
            )
    return names


class HeadsSchema(StrictModel, title="Heads"):
    """How many heads are packed into the last axis of rank-3 inputs (B, L, H·D). 打包的头数。"""

    query: Annotated[int, Field(ge=1), FlatName("query_heads")] = Field(description="Query heads. 查询头数。")
    key_value: Annotated[int, Field(ge=1), FlatName("key_value_heads")] = Field(
        description="Key and value heads; divides query. 键值头数。"
    )


class LabelsSchema(StrictModel, title="Labels"):
    """Names for people, shared by all leading axes. 查询与键的名称。"""

    query: Names | None = Field(None, description="One for each query. 查询的名称。")
    key: Names | None = Field(None, description="One for each key, past and new. 键的名称。")


class AttentionRequest(StrictModel):
    """Queries, keys and values, and how to score, normalise and mask them. Null means absent: the default applies.

    查询、键、值，以及如何打分、归一化和掩码。null 等于没有写：使用缺省值。
    """

    query: Vectors = Field(description="Queries, (…, Lq, Dq): nested lists of rank 2 or more. 查询。")
    key: Vectors = Field(description="Keys, (…, Lk, Dk). 键。")
    value: Vectors | None = Field(
        None, description="Values, (…, Lk, Dv), one per key; without them there is no output. 值，可省略。"
    )
    score_model: AnyScoreModel | None = Field(
        None, description="How a query scores a key; default scaled_dot_product. 打分函数，缺省为缩放点积。"
    )
    normalizer: AnyNormalizer | None = Field(
        None, description="How scores become weights; default softmax. 归一化方法，缺省为 softmax。"
    )
    softcap: PositiveFloat | None = Field(
        None, description="Squeezes scores to softcap·tanh(score/softcap), before bias and mask. 得分软上限。"
    )
    mask: MaskSchema | None = Field(None, description="Which keys a query may see; default all. 掩码，缺省为全部可见。")
    bias: Bias | None = Field(
        None,
        description="Numbers added to the scores, broadcast right-aligned to their shape, or one for all; null inside "
        "an array means minus infinity. 加到得分上的偏置，可为一个数；数组中的 null 表示负无穷。",
    )
    position: AnyPosition | None = Field(None, description="alibi or rotary; default none. 位置编码。")
    heads: HeadsSchema | None = Field(
        None, description="Heads packed into the last axis of rank-3 inputs; output comes back packed. 打包的多头。"
    )
    past_key: Vectors | None = Field(
        None, description="Keys of the cache, (…, P, Dk), before the new ones; with past_value. 缓存的键。"
    )
    past_value: Vectors | None = Field(None, description="Values of the cache, (…, P, Dv). 缓存的值。")
    dtype: DType | None = Field(
        None,
        description="Inputs are rounded to it and results returned in it; default float64. Half types compute in "
        "float32. 数值类型。",
    )
    include: Annotated[list[ResultField], BeforeValidator(as_list), AfterValidator(_without_duplicates)] | None = Field(
        None,
        description="What to return; default scores, weights and, with values, output; [] returns metadata only. "
        "返回哪些结果。",
        json_schema_extra={"uniqueItems": True},
    )

    score_modifier: ScoreModifierSchema | None = Field(
        None,
        description="Changes the scores by a formula after bias and ALiBi, before the masks; default none. "
        "用公式修改得分，缺省为不修改。",
    )
    labels: Annotated[LabelsSchema | None, JsonOnly()] = Field(
        None, description="Names for people, used in ranking. 名称，用于排名。"
    )
    top_k: Annotated[int, Field(ge=1), JsonOnly()] | None = Field(
        None, description="With ranking: number of keys of each row; default every visible one. 排名取前几个。"
    )
    decimals: Annotated[int, Field(ge=0, le=17), JsonOnly()] | None = Field(
        None, description="Rounds the numbers of the response; default the shortest that read back. 保留的小数位数。"
    )

    def to_call(self) -> AttentionCall:
        """Return the core's call."""
        return AttentionCall(
            query=self.query,
            key=self.key,
            value=self.value,
            score_model=None if self.score_model is None else self.score_model.to_core(),
            normalizer=None if self.normalizer is None else self.normalizer.to_core(),
            softcap=self.softcap,
            mask=None if self.mask is None else self.mask.to_core(),
            offset=None if self.mask is None else self.mask.offset,
            bias=self.bias,
            position=None if self.position is None else self.position.to_core(),
            heads=None if self.heads is None else Heads(self.heads.query, self.heads.key_value),
            past_key=self.past_key,
            past_value=self.past_value,
            dtype=self.dtype or "float64",
            include=None if self.include is None else tuple(self.include),
            top_k=self.top_k,
            score_modifier=None if self.score_modifier is None else self.score_modifier.to_core(),
        )


VECTORS = tuple(
    one.path[-1] for one in request_fields(AttentionRequest) if one.tensor is not None and one.tensor.shares_dtype
)
"""Tensors that share one datatype, which is the dtype of the request: query, key, value, and the past."""

UNIONS = tuple(name for name, info in AttentionRequest.model_fields.items() if len(models_in(info)) > 1)
"""Fields that may be a name instead of an object with this name: score model, normalizer and position."""

JSON_ONLY = tuple(name for name, info in AttentionRequest.model_fields.items() if JsonOnly() in parts_of(info))
"""Fields that change the JSON of an answer alone, and none of its arrays."""
