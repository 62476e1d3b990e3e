"""The record of one request and its answer, from which log, metrics and traces are made."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from service.codecs.negotiate import EVENT_STREAM, JSON, OCTETS
from service.codecs.registry import CODECS
from service.problems.kinds import MEDIA_TYPE as PROBLEM

OTHER = "other"

MEDIA_TYPES = (*sorted({*CODECS, EVENT_STREAM, OCTETS, PROBLEM}), OTHER)
"""Labels for media types of bodies: a client may send any word as a media type."""

COUNTED_AS: dict[bytes | None, str] = {
    **{name.encode(): name for name in MEDIA_TYPES},
    # Defaults of HTTP clients, curl among them, for a body whose type was not chosen.
    **dict.fromkeys((None, b"", b"application/x-www-form-urlencoded"), JSON),
}
"""The label of a Content-Type without parameters."""

PROBE_PATHS = ("/livez", "/readyz", "/metrics", "/v2/health/live", "/v2/health/ready")
"""Ends of the paths of probes and scrapes, whose short durations would distort those of requests."""

TRACEPARENT = re.compile(rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}")
"""W3C Trace Context, section 3.2: version, trace, parent, flags."""

LATER_VERSION = re.compile(rb"-.*")
"""Fields that a version after 00 may add at the end."""


@dataclass(frozen=True, slots=True)
class Span:
    """A span of a distributed trace; both ids are hexadecimal."""

    trace_id: str
    span_id: str


@dataclass(slots=True)
class Exchange:
    """One request and its answer; `received` and `sent` are bytes of the bodies on the wire.

    The status is 0 while there is no answer; `route` is a template, None for a path that does not exist.  An exchange
    that is not `measured` is a probe or a scrape, or was refused before it reached the application.
    """

    request_id: str
    method: str
    measured: bool
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
    """Makes spans of exchanges."""

    def begin(self, exchange: Exchange, path: str, headers: Mapping[bytes, bytes]) -> Callable[[], None]:
        """Begin the span of an exchange and store it there; return the function that ends it."""
        ...


def media_type_of(header: bytes | None) -> str:
    """Return the label of a body with a Content-Type."""
    usual = COUNTED_AS.get(header)
    if usual is not None:
        return usual
    name = (header or b"").partition(b";")[0].strip().lower()
    return COUNTED_AS.get(name, OTHER)


def caller_of(header: bytes | None) -> Span | None:
    """Return the span of the caller, from its `traceparent`; None without a valid one."""
    if header is None:
        return None
    found = TRACEPARENT.match(header)
    if found is None:
        return None
    rest = header[found.end() :]
    if rest and (header.startswith(b"00") or not LATER_VERSION.fullmatch(rest)):
        return None
    return Span(str(found[1], "ascii"), str(found[2], "ascii"))
