"""Pages: the index, playground, Swagger UI and problem pages.  All from this server, without inline scripts."""

import os
from collections.abc import Mapping
from functools import cache
from html import escape
from importlib.metadata import version
from importlib.resources import files
from os import PathLike
from pathlib import Path

import orjson
from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from service.codecs.negotiate import ANYTHING, HTML, JSON, quality_of
from service.errors import NotFound
from service.middleware.header_fields import header_field, header_fields
from service.problems import PROBLEMS
from service.routes.ranges import checked_range
from service.schemas.operations import Index
from service.specification import catalogue_operation

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
    "expressions": "/v1/expressions",
    "normalizers": "/v1/normalizers",
    "examples": "/v1/examples",
    "memories": "/v1/memories",
    "playground": "/playground",
    "documentation": "/docs",
    "guide": "/guide",
    "specification": "/openapi.json",
    "liveness": "/livez",
    "metrics": "/metrics",
    "open_inference": "/v2",
    "readiness": "/readyz",
}

PAGES = files("service") / "pages"

PAGE_PATHS = frozenset(("/", "/docs", "/playground", "/problems", "/problems/{slug}"))
"""Templates of the pages; a path with a superfluous or missing slash at its end is redirected to them."""

PROBLEM_ROW = """
      <li>
        <p class="kind">{status} <code>{slug}</code></p>
        <p><a href="problems/{slug}">{title_en} · <span lang="zh-Hans">{title_zh}</span></a></p>
      </li>"""

MEDIA_TYPES = {
    "": "text/plain; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".md": "text/markdown; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
"""Media types by suffix, independent of the tables of the machine; LICENSE and NOTICE have no suffix.  Other files, as
the HTML templates of the pages, are not served."""


class Pages(StaticFiles):
    """The static files of the pages, with the headers of a page."""

    path = "/static/{path}"
    """The route of all static files in logs and metrics."""

    media_types = MEDIA_TYPES

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the path below the mount; it begins with the public prefix unless a proxy has removed that."""
        scope["route"] = self
        prefix, mount, path = scope["app_root_path"], scope["root_path"], scope["path"]
        mounted_at = mount if path.startswith(f"{mount}/") else mount.removeprefix(prefix)
        scope["root_path"] = prefix  # a problem document points to its page, which is not below the mount
        await super().__call__({**scope, "root_path": "", "path": path.removeprefix(mounted_at)}, receive, send)

    def file_response(
        self, full_path: str | PathLike[str], stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        """Serve one file of a known kind, or the requested part of it.

        Raises MalformedBody for a Range that is malformed, RangeNotSatisfiable, and a 404 for another suffix.
        """
        media_type = self.media_types.get(Path(full_path).suffix)
        if media_type is None:
            raise HTTPException(404)
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers.update(PAGE_HEADERS)
        if "Content-Type" in response.headers:  # absent from 304
            response.headers["Content-Type"] = media_type
            validators = (response.headers["ETag"], response.headers["Last-Modified"])
            if not checked_range(header_fields(scope), stat_result.st_size, validators):
                # The response reads Range when it is called.
                scope["headers"] = [line for line in scope["headers"] if line[0] != b"range"]
        return response


@router.get(
    "/",
    **catalogue_operation(
        "首页 · Index", Index, {"name": "attention-service", "version": "0.1.0", "kernel": "v3", "links": LINKS}
    ),
)
async def get_index(request: Request) -> Response:
    """Where everything is; a browser is sent to /playground. 首页。"""
    root = request.scope.get("root_path", "")
    accept = header_field(request.scope, b"accept") or ANYTHING
    # Only browsers name HTML; programs accept anything.
    html = quality_of(HTML, accept) if HTML in accept.lower() else 0.0
    if html > 0 and html >= quality_of(JSON, accept):
        return redirect(request, "/playground", {"Vary": "Accept"})
    links = {name: root + path for name, path in LINKS.items()}
    kernel: str = request.app.state.service.kernel
    document = {"name": "attention-service", "version": version("attention-service"), "kernel": kernel, "links": links}
    return Response(orjson.dumps(document), media_type=JSON, headers={"Vary": "Accept"})


@router.get("/playground", include_in_schema=False)
async def playground() -> Response:
    """Serve the playground."""
    return page("playground.html")


@router.get("/docs", include_in_schema=False)
async def docs() -> Response:
    """Serve Swagger UI."""
    return page("docs.html")


@router.get("/problems", include_in_schema=False)
async def problems() -> Response:
    """List every kind of problem in both languages."""
    rows = "".join(PROBLEM_ROW.format(**_shown(slug)) for slug in PROBLEMS)
    return page("problems.html", rows=rows)


@router.get("/problems/{slug}", include_in_schema=False)
async def problem(slug: str) -> Response:
    """Explain one kind of problem in both languages."""
    if slug not in PROBLEMS:
        raise NotFound(f"expected one of {', '.join(PROBLEMS)}; received {slug[:80]!r}. Choose one of these.")
    return page("problem.html", **_shown(slug))


def redirect(request: Request, path: str, headers: Mapping[str, str] | None = None) -> Response:
    """Redirect to a path inside the public prefix, with the same query."""
    query = request.scope.get("query_string", b"").decode("latin-1")
    location = f"{request.scope.get('root_path', '')}{path}{'?' if query else ''}{query}"
    return RedirectResponse(location, status_code=307, headers=headers)


def _shown(slug: str) -> dict[str, object]:
    """Return the fields of a problem page, as HTML."""
    kind = PROBLEMS[slug]
    return {
        "slug": slug,
        "status": int(kind.status),
        "title_zh": escape(kind.title.zh),
        "title_en": escape(kind.title.en),
        "advice_zh": escape(kind.advice.zh),
        "advice_en": escape(kind.advice.en),
    }


def page(name: str, **fields: object) -> Response:
    """Return a page of the folder `pages`, with these fields filled in."""
    html = _read(name)
    return HTMLResponse(html.format(**fields) if fields else html, headers=PAGE_HEADERS)


@cache
def _read(name: str) -> str:
    return (PAGES / name).read_text(encoding="utf-8")
