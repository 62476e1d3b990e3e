"""The OpenAPI document as served: with the prefix of this server, compressed, and with an entity tag."""

import re
from functools import lru_cache
from hashlib import sha256
from typing import Any

import orjson
from fastapi import APIRouter, FastAPI
from starlette.requests import Request
from starlette.responses import Response

from service.codecs.negotiate import JSON, WantedEncoding, choose_encoding
from service.compute import Reply, encoded
from service.middleware.header_fields import header_field
from service.routes.state import state_of
from service.specification import build

router = APIRouter()

MAX_REPRESENTATIONS = 32
"""Representations that are kept, one for each content coding and prefix of a trusted proxy."""

ENTITY_TAG = re.compile(r'(?:W/)?("[^"]*")')


class ServedDocument:
    """The document in each requested representation, which is made once, since that takes milliseconds."""

    def __init__(self, app: FastAPI, *, asks_for_keys: bool) -> None:
        self._document: dict[str, Any] = build(app, asks_for_keys=asks_for_keys)
        self.represent = lru_cache(maxsize=MAX_REPRESENTATIONS)(self._represent)

    def _represent(self, prefix: str, wanted: WantedEncoding) -> tuple[Reply, str]:
        """Return the document for a prefix in a content coding, and its strong entity tag."""
        content = orjson.dumps(self._document | {"servers": [{"url": prefix or "/"}]})
        reply = encoded(Reply(content, JSON), wanted)
        return reply, f'"{sha256(reply.content).hexdigest()[:32]}"'


@router.get("/openapi.json", include_in_schema=False)
async def openapi(request: Request) -> Response:
    """Serve the document, or 304 to a client that has it (RFC 9110, section 13.1.2)."""
    service = state_of(request)
    if service.document is None:
        # Build it once in each process, for the first request.
        service.document = ServedDocument(request.app, asks_for_keys=service.settings.asks_for_keys)
    wanted = choose_encoding(header_field(request.scope, b"accept-encoding"))
    reply, tag = service.document.represent(request.scope.get("root_path", ""), wanted)
    headers = {"ETag": tag, "Vary": "Accept-Encoding", "Cache-Control": "no-cache"}
    if has_tag(tag, header_field(request.scope, b"if-none-match") or ""):
        return Response(status_code=304, headers=headers)
    return Response(reply.content, media_type=JSON, headers={**reply.headers, **headers})


def has_tag(tag: str, if_none_match: str) -> bool:
    """Return whether If-None-Match names the representation, by weak comparison."""
    return if_none_match.strip() == "*" or tag in ENTITY_TAG.findall(if_none_match)
