"""The request and the response of /v1/attention/merge."""

from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, BeforeValidator, Field

from attention_core import Partial
from service.schemas.attention import DType, as_list
from service.schemas.base import StrictModel
from service.schemas.tensors import Result, Tensor

Rows = Annotated[NDArray[Any], Tensor("extended", min_rank=2)]


class PartialSchema(StrictModel, title="PartialResult"):
    """Softmax attention over some of the keys, as /v1/attention returned it. 对一部分键的注意力结果。"""

    output: Rows = Field(description="(…, Lq, Dv); null means minus infinity. 输出。")
    logsumexp: Result = Field(
        description="Natural logarithm of the denominator, (…, Lq); null, minus infinity, for a query that saw none of "
        "these keys. 对数分母；null 表示这部分的键一个都看不到。"
    )

    def to_core(self) -> Partial:
        """Return the core's partial in float64, which holds the numbers of every stored type exactly."""
        return Partial(self.output.astype(np.float64, copy=False), self.logsumexp.astype(np.float64, copy=False))

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
        None, description="The output is rounded to it; default float64. 输出的数值类型，缺省为 float64。"
    )


class MergeResponse(BaseModel, extra="forbid", arbitrary_types_allowed=True):
    """Attention over all the keys, which may be merged again. 对全部键的结果，可以继续合并。"""

    output: Result = Field(description="(…, Lq, Dv); zeros for a query that saw no key. 输出。")
    logsumexp: Result = Field(description="(…, Lq), in the type that was computed in. 对数分母。")
