"""What each route says of itself."""

from typing import Any

from pydantic import BaseModel
from starlette.responses import Response

from service.codecs.negotiate import ENCODINGS, EVENT_STREAM, JSON, SAFETENSORS, SVG
from service.problems import MEDIA_TYPE, PROBLEMS
from service.schemas.attention import AttentionRequest
from service.schemas.base import Text
from service.schemas.check import CheckRequest, CheckResponse
from service.schemas.compare import CompareRequest, CompareResponse
from service.schemas.explain import ExplainRequest, ExplainResponse
from service.schemas.merge import MergeRequest, MergeResponse
from service.schemas.operations import Probe
from service.schemas.problem import ProblemDocument
from service.schemas.results import AttentionResponse, EstimateResponse
from service.schemas.tensors import component_reference
from service.specification.examples import (
    ANSWERS,
    CHECKS,
    COMPARISONS,
    EXPLANATIONS,
    NamedExamples,
    worked_examples,
)
from service.specification.merges import MERGES
from service.specification.nulls import guarded

Operation = dict[str, Any]

REQUEST_ID = {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,128}$"}

RESPONSE_HEADERS = {
    "X-Request-ID": {"description": "The caller's id, or a new one. 请求编号。", "schema": REQUEST_ID},
}

CHALLENGE = {
    "WWW-Authenticate": {"description": "Bearer. 应使用的验证方式。", "schema": {"type": "string"}},
}

HEADERS_OF = {"unauthorized": RESPONSE_HEADERS | CHALLENGE}
"""What some problems say in headers beside what every answer says."""

ANSWER_HEADERS = {
    **RESPONSE_HEADERS,
    "Content-Encoding": {
        "description": "As Accept-Encoding prefers, where it pays. 按 Accept-Encoding 压缩，不划算时不压缩。",
        "schema": {"type": "string", "enum": list(ENCODINGS)},
    },
    "Vary": {"description": "What the answer depends on. 响应取决于哪些请求头。", "schema": {"type": "string"}},
}
"""Of an answer that was computed."""

REQUEST_HEADERS = [
    {
        "name": "Request-Timeout",
        "in": "header",
        "required": False,
        "description": "Seconds within which the answer is wanted; shortens the service's deadline. 期望的最长秒数。",
        "schema": {"type": "number", "exclusiveMinimum": 0},
    },
    {
        "name": "X-Request-ID",
        "in": "header",
        "required": False,
        "description": "An id to find this request by, returned in the answer if it matches [A-Za-z0-9._-]{1,128}; "
        "any other is replaced. 请求编号；不合格式的会被替换。",
        "schema": {"type": "string"},
    },
]

COMPUTING_PROBLEMS = (
    "malformed-body",
    "unauthorized",
    "not-acceptable",
    "timeout",
    "too-large",
    "unsupported-media-type",
    "invalid-request",
    "shape-mismatch",
    "unknown-name",
    "queue-full",
    "internal",
    "draining",
    "deadline-exceeded",
)
"""What a computing endpoint may answer instead of a result."""

METRICS_MEDIA_TYPES = ("text/plain", "application/openmetrics-text")

METRICS_EXAMPLE = """\
# HELP attention_in_flight Requests not yet answered, without probes and scrapes.
# TYPE attention_in_flight gauge
attention_in_flight 2.0
"""

STORED_REQUEST = (
    "A safetensors file. Tensors are named by where they stand in the JSON body, such as `query`, `mask.allowed`, "
    "`score_model.query_weight`, `partials.0.output` or `base.query`; the metadata `request` hold the JSON body "
    "without them. The stored type of query is the dtype; minus infinity, NaN and axes of no length are possible. "
    "safetensors 文件：张量以其在 JSON 中的路径命名，元数据 request 为其余的 JSON；query 的存储类型即 dtype。"
)
STORED_RESPONSE = (
    "A safetensors file: the arrays of the answer as tensors, such as `output`, `diagnostics.entropy` or "
    "`results.0.result.weights`, and in the metadata `response` the JSON answer without them. A top key of -1 is none. "
    "safetensors 文件：数组为张量，元数据 response 为其余的 JSON；top_key 为 -1 表示没有。"
)
COMPRESSED = (
    f"May be compressed: Content-Encoding {', '.join(ENCODINGS)}. "
    f"请求体可以压缩：Content-Encoding 为 {'、'.join(ENCODINGS)} 之一。"
)

REFERENCE = "#/components/schemas/{model}"


def attention_operation() -> Operation:
    """Describe POST /v1/attention, which also draws."""
    operation = _computing_operation(
        "计算注意力 · Attend",
        (AttentionRequest, worked_examples()),
        (AttentionResponse, ANSWERS["attention"]),
        "What was included, or a picture of the weights. 所请求的结果，或权重的图像。",
    )
    operation["responses"][200]["content"][SVG] = {
        "schema": {"type": "string", "description": "The weights as a labelled heat map. 带标注的权重热图。"}
    }
    return _with_progress(operation)


def estimate_operation() -> Operation:
    """Describe POST /v1/attention/estimate."""
    return _computing_operation(
        "估算开销 · Estimate",
        (AttentionRequest, worked_examples()),
        (EstimateResponse, ANSWERS["estimate"]),
        "What it would cost. 预计的开销。",
    )


def explain_operation() -> Operation:
    """Describe POST /v1/attention/explain."""
    return _computing_operation(
        "解释一个权重 · Explain",
        (ExplainRequest, EXPLANATIONS),
        (ExplainResponse, ANSWERS["explain"]),
        "Every number behind it. 背后的全部数字。",
    )


