"""The bodies of the Open Inference Protocol V2.

The structure of a request is validated here, its framing and tensors by the codec, and all that they mean by the
document of /v1/attention that they become.
"""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, WithJsonSchema

from attention_wire.datatypes import DATATYPES
from service.schemas.attention import as_list
from service.schemas.components import as_component
from service.schemas.problem import ProblemDocument

DATATYPE = as_component(
    "Datatype",
    "How numbers are stored. 数据类型。",
    {"type": "string", "enum": list(DATATYPES)},
)

Parameters = Annotated[
    dict[str, Any],
    WithJsonSchema(
        as_component(
            "InferenceParameters",
            "Scalars by name. 标量参数。",
            {"type": "object", "additionalProperties": {"type": ["string", "boolean", "number"]}},
        )
    ),
]
Shape = Annotated[Any, WithJsonSchema({"type": "array", "items": {"type": "integer", "minimum": 0}})]
NON_FINITE = as_component(
    "InferenceNonFinite",
    "A number that JSON cannot spell. JSON 无法表示的数。",
    {"type": "string", "enum": ["NaN", "Infinity", "-Infinity"]},
)
SENT: list[dict[str, Any]] = [NON_FINITE, {"type": "number"}, {"type": "boolean"}]
NESTED = {"type": "array", "items": {"anyOf": [*SENT, {"type": "array", "items": {}}]}}
Numbers = Annotated[
    list[JsonValue], WithJsonSchema({"type": "array", "items": {"anyOf": [NON_FINITE, {"type": "number"}]}})
]
Data = Annotated[Any, WithJsonSchema({"anyOf": [*SENT, NESTED]})]
"""Numbers, nested or flat; for a tensor of rank 0 also the bare element."""


