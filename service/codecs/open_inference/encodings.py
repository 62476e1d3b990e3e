"""Content encodings of an inference: what a body comes in, and what a client decodes."""

from service.codecs.negotiate import AS_IT_IS, IDENTITY, WantedEncoding, qualities

ENCODINGS = ("gzip", "deflate")
"""Those of the protocol, whatever else this service knows; the preferred one first."""


def wanted_encoding(accept_encoding: str | None) -> WantedEncoding:
    """Return which encoding a client likes best, and insists on when it names no other."""
    named = {name: quality for name, quality in qualities(accept_encoding or "") if quality > 0}
    best = max(ENCODINGS, key=lambda encoding: named.get(encoding, 0.0))
    if best not in named or named.get(IDENTITY, 0.0) > named[best]:
        return AS_IT_IS
    return WantedEncoding(best, insistent=len(named) == 1)
