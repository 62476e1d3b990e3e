"""The request of /v1/attention."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from attention_core import AttentionCall, Heads, Positions
from attention_core.call import LAYOUTS
from attention_core.call import Layout as LayoutName
from attention_core.call import ResultField as FieldName
from attention_core.resolve import DEFAULT_NORMALIZER, DEFAULT_SCORE_MODEL
from service.codecs.json import Extended
from service.schemas.base import PositiveFloat, StrictModel, Text
from service.schemas.components import Component
from service.schemas.field_descriptions import FieldDescription, as_code
from service.schemas.fields import FlatName, JsonOnly, models_in, parts_of, request_fields
from service.schemas.formulas import ScoreModifierSchema
from service.schemas.masks import MaskSchema
from service.schemas.memory_reference import MemoryReference, OrName
from service.schemas.models import AnyNormalizer, AnyPosition, AnyScoreModel
from service.schemas.tensors import Bias, PerBatchRow, Vectors, fault

DTypeName = Literal["float64", "float32", "float16", "bfloat16"]

DEFAULT_DTYPE: DTypeName = "float64"

DType = Annotated[DTypeName, Component("DType", "How numbers are stored. 数值类型。")]
Layout = Annotated[LayoutName, Component("Layout", "Order of the axes at rank 4. 四维张量各轴的顺序。")]
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

    查询、键、值，以及如何打分、归一化和掩码。null 等于没有写：使用默认值。
    """

    alternatives: ClassVar[Mapping[str, str]] = {"key": "memory"}
    """Fields that are required unless another is there."""

    query: Vectors = Field(
        description=FieldDescription(
            "查询，(…, Lq, Dq)：嵌套的数字列表，二维或更高维。",
            "Queries, (…, Lq, Dq): nested lists of numbers, rank 2 or more.",
        )
    )
    key: Vectors | None = Field(
        None,
        description=FieldDescription(
            "键，(…, Lk, Dk)；可以用 `memory` 代替。", "Keys, (…, Lk, Dk); a `memory` can take their place."
        ),
    )
    value: Vectors | None = Field(
        None,
        description=FieldDescription(
            "值，(…, Lk, Dv)，每个键一个；不给就没有输出。",
            "Values, (…, Lk, Dv), one per key; without them there is no output.",
        ),
    )
    score_model: AnyScoreModel | None = Field(
        None,
        description=FieldDescription(
            "打分函数：一个名称，或带有名称和参数的对象。",
            "How a query scores a key: a name, or an object with the name and parameters.",
            default=as_code(DEFAULT_SCORE_MODEL.name),
        ),
    )
    normalizer: AnyNormalizer | None = Field(
        None,
        description=FieldDescription(
            "归一化方法：一个名称，或带有名称和参数的对象。",
            "How scores become weights: a name, or an object with the name and parameters.",
            default=as_code(DEFAULT_NORMALIZER.name),
        ),
    )
    softcap: PositiveFloat | None = Field(
        None,
        description=FieldDescription(
            "软上限，大于 0 的数：在偏置与掩码之前，把得分平滑地限制在 −softcap 与 softcap 之间。",
            "The soft cap, a number > 0: squeezes scores between −softcap and softcap, before bias and mask.",
        ),
    )
    mask: MaskSchema | None = Field(
        None,
        description=FieldDescription(
            "查询可以看到哪些键。", "Which keys a query may see.", default=Text("全部可见", "all of them")
        ),
    )
    bias: Bias | None = Field(
        None,
        description=FieldDescription(
            "加到得分上的数，右对齐广播到 (…, Lq, Lk)，也可以是用于所有位置的一个数；数组里的 `null` 表示 −∞。",
            "Numbers added to the scores, broadcast right-aligned to (…, Lq, Lk), or one number for all pairs; "
            "`null` inside an array means −∞.",
        ),
    )
    position: AnyPosition | None = Field(
        None,
        description=FieldDescription(
            "位置编码：一个名称，或带有名称和参数的对象。",
            "How positions enter the scores: a name, or an object with the name and parameters.",
        ),
    )
    positions: PositionsSchema | None = Field(
        None,
        description=FieldDescription(
            "查询与键所在的位置。", "Where queries and keys stand.", default=Text("i + offset 与 j", "i + offset and j")
        ),
    )
    heads: HeadsSchema | None = Field(
        None,
        description=FieldDescription(
            "三维输入的最后一个轴里打包了多少个头：`query` 与 `key_value`；输出也这样打包。",
            "How many heads, `query` and `key_value`, are packed into the last axis of rank-3 inputs; the output comes "
            "back packed.",
        ),
    )
    past_key: Vectors | None = Field(
        None,
        description=FieldDescription(
            "缓存的键，(…, P, Dk)，排在新键之前；与 `past_value` 一起给出。",
            "Keys of the cache, (…, P, Dk), before the new ones; with `past_value`.",
        ),
    )
    past_value: Vectors | None = Field(
        None, description=FieldDescription("缓存的值，(…, P, Dv)。", "Values of the cache, (…, P, Dv).")
    )
    dtype: DType | None = Field(
        None,
        description=FieldDescription(
            "数值类型：输入先舍入到它，结果也以它返回；半精度类型以 float32 计算。",
            "Inputs are rounded to this type, and results are returned in it; half types compute in float32.",
            default=as_code(DEFAULT_DTYPE),
        ),
    )
    include: Annotated[list[ResultField], BeforeValidator(as_list), AfterValidator(without_duplicates)] | None = Field(
        None,
        description=FieldDescription(
            "返回哪些结果；空列表只返回元数据。",
            "What to return; an empty list returns metadata only.",
            default=Text("scores、weights，有 value 时还有 output", "scores, weights and, with a value, output"),
        ),
        json_schema_extra={"uniqueItems": True},
    )

    score_modifier: ScoreModifierSchema | None = Field(
        None,
        description=FieldDescription(
            "在偏置与 ALiBi 之后、掩码之前修改每个得分的 `formula` 及其 `parameters`。",
            "A `formula` that changes every score after bias and ALiBi, before the masks, and its `parameters`.",
        ),
    )
    layout: Layout | None = Field(
        None,
        description=FieldDescription(
            "四维的 query、key、value、past、present 与 output 各轴的顺序：`bhsd` 为 (B, H, L, D)，"
            "`bshd` 为 (B, L, H, D)。",
            "Order of the axes of query, key, value, past, present and output at rank 4: `bhsd` is (B, H, L, D), "
            "`bshd` is (B, L, H, D).",
            default=as_code(LAYOUTS[0]),
        ),
    )
    memory: Annotated[MemoryReference, OrName()] | None = Field(
        None,
        description=FieldDescription(
            "一个记忆的名称，或带有 `name` 和 `version` 的对象：用它保存的键与值代替 `key` 与 `value`。",
            "The name of a memory, or an object with `name` and `version`: its keys and values take the place of `key` "
            "and `value`.",
        ),
    )
    append: bool | None = Field(
        None,
        description=FieldDescription(
            "与 `memory` 一起用：先在同一步里把键与值追加进去；追加前的长度是 offset 的默认值。",
            "With `memory`: key and value are appended to it first, in the same step; its length before is the default "
            "of offset.",
            default=as_code("false"),
        ),
    )
    labels: Annotated[LabelsSchema | None, JsonOnly()] = Field(
        None,
        description=FieldDescription(
            "每个 `query` 和每个 `key` 的名称；排名里会写出键的名称。",
            "Names for each `query` and each `key`; the ranking shows those of the keys.",
        ),
    )
    top_k: Annotated[int, Field(ge=1), JsonOnly()] | None = Field(
        None,
        description=FieldDescription(
            "排名中每行取前几个键。",
            "The number of keys of each row in the ranking.",
            default=Text("所有可见的键", "every visible key"),
        ),
    )
    decimals: Annotated[int, Field(ge=0, le=17), JsonOnly()] | None = Field(
        None,
        description=FieldDescription(
            "把响应里的数舍入到几位小数，0 到 17；舍入为零的数不带负号。",
            "The number of decimals, 0 to 17, to which the numbers of the answer are rounded; a zero has no sign.",
            default=Text("读回后值不变所需的位数", "as many as read back to the same value"),
        ),
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
            dtype=self.dtype or DEFAULT_DTYPE,
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