class Member(BaseModel):
    """Part of a request; unknown members are ignored, since clients add some."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True, arbitrary_types_allowed=True)


class InputTensor(Member):
    """A tensor that is sent. 输入张量。"""

    name: str = Field(description="query, key, value, or another input of the model. 输入的名称。")
    shape: Shape = Field(description="Size of each axis. 形状。")
    datatype: Annotated[str, WithJsonSchema(DATATYPE)] = Field(
        description="query, key, value and past share one of FP64, FP32, FP16, BF16. 数据类型。"
    )
    parameters: Parameters | None = Field(
        None, description="binary_data_size: how many raw bytes behind the JSON are this tensor. 原始字节数。"
    )
    data: Data | None = Field(
        None, description="Its numbers, nested or flat, row-major; absent when it is sent as raw bytes. 数据。"
    )


class WantedOutput(Member):
    """An output that is asked for. 所请求的输出。"""

    name: str = Field(description="output, weights, scores, or another output of the model. 输出的名称。")
    parameters: Parameters | None = Field(
        None, description="binary_data: whether to answer it as raw bytes. 是否以原始字节返回。"
    )


class InferenceRequest(Member):
    """Tensors for one model: everything that /v1/attention takes, by names of its own.

    一个模型的输入张量：/v1/attention 的全部功能，换一套名称。
    """

    id: str | None = Field(None, description="Returned in the answer. 原样返回的编号。")
    parameters: Parameters | None = Field(
        None, description="Scalars such as causal, softcap or temperature; binary_data_output; options. 标量参数。"
    )
    inputs: Annotated[list[InputTensor], BeforeValidator(as_list)] = Field(description="The tensors. 输入张量。")
    outputs: Annotated[list[WantedOutput], BeforeValidator(as_list)] | None = Field(
        None, description="What to return; default output, weights and scores. 返回哪些输出。"
    )


class OutputTensor(BaseModel):
    """A tensor that is returned. 输出张量。"""

    name: str = Field(description="Of the output. 输出的名称。")
    shape: list[int] = Field(description="Size of each axis. 形状。")
    datatype: str = Field(description="That of the inputs; logsumexp of half types is FP32. 数据类型。")
    parameters: dict[str, JsonValue] | None = Field(
        None, description="binary_data_size, when it follows as raw bytes. 原始字节数。"
    )
    data: Numbers | None = Field(
        None, description='Its numbers, flat, row-major; "NaN", "Infinity" and "-Infinity" are strings. 数据。'
    )


class InferenceResponse(BaseModel, protected_namespaces=()):
    """The outputs that were asked for. 所请求的输出。"""

    model_name: str = Field(description="Of the model, which is a score model. 模型名称，即打分函数。")
    model_version: str = Field(description="Always 1. 版本，恒为 1。")
    id: str | None = Field(None, description="That of the request. 请求中的编号。")
    parameters: dict[str, JsonValue] | None = Field(
        None, description="notes, where a row needs a word: a JSON list in a string. 说明：写成字符串的 JSON 列表。"
    )
    outputs: list[OutputTensor] = Field(description="The tensors. 输出张量。")


class InferenceProblem(ProblemDocument, title="InferenceProblem"):
    """A problem document with what clients of the protocol look for. 错误的统一格式，另加 error。"""

    error: str = Field(description="The same as detail. 与 detail 相同。")
    live: bool | None = Field(None, description="When asked whether it is ready: it answers. 存活。")
    ready: bool | None = Field(None, description="When asked whether it is ready: it is not. 就绪。")


class ServerMetadata(BaseModel):
    """What the server is. 服务信息。"""

    name: str = Field(description="Of the service. 服务的名称。")
    version: str = Field(description="Of the service. 服务的版本。")
    extensions: list[str] = Field(description="Extensions of the protocol. 所支持的扩展。")


class Health(BaseModel):
    """Whether the server is up. 健康状态。"""

    live: bool = Field(description="It answers. 存活。")
    ready: bool = Field(description="It takes requests. 就绪。")


class ModelReady(BaseModel):
    """Whether a model takes requests. 模型是否就绪。"""

    name: str = Field(description="Of the model. 模型名称。")
    ready: bool = Field(description="It takes requests. 就绪。")


class TensorMetadata(BaseModel):
    """A tensor of a model. 张量的说明。"""

    name: str = Field(description="Of the tensor. 张量的名称。")
    datatype: str = Field(description="One of those that are read. 可用的数据类型之一。")
    shape: list[int] = Field(description="-1 is any size; fewer leading axes will do. -1 表示任意大小。")


class ModelMetadata(BaseModel):
    """What a model takes and returns. 模型的输入与输出。"""

    name: str = Field(description="Of the model. 模型名称。")
    versions: list[str] = Field(description="There is one. 只有一个版本。")
    platform: str = Field(description="What runs it. 运行平台。")
    inputs: list[TensorMetadata] = Field(description="All of them; see the configuration for the optional. 全部输入。")
    outputs: list[TensorMetadata] = Field(description="All of them. 全部输出。")


class TensorConfiguration(BaseModel):
    """A tensor of a model. 张量的说明。"""

    name: str = Field(description="Of the tensor. 张量的名称。")
    data_type: str = Field(description="One of those that are read. 可用的数据类型之一。")
    dims: list[int] = Field(description="-1 is any size. -1 表示任意大小。")
    optional: bool | None = Field(None, description="It may be left out. 可省略。")


class ModelConfiguration(BaseModel):
    """The same in the words of a configuration. 模型配置。"""

    name: str = Field(description="Of the model. 模型名称。")
    platform: str = Field(description="What runs it. 运行平台。")
    max_batch_size: int = Field(description="0: batches are an axis like any other. 恒为 0。")
    input: list[TensorConfiguration] = Field(description="All of them. 全部输入。")
    output: list[TensorConfiguration] = Field(description="All of them. 全部输出。")


class Duration(BaseModel):
    """How often, and how long altogether. 次数与总时长。"""

    count: int = Field(description="How often. 次数。")
    ns: int = Field(description="Nanoseconds. 纳秒。")


class InferenceStatistics(BaseModel):
    """Where the time went. 时间分布。"""

    success: Duration = Field(description="Requests answered, from body to answer. 成功的请求。")
    fail: Duration = Field(description="Requests refused. 失败的请求。")
    queue: Duration = Field(description="Waiting for a thread. 排队。")
    compute_input: Duration = Field(description="Reading tensors. 读取输入。")
    compute_infer: Duration = Field(description="Attending. 计算。")
    compute_output: Duration = Field(description="Writing tensors. 写出结果。")
    cache_hit: Duration = Field(description="There is no cache. 没有缓存。")
    cache_miss: Duration = Field(description="There is no cache. 没有缓存。")


class ModelStatistics(BaseModel):
    """Counters of one model since the service started. 一个模型的统计。"""

    name: str = Field(description="Of the model. 模型名称。")
    version: str = Field(description="Always 1. 恒为 1。")
    last_inference: int = Field(description="Milliseconds since 1970, 0 for never. 最近一次请求的时刻。")
    inference_count: int = Field(description="Requests answered. 成功的请求数。")
    execution_count: int = Field(description="Times it was run. 执行次数。")
    inference_stats: InferenceStatistics = Field(description="Counts and times of each stage. 各阶段的次数与时长。")


class Statistics(BaseModel):
    """Counters of models. 统计。"""

    model_stats: list[ModelStatistics] = Field(description="One entry for each model. 每个模型一项。")


class RepositoryEntry(BaseModel):
    """A model that can be used. 可用的模型。"""

    name: str = Field(description="Of the model. 模型名称。")
    version: str = Field(description="Always 1. 恒为 1。")
    state: str = Field(description="READY or UNAVAILABLE. 状态。")
    reason: str = Field(description="Why it is not ready, else empty. 未就绪的原因。")
