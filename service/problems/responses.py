"""Exceptions become problem documents (RFC 9457)."""

from collections.abc import Callable, Coroutine, Mapping
from math import ceil
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from service.errors import (
    ClusterUnavailable,
    InvalidRequest,
    MemoriesUnavailable,
    PreconditionFailed,
    RangeNotSatisfiable,
    ServiceError,
    UnsupportedEncoding,
    UnsupportedMediaType,
    Violation,
)
from service.memories import MEMORY_VERSION_FIELD
from service.problems.kinds import INFERENCE_MEDIA_TYPE, MEDIA_TYPE, PROBLEMS

DEFECT = "expected no defect; received one. Report it with the request id in instance."

INFERENCE_PREFIX = "/v2"


async def on_service_error(request: Request, error: ServiceError) -> Response:
    """Answer an error that the service raised on purpose."""
    violations = error.violations if isinstance(error, InvalidRequest) else None
    headers = _headers_of(error)
    if error.memory_version is not None:
        headers = {**headers, MEMORY_VERSION_FIELD: error.memory_version}
    return respond(request, error.slug, detail_of(error), violations=violations, headers=headers)


def detail_of(error: ServiceError) -> str:
    """Return the detail of an error, with a sentence on what the request has changed before."""
    return f"{error}{error.sentence_on_memory}"


def _headers_of(error: ServiceError) -> Mapping[str, str]:
    """Return the header fields of one error: accepted types or codings (RFC 7694), a size, a version, a time."""
    if isinstance(error, UnsupportedMediaType):
        return {"Accept": ", ".join(error.accepted)}
    if isinstance(error, UnsupportedEncoding):
        return {"Accept-Encoding": ", ".join(error.accepted)}
    if isinstance(error, RangeNotSatisfiable):
        return {"Content-Range": f"bytes */{error.size}"}
    if isinstance(error, PreconditionFailed):
        return {} if error.current is None else {"ETag": f'"{error.current}"'}
    if isinstance(error, (MemoriesUnavailable, ClusterUnavailable)):
        return {"Retry-After": str(ceil(error.retry_seconds))}
    return {}


def internal_error(request: Request) -> Response:
    """Answer a defect without its traceback or text."""
    return respond(request, "internal", DEFECT)


def cut_short(request: Request) -> Response:
    """Answer a request that is still computing when the process ends."""
    detail = "expected to finish before the process ends; received more work than that. Ask another replica."
    return respond(request, "draining", detail)


def problem_of(request: Request, error: Exception) -> dict[str, Any]:
    """Return the problem document of an error, for an answer that has begun, such as a stream of events."""
    slug, detail = (error.slug, detail_of(error)) if isinstance(error, ServiceError) else ("internal", DEFECT)
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
    """Return a response with the problem document of a slug.

    :param members: further members of the document.
    """
    scope = request.scope
    scope["state"]["problem"] = slug
    document = problem_document(
        slug, detail, root_path=scope.get("root_path", ""), instance=scope["state"]["request_id"], violations=violations
    )
    document |= members or {}
    inference = speaks_open_inference(scope)
    usual = {name: one.value for name, one in PROBLEMS[slug].headers.items()}
    return Response(
        orjson.dumps(document | {"error": detail} if inference else document),
        status_code=PROBLEMS[slug].status,
        headers={**usual, **(headers or {})},
        media_type=INFERENCE_MEDIA_TYPE if inference else MEDIA_TYPE,
    )


def speaks_open_inference(scope: Scope) -> bool:
    """Return whether a request expects errors of that protocol: on every path below its prefix."""
    inside = path_inside(scope)
    return inside == INFERENCE_PREFIX or inside.startswith(f"{INFERENCE_PREFIX}/")


def path_inside(scope: Scope) -> str:
    """Return the path without the public prefix, which a proxy may have stripped or not."""
    path: str = scope["path"]
    root = scope.get("app_root_path", scope.get("root_path", ""))
    if path == root:
        return "/"
    return path.removeprefix(root) if path.startswith(f"{root}/") else path


def problem_document(
    slug: str,
    detail: str,
    *,
    root_path: str = "",
    instance: str | None = None,
    violations: list[Violation] | None = None,
) -> dict[str, Any]:
    """Return the problem document of a slug; an error outside HTTP has no instance."""
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

HANDLERS: Mapping[int | type[Exception], Handler] = {ServiceError: on_service_error}
"""What the application registers; requests that no route takes are answered by the routes.

Disconnected has no handler, so that it reaches the middleware that ends the exchange, also after an answer has begun:
Starlette replaces an exception that has one by a RuntimeError then.
"""
