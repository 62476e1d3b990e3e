"""Pages: the index, playground, Swagger UI and problem pages.  All from this server, without inline scripts."""

from collections.abc import Mapping
from functools import cache, lru_cache
from html import escape
from importlib.metadata import version

import orjson
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from service.codecs.negotiate import ANYTHING, HTML, JSON, quality_of
from service.errors import NotFound
from service.examples import list_examples
from service.middleware.header_fields import header_field
from service.problems import PROBLEMS
from service.routes.assets import HTML_MEDIA_TYPE, Asset, template
from service.routes.catalogue import EXAMPLES
from service.routes.page_headers import page_headers
from service.routes.state import state_of
from service.schemas.catalogue import describe_normalizers, describe_score_models
from service.schemas.operations import Index
from service.specification import catalogue_operation

router = APIRouter(tags=["operations"])

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

PAGE_PATHS = frozenset(("/", "/docs", "/playground", "/problems", "/problems/{slug}"))
"""Templates of the pages; a path with a superfluous or missing slash at its end is redirected to them."""

PROBLEM_ROW = """
      <li>
        <p class="kind">{status} <code>{slug}</code></p>
        <p><a href="problems/{slug}">{title_en} · <span lang="zh-Hans">{title_zh}</span></a></p>
      </li>"""

MEANT = """
    <p>Did you mean · <span lang="zh-Hans">您要找的是不是</span> <a href="{root}{path}">{root}{path}</a></p>"""

GIVEN_EXAMPLES = ("honor-of-kings", "honor-of-kings-dragon")
"""The examples that the playground opens with."""

GIVEN = '<script id="given" type="application/json">'
"""The element of the playground that holds what it would ask the catalogue for.  Data, which no policy runs."""

MAX_PATH_CHARACTERS = 200
"""Most characters of a path in an error."""


@router.get(
    "/",
    **catalogue_operation(
        "首页 · Index",
        Index,
        {"name": "attention-service", "version": version("attention-service"), "kernel": "v3", "links": LINKS},
    ),
)
async def get_index(request: Request) -> Response:
    """Say where everything is; send a browser to /playground."""
    root = request.scope.get("root_path", "")
    if prefers_page(request):
        return redirect(request, "/playground", {"Vary": "Accept"})
    links = {name: root + path for name, path in LINKS.items()}
    kernel: str = request.app.state.service.kernel
    document = {"name": "attention-service", "version": version("attention-service"), "kernel": kernel, "links": links}
    return Response(orjson.dumps(document), media_type=JSON, headers={"Vary": "Accept"})


@router.get("/playground", include_in_schema=False)
async def playground(request: Request) -> Response:
    """Serve the playground."""
    return _respond(request, _playground())


@router.get("/docs", include_in_schema=False)
async def docs(request: Request) -> Response:
    """Serve Swagger UI."""
    return page(request, "docs.html")


@router.get("/problems", include_in_schema=False)
async def problems(request: Request) -> Response:
    """List every kind of problem in both languages."""
    rows = "".join(PROBLEM_ROW.format(**_shown(slug)) for slug in PROBLEMS)
    return page(request, "problems.html", rows=rows)


@router.get("/problems/{slug}", include_in_schema=False)
async def problem(request: Request, slug: str) -> Response:
    """Explain one kind of problem in both languages."""
    if slug in PROBLEMS:
        return page(request, "problem.html", **_shown(slug))
    if prefers_page(request):
        return not_found(request)
    raise NotFound(f"expected one of {', '.join(PROBLEMS)}; received {slug[:80]!r}. Choose one of these.")


def prefers_page(request: Request) -> bool:
    """Return whether a browser asks for a page: only browsers name HTML, while programs accept anything."""
    accept = header_field(request.scope, b"accept") or ANYTHING
    quality = quality_of(HTML, accept) if HTML in accept.lower() else 0.0
    return request.method in ("GET", "HEAD") and quality > 0 and quality >= quality_of(JSON, accept)


def not_found(request: Request, meant: str = "") -> Response:
    """Return the page for a path that is none, 404, with links to those that there are.

    :param meant: the path inside the public prefix that the reader may have meant; none by default.
    """
    request.scope["state"]["problem"] = "not-found"
    root = escape(request.scope.get("root_path", ""))
    shown = escape(request.scope["path"][:MAX_PATH_CHARACTERS])
    did_you_mean = MEANT.format(root=root, path=escape(meant)) if meant else ""
    html = template("not-found.html").format(root=root, path=shown, meant=did_you_mean)
    asset = Asset(html.encode(), HTML_MEDIA_TYPE)
    return asset.respond(request, {**_headers(request), "Vary": "Accept, Accept-Encoding"}, 404)


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


@cache
def _playground() -> str:
    """Return the playground with what it starts with in its page, which saves it five requests."""
    given = {
        "v1/score-models": describe_score_models(),
        "v1/normalizers": describe_normalizers(),
        "v1/examples": list_examples(EXAMPLES),
        **{f"v1/examples/{name}": EXAMPLES[name].as_dict() for name in GIVEN_EXAMPLES},
    }
    # In a script element "</" and "<!--" would mean something.
    document = orjson.dumps(given).decode().replace("<", "\\u003c")
    return template("playground.html").replace(GIVEN, GIVEN + document)


def page(request: Request, name: str, **fields: object) -> Response:
    """Return a page by the name of its template, with these fields filled in."""
    html = template(name)
    return _respond(request, html.format(**fields) if fields else html)


def _respond(request: Request, html: str) -> Response:
    return _asset(html).respond(request, _headers(request))


def _headers(request: Request) -> Mapping[str, str]:
    return page_headers(state_of(request).settings.frame_ancestors)


@lru_cache(maxsize=64)
def _asset(html: str) -> Asset:
    """Return a page that keeps its content codings; those of problems are few."""
    return Asset(html.encode(), HTML_MEDIA_TYPE)
