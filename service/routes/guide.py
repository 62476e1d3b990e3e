"""The documentation site at /guide, in the folder that `make docs` builds; images and wheels carry it."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import Scope

from service.codecs.negotiate import preferred_language
from service.middleware.header_fields import header_field
from service.routes.assets import MEDIA_TYPES, PAGES
from service.routes.pages import page, redirect
from service.routes.static_files import PageFolder

router = APIRouter(tags=["operations"])

FOLDER = PAGES / "guide"
LANGUAGES = ("en", "zh")
"""Folders of the site, the one for everybody else first."""

TEXT = "text/plain; charset=utf-8"


class Guide(PageFolder):
    """The files of the site: pages, what they load, and the files of the project that they link to.

    :param frame_ancestors: see `page_headers`.
    """

    path = "/guide/{path}"
    media_types = MEDIA_TYPES | {
        ".html": "text/html; charset=utf-8",
        ".mjs": "text/javascript; charset=utf-8",
        ".png": "image/png",
        **dict.fromkeys((".cfg", ".json", ".py", ".sh", ".yaml", ".yml"), TEXT),
    }

    def __init__(self, frame_ancestors: tuple[str, ...]) -> None:
        super().__init__(FOLDER, frame_ancestors)

    async def check_config(self) -> None:
        """Accept that the folder is missing: it may be built while the service runs."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Serve a file; lead from the folder of a language to its first page, and from the site itself to a language.

        The redirects are relative, and so right inside any public prefix.
        """
        if path not in (".", *LANGUAGES) or scope["method"] not in ("GET", "HEAD"):
            return await super().get_response(path, scope)
        first = "index.html" if scope["path"].endswith("/") else f"{path}/index.html"
        query = scope["query_string"].decode("latin-1")
        location = f"{'../guide' if path == '.' else first}{'?' if query else ''}{query}"
        return RedirectResponse(location, status_code=307, headers=self.headers)


@router.get("/guide", include_in_schema=False)
async def guide(request: Request) -> Response:
    """Redirect to the site in the language that Accept-Language prefers; say how to build it where it is missing."""
    if not (FOLDER / "en" / "index.html").is_file():
        return page(request, "guide.html")
    language = preferred_language(header_field(request.scope, b"accept-language") or "", LANGUAGES)
    return redirect(request, f"/guide/{language}/index.html", {"Vary": "Accept-Language"})
