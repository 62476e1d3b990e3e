"""API keys: requests to protected paths without a valid key are refused before their body is read.

The owner of the key goes into the state of the request, where `owner_of` finds it.
"""

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from service.keys import EVERYONE, Keyring, Owner
from service.middleware.header_fields import header_fields
from service.problems import PROBLEMS, path_inside, respond

PROTECTED = ("/v1", "/v2")
"""Prefixes below which every path needs a key, whether there is a route or not."""

PUBLIC = ("/v2/health",)
"""Exceptions: the probes of /v2 …"""

PUBLIC_READS = ("/v1/score-models", "/v1/normalizers", "/v1/expressions", "/v1/examples")
"""… and GET of the catalogue, which is part of the public specification, and which the playground needs to start."""

BEARER = b"bearer "

STATE = "owner"
"""Where the state of a request keeps the owner of its key; absent where no keys are asked for."""

TWO_OWNERS = (
    "expected API keys of one owner in Authorization and X-API-Key; received keys of two. Send one of the headers only."
)
"""Detail of the error for a request with two valid keys that do not belong together."""

DOUBLED_BEARER = (
    "expected the word Bearer once, as in Authorization: Bearer <key>; received it twice. Remove one of the two: a "
    "form that asks for the key, as Swagger UI does, puts the word before it, and wants the key alone."
)
BEARER_ALONE = "expected a key behind Bearer, as in Authorization: Bearer <key>; received Bearer alone. Add the key."
BEARER_IN_X_API_KEY = (
    "expected the key alone in X-API-Key; received the word Bearer before it. Remove the word, or send the same as "
    "Authorization."
)
NO_SCHEME = (
    "expected the word Bearer before the key, as in Authorization: Bearer <key>; received one word. Put Bearer and a "
    "space before the key, or send it alone in X-API-Key."
)
OTHER_SCHEME = (
    "expected an API key in Authorization: Bearer <key> or X-API-Key: <key>; received none, since Authorization begins "
    "with another word than Bearer. Send the API key in one of the two ways."
)
"""Details of the error for keys that are not written as they should be."""

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
        owners = {owner for key in presented if (owner := self._keyring.owner_of(key)) is not None}
        if len(owners) > 1:
            # A proxy in front of the service may have acted on the other key.
            await _refuse(Request(scope), "malformed-body", TWO_OWNERS, {})(scope, receive, send)
        elif owners:
            scope["state"][STATE] = owners.pop()
            await self._app(scope, receive, send)
        elif _needs_key(scope):
            await _ask_for_key(Request(scope), presented)(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def owner_of(scope: Scope) -> Owner:
    """Return the owner of the API key of a request; EVERYONE where no keys are asked for.

    :param scope: of the request, behind ApiKeyMiddleware.
    """
    owner: Owner = scope["state"].get(STATE, EVERYONE)
    return owner


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


def _ask_for_key(request: Request, presented: list[bytes]) -> Response:
    """Return the answer 401."""
    where = "Authorization: Bearer <key> or X-API-Key: <key>"
    detail = _miswritten(header_fields(request.scope))
    if detail is None and presented:
        detail = f"expected an API key that this service knows in {where}; received another. Check it for missing "
        detail += "characters, or ask the operator of this service for a new one."
    elif detail is None:
        detail = f"expected an API key in {where}; received none. Ask the operator of this service for one."
    if not presented:
        return _refuse(request, "unauthorized", detail, {})
    challenge = PROBLEMS["unauthorized"].headers["WWW-Authenticate"].value
    return _refuse(request, "unauthorized", detail, {"WWW-Authenticate": f'{challenge}, error="invalid_token"'})


def _miswritten(fields: Mapping[bytes, bytes]) -> str | None:
    """Return how a key was written wrongly, without the key; None where it was not."""
    authorization, own = fields.get(b"authorization", b"").strip(), fields.get(b"x-api-key", b"").strip()
    scheme, _, key = authorization.partition(b" ")
    if scheme.lower() == BEARER.strip():
        if key.strip().lower().startswith(BEARER):
            return DOUBLED_BEARER
        if not key.strip():
            return BEARER_ALONE
    if own.lower().startswith(BEARER):
        return BEARER_IN_X_API_KEY
    if authorization and not own and scheme.lower() != BEARER.strip():
        return OTHER_SCHEME if key else NO_SCHEME
    return None


def _refuse(request: Request, problem: str, detail: str, headers: dict[str, str]) -> Response:
    """Return the answer to a request whose body is not read; the connection is closed if a large one may follow."""
    closing = {"Connection": "close"} if _large_body(request) else {}
    return respond(request, problem, detail, headers=headers | closing)


def _large_body(request: Request) -> bool:
    fields = header_fields(request.scope)
    # The server has refused a length that is not digits.
    return b"transfer-encoding" in fields or int(fields.get(b"content-length", b"0")) > MAX_KEEP_ALIVE_BODY_BYTES
