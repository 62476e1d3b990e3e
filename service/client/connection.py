"""What both clients do to httpx and hear from it."""

import re
from copy import copy
from dataclasses import replace
from typing import Any, Self

import httpx

from service.client.errors import ConnectionFailed, InvalidArgument
from service.client.exchange import Attempt, Conduct, Retry, too_late
from service.client.intake import Intake, intake_of

ADDRESS = "http://127.0.0.1:8000"

API_KEY = re.compile(r"[!-~]+")
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
TRACE_PARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


class Connected:
    """How calls are made, for both clients."""

    _conduct: Conduct

    def with_options(
        self,
        *,
        timeout: float | None = None,
        retry: Retry | None = None,
        request_id: str | None = None,
        traceparent: str | None = None,
    ) -> Self:
        """Return a client of the same connections that makes its calls otherwise; closing either closes both.

        :param timeout: seconds for all of a call, every attempt and wait included; the service is told as well.
        :param request_id: under which the calls stand in the log of the service, of letters, digits and ``._-``.
        :param traceparent: of the trace that the calls belong to (W3C Trace Context).
        """
        headers = dict(self._conduct.headers)
        for name, value, pattern in (
            ("X-Request-ID", request_id, REQUEST_ID),
            ("traceparent", traceparent, TRACE_PARENT),
        ):
            if value is not None:
                if not pattern.fullmatch(value):
                    raise InvalidArgument(name, f"expected {pattern.pattern}; received {value!r}.")
                headers[name] = value
        changes: dict[str, Any] = {"timeout": timeout, "retry": retry, "headers": headers}
        other = copy(self)
        other._conduct = replace(self._conduct, **{name: value for name, value in changes.items() if value is not None})
        return other


def address(base_url: str) -> str:
    """Return the address of a service; raises InvalidArgument for what is none."""
    if not re.match(r"https?://[^/]", base_url):
        raise InvalidArgument("base_url", f"expected a URL such as {ADDRESS}; received {base_url!r}.")
    return base_url


def authorized(api_key: str | None) -> dict[str, str]:
    """Return the headers that carry an API key; raises InvalidArgument, which does not repeat it, if none can."""
    if api_key is None:
        return {}
    if not API_KEY.fullmatch(api_key):
        raise InvalidArgument("api_key", "expected visible ASCII characters, without spaces; received something else.")
    return {"Authorization": f"Bearer {api_key}"}


def request_of(http: httpx.Client | httpx.AsyncClient, attempt: Attempt) -> httpx.Request:
    """Return what is to be sent."""
    return http.build_request(
        attempt.method, attempt.path, headers=attempt.headers, content=attempt.content, timeout=attempt.remaining
    )


def failure_of(error: httpx.RequestError) -> ConnectionFailed:
    """Return what broke; raises DeadlineExceeded when it was the time-out."""
    if isinstance(error, httpx.TimeoutException):
        raise too_late("none had come") from error
    failure = ConnectionFailed(f"{error.request.url.netloc.decode()}: {error or type(error).__name__}")
    failure.__cause__ = error
    return failure


def intake_for(response: httpx.Response, attempt: Attempt) -> Intake:
    """Return what takes the answer in."""
    return intake_of(response.status_code, response.headers, attempt.progress)
