"""API keys: requests to protected paths without a valid key are refused before their body is read."""

from collections.abc import Mapping

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from service.keys import Keyring
from service.middleware.header_fields import header_fields
from service.problems import PROBLEMS, path_inside, respond

PROTECTED = ("/v1", "/v2")
"""Prefixes below which every path needs a key, whether there is a route or not."""

PUBLIC = ("/v2/health",)
"""Exceptions: the probes of /v2 …"""

PUBLIC_READS = ("/v1/score-models", "/v1/normalizers", "/v1/expressions", "/v1/examples")
"""… and GET of the catalogue, which is part of the public specification, and which the playground needs to start."""

BEARER = b"bearer "

MAX_KEEP_ALIVE_BODY_BYTES = 64 * 1024
"""A body up to this size may follow a refusal on a connection that stays open; behind a larger one it is closed."""


class ApiKeyMiddleware:
    """ASGI middleware that refuses requests to protected paths without a valid key."""

    def __init__(self, app: ASGIApp, keyring: Keyring) -> None:
        self._app = app
        self._keyring = keyring

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve or refuse one exchange."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # Most requests have a key; those need no look at their path.
        presented = _presented(header_fields(scope))
        for key in presented:
            if self._keyring.accepts(key):
                await self._app(scope, receive, send)
                return
        if _needs_key(scope):
            await _refuse(Request(scope), presented, receive, send)
        else:
            await self._app(scope, receive, send)


def _needs_key(scope: Scope) -> bool:
    path = path_inside(scope)
    if not _below(path, PROTECTED) or _below(path, PUBLIC):
        return False
    return not (scope["method"] == "GET" and _below(path, PUBLIC_READS))


def _below(path: str, prefixes: tuple[str, ...]) -> bool:
    return any(path == prefix or path.startswith(f"{prefix}/") for prefix in prefixes)


def _presented(fields: Mapping[bytes, bytes]) -> list[bytes]:
    """Return the keys of both headers; a proxy may have put credentials of its own into Authorization."""
    keys = []
    authorization = fields.get(b"authorization", b"")
    if authorization[: len(BEARER)].lower() == BEARER:
        keys.append(authorization[len(BEARER) :].strip())
    if b"x-api-key" in fields:
        keys.append(fields[b"x-api-key"])
    return keys


async def _refuse(request: Request, presented: list[bytes], receive: Receive, send: Send) -> None:
    """Answer 401, and close the connection if a large body may follow."""
    where = "Authorization: Bearer … or X-API-Key"
    headers: dict[str, str] = {}
    if presented:
        detail = f"expected an API key that this service knows in {where}; received another. Check it for missing "
        detail += "characters, or ask the operator of this service for a new one."
        challenge = PROBLEMS["unauthorized"].headers["WWW-Authenticate"].value
        headers["WWW-Authenticate"] = f'{challenge}, error="invalid_token"'
    else:
        detail = f"expected an API key in {where}; received none. Ask the operator of this service for one."
    if _large_body(request):
        headers["Connection"] = "close"
    response = respond(request, "unauthorized", detail, headers=headers)
    await response(request.scope, receive, send)


def _large_body(request: Request) -> bool:
    fields = header_fields(request.scope)
    # The server has refused a length that is not digits.
    return b"transfer-encoding" in fields or int(fields.get(b"content-length", b"0")) > MAX_KEEP_ALIVE_BODY_BYTES
