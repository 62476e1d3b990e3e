"""Everything the client raises.

::

    AttentionServiceError
    ├── InvalidArgument        an argument cannot be put on the wire, and nothing was sent; a ValueError as well
    ├── ConnectionFailed       no response: refused, reset, or not HTTP
    ├── DeadlineExceeded       no response within the time-out of the client, or 504
    ├── UnreadableAnswer       a response that is not one of this service
    └── RequestRefused         any other 4xx, and 501; has status, slug, detail, errors and request_id
        ├── MalformedRequest   400
        ├── NotAuthorized      401, 403
        ├── NotFound           404: no such score model or example
        ├── TooLarge           413: the request, or its predicted cost
        ├── InvalidRequest     422
        │   ├── ShapeMismatch  shapes do not fit together
        │   └── UnknownName    an unknown name; the detail suggests one
        ├── ServiceBusy        429, 503, still after the last attempt; has retry_after and attempts
        └── ServiceFailed      any other 5xx: a defect of the service, or of a proxy
"""

from collections.abc import Mapping
from dataclasses import dataclass

from attention_client.names import PROBLEMS


class AttentionServiceError(Exception):
    """Base of every error of the client."""


class InvalidArgument(AttentionServiceError, ValueError):
    """An argument cannot be put on the wire.

    :param pointer: JSON Pointer to the argument, as in the body of POST /v1/attention.
    :param detail: expected and received value, and advice.
    """

    def __init__(self, pointer: str, detail: str) -> None:
        self.pointer, self.detail = pointer, detail
        super().__init__(f"{pointer}: {detail}")


class ConnectionFailed(AttentionServiceError):
    """No response arrived: the connection was refused or broke, or the other side does not speak HTTP."""


class DeadlineExceeded(AttentionServiceError):
    """No response arrived in time.

    :param request_id: known if it was the service that answered 504.
    """

    def __init__(self, detail: str, request_id: str | None = None) -> None:
        self.detail, self.request_id = detail, request_id
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
    """

    status: int
    slug: str | None
    detail: str
    errors: tuple[Violation, ...] = ()
    request_id: str | None = None


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
    """404: no such score model or worked example, or no such service at this address."""


class TooLarge(RequestRefused):
    """413: the body, or the predicted result, memory or operations exceed a limit."""


class InvalidRequest(RequestRefused):
    """422: the request can be decoded, but is wrong."""


class ShapeMismatch(InvalidRequest):
    """Shapes do not fit together."""


class UnknownName(InvalidRequest):
    """No field, score model, normalizer, position or dtype has this name."""


class ServiceBusy(RequestRefused):
    """429 or 503 after the last attempt.

    :param retry_after: seconds to wait that the service asked for; None if it named none.
    :param attempts: that were made.
    """

    def __init__(self, problem: Problem, retry_after: float | None, attempts: int) -> None:
        self.retry_after, self.attempts = retry_after, attempts
        super().__init__(problem)


class ServiceFailed(RequestRefused):
    """Any other 5xx: a defect of the service, or of a proxy in front of it."""


BY_SLUG: Mapping[str, type[RequestRefused]] = {
    "malformed-body": MalformedRequest,
    "unauthorized": NotAuthorized,
    "not-found": NotFound,
    "too-large": TooLarge,
    "invalid-request": InvalidRequest,
    "shape-mismatch": ShapeMismatch,
    "unknown-name": UnknownName,
}

BY_STATUS: Mapping[int, type[RequestRefused]] = {
    **{PROBLEMS[slug]: kind for slug, kind in BY_SLUG.items() if RequestRefused in kind.__bases__},
    403: NotAuthorized,
    # A service without a function that is asked for has not failed.
    501: RequestRefused,
}
"""Errors of responses with another slug, or without one."""


def error_for(problem: Problem) -> RequestRefused:
    """Return the error of a problem, by its slug, else by its status."""
    default = ServiceFailed if problem.status >= 500 else RequestRefused
    return BY_SLUG.get(problem.slug or "", BY_STATUS.get(problem.status, default))(problem)
