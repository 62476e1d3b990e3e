"""Everything the client raises.

::

    AttentionServiceError
    ├── InvalidArgument        nothing was sent: an argument cannot be put on the wire; a ValueError as well
    ├── ConnectionFailed       no answer: refused, reset, or not HTTP at all
    ├── DeadlineExceeded       no answer in time: the client's own time-out, or that of the service (504)
    ├── UnreadableAnswer       an answer, but not one of this service
    └── RequestRefused         the service said no; carries status, slug, detail, errors, request_id
        ├── MalformedRequest   400
        ├── NotAuthorized      401, 403
        ├── NotFound           404: no such score model or example
        ├── TooLarge           413: the request, or what it would cost
        ├── InvalidRequest     422
        │   ├── ShapeMismatch  shapes do not fit together
        │   └── UnknownName    a name that the service does not know; the detail suggests one
        ├── ServiceBusy        429, 503: after every attempt that was allowed; carries retry_after and attempts
        └── ServiceFailed      any other 5xx: a defect of the service, or something in front of it
"""

from collections.abc import Mapping
from dataclasses import dataclass


class AttentionServiceError(Exception):
    """Base of everything the client raises on purpose."""


class InvalidArgument(AttentionServiceError, ValueError):
    """An argument cannot be put on the wire; `pointer` leads to it as it would in the body of /v1/attention."""

    def __init__(self, pointer: str, detail: str) -> None:
        self.pointer, self.detail = pointer, detail
        super().__init__(f"{pointer}: {detail}")


class ConnectionFailed(AttentionServiceError):
    """No answer came: the connection was refused or broke, or the other side does not speak HTTP."""


class DeadlineExceeded(AttentionServiceError):
    """No answer came in time; `request_id` is known when the service itself said so."""

    def __init__(self, detail: str, request_id: str | None = None) -> None:
        self.detail, self.request_id = detail, request_id
        super().__init__(detail)


class UnreadableAnswer(AttentionServiceError):
    """The answer is not what the protocol says it must be."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing that is wrong: where, as a JSON Pointer, and what was expected, what came, what to change."""

    pointer: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What an error of the service says of itself (RFC 9457); `slug` is None when something else answered."""

    status: int
    slug: str | None
    detail: str
    errors: tuple[Violation, ...] = ()
    request_id: str | None = None


class RequestRefused(AttentionServiceError):
    """The service answered with an error."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        place = f" at {problem.errors[0].pointer}" if problem.errors else ""
        super().__init__(f"{problem.status} {problem.slug or 'error'}{place}: {problem.detail}")

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.problem.status

    @property
    def slug(self) -> str | None:
        """The kind of problem; `/problems/<slug>` of the service explains it."""
        return self.problem.slug

    @property
    def detail(self) -> str:
        """What was expected, what came, what to change."""
        return self.problem.detail

    @property
    def errors(self) -> tuple[Violation, ...]:
        """Everything that is wrong; pointers of `attend` are those of /v1/attention, whose words its arguments are."""
        return self.problem.errors

    @property
    def request_id(self) -> str | None:
        """To be found in the log of the service."""
        return self.problem.request_id


class MalformedRequest(RequestRefused):
    """400: the service could not decode what was sent."""


class NotAuthorized(RequestRefused):
    """401 or 403: the API key is missing, wrong or not enough."""


class NotFound(RequestRefused):
    """404: no such score model or worked example, or no such service at this address."""


class TooLarge(RequestRefused):
    """413: the body, or the predicted result, memory or operations exceed a limit."""


class InvalidRequest(RequestRefused):
    """422: decodable but wrong."""


class ShapeMismatch(InvalidRequest):
    """Shapes do not fit together."""


class UnknownName(InvalidRequest):
    """There is no such field, score model, normalizer, position or dtype."""


class ServiceBusy(RequestRefused):
    """429 or 503, still so after `attempts` attempts; `retry_after` are the seconds that the service asked for."""

    def __init__(self, problem: Problem, retry_after: float | None, attempts: int) -> None:
        self.retry_after, self.attempts = retry_after, attempts
        super().__init__(problem)


class ServiceFailed(RequestRefused):
    """Another 5xx."""


BY_SLUG: Mapping[str, type[RequestRefused]] = {"shape-mismatch": ShapeMismatch, "unknown-name": UnknownName}

BY_STATUS: Mapping[int, type[RequestRefused]] = {
    400: MalformedRequest,
    401: NotAuthorized,
    403: NotAuthorized,
    404: NotFound,
    413: TooLarge,
    422: InvalidRequest,
}


def refused(problem: Problem) -> RequestRefused:
    """Return the error that a problem becomes: by its slug, else by its status."""
    otherwise = ServiceFailed if problem.status >= 500 else RequestRefused
    return BY_SLUG.get(problem.slug or "", BY_STATUS.get(problem.status, otherwise))(problem)
