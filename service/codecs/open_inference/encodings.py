"""Content encodings of an inference: what a body comes in, and what a client decodes."""

from service.codecs.negotiate import qualities
from service.errors import UnsupportedMediaType

ENCODINGS = ("gzip", "deflate")
"""Those of the protocol, whatever else this service knows; the preferred one first."""

IDENTITY = ("", "identity")


def body_encoding(content_encoding: str | None) -> str | None:
    """Return the encoding of the body, None when it is plain; raises UnsupportedMediaType."""
    encoding = (content_encoding or "").strip().lower()
    if encoding in IDENTITY:
        return None
    if encoding not in ENCODINGS:
        raise UnsupportedMediaType(
            f"expected Content-Encoding {' or '.join(ENCODINGS)}, or none; received {content_encoding}. "
            "Compress the body with one of these, or send it plain."
        )
    return encoding


def wanted_encoding(accept_encoding: str | None) -> tuple[str | None, bool]:
    """Return which encoding a client likes best, None for a plain answer, and whether it names no other."""
    named = {name: quality for name, quality in qualities(accept_encoding or "") if quality > 0}
    best = max(ENCODINGS, key=lambda encoding: named.get(encoding, 0.0))
    if best not in named or named.get("identity", 0.0) > named[best]:
        return None, False
    return best, len(named) == 1
