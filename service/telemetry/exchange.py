"""One request and what became of it: what the log and the metrics tell."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

OTHER = "other"

MEDIA_TYPES = (
    "application/json",
    "application/octet-stream",
    "application/problem+json",
    "application/vnd.safetensors",
    "image/svg+xml",
    "text/event-stream",
    OTHER,
)
"""What bodies are counted as; a client may send any word as a media type."""

COUNTED_AS: dict[bytes | None, str] = {
    **{name.encode(): name for name in MEDIA_TYPES},
    # What clients send that think nothing of it, curl among them.
    **dict.fromkeys((None, b"", b"application/x-www-form-urlencoded"), "application/json"),
}
"""What a Content-Type is counted as in the forms that are usual."""

UNWATCHED = ("/livez", "/readyz", "/metrics", "/v2/health/live", "/v2/health/ready")
"""Ends of the paths of probes and scrapes, which are no work and would hide how long work takes."""

TRACEPARENT = re.compile(rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}")
"""W3C Trace Context, section 3.2: version, trace, parent, flags."""

LATER_VERSION = re.compile(rb"-.*")
"""What may follow in a version after 00."""


@dataclass(frozen=True, slots=True)
class Span:
    """A place in a distributed trace; both are hexadecimal."""

    trace_id: str
    span_id: str


@dataclass(slots=True)
class Exchange:
    """One request and its answer; bytes are those of the bodies as they travelled.

    The status is 0 while there is no answer; `route` is a template, None for a path that does not exist.  An exchange
    that is not `watched` is a probe or a scrape, or never came as far as the application.
    """

    request_id: str
    method: str
    watched: bool
    received_type: str
    span: Span | None = None
    route: str | None = None
    status: int = 0
    problem: str | None = None
    seconds: float = 0.0
    received: int = 0
    sent: int = 0
    sent_type: str = OTHER


class Tracer(Protocol):
    """Whoever makes spans of exchanges."""

    def begin(self, exchange: Exchange, path: str, headers: Mapping[bytes, bytes]) -> Callable[[], None]:
        """Begin the span of an exchange, which is then known by it; return what ends it."""
        ...


@lru_cache(maxsize=64)
def media_type_of(header: bytes | None) -> str:
    """Return what a body is counted as, by its Content-Type."""
    usual = COUNTED_AS.get(header)
    if usual is not None:
        return usual
    name = (header or b"").partition(b";")[0].strip().lower()
    return COUNTED_AS.get(name, OTHER)


def caller_of(header: bytes | None) -> Span | None:
    """Return the caller's place in its trace, by its `traceparent`; None when there is none or it is not valid."""
    if header is None:
        return None
    found = TRACEPARENT.match(header)
    if found is None:
        return None
    rest = header[found.end() :]
    if rest and (header.startswith(b"00") or not LATER_VERSION.fullmatch(rest)):
        return None
    return Span(str(found[1], "ascii"), str(found[2], "ascii"))
