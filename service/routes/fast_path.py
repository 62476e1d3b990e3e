"""A shorter way to raw routes, past the router and the middleware of the application."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import product

from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from service.errors import ServiceError
from service.problems import on_service_error
from service.routes.raw_route import RawRequest, RawRoute


class FastPathMiddleware:
    """ASGI middleware that calls raw routes directly and passes every other request to the application.

    The application adds to a raw route only the search for it and the handling of ServiceError, which is the same here.
    Without them a request of the row "4 keys × 8, JSON, all three results" of benchmarks/RESULTS.md takes 24 µs less.
    Paths are compared as they are, so that requests below a public prefix take the normal way; `parameter_values` has
    the values of path parameters that are looked up; a route with another parameter takes the normal way.
    """

    def __init__(
        self, app: ASGIApp, routes: Iterable[BaseRoute], parameter_values: Mapping[str, Sequence[str]]
    ) -> None:
        self._app = app
        self._routes = {
            (method, route.path.format(**values)): (route, values)
            for route in routes
            if isinstance(route, RawRoute) and route.param_convertors.keys() <= parameter_values.keys()
            for values in _combinations(route.param_convertors, parameter_values)
            for method in route.methods or ()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one exchange."""
        found = None
        if scope["type"] == "http" and not scope.get("root_path"):
            found = self._routes.get((scope["method"], scope["path"]))
        if found is None:
            await self._app(scope, receive, send)
            return
        route, scope["path_params"] = found
        scope["route"] = route
        request = RawRequest(scope, receive, send)
        try:
            await route.serve(request)
        except ServiceError as error:
            await request.respond(await on_service_error(request, error))


def _combinations(names: Iterable[str], parameter_values: Mapping[str, Sequence[str]]) -> list[dict[str, str]]:
    """Return every combination of values for the parameters of a path: one, which is empty, without parameters."""
    names = list(names)
    return [dict(zip(names, values, strict=True)) for values in product(*(parameter_values[name] for name in names))]
