"""The request of /v1/attention."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from attention_core import AttentionCall, Heads, Positions
from attention_core.call import Layout as LayoutName
from attention_core.call import ResultField as FieldName
from service.codecs.json import Extended
from service.schemas.base import PositiveFloat, StrictModel
from service.schemas.components import Component
from service.schemas.fields import FlatName, JsonOnly, models_in, parts_of, request_fields
from service.schemas.formulas import ScoreModifierSchema
from service.schemas.masks import MaskSchema
from service.schemas.memory_reference import MemoryReference, OrName
from service.schemas.models import AnyNormalizer, AnyPosition, AnyScoreModel
from service.schemas.tensors import Bias, PerBatchRow, Vectors, fault

DTypeName = Literal["float64", "float32", "float16", "bfloat16"]

DType = Annotated[DTypeName, Component("DType", "How numbers are stored. 数值类型。")]
Layout = Annotated[LayoutName, Component("Layout", "Order of the axes at rank 4. 秩 4 张量各轴的顺序。")]
ResultField = Annotated[FieldName, Component("ResultField", "A result that can be included. 可返回的结果。")]


def as_list(names: Any) -> Any:
    """Undo what the codec made of a list of numbers, so that the first of them can be pointed to."""
    if isinstance(names, Extended):
        return names.lists()
    return names.tolist() if isinstance(names, np.ndarray) else names


Names = Annotated[list[str], BeforeValidator(as_list)]


def without_duplicates(names: list[str]) -> list[str]:
    """Return the names; raise an error that points to one that was there before."""
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


class PositionsSchema(StrictModel, title="Positions"):
    """Positions in the place of i + offset and j, in causal, window, alibi and rotary; without an offset. 位置。"""

    query: Annotated[PerBatchRow | None, FlatName("query_positions")] = Field(
        None, description="Of the queries, [Lq] or [B, Lq]; default i + the length of the past. 查询的位置。"
    )
    key: Annotated[PerBatchRow | None, FlatName("key_positions")] = Field(
        None, description="Of the keys, past and new, [Lk] or [B, Lk]; default j. 键的位置。"
    )


class LabelsSchema(StrictModel, title="Labels"):
    """Names for people, shared by all leading axes. 查询与键的名称。"""

    query: Names | None = Field(None, description="One for each query. 查询的名称。")
    key: Names | None = Field(None, description="One for each key, past and new. 键的名称。")


IN_PLACE_OF_MEMORY = ("key", "value", "past_key", "past_value")
"""Fields that a memory takes the place of."""


class AttentionRequest(StrictModel):
    """Queries, keys and values, and how to score, normalise and mask them. Null means absent: the default applies.

    查询、键、值，以及如何打分、归一化和掩码。null 等于没有写：使用缺省值。
    """

    alternatives: ClassVar[Mapping[str, str]] = {"key": "memory"}
    """Fields that are required unless another is there."""

    query: Vectors = Field(description="Queries, (…, Lq, Dq): nested lists of rank 2 or more. 查询。")
    key: Vectors | None = Field(None, description="Keys, (…, Lk, Dk); required without a memory. 键。")
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
    positions: PositionsSchema | None = Field(
        None, description="Where queries and keys stand, if not at i + offset and j. 查询与键的位置。"
    )
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
    include: Annotated[list[ResultField], BeforeValidator(as_list), AfterValidator(without_duplicates)] | None = Field(
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
    layout: Layout | None = Field(
        None,
        description="Order of the axes of query, key, value, past, present and output at rank 4: bhsd, the default, or "
        "bshd, (B, L, H, D). 轴的顺序：缺省 bhsd；bshd 为（批, 长度, 头, 特征）。",
    )
    memory: Annotated[MemoryReference, OrName()] | None = Field(
        None,
        description="Keys, values and labels that were put under /v1/memories, in the place of key and value. "
        "以已上传的记忆代替键与值。",
    )
    append: bool | None = Field(
        None,
        description="With memory: key and value are appended to it first, in the same step, and offset defaults to its "
        "length before; default false. 先把键与值追加到记忆，再计算。",
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

    @model_validator(mode="after")
    def _either_key_or_memory(self) -> Self:
        if self.memory is None:
            if self.append:
                raise fault(
                    "append_alone",
                    "expected a memory to append to; received append without {advice}",
                    advice="one. Name it in {memory}, or leave {append} out.",
                    index=("append",),
                )
            if self.key is None:
                raise fault("missing_alternative", "expected {{key}}", index=("key",))
            return self
        if self.append and self.key is None:
            raise fault("missing_alternative", "expected {{key}}", index=("key",))
        for name in IN_PLACE_OF_MEMORY[2 * bool(self.append) :]:
            if getattr(self, name) is not None:
                raise fault(
                    "beside_memory",
                    "expected nothing beside memory, which has keys and values; received {name}. {advice}",
                    name=name,
                    advice="Leave out one of them."
                    if self.append or name.startswith("past")
                    else "Leave out one of them, or set append to true.",
                    index=(name,),
                )
        return self

    def to_call(self, key: NDArray[Any], value: NDArray[Any] | None) -> AttentionCall:
        """Return the core's call.

        :param key: keys, those of the request or of its memory.
        :param value: values, those of the request or of its memory; None for none.
        """
        return AttentionCall(
            query=self.query,
            key=key,
            value=value,
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
            positions=None if self.positions is None else Positions(self.positions.query, self.positions.key),
            layout=self.layout,
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
