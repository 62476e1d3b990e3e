"""The answer to a request that does not reach the application: a problem document as bytes."""

import logging
from collections.abc import Iterable
from http import HTTPStatus
from os import urandom
from typing import Any

from starlette.requests import Request
from uvicorn.server import ServerState

from service.middleware.forwarded import InvalidPrefix, TrustedProxies
from service.middleware.request_context import REQUEST_ID
from service.problems import respond
from service.serving.heads import RefusedRequest, path_of
from service.telemetry.exchange import OTHER, Exchange, media_type_of

REFUSED = "refused"
"""Key of the lifespan state: a callable that records the `Exchange` of a request that the protocol refused."""

Headers = Iterable[tuple[bytes, bytes]]

log = logging.getLogger("service.error")


class RefusalWriter:
    """Writes refusals on one connection."""

    def __init__(
        self, root_path: str, trusted_proxies: Iterable[str], app_state: dict[str, Any], server_state: ServerState
    ) -> None:
        self._root_path, self._trusted_proxies = root_path, trusted_proxies
        self._app_state, self._server_state = app_state, server_state

    def write(self, refused: RefusedRequest, peer: str | None, method: bytes, target: bytes, headers: Headers) -> bytes:
        """Return a whole response, which ends the connection, and log and count it.

        The body has the format of errors on the path of `target`; the request id is that of `headers`, or new.  `peer`
        is the address of the client, whose path prefix counts where it is a trusted proxy.
        """
        sent_id = next((value for name, value in headers if name == b"x-request-id"), b"")
        request_id = sent_id.decode() if REQUEST_ID.fullmatch(sent_id) else urandom(8).hex()
        scope: dict[str, Any] = {
            "type": "http",
            "path": path_of(target),
            "root_path": self._prefix(peer, headers),
            "headers": [],
            "state": {"request_id": request_id},
        }
        response = respond(Request(scope), refused.slug, refused.detail)
        log.warning("refused: %s", refused.slug, extra={"request_id": request_id})
        status = HTTPStatus(response.status_code)
        # The answer to HEAD has the headers of an answer and no body.
        body = b"" if method == b"HEAD" else bytes(response.body)
        if REFUSED in self._app_state:
            exchange = Exchange(
                request_id, OTHER, measured=False, received_type=OTHER, status=status, problem=refused.slug
            )
            exchange.sent, exchange.sent_type = len(body), media_type_of(response.headers["content-type"].encode())
            self._app_state[REFUSED](exchange)
        fields = [
            *self._server_state.default_headers,
            *response.raw_headers,
            (b"x-request-id", request_id.encode()),
            (b"connection", b"close"),
        ]
        head = b"".join(b"%s: %s\r\n" % field for field in fields)
        return b"HTTP/1.1 %d %s\r\n%s\r\n%s" % (status, status.phrase.encode(), head, body)

    def _prefix(self, peer: str | None, headers: Headers) -> str:
        """Return the path prefix of links: that of a trusted proxy, if it sent a valid one."""
        try:
            sent = TrustedProxies(self._trusted_proxies).prefix(peer, headers)
        except InvalidPrefix:
            sent = None
        return self._root_path if sent is None else sent
