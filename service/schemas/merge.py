"""The request and the response of /v1/attention/merge."""

from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, BeforeValidator, Field, PlainValidator, WithJsonSchema

from attention_core import Partial
from attention_core.call import Layout
from attention_core.partials import LogBase
from service.schemas.attention import DType, as_list
from service.schemas.base import StrictModel
from service.schemas.components import Component
from service.schemas.tensors import Result, Tensor, describe, fault

Rows = Annotated[NDArray[Any], Tensor("extended", min_rank=2)]


def _read_log_base(value: Any) -> LogBase:
    """Return the base, where 2.0 is 2; raise an error that says which libraries use which."""
    if value == "e":
        return "e"
    if type(value) in (int, float) and value == 2:
        return 2
    raise fault(
        "log_base",
        "expected 'e' or the number 2; received {received}. {advice}",
        received=describe(value),
        advice="FlashInfer's logsumexp has base 2; that of this service, PyTorch, JAX and FlashAttention has base 'e'.",
    )


LogBaseField = Annotated[
    LogBase,
    PlainValidator(_read_log_base),
    # Two types, since generators of clients make no type of an enumeration whose members differ in theirs.
    WithJsonSchema({"anyOf": [{"type": "string", "enum": ["e"]}, {"type": "integer", "enum": [2]}]}),
    Component("LogBase", "Base of a logsumexp: e, or 2 as in FlashInfer. 对数的底：e，或 FlashInfer 的 2。"),
]


class PartialSchema(StrictModel, title="PartialResult"):
    """Softmax attention over some of the keys, as /v1/attention returned it. 对一部分键的注意力结果。"""

    output: Rows = Field(description="(…, Lq, Dv); null means minus infinity. 输出。")
    logsumexp: Result = Field(
        description="Logarithm of the denominator, (…, Lq), to log_base; null, minus infinity, for a query that saw "
        "none of these keys. 对数分母；null 表示这部分的键一个都看不到。"
    )
    log_base: LogBaseField | None = Field(
        None,
        description="Base of this logsumexp; default the log_base of the request. "
        "这一份对数的底，默认为请求的 log_base。",
    )

    def to_core(self, log_base: LogBase) -> Partial:
        """Return the core's partial in float64, which holds the numbers of every stored type exactly.

        :param log_base: the base of the request.
        """
        return Partial(
            self.output.astype(np.float64, copy=False),
            self.logsumexp.astype(np.float64, copy=False),
            self.log_base or log_base,
        )

    @property
    def widened_bytes(self) -> int:
        """Bytes of the float64 arrays that `to_core` makes of narrower ones; 0 for JSON."""
        widest = np.dtype(np.float64)
        return sum(a.size * widest.itemsize for a in (self.output, self.logsumexp) if a.dtype != widest)


class MergeRequest(StrictModel):
    """Results of the same queries over different keys; a sink may be in one of them only.

    同样的查询对不同的键的结果；sink 只能出现在其中一份里。
    """

    partials: Annotated[list[PartialSchema], Field(min_length=1), BeforeValidator(as_list)] = Field(
        description="One or more, in any order, equal in shape. 一份或多份，顺序任意，形状相同。"
    )
    dtype: DType | None = Field(
        None, description="The output is rounded to it; default float64. 输出的数值类型，默认为 float64。"
    )
    layout: Layout | None = Field(
        None,
        description="Order of the axes of outputs of rank 4: bshd for (B, Lq, H, Dv), beside logsumexp (B, H, Lq), as "
        "they are returned in that layout; default bhsd. 输出各轴的顺序，默认为 bhsd。",
    )
    log_base: LogBaseField | None = Field(
        None,
        description="Base of the merged logsumexp, and of every partial that names none; default e. "
        "合并后的对数的底，也是没有写明的每一份的底；默认为 e。",
    )


class MergeResponse(BaseModel, extra="forbid", arbitrary_types_allowed=True):
    """Attention over all the keys, which may be merged again. 对全部键的结果，可以继续合并。"""

    output: Result = Field(description="(…, Lq, Dv); zeros for a query that saw no key. 输出。")
    logsumexp: Result = Field(description="(…, Lq), in the type that was computed in. 对数分母。")
    log_base: LogBaseField | None = Field(
        None, description="Base of logsumexp, where the request names it. logsumexp 的底，请求写明时才有。"
    )
