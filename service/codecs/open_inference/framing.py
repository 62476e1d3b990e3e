"""Split the body of an inference into JSON and raw tensors, and decode the JSON."""

import re
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import orjson

from attention_wire.open_inference import HEADER, json_length
from service.codecs import json
from service.errors import MalformedBody, TooLarge

ALIGNMENT = 16
"""Bytes to which CPython aligns the contents of a bytes object; numbers of every datatype need 8 or fewer."""

MAX_HEAD_BYTES = 4096
"""JSON of at most this length holds names and shapes rather than numbers: it is decoded without looking for arrays."""

STRING = re.compile(b"(%b)" % json.STRING.pattern, re.DOTALL)

BARE_NAME = re.compile(rb"(?:NaN|Infinity)\s*:")
"""A member whose name is NaN or Infinity without quotes: the protocol allows these two as numbers alone."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of the JSON part.

    :param size: bytes of JSON.
    :param depth: levels of nesting.
    """

    size: int
    depth: int


def lead_of(header: str | None) -> int:
    """Return the number of bytes to put in front of a body so that its raw tensors begin at a multiple of `ALIGNMENT`.

    :param header: the value of `HEADER`; without a length in it the result is 0.
    """
    length = json_length(header)
    return 0 if length is None else -length % ALIGNMENT


def json_end(header: str | None, lead: int) -> int | None:
    """Return the offset at which the JSON of a body ends, counted from the start of its lead.

    :param header: the value of `HEADER`.  None is returned if it holds no length: the whole body is then JSON.
    :param lead: bytes in front of the body, as `lead_of` returns them.
    """
    length = json_length(header)
    return None if length is None else lead + length


def split(content: bytes, header: str | None, lead: int = 0) -> tuple[bytes, memoryview]:
    """Return the JSON and, uncopied, the bytes of the raw tensors.

    :param content: `lead` bytes and the body.
    :param header: the value of `HEADER`; None means that the whole body is JSON.

    Raises MalformedBody for a header that is no length, or a length that does not fit the body.
    """
    if header is None:
        return content, memoryview(b"")
    body, length = memoryview(content)[lead:], json_length(header)
    if length is None:
        raise MalformedBody(
            f"expected a number of bytes in {HEADER}; received {header[:40]!r}. Send the length of the JSON."
        )
    if length == 0:
        raise MalformedBody(
            f"expected JSON before the raw tensors; received {HEADER}: 0. One raw tensor cannot say which is query, "
            "key and value: send the JSON that names them."
        )
    if length > len(body):
        raise MalformedBody(
            f"expected at most {len(body)} in {HEADER}, the length of the body; received {length}. "
            "Send the length of the JSON alone."
        )
    return bytes(body[:length]), body[length:]


def decode_head(head: bytes, limits: Limits) -> Any:
    """Return the JSON value.

    Lists of numbers become arrays, unless the JSON has at most `MAX_HEAD_BYTES`.  NaN, Infinity and -Infinity without
    quotes become strings.  Raises TooLarge or MalformedBody.
    """
    if len(head) > limits.size:
        raise TooLarge(
            f"expected at most {limits.size} bytes of JSON; received {len(head)}. Send the tensors as raw bytes."
        )
    if len(head) <= MAX_HEAD_BYTES and head.count(b"[") + head.count(b"{") <= limits.depth:
        with suppress(orjson.JSONDecodeError):
            document = orjson.loads(head)
            json.require_distinct(head, json.count_members(document))
            return document
    try:
        return json.decode(head, limits.depth)
    except (MalformedBody, TooLarge):
        quoted = _quoted(head) if b"NaN" in head or b"Infinity" in head else head
        if quoted == head:
            raise
    return json.decode(quoted, limits.depth)


def _quoted(head: bytes) -> bytes:
    """Return JSON with quotes around NaN, Infinity and -Infinity, which the protocol writes without them."""
    # Every other piece is a string.
    pieces = STRING.split(head)
    for place in range(0, len(pieces), 2):
        piece = pieces[place]
        if not BARE_NAME.search(piece):
            piece = piece.replace(b"NaN", b'"NaN"').replace(b"Infinity", b'"Infinity"')
            pieces[place] = piece.replace(b'-"Infinity"', b'"-Infinity"')
    return b"".join(pieces)
