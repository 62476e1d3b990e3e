"""The responses of /v1/attention and /v1/attention/estimate."""

from pydantic import BaseModel, Field, JsonValue

from attention_core.execution_path import ExecutionPath
from service.schemas.attention import DType
from service.schemas.tensors import Result, RowResult


class ModelAsUsed(BaseModel, extra="allow"):
    """A score model or normalizer as it was used: scalars resolved, tensors as ``{"shape": [...]}``.

    实际使用的打分函数或归一化方法。
    """

    name: str = Field(description="As in the request; parameters are members beside it. 名称，参数与之并列。")
    __pydantic_extra__: dict[str, JsonValue]


class DiagnosticsResponse(BaseModel, extra="forbid", arbitrary_types_allowed=True, title="Diagnostics"):
    """How attention is spread: per query row (…, Lq), and per key (…, Lk). 注意力如何分布。"""

    entropy: Result | None = Field(description="−Σ w ln w, in nats; null for sigmoid, relu and none. 熵。")
    effective_keys: Result | None = Field(description="e^entropy: how many keys share the attention. 有效键数。")
    max_weight: Result = Field(description="The largest weight. 最大权重。")
    top_key: Result = Field(description="The key with the largest weight; null without a visible key. 最受关注的键。")
    softmax_sensitivity: Result | None = Field(
        description="Σ w(1 − w), the trace of the softmax Jacobian: near 0 the gradient vanishes. 敏感度。"
    )
    received_weight: Result = Field(description="What each key receives from all queries. 每个键得到的权重之和。")


class MemoryUsed(BaseModel, extra="forbid"):
    """The memory that keys and values came from. 键与值所来自的记忆。"""

    name: str = Field(description="Its name. 名称。")
    version: str = Field(description="The version that was read; after an append the new one. 所用的版本。")
    keys: int = Field(description="Number of keys in that version. 键的个数。")


class AttentionResponse(BaseModel, extra="forbid", arbitrary_types_allowed=True):
    """The included fields, and always the models as used, the dtype and notes.

    In arrays null is minus infinity; "NaN" and "Infinity" are themselves. 数组中的 null 表示负无穷。
    """

    scores: Result | None = Field(None, description="Raw scores a(q, k), (…, Lq, Lk). 得分。")
    capped_scores: Result | None = Field(None, description="Scores after the soft cap, (…, Lq, Lk). 软上限之后的得分。")
    modified: Result | None = Field(
        None,
        description="Capped scores with bias and ALiBi as the score modifier leaves them, (…, Lq, Lk). 修饰后的得分。",
    )
    logits: Result | None = Field(
        None, description="Scores with bias, null where masked, (…, Lq, Lk). 加偏置与掩码之后的得分。"
    )
    weights: Result | None = Field(None, description="Normalised logits, (…, Lq, Lk). 注意力权重。")
    mean_weights: RowResult | None = Field(
        None, description="Weights averaged over the query heads, (B, Lq, Lk). 各查询头权重的平均。"
    )
    output: Result | None = Field(None, description="Weights · value, (…, Lq, Dv). 输出。")
    logsumexp: RowResult | None = Field(None, description="Natural log of the softmax denominator, (…, Lq). 对数分母。")
    diagnostics: DiagnosticsResponse | None = Field(None, description="How attention is spread. 诊断。")
    ranking: list[JsonValue] | None = Field(
        None,
        description="For each query the visible keys, weight descending: {key, label, score, weight}, nested like the "
        "leading axes and Lq. 按权重排名。",
    )
    present_key: Result | None = Field(None, description="Past and new keys, not rotated, (…, Lk, Dk). 新的键缓存。")
    present_value: Result | None = Field(None, description="Past and new values, (…, Lk, Dv). 新的值缓存。")
    score_model: ModelAsUsed = Field(description="The score model as it was used. 实际使用的打分函数。")
    normalizer: ModelAsUsed = Field(description="The normalizer as it was used. 实际使用的归一化方法。")
    dtype: DType = Field(description="Type of the returned numbers. 返回数值的类型。")
    memory: MemoryUsed | None = Field(None, description="With memory: the version that was read. 所读的记忆。")
    notes: list[str] = Field(
        description='Rows and requests that need a word, such as "row 3: no visible key; …". 说明。'
    )


class EstimateResponse(BaseModel, extra="forbid"):
    """What an attention request would cost; nothing was computed. 预计的开销，未做计算。"""

    operations: int = Field(
        description="Floating-point operations of a matrix product; others count as many times as they take longer. "
        "以矩阵乘法的浮点运算计；其他运算按耗时折算。"
    )
    bytes: int = Field(description="Memory beside the inputs. 除输入外的内存字节数。")
    result_bytes: int = Field(description="Size of the response body, about. 响应体的大致字节数。")
    path: ExecutionPath = Field(
        description="dense: every score exists at once; tiled: tile by tile, where no matrix is included and the "
        "scores are many. 计算路径：dense 一次算出整个得分矩阵；tiled 分块计算，从不保存整个矩阵。"
    )
    allowed: bool = Field(description="Whether it is within the limits. 是否在限制之内。")
    limits: dict[str, int] = Field(description="The limits that count here. 相关限制。")
