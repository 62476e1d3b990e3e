"""Errors that the service raises on purpose; `problems/kinds.json` has the problem of each, by its slug.

::

    ServiceError
    ├── MalformedBody          the bytes cannot be decoded, or a header cannot be read
    │   └── DuplicateName      an object of JSON has a member twice
    ├── InvalidRequest         decodable but wrong; carries one Violation or more
    ├── NotFound               no such example, problem page or route
    ├── NotAcceptable          no representation that the client accepts
    ├── UnsupportedMediaType   a body in a media type that is not read
    ├── UnsupportedEncoding    a body in a content coding that is not read
    ├── RangeNotSatisfiable    a range of bytes that begins behind the end of a file
    ├── PreconditionFailed     If-Match or If-None-Match asks for another state of a memory
    ├── Conflict               a version of a memory that is gone
    ├── InsufficientStorage    the file system of the memories is full
    ├── DamagedMemory          a memory that cannot be read as it was stored
    ├── MemoriesUnavailable    the store of the memories does not answer
    ├── ClusterUnavailable     the Ray cluster, which computes large calls, does not answer
    ├── TooLarge               body, predicted result or operations over a limit
    ├── BodyTimeout            the body did not arrive in time
    ├── QueueFull              too many requests are waiting
    ├── NoRoom                 all requests together hold the memory budget
    ├── DeadlineExceeded       the answer was not ready in time
    └── Draining               the process is shutting down

    Disconnected               the client closed the connection; no answer is sent
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from attention_wire.documents import pointer

Kind = Literal["invalid-request", "shape-mismatch", "unknown-name"]

FieldPath = tuple[str, ...]
"""Names of fields, from a document to a field in it."""

Location = tuple[int | str, ...]
"""Names of fields and indices of lists, from a document to a value in it."""


def steps_of(pointer: str) -> list[str]:
    """Return the path of a JSON Pointer; indices of lists are texts."""
    return [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]


class ServiceError(Exception):
    """Base of every error the service raises on purpose; its text is for the person who sent the request."""

    slug: str
    """The kind of problem that it is."""
    sentence_on_memory: str = ""
    """What the request has changed before the error, with a space in front; empty for nothing."""
    memory_version: str | None = None
    """The version of a memory that the request has made before the error; None for none."""

    def __init_subclass__(cls, slug: str = "", **others: Any) -> None:
        """Set the kind of problem that the errors of a class are; without one it is that of its base."""
        super().__init_subclass__(**others)
        if slug:
            cls.slug = slug


class MalformedBody(ServiceError, slug="malformed-body"):
    """The bytes cannot be decoded, or a header cannot be read."""


class DuplicateName(MalformedBody):
    """An object of JSON has a member twice; `path` leads to it, in what `within` names."""

    def __init__(self, path: Location, within: str = "the body") -> None:
        self.path = path
        super().__init__(
            f"expected each name once in an object; received {str(path[-1])[:80]!r} twice in {within}, at "
            f"{pointer(path)[:200]}. Leave one of them out."
        )


class NotFound(ServiceError, slug="not-found"):
    """No such resource."""


class NotAcceptable(ServiceError, slug="not-acceptable"):
    """None of the representations on offer is acceptable to the client."""


class UnsupportedMediaType(ServiceError, slug="unsupported-media-type"):
    """The body comes in another media type than those that are `accepted`."""

    def __init__(self, detail: str, accepted: tuple[str, ...]) -> None:
        self.accepted = accepted
        super().__init__(detail)


class UnsupportedEncoding(ServiceError, slug="unsupported-media-type"):
    """The body comes in another content coding than those that are `accepted`."""

    def __init__(self, detail: str, accepted: tuple[str, ...]) -> None:
        self.accepted = accepted
        super().__init__(detail)


class RangeNotSatisfiable(ServiceError, slug="range-not-satisfiable"):
    """None of the requested bytes are among the `size` bytes of a file."""

    def __init__(self, detail: str, size: int) -> None:
        self.size = size
        super().__init__(detail)


class PreconditionFailed(ServiceError, slug="precondition-failed"):
    """If-Match or If-None-Match asks for another state of a memory than version `current`; None is no memory."""

    def __init__(self, detail: str, current: str | None) -> None:
        self.current = current
        super().__init__(detail)


class Conflict(ServiceError, slug="conflict"):
    """The request names a version of a memory that is gone."""


class InsufficientStorage(ServiceError, slug="insufficient-storage"):
    """The file system of the memories has no room."""


class DamagedMemory(ServiceError, slug="memory-damaged"):
    """A memory, or the catalogue of all, cannot be read as it was stored."""


class MemoriesUnavailable(ServiceError, slug="memories-unavailable"):
    """The store of the memories does not answer; trying again makes sense after `retry_seconds`."""

    def __init__(self, detail: str, retry_seconds: float) -> None:
        self.retry_seconds = retry_seconds
        super().__init__(detail)


class ClusterUnavailable(ServiceError, slug="cluster-unavailable"):
    """The Ray cluster does not answer; trying again makes sense after `retry_seconds`."""

    def __init__(self, detail: str, retry_seconds: float) -> None:
        self.retry_seconds = retry_seconds
        super().__init__(detail)


class TooLarge(ServiceError, slug="too-large"):
    """The body, the predicted result or the predicted operations exceed a limit."""


class BodyTimeout(ServiceError, slug="timeout"):
    """The body did not arrive in time."""


class QueueFull(ServiceError, slug="queue-full"):
    """The queue holds as many requests as its limit."""


class NoRoom(ServiceError, slug="queue-full"):
    """All requests together hold the bytes of the memory budget."""


class DeadlineExceeded(ServiceError, slug="deadline-exceeded"):
    """The answer was not ready before the deadline."""


class Draining(ServiceError, slug="draining"):
    """The process is shutting down and takes no new work."""


class Disconnected(Exception):
    """The client closed the connection before its body had arrived, or before its answer was ready."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One fault of a request: its JSON Pointer, and the expected value, the received one and what to change."""

    pointer: str
    detail: str
    kind: Kind


class InvalidRequest(ServiceError):
    """The request is decodable but wrong: its kind of problem is that of its first violation."""

    def __init__(self, violations: list[Violation]) -> None:
        self.violations = violations
        self.slug = violations[0].kind
        super().__init__(violations[0].detail)

    @classmethod
    def at(cls, place: str | Location, detail: str, kind: Kind = "invalid-request") -> "InvalidRequest":
        """Return the error of one fault, at a JSON Pointer or a path."""
        return cls([Violation(place if isinstance(place, str) else pointer(place), detail, kind)])

    def relocated(self, place: Callable[[str], str]) -> "InvalidRequest":
        """Return the error with every pointer moved, for a request that is part of a larger one."""
        return InvalidRequest([replace(one, pointer=place(one.pointer)) for one in self.violations])

    def within(self, prefix: str) -> "InvalidRequest":
        """Return the error of a request that is the member at `prefix` of a larger one."""
        return self.relocated(lambda pointer: prefix + pointer)
