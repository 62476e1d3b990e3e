"""The memories that a request may reach, by its API key and its header fields."""

import re

from starlette.requests import Request

from service.errors import MalformedBody
from service.memories import ALWAYS, EVERYONE, MemoryAccess, Precondition
from service.middleware.header_fields import header_fields
from service.routes.state import state_of

ENTITY_TAG = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
TAGS = re.compile(rf"[ \t]*(?:{ENTITY_TAG})(?:[ \t]*,[ \t]*(?:{ENTITY_TAG})?)*[ \t]*")
"""A list of entity tags (RFC 9110, 8.8.3 and 5.6.1)."""

STRONG_TAG = re.compile(r'(?<!W/)"([^"]*)"')


def access_of(request: Request) -> MemoryAccess:
    """Return the memories that a request may reach, with the precondition of its header fields."""
    fields = header_fields(request.scope)
    condition = ALWAYS
    if b"if-match" in fields:
        condition = _if_match(fields[b"if-match"].decode("latin-1"))
    return MemoryAccess(state_of(request).memories, EVERYONE, condition)


def _if_match(value: str) -> Precondition:
    """Return the precondition of If-Match (RFC 9110, 13.1.1), whose comparison is strong: a weak tag never matches."""
    if value.strip() == "*":
        return Precondition(present=True)
    if not TAGS.fullmatch(value):
        raise MalformedBody(
            f'expected If-Match to be * or a list of entity tags such as "q83v"; received {value[:80]!r}. Send '
            "the ETag of the memory as it came, quotes included."
        )
    return Precondition(versions=tuple(STRONG_TAG.findall(value)))
