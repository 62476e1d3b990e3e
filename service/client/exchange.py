"""One call from the first attempt to its answer, as a generator that says what to do and is told what came of it.

Sending and sleeping are all that a transport does, so with asyncio and without it the same lines decide.
"""

import gzip
import random
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import TypeVar

from service.client.answers import Reply, read_problem, retry_after
from service.client.calls import Call
from service.client.errors import ConnectionFailed, DeadlineExceeded, ServiceBusy, refused
from service.client.progress import OnProgress

T = TypeVar("T")

BUSY = (429, 503)

GATEWAY_TIMEOUT = 504

LEAST_SECONDS = 0.001
"""The service takes no time-out of zero."""


@dataclass(frozen=True, slots=True)
class Retry:
    """When to try again after 429, 503 or a broken connection, which is safe, since no call changes anything.

    Before attempt n + 1 the client waits as long as Retry-After says and a random time of up to
    ``first_seconds · 2ⁿ⁻¹``, or `most_seconds`, beside it.  It gives up after `attempts`, or at once when the time-out
    would pass while waiting.  ``Retry(attempts=1)`` never tries again.
    """

    attempts: int = 4
    first_seconds: float = 0.2
    most_seconds: float = 5.0

    def wait(self, attempt: int, asked: float | None) -> float:
        """Return how long to wait after an attempt, the first of which is 1."""
        spread = min(self.first_seconds * 2 ** (attempt - 1), self.most_seconds)
        return (asked or 0.0) + random.uniform(0, spread)  # noqa: S311 - nothing secret about it


@dataclass(frozen=True, slots=True)
class Conduct:
    """How calls are made: seconds for all of a call, when to try again, what is said about it in headers."""

    timeout: float = 60.0
    retry: Retry = field(default_factory=Retry)
    compress: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Attempt:
    """Wait for `after` seconds, send this and tell what came of it, no later than `until` on the monotonic clock."""

    after: float
    until: float
    method: str
    path: str
    headers: Mapping[str, str]
    content: bytes
    progress: OnProgress | None = None

    @property
    def remaining(self) -> float:
        """Seconds left; never quite none."""
        return max(self.until - monotonic(), LEAST_SECONDS)

    def require_time(self) -> None:
        """Raise DeadlineExceeded once there is none left."""
        if monotonic() > self.until:
            raise too_late("one had begun to arrive")


Exchange = Generator[Attempt, Reply | ConnectionFailed, T]


def exchange(call: Call[T], conduct: Conduct) -> Exchange[T]:
    """Return the answer to a call; raises whatever `service.client.errors` knows but InvalidArgument."""
    until = monotonic() + conduct.timeout
    content, headers = _prepared(call, conduct)
    attempts, wait = 0, 0.0
    while True:
        seconds = max(until - monotonic() - wait, LEAST_SECONDS)
        timed = {**headers, "Request-Timeout": f"{seconds:.3f}"}
        outcome = yield Attempt(wait, until, call.method, call.path, timed, content, call.progress)
        if isinstance(outcome, Reply) and outcome.status not in BUSY:
            return _read(call, outcome)
        attempts += 1
        asked = retry_after(outcome) if isinstance(outcome, Reply) else None
        wait = conduct.retry.wait(attempts, asked)
        if attempts >= conduct.retry.attempts or monotonic() + wait >= until:
            if isinstance(outcome, Reply):
                raise ServiceBusy(read_problem(outcome, call.located), asked, attempts)
            raise outcome


def _prepared(call: Call[T], conduct: Conduct) -> tuple[bytes, dict[str, str]]:
    headers = {"Accept-Encoding": "identity", **call.headers, **conduct.headers}
    if not (conduct.compress and call.may_be_compressed):
        return call.content, headers
    return gzip.compress(call.content, 1), headers | {"Content-Encoding": "gzip", "Accept-Encoding": "gzip"}


def _read(call: Call[T], reply: Reply) -> T:
    if reply.status == 200:
        return call.read(reply)
    problem = read_problem(reply, call.located)
    if reply.status == GATEWAY_TIMEOUT:
        raise DeadlineExceeded(problem.detail, problem.request_id)
    raise refused(problem)


def too_late(state: str) -> DeadlineExceeded:
    """Return the error of a client that waits no longer."""
    return DeadlineExceeded(f"expected an answer before the time-out of the client; {state}. Allow more, or send less.")
