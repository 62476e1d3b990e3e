"""Exceptions become problem documents (RFC 9457) here and nowhere else; this is the only table of statuses."""

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from service import errors
from service.errors import (
    Disconnected,
    InvalidRequest,
    ServiceError,
    UnsupportedEncoding,
    UnsupportedMediaType,
    Violation,
)
from service.schemas.base import Text

MEDIA_TYPE = "application/problem+json"

INFERENCE_MEDIA_TYPE = "application/json"
"""What clients of the Open Inference Protocol take an error for, with the text as `error`."""

DEFECT = "expected no defect; received one. Report it with the request id in instance."

INFERENCE_PREFIX = "/v2"


@dataclass(frozen=True, slots=True)
class Problem:
    """One kind of problem: its status, its title, and what a person can do about it."""

    status: HTTPStatus
    title: Text
    advice: Text


PROBLEMS: dict[str, Problem] = {
    "malformed-body": Problem(
        HTTPStatus.BAD_REQUEST,
        Text("请求无法解码", "The request cannot be decoded"),
        Text(
            "请求体不是合法的 JSON（裸写的 NaN、Infinity、多余的逗号都不是 JSON），或嵌套过深，"
            "或压缩数据损坏，或 safetensors 文件的头部与数据不符，"
            "或 /v2 的张量与其声明的形状、类型、长度不符，或 Request-Timeout 不是正数。",
            "The body is not strict JSON (bare NaN or Infinity and trailing commas are not JSON) or is nested too "
            "deep, its compression is broken, the header of a safetensors file does not fit its data, a tensor of /v2 "
            "is not what its shape, datatype and size announce, or Request-Timeout is not a positive number.",
        ),
    ),
    "unauthorized": Problem(
        HTTPStatus.UNAUTHORIZED,
        Text("需要 API 密钥", "An API key is needed"),
        Text(
            "请发送 Authorization: Bearer <密钥> 或 X-API-Key: <密钥>；没有密钥或密钥失效时，请联系服务的管理员。",
            "Send Authorization: Bearer <key>, or X-API-Key: <key>. Whoever runs the service gives keys, and new ones "
            "for those that have expired.",
        ),
    ),
    "forbidden": Problem(
        HTTPStatus.FORBIDDEN,
        Text("此来源的网页不可使用", "Pages of this origin may not use the service"),
        Text(
            "请服务的管理员把该来源加入 ATTENTION_CORS_ORIGINS。",
            "Ask whoever runs the service to add the origin to ATTENTION_CORS_ORIGINS.",
        ),
    ),
    "not-found": Problem(
        HTTPStatus.NOT_FOUND,
        Text("没有这个资源", "There is no such resource"),
        Text("检查路径；全部接口见 /docs。", "Check the path; /docs lists every endpoint."),
    ),
    "method-not-allowed": Problem(
        HTTPStatus.METHOD_NOT_ALLOWED,
        Text("不支持这个方法", "The method is not allowed here"),
        Text("Allow 响应头列出可用的方法。", "The Allow header lists the methods that are."),
    ),
    "not-acceptable": Problem(
        HTTPStatus.NOT_ACCEPTABLE,
        Text("没有可接受的表示", "No acceptable representation"),
        Text(
            "把 Accept 设为 application/json 或 application/vnd.safetensors（/v1/attention 还有 image/svg+xml），"
            "或不发送；Accept-Encoding 也不能排除一切。",
            "Set Accept to application/json or application/vnd.safetensors, on /v1/attention also image/svg+xml, or "
            "leave it out; and let Accept-Encoding not exclude everything.",
        ),
    ),
    "timeout": Problem(
        HTTPStatus.REQUEST_TIMEOUT,
        Text("请求体没有按时到达", "The body did not arrive in time"),
        Text("更快地发送，或发送更少的数据。", "Send it faster, or send less."),
    ),
    "too-large": Problem(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        Text("请求超出限制", "The request exceeds a limit"),
        Text(
            "请求体，或预计的结果、内存、运算量超过了限制；detail 给出了数字。减少数据，或少要几个返回字段。",
            "The body, or the predicted result, memory or operations exceed a limit; detail has the numbers. "
            "Send less, or include fewer fields.",
        ),
    ),
    "unsupported-media-type": Problem(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        Text("不支持的内容类型", "Unsupported media type"),
        Text(
            "Content-Type 应为 application/json 或 application/vnd.safetensors，"
            "Content-Encoding 可为 gzip、deflate、br 或 zstd（/v2 只有前两种）；"
            "响应头 Accept 或 Accept-Encoding 列出可用的取值。",
            "Content-Type is to be application/json or application/vnd.safetensors, and Content-Encoding may be gzip, "
            "deflate, br or zstd, on /v2 the first two; the header Accept or Accept-Encoding of the answer lists what "
            "is read.",
        ),
    ),
    "invalid-request": Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        Text("请求内容有误", "The request is not valid"),
        Text(
            "JSON 可以解码，但某个字段缺失、类型不对或超出范围；errors 中的 pointer 指向第一个出错的元素。",
            "The JSON decodes, but a field is missing, of the wrong type or out of range; the pointer in errors leads "
            "to the first offending element.",
        ),
    ),
    "shape-mismatch": Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        Text("形状不匹配", "Shapes do not fit"),
        Text(
            "query (…, Lq, D)、key (…, Lk, D)、value (…, Lk, Dv)：特征数相同，每个键对应一个值，前导轴可广播。",
            "query (…, Lq, D), key (…, Lk, D), value (…, Lk, Dv): equal features, one value per key, leading axes that "
            "broadcast.",
        ),
    ),
    "unknown-name": Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        Text("未知的名称", "Unknown name"),
        Text(
            "没有这个字段、打分函数、归一化方法、位置编码或类型；detail 会给出最接近的名称。",
            "There is no such field, score model, normalizer, position or dtype; detail suggests the nearest name.",
        ),
    ),
    "queue-full": Problem(
        HTTPStatus.TOO_MANY_REQUESTS,
        Text("排队已满", "The queue is full"),
        Text("稍等 Retry-After 秒后重试。", "Try again after the seconds in Retry-After."),
    ),
    "internal": Problem(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        Text("服务内部错误", "Internal error"),
        Text(
            "这是服务的缺陷；报告时请附上 instance 中的请求编号。",
            "This is a defect of the service; report it with the request id in instance.",
        ),
    ),
    "draining": Problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        Text("服务正在启动或停止", "The service is starting or stopping"),
        Text("稍后重试，或换一个实例。", "Try again later, or another replica."),
    ),
    "deadline-exceeded": Problem(
        HTTPStatus.GATEWAY_TIMEOUT,
        Text("超过截止时间", "The deadline has passed"),
        Text("减少数据，或用 Request-Timeout 允许更长的时间。", "Send less, or allow more time with Request-Timeout."),
    ),
}
"""Every kind of problem by its slug."""

