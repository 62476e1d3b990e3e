"""Where the JSON of a body ends and its raw tensors begin."""

import json as standard_json
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import orjson

from service.codecs import json
from service.errors import MalformedBody, TooLarge

HEADER = "Inference-Header-Content-Length"
"""Its value is the length of the JSON in bytes; without it the whole body is JSON."""

ALIGNMENT = 16
"""Of the memory that bytes are kept in, and enough for numbers of any datatype."""

SMALL = 4096
"""Up to here JSON holds names and shapes rather than numbers, and it is not worth looking for arrays."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of the JSON part."""

    size: int
    depth: int


def lead_of(header_length: str | None) -> int:
    """Return how many bytes before a body put the raw tensors in it where arrays of any datatype are aligned."""
    length = _length(header_length)
    return 0 if length is None else -length % ALIGNMENT


def split(content: bytes, header_length: str | None, lead: int = 0) -> tuple[bytes, memoryview]:
    """Return the JSON and, uncopied, the bytes of the raw tensors of a body behind a lead; raises MalformedBody."""
    if header_length is None:
        return content, memoryview(b"")
    body, length = memoryview(content)[lead:], _length(header_length)
    if length is None:
        raise MalformedBody(
            f"expected a number of bytes in {HEADER}; received {header_length[:40]!r}. Send the length of the JSON."
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


def _length(header_length: str | None) -> int | None:
    text = (header_length or "").strip()
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else None


def decode_head(head: bytes, limits: Limits) -> Any:
    """Return the JSON value, in long JSON with arrays in place of number lists.

    A bare NaN or Infinity is as good as a string.  Raises TooLarge or MalformedBody.
    """
    if len(head) > limits.size:
        raise TooLarge(
            f"expected at most {limits.size} bytes of JSON; received {len(head)}. Send the tensors as raw bytes."
        )
    if len(head) <= SMALL and head.count(b"[") + head.count(b"{") <= limits.depth:
        with suppress(orjson.JSONDecodeError):
            return orjson.loads(head)
    try:
        return json.decode(head, limits.depth)
    except MalformedBody:
        if b"NaN" not in head and b"Infinity" not in head:
            raise
        strict = _with_strings(head)
        if strict is None:
            raise
    return json.decode(strict, limits.depth)


def _with_strings(head: bytes) -> bytes | None:
    """Return strict JSON with "NaN", "Infinity" and "-Infinity" as strings, as the protocol writes them; else None."""
    try:
        document = standard_json.loads(head, parse_constant=str, parse_int=_integer)
        return orjson.dumps(document)
    except (ValueError, TypeError, RecursionError):
        return None


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) < 19 else float(digits)
