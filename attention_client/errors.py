"""Everything the client raises.

::

    AttentionServiceError
    ├── InvalidArgument        an argument cannot be put on the wire, and nothing was sent; a ValueError as well
    ├── ConnectionFailed       no response: refused, reset, or not HTTP
    ├── DeadlineExceeded       no response within the time-out of the client, or 504
    ├── UnreadableAnswer       a response that is not one of this service
    ├── StepInterrupted        the answer to a step of a decoding session was lost; has appended
    └── RequestRefused         any other 4xx, and 501; has status, slug, detail, errors and request_id
        ├── MalformedRequest   400
        ├── NotAuthorized      401, 403
        ├── NotFound           404: no such score model, example or memory
        ├── PreconditionFailed 412: a memory has another version; has version
        ├── Conflict           409: the version of a memory that a request names is gone
        ├── TooLarge           413: the request, or its predicted cost
        ├── InvalidRequest     422
        │   ├── ShapeMismatch  shapes do not fit together
        │   └── UnknownName    an unknown name; the detail suggests one
        ├── InsufficientStorage  507: no room for a memory, which is as it was
        ├── ServiceBusy        429, 503, still after the last attempt; has retry_after and attempts
        │   └── MemoriesUnavailable  503: what keeps the memories does not answer
        └── ServiceFailed      any other 5xx: a defect of the service, or of a proxy
            └── MemoryDamaged  500: files of a memory are missing, shortened or changed

Every error has `may_have_changed`: whether the call may have changed a memory all the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from attention_client.names import PROBLEMS


class AttentionServiceError(Exception):
    """Base of every error of the client."""

    may_have_changed: bool = False
    """Whether the call may have changed a memory all the same: an attempt to write was sent, and its answer was lost
    or leaves it open.
    """


class InvalidArgument(AttentionServiceError, ValueError):
    """An argument cannot be put on the wire.

    :param pointer: JSON Pointer to the argument, as in the body of POST /v1/attention.
    :param detail: expected and received value, and advice.
    """

    def __init__(self, pointer: str, detail: str) -> None:
        self.pointer, self.detail = pointer, detail
        super().__init__(f"{pointer}: {detail}")


class ConnectionFailed(AttentionServiceError):
    """No response arrived: the connection was refused or broke, or the other side does not speak HTTP.

    :param detail: the address, and what happened.
    :param was_sent: whether the service may have received the request; False if there was no connection.
    """

    def __init__(self, detail: str, *, was_sent: bool = True) -> None:
        self.was_sent = was_sent
        super().__init__(detail)


class DeadlineExceeded(AttentionServiceError):
    """No response arrived in time.

    :param request_id: known if it was the service that answered 504.
    :param memory_version: the version of a memory that the call had made before its time was over; None if it made
        none, or if that is not known.
    """

    def __init__(self, detail: str, request_id: str | None = None, memory_version: str | None = None) -> None:
        self.detail, self.request_id, self.memory_version = detail, request_id, memory_version
        super().__init__(detail)


class UnreadableAnswer(AttentionServiceError):
    """The response does not follow the protocol."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing that is wrong with a request.

    :param pointer: JSON Pointer to it.
    :param detail: expected and received value, and advice.
    """

    pointer: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """The problem document of an error response (RFC 9457).

    :param status: HTTP status.
    :param slug: kind of problem; None if the response is not one of the service.
    :param detail: expected and received value, and advice.
    :param errors: everything that is wrong with the request.
    :param request_id: identifies the request in the log of the service.
    :param memory_version: the version of the memory that the error is about; None if it names none.
    """

    status: int
    slug: str | None
    detail: str
    errors: tuple[Violation, ...] = ()
    request_id: str | None = None
    memory_version: str | None = None


class RequestRefused(AttentionServiceError):
    """The service answered with an error.

    :param problem: the document of the response, whose members are attributes of the error as well: `status`, `slug`
        (``/problems/<slug>`` of the service explains it), `detail`, `errors` (whose pointers lead to arguments, as in
        the body of POST /v1/attention) and `request_id`.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.status, self.slug, self.detail = problem.status, problem.slug, problem.detail
        self.errors, self.request_id = problem.errors, problem.request_id
        place = f" at {problem.errors[0].pointer}" if problem.errors else ""
        super().__init__(f"{problem.status} {problem.slug or 'error'}{place}: {problem.detail}")