SLUGS: dict[type[Exception], str] = {
    errors.MalformedBody: "malformed-body",
    errors.NotFound: "not-found",
    errors.NotAcceptable: "not-acceptable",
    errors.BodyTimeout: "timeout",
    errors.TooLarge: "too-large",
    errors.UnsupportedMediaType: "unsupported-media-type",
    errors.UnsupportedEncoding: "unsupported-media-type",
    errors.QueueFull: "queue-full",
    errors.NoRoom: "queue-full",
    errors.Draining: "draining",
    errors.DeadlineExceeded: "deadline-exceeded",
}

HEADERS: dict[str, dict[str, str]] = {
    "queue-full": {"Retry-After": "1"},
    "draining": {"Retry-After": "1"},
}
"""What a problem says in headers besides its body."""


async def on_service_error(request: Request, error: Exception) -> Response:
    """Answer an error that the service raised on purpose; one whose client is gone goes on its way."""
    if isinstance(error, Disconnected):
        raise error
    violations = error.violations if isinstance(error, InvalidRequest) else None
    return respond(request, slug_of(error), str(error), violations=violations, headers=_accepted(error))


def _accepted(error: Exception) -> Mapping[str, str]:
    """Return what would have been read, in the header that tells a wrong type from a wrong encoding (RFC 7694)."""
    if isinstance(error, UnsupportedMediaType):
        return {"Accept": ", ".join(error.accepted)}
    if isinstance(error, UnsupportedEncoding):
        return {"Accept-Encoding": ", ".join(error.accepted)}
    return {}


