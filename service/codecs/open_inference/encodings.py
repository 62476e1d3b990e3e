"""Content codings of inference requests and answers."""

from service.codecs.negotiate import AS_IT_IS, IDENTITY, WantedEncoding, coding_qualities

ENCODINGS = ("gzip", "deflate")
"""Codings of the protocol, the preferred one first."""


def wanted_encoding(accept_encoding: str | None) -> WantedEncoding:
    """Return the coding with the highest quality in Accept-Encoding; it is insistent where no other is named."""
    named = {name: quality for name, quality in coding_qualities(accept_encoding).items() if quality > 0}
    best = max(ENCODINGS, key=lambda encoding: named.get(encoding, 0.0))
    if best not in named or named.get(IDENTITY, 0.0) > named[best]:
        return AS_IT_IS
    return WantedEncoding(best, insistent=len(named) == 1)