class MalformedRequest(RequestRefused):
    """400: the service could not decode the request."""


class NotAuthorized(RequestRefused):
    """401 or 403: the API key is missing, wrong or not enough."""


class NotFound(RequestRefused):
    """404: no such score model, worked example or memory, or no such service at this address."""


class PreconditionFailed(RequestRefused):
    """412: a memory is not in the state that a write asked for, so that this attempt changed nothing.

    An earlier attempt of the same call may have, where `may_have_changed` is True: its answer was lost, and the service
    cannot tell who made the version that there is now.
    """

    @property
    def version(self) -> str | None:
        """The version of the memory; None if there is no memory of the name."""
        return self.problem.memory_version


class Conflict(RequestRefused):
    """409: the request names a version of a memory that a newer one has replaced."""


class TooLarge(RequestRefused):
    """413: the body, or the predicted result, memory or operations exceed a limit."""


class InvalidRequest(RequestRefused):
    """422: the request can be decoded, but is wrong."""


class ShapeMismatch(InvalidRequest):
    """Shapes do not fit together."""


class UnknownName(InvalidRequest):
    """No field, score model, normalizer, position, dtype or memory has this name."""


class InsufficientStorage(RequestRefused):
    """507: the file system that keeps the memories is full; the memory is as it was."""


class ServiceBusy(RequestRefused):
    """429 or 503 after the last attempt.

    :param retry_after: seconds to wait that the service asked for; None if it named none.
    :param attempts: that were made.
    """

    def __init__(self, problem: Problem, retry_after: float | None, attempts: int) -> None:
        self.retry_after, self.attempts = retry_after, attempts
        super().__init__(problem)


class MemoriesUnavailable(ServiceBusy):
    """503 after the last attempt: what keeps the memories does not answer."""


class ServiceFailed(RequestRefused):
    """Any other 5xx: a defect of the service, or of a proxy in front of it."""


class MemoryDamaged(ServiceFailed):
    """500: files of a memory are missing, shortened or changed; delete or replace it."""


BY_SLUG: Mapping[str, type[RequestRefused]] = {
    "malformed-body": MalformedRequest,
    "unauthorized": NotAuthorized,
    "not-found": NotFound,
    "precondition-failed": PreconditionFailed,
    "conflict": Conflict,
    "too-large": TooLarge,
    "invalid-request": InvalidRequest,
    "shape-mismatch": ShapeMismatch,
    "unknown-name": UnknownName,
    "insufficient-storage": InsufficientStorage,
    "memory-damaged": MemoryDamaged,
}

BY_STATUS: Mapping[int, type[RequestRefused]] = {
    **{PROBLEMS[slug]: kind for slug, kind in BY_SLUG.items() if RequestRefused in kind.__bases__},
    403: NotAuthorized,
    # A service without a function that is asked for has not failed.
    501: RequestRefused,
}
"""Errors of responses with another slug, or without one."""


def busy_error(problem: Problem, retry_after: float | None, attempts: int) -> ServiceBusy:
    """Return the error of a service that was busy at the last attempt.

    :param problem: its last answer.
    :param retry_after: seconds to wait that it asked for; None if it named none.
    :param attempts: that were made.
    """
    kind = MemoriesUnavailable if problem.slug == "memories-unavailable" else ServiceBusy
    return kind(problem, retry_after, attempts)


def error_for(problem: Problem) -> RequestRefused:
    """Return the error of a problem, by its slug, else by its status."""
    default = ServiceFailed if problem.status >= 500 else RequestRefused
    return BY_SLUG.get(problem.slug or "", BY_STATUS.get(problem.status, default))(problem)
