"""Which representation a body comes in, and which one the client wants back."""

import re
from dataclasses import dataclass
from functools import lru_cache

from service.errors import NotAcceptable, UnsupportedEncoding, UnsupportedMediaType

JSON = "application/json"
SAFETENSORS = "application/vnd.safetensors"
SVG = "image/svg+xml"
EVENT_STREAM = "text/event-stream"
OCTETS = "application/octet-stream"
QUALITY = re.compile(r"(0(\.\d{0,3})?|1(\.0{0,3})?)")
FORMS = frozenset(("application/x-www-form-urlencoded", "multipart/form-data"))

ENCODINGS = ("zstd", "br", "gzip", "deflate")
"""Content encodings of bodies, in the order in which they are preferred where a client likes several as much."""

IDENTITY = "identity"
PLAIN = ("", IDENTITY)


@dataclass(frozen=True, slots=True)
class WantedEncoding:
    """What an answer is to be encoded in, None for nothing; only where it pays unless the client is `insistent`."""

    name: str | None = None
    insistent: bool = False


AS_IT_IS = WantedEncoding()


@lru_cache(maxsize=64)
def body_media_type(content_type: str | None) -> str:
    """Return the media type of the body; a missing or form Content-Type reads as JSON, as curl sends it.

    Raises UnsupportedMediaType.
    """
    media_type = (content_type or "").partition(";")[0].strip().lower()
    if media_type in ("", JSON) or media_type in FORMS or media_type.endswith("+json"):
        return JSON
    if media_type == SAFETENSORS:
        return SAFETENSORS
    raise UnsupportedMediaType(
        f"expected Content-Type: {JSON} or {SAFETENSORS}; received {content_type}. Send one of these.",
        (JSON, SAFETENSORS),
    )


@lru_cache(maxsize=64)
def body_encoding(content_encoding: str | None, known: tuple[str, ...] = ENCODINGS) -> str | None:
    """Return the content encoding of the body, None when it is plain; raises UnsupportedEncoding."""
    encoding = (content_encoding or "").strip().lower()
    if encoding in PLAIN:
        return None
    if encoding not in known:
        raise UnsupportedEncoding(
            f"expected Content-Encoding {', '.join(known[:-1])} or {known[-1]}, or none; received {content_encoding}. "
            "Compress the body once, with one of these, or send it plain.",
            known,
        )
    return encoding


@lru_cache(maxsize=64)
def choose(accept: str | None, offered: tuple[str, ...]) -> str:
    """Return the offered media type with the highest quality in Accept, the first offered on ties.

    A range whose quality cannot be read is not wanted.  Raises NotAcceptable when Accept excludes all that is offered.
    """
    if accept is None or accept.strip() in ("", "*/*"):
        return offered[0]
    ranges = qualities(accept)
    best = max(offered, key=lambda media_type: _quality(media_type, ranges))
    if _quality(best, ranges) <= 0:
        raise NotAcceptable(
            f"expected Accept to allow one of {', '.join(offered)}; received {accept}. Ask for one of these or */*."
        )
    return best


@lru_cache(maxsize=64)
def choose_encoding(accept_encoding: str | None) -> WantedEncoding:
    """Return the encoding with the highest quality in Accept-Encoding (RFC 9110, section 12.5.3).

    Without that header nothing is encoded.  Raises NotAcceptable when it excludes all that is known, plain included.
    """
    named = dict(qualities(accept_encoding or ""))
    anything = named.get("*", 0.0)
    best = max(ENCODINGS, key=lambda encoding: named.get(encoding, anything))
    quality = named.get(best, anything)
    plain = named.get(IDENTITY, named.get("*", 1.0))
    if quality <= 0 and plain <= 0:
        raise NotAcceptable(
            f"expected Accept-Encoding to allow {', '.join(ENCODINGS)} or {IDENTITY}; received {accept_encoding}. "
            "Allow one of these, or leave it out."
        )
    if quality <= 0 or named.get(IDENTITY, 0.0) > quality:
        return AS_IT_IS
    return WantedEncoding(best, insistent=plain <= 0)


def qualities(header: str) -> list[tuple[str, float]]:
    """Return what a header such as Accept names, each with its quality; one that cannot be read is 0."""
    return [_parse_range(part) for part in header.split(",") if part.strip()]


def _parse_range(text: str) -> tuple[str, float]:
    media_range, *parameters = (part.strip().lower() for part in text.split(";"))
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            return media_range, float(value) if QUALITY.fullmatch(value.strip()) else 0.0
    return media_range, 1.0


def _quality(media_type: str, ranges: list[tuple[str, float]]) -> float:
    """Return the quality of the most specific range that matches (RFC 9110, section 12.5.1)."""
    matching = dict(ranges)
    for candidate in (media_type, f"{media_type.partition('/')[0]}/*", "*/*"):
        if candidate in matching:
            return matching[candidate]
    return 0.0
