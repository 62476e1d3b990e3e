"""Pages for people: the index, Swagger UI, what each kind of problem means.  All from this server, no inline script."""

from functools import cache
from html import escape
from importlib.metadata import version
from importlib.resources import files
from os import PathLike
from pathlib import Path
from typing import Any

import orjson
from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from service.codecs.negotiate import JSON, choose_encoding
from service.compute import Reply, encoded
from service.errors import NotFound
from service.problems import PROBLEMS
from service.routes.state import state_of
from service.schemas.operations import Index
from service.specification import build, catalogue_operation

router = APIRouter(tags=["operations"])

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)

PAGE_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cache-Control": "no-cache",
}

LINKS = {
    "attention": "/v1/attention",
    "score_models": "/v1/score-models",
    "normalizers": "/v1/normalizers",
    "examples": "/v1/examples",
    "playground": "/playground",
    "documentation": "/docs",
    "specification": "/openapi.json",
    "liveness": "/livez",
    "metrics": "/metrics",
    "open_inference": "/v2",
    "readiness": "/readyz",
}

PAGES = files("service") / "pages"

MEDIA_TYPES = {
    "": "text/plain; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".md": "text/markdown; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
"""By suffix, whatever tables the machine has; LICENSE and NOTICE have none.  Anything else, such as the HTML of the
pages, which only a route can complete, is not served as a file."""


class Pages(StaticFiles):
    """The files that the pages are made of, with the headers of a page."""

    path = "/static/{path}"
    """What all of them are called in logs and metrics."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the path below the mount, which a proxy may have stripped of the public prefix."""
        scope["route"] = self
        public, whole, path = scope["app_root_path"], scope["root_path"], scope["path"]
        mounted_at = whole if path.startswith(f"{whole}/") else whole.removeprefix(public)
        scope["root_path"] = public  # a problem document points to its page, which is not below the mount
        await super().__call__({**scope, "root_path": "", "path": path.removeprefix(mounted_at)}, receive, send)

    def file_response(self, full_path: str | PathLike[str], *arguments: Any, **options: Any) -> Response:
        """Serve one file, if it is of a known kind."""
        media_type = MEDIA_TYPES.get(Path(full_path).suffix)
        if media_type is None:
            raise HTTPException(404)
        response = super().file_response(full_path, *arguments, **options)
        response.headers.update(PAGE_HEADERS)
        if "Content-Type" in response.headers:  # not when nothing has changed since the browser last asked
            response.headers["Content-Type"] = media_type
        return response


@router.get(
    "/", **catalogue_operation("首页 · Index", Index, {"name": "attention-service", "version": "0.1.0", "links": LINKS})
)
async def index(request: Request) -> Response:
    """Where everything is; a browser is sent to /playground. 首页。"""
    root = request.scope.get("root_path", "")
    if "text/html" in request.headers.get("accept", ""):
        return RedirectResponse(f"{root}/playground", status_code=307, headers={"Vary": "Accept"})
    links = {name: root + path for name, path in LINKS.items()}
    document = {"name": "attention-service", "version": version("attention-service"), "links": links}
    return Response(orjson.dumps(document), media_type=JSON, headers={"Vary": "Accept"})


@router.get("/openapi.json", include_in_schema=False)
async def openapi(request: Request) -> Response:
    """Serve the specification, with the prefix under which this server is published."""
    service = state_of(request)
    if service.specification is None:
        # Once for each process: it takes long enough to keep other requests waiting.
        document = build(request.app, asks_for_keys=service.settings.asks_for_keys)
        document |= {"servers": [{"url": request.scope.get("root_path", "") or "/"}]}
        service.specification = orjson.dumps(document)
    # It is the longest text here, and shrinks to a tenth in a millisecond.
    reply = encoded(Reply(service.specification, JSON), choose_encoding(request.headers.get("accept-encoding")))
    return Response(reply.content, media_type=JSON, headers={**reply.headers, "Vary": "Accept-Encoding"})


@router.get("/playground", include_in_schema=False)
async def playground() -> Response:
    """Serve the playground."""
    return _page(_read("playground.html"))


@router.get("/docs", include_in_schema=False)
async def docs() -> Response:
    """Serve Swagger UI."""
    return _page(_read("docs.html"))


@router.get("/problems/{slug}", include_in_schema=False)
async def problem(slug: str) -> Response:
    """Explain one kind of problem in both languages."""
    if slug not in PROBLEMS:
        raise NotFound(f"expected one of {', '.join(PROBLEMS)}; received {slug[:80]!r}. Choose one of these.")
    kind = PROBLEMS[slug]
    page = _read("problem.html").format(
        slug=slug,
        status=int(kind.status),
        title_zh=escape(kind.title.zh),
        title_en=escape(kind.title.en),
        advice_zh=escape(kind.advice.zh),
        advice_en=escape(kind.advice.en),
    )
    return _page(page)


def _page(html: str) -> Response:
    return HTMLResponse(html, headers=PAGE_HEADERS)


@cache
def _read(name: str) -> str:
    return (PAGES / name).read_text(encoding="utf-8")
