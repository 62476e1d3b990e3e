"""The OpenAPI document: bodies fully described although the routes read bytes, every error, every example.

The functions that end in `_operation` return the keyword arguments of a route decorator; `build` writes the document.
"""

from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.responses import Response

from service.codecs.negotiate import JSON
from service.examples import Example, load_examples
from service.problems import MEDIA_TYPE, PROBLEMS
from service.schemas import catalogue
from service.schemas.attention import AttentionRequest
from service.schemas.base import Text
from service.schemas.operations import Index, Probe
from service.schemas.problem import ProblemDocument
from service.schemas.results import AttentionResponse, EstimateResponse
from service.schemas.tensors import TENSOR_COMPONENTS, component_reference

Operation = dict[str, Any]

TITLE = "Attention as a service · 注意力即服务"

DESCRIPTION = """\
Send queries, keys and values, choose how they are scored and normalised, and receive scores, weights and outputs.
Every edge case is decided and documented, and every error says what was expected, what came and what to change.

发送查询（Q）、键（K）、值（V），选择打分函数与归一化方法，得到得分、权重与输出。
每种边界情况都有明确的结果；每个错误都会说明期望什么、收到什么、怎么改。
"""

TAGS = [
    {"name": "attention", "description": "Compute. 计算。"},
    {"name": "catalogue", "description": "Score models, normalizers and worked examples. 目录与例题。"},
    {"name": "operations", "description": "Probes and pages. 探针与页面。"},
]

REQUEST_ID = {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,128}$"}

RESPONSE_HEADERS = {
    "X-Request-ID": {"description": "The caller's id, or a new one. 请求编号。", "schema": REQUEST_ID},
}

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
    "not-acceptable",
    "timeout",
    "too-large",
    "unsupported-media-type",
    "invalid-request",
    "shape-mismatch",
    "unknown-name",
    "queue-full",
    "internal",
    "deadline-exceeded",
)
"""What a computing endpoint may answer instead of a result."""

MODELS: tuple[type[BaseModel], ...] = (
    AttentionRequest,
    AttentionResponse,
    EstimateResponse,
    catalogue.ExampleResponse,
    catalogue.Examples,
    catalogue.Normalizers,
    catalogue.ScoreModels,
    Index,
    Probe,
    ProblemDocument,
)
"""Every body that is described; what they refer to comes along."""

ANSWER = {
    "scores": [[3.15, 1.6, 1.2, 0.5]],
    "weights": [[0.7016690736051048, 0.1489278391695713, 0.09982931600813535, 0.04957377121718851]],
    "output": [[0.736527720723689, 0.3241678258147518, 0.19905946864971472]],
    "score_model": {"name": "scaled_dot_product", "scale": 0.5},
    "normalizer": {"name": "softmax", "temperature": 1.0},
    "dtype": "float64",
    "notes": [],
}


ESTIMATE = {
    "operations": 60,
    "bytes": 256,
    "result_bytes": 160,
    "path": "dense",
    "allowed": True,
    "limits": {"max_operations": 2_000_000_000_000, "max_result_bytes": 67_108_864, "bytes_in_flight": 268_435_456},
}


def attention_operation() -> Operation:
    """Describe POST /v1/attention."""
    return _computing_operation("计算注意力 · Attend", AttentionResponse, "What was included. 所请求的结果。", ANSWER)


def estimate_operation() -> Operation:
    """Describe POST /v1/attention/estimate."""
    return _computing_operation("估算开销 · Estimate", EstimateResponse, "What it would cost. 预计的开销。", ESTIMATE)


def _computing_operation(summary: str, model: type[BaseModel], description: str, example: dict[str, Any]) -> Operation:
    """Describe a POST that reads an attention request."""
    examples = {name: _as_openapi(one) for name, one in load_examples().items()}
    content = {JSON: {"schema": _reference(AttentionRequest), "examples": examples}}
    body = {"parameters": REQUEST_HEADERS, "requestBody": {"required": True, "content": content}}
    return _operation(summary, model, description, example, COMPUTING_PROBLEMS, body)


def catalogue_operation(summary: str, model: type[BaseModel], example: dict[str, Any], *problems: str) -> Operation:
    """Describe a GET that reads the catalogue."""
    return _operation(summary, model, "As described. 如描述。", example, (*problems, "internal"))


def probe_operation(summary: str, status: str, *problems: str) -> Operation:
    """Describe a probe."""
    return _operation(summary, Probe, "Yes. 是。", {"status": status}, (*problems, "internal"))


def build(app: FastAPI) -> dict[str, Any]:
    """Return the document for the routes of an application."""
    document = get_openapi(
        title=TITLE,
        version=version("attention-service"),
        description=DESCRIPTION,
        routes=app.routes,
        tags=TAGS,
        license_info=None,
    )
    _, definitions = models_json_schema([(model, "validation") for model in MODELS], ref_template=REFERENCE)
    document["components"] = {"schemas": dict(sorted({**definitions["$defs"], **TENSOR_COMPONENTS}.items()))}
    for operation in (operation for path in document["paths"].values() for operation in path.values()):
        # FastAPI adds its own 422 to every path with a parameter; ours take any string and answer 404.
        if "HTTPValidationError" in str(operation["responses"].get("422", "")):
            del operation["responses"]["422"]
    return document


REFERENCE = "#/components/schemas/{model}"


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
        "content": {JSON: {"schema": _reference(model), "example": example}},
    }
    return {
        "summary": summary,
        "response_class": Response,
        "responses": {200: success, **_problem_responses(problems)},
        "openapi_extra": extra,
    }


def _problem_responses(slugs: tuple[str, ...]) -> dict[int, Operation]:
    """Return one response a status; slugs that share a status are examples of it."""
    responses: dict[int, Operation] = {}
    for slug in slugs:
        problem = PROBLEMS[slug]
        response = responses.setdefault(
            problem.status,
            {
                "description": "",
                "headers": RESPONSE_HEADERS,
                "content": {MEDIA_TYPE: {"schema": _reference(ProblemDocument), "examples": {}}},
            },
        )
        response["description"] = f"{response['description']}\n\n{_both(problem.title)}".strip()
        response["content"][MEDIA_TYPE]["examples"][slug] = {
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


def _reference(model: type[BaseModel]) -> dict[str, Any]:
    return component_reference(model.__name__)


def _both(text: Text) -> str:
    return f"{text.en}. {text.zh}。"


def _as_openapi(example: Example) -> dict[str, Any]:
    return {
        "summary": f"{example.title['zh']} · {example.title['en']}",
        "description": f"{example.story['zh']}\n\n{example.story['en']}",
        "value": example.request,
    }
