"""One call with all of its attempts, as a generator that yields each attempt and is sent its outcome.

The transport sends requests and sleeps, and does nothing else, so that the same lines decide with asyncio and without.
"""

import gzip
import random
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import TypeVar

from attention_client.calls import Call
from attention_client.errors import (
    AttentionServiceError,
    ConnectionFailed,
    DeadlineExceeded,
    UnreadableAnswer,
    busy_error,
    error_for,
)
from attention_client.names import PROBLEMS
from attention_client.progress import OnProgress
from attention_client.responses import Reply, read_problem, retry_after

T = TypeVar("T")

BUSY = (PROBLEMS["queue-full"], PROBLEMS["draining"])
"""429, which the service answers before it does anything, and 503, which may come after a write."""

SUCCESSES = (200, 201, 204)

UNCHANGED = (501, PROBLEMS["insufficient-storage"])
"""Statuses from 500 on after which no memory is changed."""

MIN_TIMEOUT_SECONDS = 0.001
"""The service refuses a Request-Timeout of 0."""


@dataclass(frozen=True, slots=True)
class Retry:
    """When to try again after 429, 503 or a broken connection, where that is safe.

    It is for a call that changes nothing, and for a write with a precondition: an attempt that follows one whose answer
    was lost is refused if that one has written.  Any other write is tried again only after 429, and where there was no
    connection.

    Before attempt n + 1 the client waits for the seconds that Retry-After asks for, and for a random time of up to
    ``first_seconds · 2ⁿ⁻¹``, at most `most_seconds`, beside them.  ``Retry(attempts=1)`` never tries again.

    :param attempts: of a call, the first one included; default 4.  It ends earlier if the time-out would pass while
        waiting.
    :param first_seconds: default 0.2.
    :param most_seconds: default 5.
    """

    attempts: int = 4
    first_seconds: float = 0.2
    most_seconds: float = 5.0

    def wait(self, attempt: int, asked: float | None) -> float:
        """Return the seconds to wait.

        :param attempt: the one that failed, counted from 1.
        :param asked: seconds of Retry-After; None without one.
        """
        spread = min(self.first_seconds * 2 ** (attempt - 1), self.most_seconds)
        return (asked or 0.0) + random.uniform(0, spread)  # noqa: S311 - nothing secret about it


@dataclass(frozen=True, slots=True)
class CallSettings:
    """How calls are made.

    :param timeout: seconds for all attempts and waits of a call.
    :param compress: whether tensors are compressed with gzip in both directions.
    :param headers: of every request.
    """

    timeout: float = 60.0
    retry: Retry = field(default_factory=Retry)
    compress: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Attempt:
    """A request to send.

    :param delay: seconds to wait before it is sent.
    :param deadline: by the monotonic clock; no response is waited for beyond it.
    """

    delay: float
    deadline: float
    method: str
    path: str
    headers: Mapping[str, str]
    content: bytes
    on_progress: OnProgress | None = None

    @property
    def remaining(self) -> float:
        """Seconds until the deadline, at least `MIN_TIMEOUT_SECONDS`."""
        return max(self.deadline - monotonic(), MIN_TIMEOUT_SECONDS)

    def check_deadline(self) -> None:
        """Raise DeadlineExceeded if the deadline has passed."""
        if monotonic() > self.deadline:
            raise timed_out("one had begun to arrive")


Exchange = Generator[Attempt, Reply | AttentionServiceError, T]


def exchange(call: Call[T], settings: CallSettings) -> Exchange[T]:
    """Yield attempts, and return the result of the call; raises an error of `attention_client.errors`."""
    deadline = monotonic() + settings.timeout
    content, headers = _encode(call, settings)
    attempts, delay, has_lost_answer = 0, 0.0, False
    while True:
        seconds = max(deadline - monotonic() - delay, MIN_TIMEOUT_SECONDS)
        timed = {**headers, "Request-Timeout": f"{seconds:.3f}"}
        outcome = yield Attempt(delay, deadline, call.method, call.path, timed, content, call.on_progress)
        if isinstance(outcome, Reply) and outcome.status not in BUSY:
            return _read(call, outcome, has_lost_answer=has_lost_answer)
        has_lost_answer = has_lost_answer or (call.writes and _may_have_acted(outcome))
        attempts += 1
        asked = retry_after(outcome) if isinstance(outcome, Reply) else None
        delay = settings.retry.wait(attempts, asked)
        may_repeat = isinstance(outcome, Reply | ConnectionFailed) and (call.is_conditional or not has_lost_answer)
        if not may_repeat or attempts >= settings.retry.attempts or monotonic() + delay >= deadline:
            error = (
                busy_error(read_problem(outcome, call.translate), asked, attempts)
                if isinstance(outcome, Reply)
                else outcome
            )
            error.may_have_changed = has_lost_answer
            raise error


def _may_have_acted(outcome: Reply | AttentionServiceError) -> bool:
    """Return whether the service may have done what a write asked for, in spite of this outcome."""
    if isinstance(outcome, Reply):
        return outcome.status != PROBLEMS["queue-full"]
    return not isinstance(outcome, ConnectionFailed) or outcome.was_sent


def _encode(call: Call[T], settings: CallSettings) -> tuple[bytes, dict[str, str]]:
    headers = {"Accept-Encoding": "identity", **call.headers, **settings.headers}
    if not (settings.compress and call.may_be_compressed):
        return call.content, headers
    return gzip.compress(call.content, 1), headers | {"Content-Encoding": "gzip", "Accept-Encoding": "gzip"}


def _read(call: Call[T], reply: Reply, *, has_lost_answer: bool) -> T:
    """Return the result of a response that ends a call, or raise its error.

    :param has_lost_answer: whether an earlier attempt to write had no answer that tells what it did.
    """
    if reply.status in SUCCESSES:
        try:
            return call.read(reply)
        except UnreadableAnswer as unreadable:
            unreadable.may_have_changed = call.writes
            raise
    problem = read_problem(reply, call.translate)
    error: AttentionServiceError = error_for(problem)
    if reply.status == PROBLEMS["deadline-exceeded"]:
        error = DeadlineExceeded(problem.detail, problem.request_id, problem.memory_version)
    has_failed = reply.status >= 500 and reply.status not in UNCHANGED
    error.may_have_changed = has_lost_answer or (call.writes and has_failed)
    raise error


def timed_out(state: str) -> DeadlineExceeded:
    """Return the error of a time-out of the client; `state` says what had arrived by then."""
    return DeadlineExceeded(f"expected an answer before the time-out of the client; {state}. Allow more, or send less.")
