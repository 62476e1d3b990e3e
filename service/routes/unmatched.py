"""Requests without a route: another method, a superfluous or missing slash, or an unknown path."""

from collections.abc import Iterator

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Scope

from service.problems import path_inside, respond
from service.routes.pages import MAX_PATH_CHARACTERS, PAGE_PATHS, not_found, prefers_page, redirect

APIS = ("/v1/", "/v2/")
"""Paths of programs: an error below them is a problem document whatever Accept says."""


async def on_http_exception(request: Request, error: HTTPException) -> Response:
    """Answer an exception of the router: 405 with the methods of the path, a redirect to the page meant, or 404.

    A 404 is a page for a browser and a problem document for a program.
    """
    scope = request.scope
    if error.status_code == 405:
        allowed = ", ".join(_allowed_methods(scope))
        path = scope["path"][:MAX_PATH_CHARACTERS]
        detail = f"expected {allowed} for {path}; received {request.method}. Change the method."
        return respond(request, "method-not-allowed", detail, headers={"Allow": allowed})
    root = scope.get("root_path", "")
    detail = f"expected a known path; received {scope['path'][:MAX_PATH_CHARACTERS]}. "
    advice = f"See {root}/docs for all of them."
    meant = path_inside(scope).rstrip("/") or "/"
    found = _matching({**scope, "path": meant, "root_path": ""})
    route = next((one for one in found if isinstance(one, Route)), None)
    if route is not None and route.path in PAGE_PATHS and request.method == "GET":
        scope["route"] = route
        return redirect(request, meant)
    if prefers_page(request) and not path_inside(scope).startswith(APIS):
        return not_found(request, meant if route is not None else "")
    if route is None:
        return respond(request, "not-found", detail + advice)
    return respond(request, "not-found", f"{detail}Did you mean {root}{meant}? {advice}")


def _allowed_methods(scope: Scope) -> list[str]:
    """Return the methods of all routes on a path; HEAD is served wherever GET is, and files are only read."""
    methods = {method for route in _matching(scope) for method in getattr(route, "methods", None) or ("GET",)}
    return sorted(methods | {"HEAD"} if "GET" in methods else methods)


def _matching(scope: Scope) -> Iterator[BaseRoute]:
    """Yield the routes on the path of a request, with any methods."""
    for route in scope["app"].router.routes:
        if route.matches(scope)[0] is not Match.NONE:
            yield route
