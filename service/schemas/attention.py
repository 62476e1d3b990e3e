"""The request and the response of /v1/attention."""

from functools import reduce
from operator import and_
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, JsonValue
from pydantic_core import PydanticCustomError

from attention_core import Allowed, AttentionCall, Causal
from attention_core.interfaces import Mask
from service.schemas.base import StrictModel
from service.schemas.normalizers import AnyNormalizer
from service.schemas.score_models import AnyScoreModel
from service.schemas.tensors import Bias, Booleans, Numbers, Result

DTypeName = Literal["float64", "float32"]
FieldName = Literal["scores", "logits", "weights", "output", "logsumexp"]


def _as_list(names: Any) -> Any:
    """Undo what the codec made of a list of numbers, so that the first of them can be pointed to."""
    return names.tolist() if isinstance(names, np.ndarray) else names


def _without_duplicates(names: list[str]) -> list[str]:
    for index, name in enumerate(names):
        if name in names[:index]:
            raise PydanticCustomError(
                "duplicate",
                "expected each field once; received '{name}' twice. Remove one.",
                {"name": name, "index": (index,)},
            )
    return names


class MaskSchema(StrictModel):
    """Which keys a query may see; everything given must allow it. 掩码：各条件同时满足才可见。"""

    model_config = ConfigDict(title="Mask")

    allowed: Booleans | None = Field(
        None,
        description="Booleans, true = may see, broadcast right-aligned to the scores' shape. 布尔数组，true 表示可见。",
    )
    causal: bool | None = Field(
        None, description="Key j is visible to query i iff j ≤ i + offset; default false. 因果掩码：不看未来。"
    )
    offset: int | None = Field(
        None, description="Position of query 0 among the keys; default 0. 第 0 个查询在键序列中的位置。"
    )

    def to_core(self) -> Mask | None:
        """Return the masks combined, or None when everything is visible."""
        masks: list[Mask] = []
        if self.causal:
            masks.append(Causal())
        if self.allowed is not None:
            masks.append(Allowed(self.allowed))
        return reduce(and_, masks) if masks else None


class AttentionRequest(StrictModel):
    """Queries, keys and values, and how to score, normalise and mask them. Null means absent: the default applies."""

    query: Numbers = Field(description="Queries, (…, Lq, Dq): nested lists of rank 2 or more. 查询。")
    key: Numbers = Field(description="Keys, (…, Lk, Dk). 键。")
    value: Numbers | None = Field(
        None, description="Values, (…, Lk, Dv), one per key; without them there is no output. 值，可省略。"
    )
    score_model: AnyScoreModel | None = Field(
        None, description="How a query scores a key; default scaled_dot_product. 打分函数，缺省为缩放点积。"
    )
    normalizer: AnyNormalizer | None = Field(
        None, description="How scores become weights; default softmax. 归一化方法，缺省为 softmax。"
    )
    mask: MaskSchema | None = Field(None, description="Which keys a query may see; default all. 掩码，缺省为全部可见。")
    bias: Bias | None = Field(
        None,
        description="Numbers added to the scores, broadcast right-aligned to their shape; null means minus infinity. "
        "加到得分上的偏置；null 表示负无穷。",
    )
    dtype: DTypeName | None = Field(None, description="Storage and result type; default float64. 数值类型。")
    include: Annotated[list[FieldName], BeforeValidator(_as_list), AfterValidator(_without_duplicates)] | None = Field(
        None,
        description="What to return; default scores, weights and, with values, output; [] returns metadata only. "
        "返回哪些结果。",
        json_schema_extra={"uniqueItems": True},
    )

    def to_call(self) -> AttentionCall:
        """Return the core's call."""
        return AttentionCall(
            query=self.query,
            key=self.key,
            value=self.value,
            score_model=None if self.score_model is None else self.score_model.to_core(),
            normalizer=None if self.normalizer is None else self.normalizer.to_core(),
            mask=None if self.mask is None else self.mask.to_core(),
            offset=None if self.mask is None else self.mask.offset,
            bias=self.bias,
            dtype=self.dtype or "float64",
            include=None if self.include is None else tuple(self.include),
        )


class ModelAsUsed(BaseModel):
    """A score model or normalizer as it was used: scalars resolved, tensors as ``{"shape": [...]}``."""

    model_config = ConfigDict(extra="allow")

    name: str
    __pydantic_extra__: dict[str, JsonValue]


class AttentionResponse(BaseModel):
    """What was included, and always the models as used, the dtype and notes.

    In arrays null is minus infinity; "NaN" and "Infinity" are themselves.
    """

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)

    scores: Result | None = Field(None, description="Raw scores a(q, k), (…, Lq, Lk). 得分。")
    logits: Result | None = Field(
        None, description="Scores with bias, null where masked, (…, Lq, Lk). 加偏置与掩码之后的得分。"
    )
    weights: Result | None = Field(None, description="Normalised logits, (…, Lq, Lk). 注意力权重。")
    output: Result | None = Field(None, description="Weights · value, (…, Lq, Dv). 输出。")
    logsumexp: Result | None = Field(None, description="Natural log of the softmax denominator, (…, Lq). 对数分母。")
    score_model: ModelAsUsed = Field(description="The score model as it was used. 实际使用的打分函数。")
    normalizer: ModelAsUsed = Field(description="The normalizer as it was used. 实际使用的归一化方法。")
    dtype: DTypeName = Field(description="Type of the returned numbers. 返回数值的类型。")
    notes: list[str] = Field(description='Rows that need a word, such as "row 3: no visible key; …". 说明。')