def compare_operation() -> Operation:
    """Describe POST /v1/attention/compare."""
    operation = _computing_operation(
        "比较变体 · Compare",
        (CompareRequest, COMPARISONS),
        (CompareResponse, ANSWERS["compare"]),
        "Every result, and how far apart they are. 全部结果及其差别。",
    )
    return _with_progress(operation)


def check_operation() -> Operation:
    """Describe POST /v1/attention/check."""
    operation = _computing_operation(
        "核对结果 · Check",
        (CheckRequest, CHECKS),
        (CheckResponse, ANSWERS["check"]),
        "Whether it is right, and why not. 是否正确，以及为什么不对。",
    )
    return _with_progress(operation)


def merge_operation() -> Operation:
    """Describe POST /v1/attention/merge."""
    return _computing_operation(
        "合并部分结果 · Merge",
        (MergeRequest, MERGES),
        (MergeResponse, ANSWERS["merge"]),
        "Attention over all the keys. 对全部键的注意力。",
    )


def _with_progress(operation: Operation) -> Operation:
    """Describe that the answer may be a stream of events as well."""
    operation["responses"][200]["content"][EVENT_STREAM] = {
        "schema": {
            "type": "string",
            "description": "Server-sent events. `progress`, any number of times: JSON with `done` tiles, of `total`, "
            "and `seconds_left`. Then `result`, the JSON answer, or `error`, a problem document, when it fails after "
            "the stream has begun. 服务器推送事件：若干次 progress（已完成 done 块，共 total 块，还需 "
            "seconds_left 秒），最后是 result（JSON 结果）；若在流开始之后失败，则是 error（问题文档）。",
        },
        "example": 'event: progress\ndata: {"done":1,"total":4,"seconds_left":0.3}\n\nevent: result\ndata: {}\n\n',
    }
    return operation


def _computing_operation(
    summary: str,
    request: tuple[type[BaseModel], NamedExamples],
    response: tuple[type[BaseModel], dict[str, Any]],
    description: str,
) -> Operation:
    """Describe a POST that computes."""
    request_model, examples = request
    content = {
        JSON: {"schema": reference(request_model), "examples": guarded(examples)},
        SAFETENSORS: {"schema": binary(STORED_REQUEST)},
    }
    body = {"required": True, "description": COMPRESSED, "content": content}
    extra = {"parameters": REQUEST_HEADERS, "requestBody": body}
    operation = _operation(summary, response[0], description, response[1], COMPUTING_PROBLEMS, extra)
    success = operation["responses"][200]
    success["content"][SAFETENSORS] = {"schema": binary(STORED_RESPONSE)}
    success["headers"] = ANSWER_HEADERS
    return operation


def binary(description: str) -> dict[str, Any]:
    """Return the schema of a body that is not text."""
    return {"type": "string", "format": "binary", "description": description}


def catalogue_operation(summary: str, model: type[BaseModel], example: dict[str, Any], *problems: str) -> Operation:
    """Describe a GET that reads the catalogue."""
    return _operation(summary, model, "As described. 如描述。", example, (*problems, "internal"))


def probe_operation(summary: str, status: str, *problems: str) -> Operation:
    """Describe a probe."""
    return _operation(summary, Probe, "Yes. 是。", {"status": status}, (*problems, "internal"))


def metrics_operation() -> Operation:
    """Describe GET /metrics."""
    content = {
        media_type: {"schema": {"type": "string"}, "example": METRICS_EXAMPLE} for media_type in METRICS_MEDIA_TYPES
    }
    success = {
        "description": "What was counted since the service started, summed over all its processes. "
        "服务启动以来的全部计数，已对所有进程求和。",
        "headers": RESPONSE_HEADERS,
        "content": content,
    }
    return {
        "summary": "指标 · Metrics",
        "response_class": Response,
        "responses": {200: success, **problem_responses(("internal",))},
    }


def _operation(
    summary: str,
    model: type[BaseModel],
    description: str,
    example: dict[str, Any],
    problems: tuple[str, ...],
    extra: Operation | None = None,
) -> Operation:
    success = {
        "description": description,
        "headers": RESPONSE_HEADERS,
        "content": {JSON: {"schema": reference(model), "example": guarded(example)}},
    }
    return {
        "summary": summary,
        "response_class": Response,
        "responses": {200: success, **problem_responses(problems)},
        "openapi_extra": extra,
    }


def problem_responses(
    slugs: tuple[str, ...], media_type: str = MEDIA_TYPE, model: type[BaseModel] = ProblemDocument
) -> dict[int, Operation]:
    """Return one response a status; slugs that share a status are examples of it."""
    responses: dict[int, Operation] = {}
    for slug in slugs:
        problem = PROBLEMS[slug]
        response = responses.setdefault(
            problem.status,
            {
                "description": "",
                "headers": HEADERS_OF.get(slug, RESPONSE_HEADERS),
                "content": {media_type: {"schema": reference(model), "examples": {}}},
            },
        )
        response["description"] = f"{response['description']}\n\n{_both(problem.title)}".strip()
        response["content"][media_type]["examples"][slug] = {
            "summary": f"{problem.title.zh} · {problem.title.en}",
            "value": {
                "type": f"/problems/{slug}",
                "title": problem.title.en,
                "status": problem.status,
                "detail": problem.advice.en,
                "instance": "4f1d2c3b5a697887",
            },
        }
    return responses


def reference(model: type[BaseModel]) -> dict[str, Any]:
    """Return a reference to the component that describes a body."""
    return component_reference(model.__name__)


def _both(text: Text) -> str:
    return f"{text.en}. {text.zh}。"
