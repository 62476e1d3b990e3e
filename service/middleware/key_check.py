"""Who may use what costs something: requests without a key that is known are refused before their body is read."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from service.keys import Keyring
from service.problems import path_inside, respond

CLOSED = ("/v1", "/v2")
"""Prefixes below which everything needs a key, whatever routes there are."""

OPEN = ("/v2/health",)
"""Except the probes of /v2 …"""

OPEN_TO_READ = ("/v1/score-models", "/v1/normalizers", "/v1/examples")
"""… and the catalogue, which says no more than the specification, and without which the playground could not start."""

BEARER = b"bearer "

MOST_KEYS = 2
"""Of those that a request carries so many are tried: one in each header."""

CHALLENGE = 'Bearer realm="attention-service"'

SMALL_BYTES = 64 * 1024
"""A body up to this size may follow a refusal on a connection that stays open; the server passes over it."""

LINGER_SECONDS = 2.0
"""How long a larger body is passed over before the connection closes: closing at once would reset it, and a client that
still sends would lose the answer."""


class KeyCheck:
    """ASGI middleware that lets in whoever has a key."""

    def __init__(self, app: ASGIApp, keyring: Keyring) -> None:
        self._app = app
        self._keyring = keyring

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve or refuse one exchange."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # A request that has a key, as most do, need not be looked at any further.
        presented = _presented(scope["headers"])
        for key in presented:
            if self._keyring.lets_in(key):
                await self._app(scope, receive, send)
                return
        if _needs_key(scope):
            await _refuse(Request(scope), presented, receive, send)
        else:
            await self._app(scope, receive, send)


def _needs_key(scope: Scope) -> bool:
    path = path_inside(scope)
    if not _below(path, CLOSED) or _below(path, OPEN):
        return False
    return not (scope["method"] == "GET" and _below(path, OPEN_TO_READ))


def _below(path: str, prefixes: tuple[str, ...]) -> bool:
    return any(path == prefix or path.startswith(f"{prefix}/") for prefix in prefixes)


def _presented(headers: Iterable[tuple[bytes, bytes]]) -> list[bytes]:
    """Return the keys that came; a proxy may have filled Authorization with something of its own."""
    keys = []
    for name, value in headers:
        if name == b"authorization":
            if value[: len(BEARER)].lower() == BEARER:
                keys.append(value[len(BEARER) :].strip())
        elif name == b"x-api-key":
            keys.append(value)
    return keys[:MOST_KEYS]


async def _refuse(request: Request, presented: list[bytes], receive: Receive, send: Send) -> None:
    """Answer 401, and close the connection where a large body may follow."""
    where = "Authorization: Bearer … or X-API-Key"
    if presented:
        detail = f"expected an API key that this service knows in {where}; received another. Check it for missing "
        detail += "characters, or ask whoever runs this service for a new one."
        challenge = f'{CHALLENGE}, error="invalid_token"'
    else:
        detail = f"expected an API key in {where}; received none. Ask whoever runs this service for one."
        challenge = CHALLENGE
    response = respond(request, "unauthorized", detail, headers={"WWW-Authenticate": challenge})
    if not _large_body(request):
        await response(request.scope, receive, send)
        return
    response.headers["Connection"] = "close"
    await send({"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers})
    await send({"type": "http.response.body", "body": bytes(response.body), "more_body": True})
    with suppress(TimeoutError):
        async with asyncio.timeout(LINGER_SECONDS):
            while (await receive()).get("more_body", False):
                pass
    await send({"type": "http.response.body", "body": b""})


def _large_body(request: Request) -> bool:
    length = request.headers.get("content-length", "0")
    return "transfer-encoding" in request.headers or not length.isdecimal() or int(length) > SMALL_BYTES
