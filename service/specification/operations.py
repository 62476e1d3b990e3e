"""The operations of the OpenAPI document, as keyword arguments of route decorators."""

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel
from starlette.responses import Response

from attention_core.native import KERNEL_CHOICES
from service.codecs.negotiate import ENCODINGS, EVENT_STREAM, JSON, METRICS_MEDIA_TYPES
from service.codecs.registry import CODECS, READERS
from service.problems import COMPUTING_PROBLEMS, INFERENCE_MEDIA_TYPE, MEDIA_TYPE, PROBLEMS
from service.schemas.base import Text
from service.schemas.components import component_name, component_reference
from service.schemas.expressions import (
    KINDS,
    ExpressionLanguage,
    ExpressionResponse,
    describe_language,
)
from service.schemas.open_inference import InferenceProblem
from service.schemas.operations import Probe
from service.schemas.problem import ProblemDocument
from service.specification.endpoints import Endpoint
from service.specification.examples import ANSWERS
from service.specification.nulls import guarded

Operation = dict[str, Any]

EXAMPLE_FORMULA = "v @ tanh(W_q @ q + W_k @ k)"

REQUEST_ID = {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,128}$"}

RESPONSE_HEADERS = {
    "X-Request-ID": {"description": "The caller's id, or a new one. 请求编号。", "schema": REQUEST_ID},
}

