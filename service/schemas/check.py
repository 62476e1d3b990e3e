"""The request and the response of /v1/attention/check."""

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from service.schemas.attention import AttentionRequest
from service.schemas.base import StrictModel
from service.schemas.catalogue import InTwoLanguages
from service.schemas.explain import Number
from service.schemas.tensors import Result

NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class CandidateSchema(StrictModel, title="Candidate", json_schema_extra={"minProperties": 1}):
    """What your own attention returned: any of these, each in the shape of our answer. 您自己的计算结果。"""

    output: Result | None = Field(None, description="(…, Lq, Dv). 输出。")
    weights: Result | None = Field(None, description="(…, Lq, Lk). 权重。")
    scores: Result | None = Field(None, description="Raw scores, (…, Lq, Lk). 得分。")
    logsumexp: Result | None = Field(None, description="Natural logarithm of the denominator, (…, Lq). 对数分母。")

    def arrays(self) -> dict[str, NDArray[np.floating]]:
        """Return the fields that were sent, by name."""
        return {name: array for name, array in self if array is not None}


class CheckRequest(StrictModel):
    """A request, and what you computed for it. 一个请求，以及您算出的结果。"""

    request: AttentionRequest = Field(description="As for /v1/attention. 与 /v1/attention 的请求相同。")
    candidate: CandidateSchema = Field(description="What to check. 要核对的结果。")
    rtol: NonNegative | None = Field(None, description="Relative tolerance; default by dtype. 相对容差。")
    atol: NonNegative | None = Field(None, description="Absolute tolerance; default by dtype. 绝对容差。")


class FieldResponse(BaseModel, extra="forbid", title="FieldCheck"):
    """One field held against the float64 reference. 一个字段的核对结果。"""

    passed: bool = Field(description="|received − expected| ≤ atol + rtol · |expected| everywhere. 是否全部通过。")
    max_abs_error: Number = Field(description="Over the elements that are finite in both. 最大绝对误差。")
    max_rel_error: Number = Field(
        description="Over the elements that are finite in both and expected not to be 0. 最大相对误差。"
    )
    correlation: Number = Field(description="Pearson's; null where one side is constant. 相关系数。")
    max_ulps: Number = Field(
        description="Steps from one number of the dtype to the next; logsumexp has the compute type's. "
        "以最后一位为单位的最大误差。"
    )
    worst_index: list[int] | None = Field(description="Where it is worst. 误差最大的位置。")
    expected: Number = Field(description="The reference there; null means minus infinity. 该处的参考值。")
    received: Number = Field(description="The candidate there. 该处收到的值。")


class CheckResponse(BaseModel, extra="forbid"):
    """Whether the candidate is right, how far off it is, and why. 是否正确、差多少、为什么。"""

    passed: bool = Field(description="Whether every field passed. 是否全部通过。")
    rtol: float = Field(description="The relative tolerance used. 使用的相对容差。")
    atol: float = Field(description="The absolute tolerance used. 使用的绝对容差。")
    fields: dict[str, FieldResponse] = Field(description="By the names in candidate. 各字段的结果。")
    likely_cause: str | None = Field(
        description='The usual mistake that reproduces the candidate, such as "scale missing"; mistakes that fit '
        'equally are all named, with "; or " between them; null if none fits, or if it is right but rounded. '
        "能够重现该结果的常见错误。"
    )
    advice: InTwoLanguages = Field(description="What to look at next. 下一步看哪里。")
