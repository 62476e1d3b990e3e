"""The responses of /v1/attention and /v1/attention/estimate."""

from pydantic import BaseModel, Field, JsonValue

from attention_core.execution_path import ExecutionPath
from service.schemas.attention import DType
from service.schemas.field_descriptions import FieldDescription
from service.schemas.tensors import Result, RowResult

PER_PAIR, PER_QUERY, PER_KEY = "(…, Lq, Lk)", "(…, Lq)", "(…, Lk)"
"""Shapes of results."""


class ModelAsUsed(BaseModel, extra="allow"):
    """A score model or normalizer as it was used: scalars resolved, tensors as ``{"shape": [...]}``.

    实际使用的打分函数或归一化方法。
    """

    name: str = Field(description="As in the request; parameters are members beside it. 名称，参数与之并列。")
    __pydantic_extra__: dict[str, JsonValue]


class DiagnosticsResponse(BaseModel, extra="forbid", arbitrary_types_allowed=True, title="Diagnostics"):
    """How attention is spread: per query row (…, Lq), and per key (…, Lk). 注意力如何分布。"""

    entropy: Result | None = Field(
        description=FieldDescription(
            "熵 −Σ w ln w，单位为奈特；`sigmoid`、`relu` 与 `none` 没有，为 null。",
            "−Σ w ln w, in nats; null for `sigmoid`, `relu` and `none`.",
            shape=PER_QUERY,
        )
    )
    effective_keys: Result | None = Field(
        description=FieldDescription(
            "e^entropy：相当于几个键在平分注意力；没有熵时为 null。",
            "e^entropy: how many keys share the attention; null without an entropy.",
            shape=PER_QUERY,
        )
    )
    max_weight: Result = Field(description=FieldDescription("最大的权重。", "The largest weight.", shape=PER_QUERY))
    top_key: Result = Field(
        description=FieldDescription(
            "权重最大的键；一个键都看不到时为 null。",
            "The key with the largest weight; null without a visible key.",
            shape=PER_QUERY,
        )
    )
    softmax_sensitivity: Result | None = Field(
        description=FieldDescription(
            "Σ w(1 − w)，即 softmax 雅可比矩阵的迹：接近 0 时梯度消失；没有熵时为 null。",
            "Σ w(1 − w), the trace of the softmax Jacobian: near 0 the gradient vanishes; null without an entropy.",
            shape=PER_QUERY,
        )
    )
    received_weight: Result = Field(
        description=FieldDescription(
            "每个键从所有查询得到的权重之和。", "What each key receives from all queries.", shape=PER_KEY
        )
    )


class MemoryUsed(BaseModel, extra="forbid"):
    """The memory that keys and values came from. 键与值所来自的记忆。"""

    name: str = Field(description="Its name. 名称。")
    version: str = Field(description="The version that was read; after an append the new one. 所用的版本。")
    keys: int = Field(description="Number of keys in that version. 键的个数。")


class AttentionResponse(BaseModel, extra="forbid", arbitrary_types_allowed=True):
    """The included fields, and always the models as used, the dtype and notes.

    In arrays null is minus infinity; "NaN" and "Infinity" are themselves. 数组中的 null 表示负无穷。
    """

    scores: Result | None = Field(
        None, description=FieldDescription("打分函数给出的得分。", "What the score model says.", shape=PER_PAIR)
    )
    capped_scores: Result | None = Field(
        None, description=FieldDescription("软上限之后的得分。", "Scores after the soft cap.", shape=PER_PAIR)
    )
    modified: Result | None = Field(
        None,
        description=FieldDescription(
            "再加上偏置与 ALiBi，并经过得分修饰；掩码之前。",
            "Capped scores with bias and ALiBi, as the score modifier leaves them; before masks.",
            shape=PER_PAIR,
        ),
    )
    logits: Result | None = Field(
        None,
        description=FieldDescription(
            "掩码之后的得分；被遮住的键为 −∞。", "Modified scores; −∞ where a mask hides the key.", shape=PER_PAIR
        ),
    )
    weights: Result | None = Field(
        None, description=FieldDescription("归一化之后的权重。", "Normalised logits.", shape=PER_PAIR)
    )
    mean_weights: RowResult | None = Field(
        None,
        description=FieldDescription(
            "各查询头权重的平均；四维或打包的多头才有。",
            "Weights averaged over the query heads, of rank 4 or packed heads.",
            shape="(B, Lq, Lk)",
        ),
    )
    output: Result | None = Field(
        None, description=FieldDescription("权重 · value。", "Weights · value.", shape="(…, Lq, Dv)")
    )
    logsumexp: RowResult | None = Field(
        None,
        description=FieldDescription(
            "softmax 分母的自然对数；只有 `softmax` 才有。",
            "Natural logarithm of the softmax denominator; `softmax` only.",
            shape=PER_QUERY,
        ),
    )
    diagnostics: DiagnosticsResponse | None = Field(
        None, description=FieldDescription("注意力如何分布。", "How attention is spread.")
    )
    ranking: list[JsonValue] | None = Field(
        None,
        description=FieldDescription(
            "每个查询可见的键，权重大的在前：{key, label, score, weight}，嵌套方式与前面的轴和 Lq 相同。",
            "The visible keys of each query, the largest weight first: {key, label, score, weight}, nested like the "
            "leading axes and Lq.",
        ),
    )
    present_key: Result | None = Field(
        None,
        description=FieldDescription(
            "过去与新的键，未经旋转；下一次作为 `past_key` 发送。",
            "Past and new keys, not rotated, to be sent as the next `past_key`.",
            shape="(…, Lk, Dk)",
        ),
    )
    present_value: Result | None = Field(
        None,
        description=FieldDescription(
            "过去与新的值；下一次作为 `past_value` 发送。",
            "Past and new values, to be sent as the next `past_value`.",
            shape="(…, Lk, Dv)",
        ),
    )
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