ANSWER_HEADERS = {
    **RESPONSE_HEADERS,
    "Attention-Kernel": {
        "description": "The compiled kernel that computed, or numpy: with the same kernel a row has the same bits. "
        "计算所用的内核；内核相同，则同一行的结果逐位相同。",
        "schema": {"type": "string", "enum": [choice for choice in KERNEL_CHOICES if choice != "auto"]},
    },
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
        "description": "Seconds within which the answer is wanted, digits with an optional fraction such as 2.5; "
        "shortens the service's deadline. 期望的最长秒数，例如 2.5。",
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

ANY_REQUEST_PROBLEMS = ("malformed-body", "internal")
"""Problems of every endpoint: header fields that contradict one another, and a defect."""

METRICS_EXAMPLE = """\
# HELP attention_in_flight Requests not yet answered, without probes and scrapes.
# TYPE attention_in_flight gauge
attention_in_flight 2.0
"""

COMPRESSED = (
    f"May be compressed: Content-Encoding {', '.join(ENCODINGS)}. "
    f"请求体可以压缩：Content-Encoding 为 {'、'.join(ENCODINGS)} 之一。"
)


def binary(description: str) -> dict[str, Any]:
    """Return the schema of a body that is not text."""
    return {"type": "string", "format": "binary", "description": description}


EVENTS: Operation = {
    "schema": {
        "type": "string",
        "description": "Server-sent events. `progress`, any number of times: JSON with `done` tiles, of `total`, "
        "and `seconds_left`. Then `result`, the JSON answer, or `error`, a problem document, when it fails after "
        "the stream has begun. 服务器推送事件：若干次 progress（已完成 done 块，共 total 块，还需 "
        "seconds_left 秒），最后是 result（JSON 结果）；若在流开始之后失败，则是 error（问题文档）。",
    },
    "example": 'event: progress\ndata: {"done":1,"total":4,"seconds_left":0.3}\n\nevent: result\ndata: {}\n\n',
}


def representation(media_type: str, description: Text) -> Operation:
    """Describe a body in another representation than JSON."""
    both = f"{description.en} {description.zh}"
    return {"schema": binary(both) if CODECS[media_type].is_binary else {"type": "string", "description": both}}


def _answer_content(media_type: str) -> Operation:
    """Describe an answer in another representation than JSON, or as a stream of events."""
    return EVENTS if media_type == EVENT_STREAM else representation(media_type, CODECS[media_type].answer)


def operation(
    summary: str,
    content: Operation,
    problems: Iterable[str] = (),
    *,
    description: str = "As described. 如描述。",
    inference: bool = False,
    **extra: Any,
) -> Operation:
    """Describe a route.

    :param content: bodies of an answer, by media type.
    :param problems: slugs of what may be answered instead, beside those of every endpoint.
    :param description: of the answer.
    :param inference: whether problems are those of the Open Inference Protocol.
    :param extra: further members of the operation, such as the body of a request.
    """
    success = {"description": description, "headers": RESPONSE_HEADERS, "content": content}
    return {
        "summary": summary,
        "response_class": Response,
        "responses": {200: success, **_problem_responses((*problems, *ANY_REQUEST_PROBLEMS), inference=inference)},
        "openapi_extra": extra or None,
    }


def json_content(model: type[BaseModel], example: Any, *, many: bool = False) -> Operation:
    """Describe a JSON body, or a list of such bodies."""
    schema = reference(model)
    return {JSON: {"schema": {"type": "array", "items": schema} if many else schema, "example": guarded(example)}}


def computing_operation(endpoint: Endpoint) -> Operation:
    """Describe a POST that computes."""
    bodies = {JSON: {"schema": reference(endpoint.request), "examples": guarded(endpoint.examples)}}
    bodies |= {name: representation(name, CODECS[name].body) for name in READERS if name != JSON}
    answers = json_content(endpoint.response, ANSWERS[endpoint.name])
    answers |= {name: _answer_content(name) for name in endpoint.offered[1:]}
    described = operation(
        f"{endpoint.title.zh} · {endpoint.title.en}",
        answers,
        COMPUTING_PROBLEMS,
        description=f"{endpoint.answer.en} {endpoint.answer.zh}",
        parameters=REQUEST_HEADERS,
        requestBody={"required": True, "description": COMPRESSED, "content": bodies},
    )
    described["responses"][200]["headers"] = ANSWER_HEADERS
    return described | {"name": endpoint.name, "description": f"{endpoint.about.en} {endpoint.about.zh}"}


def catalogue_operation(summary: str, model: type[BaseModel], example: dict[str, Any], *problems: str) -> Operation:
    """Describe a GET that reads the catalogue."""
    return operation(summary, json_content(model, example), problems)


def expressions_operation() -> Operation:
    """Describe a GET that reads the language of formulas, or checks one of them."""
    schema = {"anyOf": [reference(ExpressionLanguage), reference(ExpressionResponse)]}
    content: Operation = {JSON: {"schema": schema, "example": guarded(describe_language())}}
    return operation(
        "公式 · Expressions",
        content,
        ("invalid-request", "shape-mismatch", "unknown-name"),
        description="The language; with `formula` what that formula says. 公式的语言；给出 formula 则检查该公式。",
        parameters=[
            {
                "name": "formula",
                "in": "query",
                "required": False,
                "description": "A formula to check; a wrong one is a 422 with the column. 要检查的公式。",
                "schema": {"type": "string"},
                "example": EXAMPLE_FORMULA,
            },
            {
                "name": "kind",
                "in": "query",
                "required": False,
                "description": "Where the formula is to stand; default the first that it is good for. 公式的用途。",
                "schema": {"type": "string", "enum": list(KINDS)},
            },
        ],
    )


def probe_operation(summary: str, status: str, *problems: str) -> Operation:
    """Describe a probe."""
    return operation(summary, json_content(Probe, {"status": status}), problems, description="Yes. 是。")


def metrics_operation() -> Operation:
    """Describe GET /metrics."""
    text = {"schema": {"type": "string"}, "example": METRICS_EXAMPLE}
    return operation(
        "指标 · Metrics",
        dict.fromkeys(METRICS_MEDIA_TYPES, text),
        ("not-acceptable",),
        description="Counts since the service started, summed over all its processes. "
        "服务启动以来的全部计数，已对所有进程求和。",
    )


def _problem_responses(slugs: Iterable[str], *, inference: bool) -> dict[int, Operation]:
    """Return one response a status; slugs that share a status are examples of it."""
    media_type, model = (INFERENCE_MEDIA_TYPE, InferenceProblem) if inference else (MEDIA_TYPE, ProblemDocument)
    responses: dict[int, Operation] = {}
    for slug in dict.fromkeys(slugs):
        problem = PROBLEMS[slug]
        own = {
            name: {"description": f"{one.about.en} {one.about.zh}", "schema": {"type": "string"}}
            for name, one in problem.headers.items()
        }
        response = responses.setdefault(
            problem.status,
            {
                "description": "",
                "headers": RESPONSE_HEADERS | own,
                "content": {media_type: {"schema": reference(model), "examples": {}}},
            },
        )
        response["description"] = f"{response['description']}\n\n{problem.title.en}. {problem.title.zh}。".strip()
        document = {
            "type": f"/problems/{slug}",
            "title": problem.title.en,
            "status": problem.status,
            "detail": problem.advice.en,
            "instance": "4f1d2c3b5a697887",
        }
        response["content"][media_type]["examples"][slug] = {
            "summary": f"{problem.title.zh} · {problem.title.en}",
            "value": document | ({"error": problem.advice.en} if inference else {}),
        }
    return responses


def reference(model: type[BaseModel]) -> dict[str, Any]:
    """Return a reference to the component that describes a body."""
    return component_reference(component_name(model))
