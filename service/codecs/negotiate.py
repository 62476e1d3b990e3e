"""Content negotiation: the representation of a body, and the one that its client accepts best."""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from service.codecs.json.codec import CODEC as JSON_CODEC
from service.codecs.registry import READERS
from service.errors import NotAcceptable, UnsupportedEncoding, UnsupportedMediaType

JSON = JSON_CODEC.media_type
EVENT_STREAM = "text/event-stream"
OCTETS = "application/octet-stream"
HTML = "text/html"
METRICS_MEDIA_TYPES = ("text/plain", "application/openmetrics-text")
ANYTHING = "*/*"
QUALITY = re.compile(r"(0(\.[0-9]{0,3})?|1(\.0{0,3})?)")
FORMS = frozenset(("application/x-www-form-urlencoded", "multipart/form-data"))

ENCODINGS = ("zstd", "br", "gzip", "deflate")
"""Content encodings of bodies, in the order in which they are preferred where a client likes several as much."""

ALIASES = {"x-gzip": "gzip"}
"""Older names of content encodings that mean the same (RFC 9110, section 8.4.1.3)."""

IDENTITY = "identity"
PLAIN = ("", IDENTITY)


@dataclass(frozen=True, slots=True)
class WantedEncoding:
    """The content coding of an answer, None for identity; only where it pays unless the client is `insistent`."""

    name: str | None = None
    insistent: bool = False


AS_IT_IS = WantedEncoding()


class Representations(NamedTuple):
    """The media types and content encodings of a request's body and of its answer."""

    wanted: str
    wanted_encoding: WantedEncoding
    media_type: str
    encoding: str | None


@lru_cache(maxsize=64)
def negotiate(
    offered: tuple[str, ...],
    accept: bytes | None,
    accept_encoding: bytes | None,
    content_type: bytes | None,
    content_encoding: bytes | None,
) -> Representations:
    """Return the representations that four header fields name, None for a field that is absent.

    Cached as a whole, since most requests of a client have the same fields.

    Raises NotAcceptable, UnsupportedMediaType or UnsupportedEncoding.
    """
    texts = [
        None if field is None else field.decode("latin-1")
        for field in (accept, accept_encoding, content_type, content_encoding)
    ]
    return Representations(
        choose(texts[0], offered), choose_encoding(texts[1]), body_media_type(texts[2]), body_encoding(texts[3])
    )


@lru_cache(maxsize=64)
def body_media_type(content_type: str | None) -> str:
    """Return the media type of the body; a missing or form Content-Type reads as JSON, as curl sends it.

    Raises UnsupportedMediaType.
    """
    media_type = (content_type or "").partition(";")[0].strip().lower()
    if media_type in ("", JSON) or media_type in FORMS or media_type.endswith("+json"):
        return JSON
    if media_type in READERS:
        return media_type
    raise UnsupportedMediaType(
        f"expected Content-Type: {' or '.join(READERS)}; received {content_type}. Send one of these.", tuple(READERS)
    )


@lru_cache(maxsize=64)
def body_encoding(content_encoding: str | None, known: tuple[str, ...] = ENCODINGS) -> str | None:
    """Return the one content encoding of the body, None when it is plain; raises UnsupportedEncoding.

    Content-Encoding lists the codings in the order in which they were applied.  A body that was encoded twice is
    refused: that makes it no shorter, and each coding multiplies the size of a bomb.
    """
    named = [_canonical(coding) for coding in (content_encoding or "").split(",")]
    codings = [coding for coding in named if coding not in PLAIN]
    if not codings:
        return None
    if len(codings) == 1 and codings[0] in known:
        return codings[0]
    expected = "one Content-Encoding" if len(codings) > 1 else "Content-Encoding"
    raise UnsupportedEncoding(
        f"expected {expected} {', '.join(known[:-1])} or {known[-1]}, or none; received {content_encoding}. "
        "Compress the body once, with one of these, or send it plain.",
        known,
    )


def _canonical(coding: str) -> str:
    """Return the name of a content coding as it is known here."""
    name = coding.strip().lower()
    return ALIASES.get(name, name)


@lru_cache(maxsize=64)
def choose(accept: str | None, offered: tuple[str, ...]) -> str:
    """Return the offered media type with the highest quality in Accept, the first offered on ties.

    A range whose quality cannot be read is not wanted.  Raises NotAcceptable when Accept excludes all that is offered.
    """
    if accept is None or accept == ANYTHING or not _qualities(accept):
        return offered[0]
    best = max(offered, key=lambda media_type: quality_of(media_type, accept))
    if quality_of(best, accept) <= 0:
        raise NotAcceptable(
            f"expected Accept to allow one of {', '.join(offered)}; received {accept}. Ask for one of these or */*."
        )
    return best


@lru_cache(maxsize=64)
def choose_encoding(accept_encoding: str | None) -> WantedEncoding:
    """Return the encoding with the highest quality in Accept-Encoding (RFC 9110, section 12.5.3).

    Without that header nothing is encoded.  Raises NotAcceptable when it excludes all that is known, plain included.
    """
    named = coding_qualities(accept_encoding)
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


@lru_cache(maxsize=64)
def quality_of(media_type: str, accept: str) -> float:
    """Return the quality of a media type in Accept: that of the most specific range (RFC 9110, section 12.5.1)."""
    named = _qualities(accept)
    for media_range in (media_type, f"{media_type.partition('/')[0]}/*", ANYTHING):
        if media_range in named:
            return named[media_range]
    return 0.0


def preferred_language(accept_language: str, offered: tuple[str, ...]) -> str:
    """Return the offered language that Accept-Language prefers (RFC 9110, section 12.5.4); the first one without any.

    :param offered: primary subtags, such as "en"; "en-GB" in the header asks for it too.
    """
    named = _qualities(accept_language)

    def quality(language: str) -> float:
        asked = [quality for tag, quality in named.items() if tag.partition("-")[0] == language]
        return max(asked, default=named.get("*", 0.0))

    return max(offered, key=quality)


def ranges_of(media_type: str, accept: str) -> str:
    """Return those parts of Accept that name a media type itself and want it, with all their parameters."""
    parts = [(part, *_parse_range(part)) for part in accept.split(",")]
    return ",".join(part for part, media_range, quality in parts if media_range == media_type and quality > 0)


def coding_qualities(accept_encoding: str | None) -> dict[str, float]:
    """Return the content codings that Accept-Encoding names, by the names that are known here, and their qualities."""
    named: dict[str, float] = {}
    for coding, quality in _qualities(accept_encoding or "").items():
        name = ALIASES.get(coding, coding)
        named[name] = max(quality, named.get(name, 0.0))
    return named


def _qualities(header: str) -> dict[str, float]:
    """Return what a header such as Accept names and the highest quality of each; one that cannot be read is 0."""
    named: dict[str, float] = {}
    for part in header.split(","):
        if part.strip():
            name, quality = _parse_range(part)
            named[name] = max(quality, named.get(name, 0.0))
    return named


def _parse_range(text: str) -> tuple[str, float]:
    media_range, *parameters = (part.strip().lower() for part in text.split(";"))
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            return media_range, float(value) if QUALITY.fullmatch(value.strip()) else 0.0
    return media_range, 1.0
