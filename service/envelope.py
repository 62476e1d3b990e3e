"""What every exchange carries, whatever happens inside: a request id, one log line, and never a bare failure."""

import asyncio
import logging
import re
from os import urandom
from time import perf_counter

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import Disconnected
from service.logs import AccessLog
from service.problems import cut_short, internal_error

REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")

error_log = logging.getLogger("service.error")


class Envelope:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp, access_log: AccessLog) -> None:
        self._app = app
        self._access_log = access_log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one exchange."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = perf_counter()
        request_id = _request_id(scope)
        scope.setdefault("state", {})["request_id"] = request_id
        id_header = (b"x-request-id", request_id.encode())
        if scope["method"] == "HEAD":
            # The answer to HEAD is that to GET; the server leaves the body out.
            scope = {**scope, "method": "GET"}
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"].append(id_header)
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except Disconnected:
            pass
        except asyncio.CancelledError:
            if status:
                raise
            # Only a process that has run out of time to drain cancels what it is at.
            await cut_short(Request(scope))(scope, receive, send_with_id)
        except Exception:
            error_log.exception("unexpected failure", extra={"request_id": request_id})
            if status:
                raise  # half an answer is out: only closing the connection tells the client that it is not whole
            await internal_error(Request(scope))(scope, receive, send_with_id)
        finally:
            route = getattr(scope.get("route"), "path", None)
            self._access_log.write(request_id, scope["method"], route, status, perf_counter() - started)


def _request_id(scope: Scope) -> str:
    """Return the caller's id if it is well-formed, else a new one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and REQUEST_ID.fullmatch(value):
            return str(value, "ascii")
    return urandom(8).hex()
