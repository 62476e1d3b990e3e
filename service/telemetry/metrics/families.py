"""Every metric: its name, what it counts, and the values that its labels may have."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["counter", "gauge", "histogram"]

BOUNDS = (
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05),
    *(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 60.0),
)
"""Upper bounds of histogram buckets in seconds: from a small request to the default deadline."""

METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
"""A client may send any word as a method; all others count as one."""

UNKNOWN = "unknown"
"""The route of every path that does not exist."""

GONE = "499"
"""The status of a request whose client went away before its answer, as nginx writes it."""

REFUSALS = ("draining", "forbidden", "timeout", "too-large", "unauthorized")
"""Problems of requests that were refused for their cost, their time or their sender, not for being wrong."""

REASONS = ("bytes-in-flight", "deadline-exceeded", "disconnected", "queue-full", *REFUSALS)
"""Why a request was turned away, at the gate or around it."""

DIRECTIONS = ("in", "out")


@dataclass(frozen=True, slots=True)
class Family:
    """One metric."""

    name: str
    kind: Kind
    about: str
    labels: tuple[str, ...] = ()


FAMILIES = (
    Family(
        "attention_requests_total",
        "counter",
        "Requests by the template of their route; status 499 means that the client did not wait for the answer.",
        ("route", "method", "status"),
    ),
    Family(
        "attention_request_seconds",
        "histogram",
        "Seconds from the head of a request to the last byte of its answer, without probes and scrapes.",
    ),
    Family("attention_in_flight", "gauge", "Requests not yet answered, without probes and scrapes."),
    Family("attention_queued", "gauge", "Requests that wait for a compute thread."),
    Family(
        "attention_queue_wait_seconds",
        "histogram",
        "Seconds that a request waited for a compute thread; small requests need none and are not counted here.",
    ),
    Family(
        "attention_rejected_total",
        "counter",
        "Requests turned away, by the reason: load, cost, time, sender, or a client that has gone.",
        ("reason",),
    ),
    Family(
        "attention_compute_seconds",
        "histogram",
        "Seconds that computing took, without decoding and encoding.",
        ("score_model", "path"),
    ),
    Family("attention_operations_total", "counter", "Predicted floating-point operations of what was computed."),
    Family(
        "attention_bytes_total",
        "counter",
        "Bytes of bodies as they travelled, received (in) and sent (out).",
        ("direction", "media_type"),
    ),
)
