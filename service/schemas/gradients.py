"""The request and the response of /v1/attention/gradients."""

from typing import Annotated, Any

from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, BeforeValidator, Field

from attention_core.call import GradientField as FieldName
from service.schemas.attention import AttentionRequest, DType, as_list, without_duplicates
from service.schemas.base import StrictModel
from service.schemas.components import Component
from service.schemas.tensors import ParameterResult, Result, Tensor

OutputGradient = Annotated[NDArray[Any], Tensor("number", min_rank=0, usual_rank=4)]
"""A number for each element of the output, or one for all of them."""

GradientField = Annotated[
    FieldName, Component("GradientField", "The output, or a gradient that can be included. 可返回的梯度。")
]


class GradientsRequest(StrictModel):
    """A request, and the gradient of a loss with respect to its output. 一个请求，以及损失对其输出的梯度。"""

    request: AttentionRequest = Field(
        description="As for /v1/attention, with value; include, labels and top_k have no effect. "
        "与 /v1/attention 的请求相同，须有 value；include、labels、top_k 不起作用。"
    )
    output_gradient: OutputGradient = Field(
        description="Gradient of the loss with respect to the output, in its shape, or one number for all of it. "
        "损失对输出的梯度，形状与输出相同，或一个数。"
    )
    include: Annotated[list[GradientField], BeforeValidator(as_list), AfterValidator(without_duplicates)] | None = (
        Field(
            None,
            description="What to return; default everything that the request has. 返回哪些结果，默认为全部。",
            json_schema_extra={"uniqueItems": True},
        )
    )


class GradientsSchema(BaseModel, extra="forbid", arbitrary_types_allowed=True, title="Gradients"):
    """Gradients of the loss, each in the shape of its input; axes that were broadcast are summed. 各输入的梯度。"""

    query: Result | None = Field(None, description="Of the queries. 查询的梯度。")
    key: Result | None = Field(None, description="Of the keys. 键的梯度。")
    value: Result | None = Field(None, description="Of the values. 值的梯度。")
    past_key: Result | None = Field(None, description="Of the keys of the cache. 缓存的键的梯度。")
    past_value: Result | None = Field(None, description="Of the values of the cache. 缓存的值的梯度。")
    bias: ParameterResult | None = Field(None, description="Of the bias. 偏置的梯度。")
    score_model: dict[str, ParameterResult] | None = Field(
        None, description="Of the score model's parameters, by name; those with a default too. 打分函数各参数的梯度。"
    )
    score_modifier: dict[str, ParameterResult] | None = Field(
        None, description="Of the score modifier's parameters, by name. 分数修改公式各参数的梯度。"
    )
    normalizer: dict[str, ParameterResult] | None = Field(
        None, description="Of the normalizer's parameters, by name. 归一化方法各参数的梯度。"
    )


class GradientsResponse(BaseModel, extra="forbid", arbitrary_types_allowed=True):
    """The output and the gradients that were included, and always the dtype and notes. 输出与梯度。"""

    output: Result | None = Field(None, description="Weights · value, (…, Lq, Dv). 输出。")
    gradients: GradientsSchema = Field(description="By what they are gradients of. 各项梯度。")
    dtype: DType = Field(
        description="Type of the output and of the gradients of query, key, value and past; other gradients have the "
        "type that was computed in. 输出与向量梯度的数值类型。"
    )
    notes: list[str] = Field(
        description='Rows and requests that need a word, such as "row 3: no visible key; …". 说明。'
    )
