"""Everything the service raises on purpose; `problems` alone knows what each becomes on the wire.

::

    ServiceError
    ├── MalformedBody          the bytes cannot be decoded, or a header cannot be read
    ├── InvalidRequest         decodable but wrong; carries one Violation or more
    ├── NotFound               no such example, problem page or route
    ├── NotAcceptable          no representation that the client accepts
    ├── UnsupportedMediaType   a body in a media type that is not read
    ├── UnsupportedEncoding    a body in a content encoding that is not undone
    ├── TooLarge               body, predicted result or operations over a limit
    ├── BodyTimeout            the body did not arrive in time
    ├── QueueFull              too many requests are waiting
    ├── NoRoom                 all requests together hold as much as they may
    ├── DeadlineExceeded       the answer was not ready in time
    └── Draining               the process is shutting down

    Disconnected               the client went away; nobody is left to answer
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

Kind = Literal["invalid-request", "shape-mismatch", "unknown-name"]


class ServiceError(Exception):
    """Base of every error the service raises on purpose; its text is for the person who sent the request."""


class MalformedBody(ServiceError):
    """The bytes cannot be decoded, or a header cannot be read."""


class NotFound(ServiceError):
    """No such resource."""


class NotAcceptable(ServiceError):
    """None of the representations on offer is acceptable to the client."""


class UnsupportedMediaType(ServiceError):
    """The body comes in another media type than those that are `accepted`."""

    def __init__(self, detail: str, accepted: tuple[str, ...]) -> None:
        self.accepted = accepted
        super().__init__(detail)


class UnsupportedEncoding(ServiceError):
    """The body comes in another content encoding than those that are `accepted`."""

    def __init__(self, detail: str, accepted: tuple[str, ...]) -> None:
        self.accepted = accepted
        super().__init__(detail)


class TooLarge(ServiceError):
    """The body, the predicted result or the predicted operations exceed a limit."""


class BodyTimeout(ServiceError):
    """The body did not arrive in time."""


class QueueFull(ServiceError):
    """As many requests are waiting as may."""


class NoRoom(ServiceError):
    """All requests together hold as many bytes as they may."""


class DeadlineExceeded(ServiceError):
    """The answer was not ready before the deadline."""


class Draining(ServiceError):
    """The process is shutting down and takes no new work."""


class Disconnected(Exception):
    """The client went away before its body had arrived, or before its answer was ready."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing that is wrong: where (a JSON Pointer), and what was expected, what came, what to change."""

    pointer: str
    detail: str
    kind: Kind


class InvalidRequest(ServiceError):
    """The request is decodable but wrong."""

    def __init__(self, violations: list[Violation]) -> None:
        self.violations = violations
        super().__init__(violations[0].detail)

    def relocated(self, place: Callable[[str], str]) -> "InvalidRequest":
        """Return the error with every pointer moved, for a request that is part of a larger one."""
        return InvalidRequest([replace(one, pointer=place(one.pointer)) for one in self.violations])

    def within(self, prefix: str) -> "InvalidRequest":
        """Return the error about what stands at `prefix` in a larger request."""
        return self.relocated(lambda pointer: prefix + pointer)