async def on_disconnected(_: Request, error: Exception) -> Response:
    """Answer nobody: the envelope ends the exchange."""
    raise error


async def on_http_exception(request: Request, error: Exception) -> Response:
    """Answer what the router raises: no such path, or not with this method."""
    if isinstance(error, HTTPException) and error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = (error.headers or {}).get("Allow", "")
        detail = f"expected {allowed} for {request.url.path}; received {request.method}. Change the method."
        return respond(request, "method-not-allowed", detail, headers=error.headers)
    detail = f"expected a known path; received {request.url.path[:200]}. See /docs for all of them."
    return respond(request, "not-found", detail)


def internal_error(request: Request) -> Response:
    """Answer a defect, telling nothing of its insides."""
    return respond(request, "internal", DEFECT)


def cut_short(request: Request) -> Response:
    """Answer a request that the end of the process has overtaken."""
    detail = "expected to finish before the process ends; received more work than that. Ask another replica."
    return respond(request, "draining", detail)


def problem_of(request: Request, error: Exception) -> dict[str, Any]:
    """Return the problem document of whatever went wrong, for those to whom it is told in another form."""
    slug, detail = (slug_of(error), str(error)) if isinstance(error, ServiceError) else ("internal", DEFECT)
    return problem_document(
        slug,
        detail,
        root_path=request.scope.get("root_path", ""),
        instance=request.scope["state"]["request_id"],
        violations=error.violations if isinstance(error, InvalidRequest) else None,
    )


def respond(
    request: Request,
    slug: str,
    detail: str,
    *,
    violations: list[Violation] | None = None,
    headers: Mapping[str, str] | None = None,
    members: Mapping[str, Any] | None = None,
) -> Response:
    """Return the problem document of a slug, with more members where somebody looks for them."""
    scope = request.scope
    scope["state"]["problem"] = slug
    document = problem_document(
        slug, detail, root_path=scope.get("root_path", ""), instance=scope["state"]["request_id"], violations=violations
    )
    document |= members or {}
    inference = speaks_open_inference(scope)
    return Response(
        orjson.dumps(document | {"error": detail} if inference else document),
        status_code=PROBLEMS[slug].status,
        headers={**HEADERS.get(slug, {}), **(headers or {})},
        media_type=INFERENCE_MEDIA_TYPE if inference else MEDIA_TYPE,
    )


def speaks_open_inference(scope: Scope) -> bool:
    """Return whether whoever sent a request expects the errors of that protocol: on every path below its prefix."""
    inside = path_inside(scope)
    return inside == INFERENCE_PREFIX or inside.startswith(f"{INFERENCE_PREFIX}/")


def path_inside(scope: Scope) -> str:
    """Return the path without the public prefix, which a proxy may have stripped or not."""
    path: str = scope["path"]
    root = scope.get("app_root_path", scope.get("root_path", ""))
    return path.removeprefix(root) if path.startswith(f"{root}/") else path


def slug_of(error: Exception) -> str:
    """Return which kind of problem an error is that the service raised on purpose."""
    return error.violations[0].kind if isinstance(error, InvalidRequest) else SLUGS[type(error)]


def problem_document(
    slug: str,
    detail: str,
    *,
    root_path: str = "",
    instance: str | None = None,
    violations: list[Violation] | None = None,
) -> dict[str, Any]:
    """Return the problem document of a slug; what is not sent over HTTP has no instance."""
    problem = PROBLEMS[slug]
    document: dict[str, Any] = {
        "type": f"{root_path}/problems/{slug}",
        "title": problem.title.en,
        "status": problem.status,
        "detail": detail,
    }
    if instance is not None:
        document["instance"] = instance
    if violations:
        document["errors"] = [{"pointer": violation.pointer, "detail": violation.detail} for violation in violations]
    return document


Handler = Callable[[Request, Any], Coroutine[Any, Any, Response]]

HANDLERS: Mapping[int | type[Exception], Handler] = {
    errors.Disconnected: on_disconnected,
    ServiceError: on_service_error,
    HTTPException: on_http_exception,
}
"""What the application registers."""
