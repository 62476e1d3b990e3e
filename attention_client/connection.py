"""Requests and failures of httpx, for both clients."""

import re
from collections.abc import Callable
from copy import copy
from dataclasses import replace
from typing import Any, Generic, Self, TypeVar

import httpx

from attention_client.errors import AttentionServiceError, ConnectionFailed, InvalidArgument
from attention_client.events import EventReader, WholeReader, body_reader
from attention_client.exchange import Attempt, CallSettings, Retry, timed_out

ADDRESS = "http://127.0.0.1:8000"

API_KEY = re.compile(r"[!-~]+")
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
TRACE_PARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


Http = TypeVar("Http", httpx.Client, httpx.AsyncClient)
Transport = TypeVar("Transport", httpx.BaseTransport, httpx.AsyncBaseTransport)


class Configured(Generic[Http, Transport]):
    """Base of both clients: their arguments, and what a call may be given beside its own."""

    _open: Callable[..., Http]
    """Makes the client of httpx."""

    def __init__(
        self,
        base_url: str = ADDRESS,
        *,
        api_key: str | None = None,
        timeout: float = 60.0,
        retry: Retry | None = None,
        compress: bool = False,
        transport: Transport | None = None,
    ) -> None:
        self._settings = CallSettings(timeout, retry or Retry(), compress)
        self._http: Http = self._open(base_url=address(base_url), headers=authorized(api_key), transport=transport)

    def with_options(
        self,
        *,
        timeout: float | None = None,
        retry: Retry | None = None,
        request_id: str | None = None,
        traceparent: str | None = None,
    ) -> Self:
        """Return a client with other settings that shares the connections; closing either closes both.

        An argument that is None leaves its setting as it is.

        :param timeout: seconds for all attempts and waits of a call; the service stops computing after them as well.
        :param retry: when to try again.
        :param request_id: identifies the calls in the log of the service; 1 to 128 letters, digits and ``._-``.
        :param traceparent: the trace that the calls belong to (W3C Trace Context).

        Raises InvalidArgument for a request id or a traceparent of another form.
        """
        headers = dict(self._settings.headers)
        for name, value, pattern in (
            ("X-Request-ID", request_id, REQUEST_ID),
            ("traceparent", traceparent, TRACE_PARENT),
        ):
            if value is not None:
                if not pattern.fullmatch(value):
                    raise InvalidArgument(name, f"expected {pattern.pattern}; received {value!r}.")
                headers[name] = value
        changes: dict[str, Any] = {"timeout": timeout, "retry": retry, "headers": headers}
        given = {name: value for name, value in changes.items() if value is not None}
        other = copy(self)
        other._settings = replace(self._settings, **given)
        return other


def address(base_url: str) -> str:
    """Return the URL of a service; raises InvalidArgument unless it is one of HTTP."""
    if not re.match(r"https?://[^/]", base_url):
        raise InvalidArgument("base_url", f"expected a URL such as {ADDRESS}; received {base_url!r}.")
    return base_url


def authorized(api_key: str | None) -> dict[str, str]:
    """Return the headers that carry an API key; raises InvalidArgument, without the key, for characters they cannot."""
    if api_key is None:
        return {}
    if not API_KEY.fullmatch(api_key):
        raise InvalidArgument("api_key", "expected visible ASCII characters, without spaces; received something else.")
    return {"Authorization": f"Bearer {api_key}"}


def request_of(http: httpx.Client | httpx.AsyncClient, attempt: Attempt) -> httpx.Request:
    """Return the request of an attempt."""
    return http.build_request(
        attempt.method, attempt.path, headers=attempt.headers, content=attempt.content, timeout=attempt.remaining
    )


def failure_of(error: httpx.RequestError | TimeoutError) -> AttentionServiceError:
    """Return the failure of a connection: ConnectionFailed, or DeadlineExceeded for a time-out."""
    failure: AttentionServiceError
    if isinstance(error, httpx.TimeoutException | TimeoutError):
        failure = timed_out("none had come")
    else:
        detail = f"{error.request.url.netloc.decode()}: {error or type(error).__name__}"
        failure = ConnectionFailed(detail, was_sent=not isinstance(error, httpx.ConnectError))
    failure.__cause__ = error
    return failure


def reader_of(response: httpx.Response, attempt: Attempt) -> WholeReader | EventReader:
    """Return the reader of a response whose head has arrived."""
    return body_reader(response.status_code, response.headers, attempt.on_progress)
