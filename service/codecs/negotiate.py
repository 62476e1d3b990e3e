"""Which representation a body comes in, and which one the client wants back."""

import re
from functools import lru_cache

from service.errors import NotAcceptable, UnsupportedMediaType

JSON = "application/json"
SVG = "image/svg+xml"
OCTETS = "application/octet-stream"
QUALITY = re.compile(r"(0(\.\d{0,3})?|1(\.0{0,3})?)")
FORMS = frozenset(("application/x-www-form-urlencoded", "multipart/form-data"))


@lru_cache(maxsize=64)
def body_media_type(content_type: str | None, content_encoding: str | None) -> str:
    """Return the media type of the body; a missing or form Content-Type reads as JSON, as curl sends it.

    Raises UnsupportedMediaType.
    """
    if content_encoding is not None and content_encoding.strip().lower() not in ("", "identity"):
        raise UnsupportedMediaType(
            f"expected a body without content encoding; received Content-Encoding: {content_encoding}. Send it plain."
        )
    media_type = (content_type or "").partition(";")[0].strip().lower()
    if media_type in ("", JSON) or media_type in FORMS or media_type.endswith("+json"):
        return JSON
    raise UnsupportedMediaType(f"expected Content-Type: {JSON}; received {content_type}. Send JSON.")


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
