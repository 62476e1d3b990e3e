"""The gate that everything that computes passes: body limit, bounded threads, bounded queue, deadline.

A small request is decoded, computed and encoded right here, on the event loop: a few microseconds of work are not
worth a hop to a thread.  Everything else, decoding included, runs in a compute thread, of which there are as many as
the settings say; as many requests again as `queue_size` may wait for one.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Generator, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from time import monotonic
from types import coroutine
from typing import Any

from attention_core import Stopped, Workers
from service.compute import Body, Prepare, Prepared, Reply, Run
from service.errors import BodyTimeout, DeadlineExceeded, Disconnected, MalformedBody, QueueFull, TooLarge
from service.settings import Settings

INLINE_BYTES = 8 * 1024
"""A body up to this size is decoded on the event loop: some tens of microseconds."""

INLINE_OPERATIONS = 2_000_000
"""A call up to this cost is computed on the event loop: some tens of microseconds more."""

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment on the monotonic clock, counted from the arrival of the request."""

    at: float

    @classmethod
    def of(cls, request_timeout: str | None, settings: Settings) -> "Deadline":
        """Return the deadline of a request that has just arrived; Request-Timeout shortens it, never lengthens it.

        Raises MalformedBody when the header is not a positive number of seconds.
        """
        seconds = settings.deadline_seconds
        if request_timeout is not None:
            seconds = min(seconds, _seconds(request_timeout))
        return cls(monotonic() + seconds)

    @property
    def remaining(self) -> float:
        """Seconds left, negative once it has passed."""
        return self.at - monotonic()

    def passed(self) -> bool:
        """Whether it has."""
        return monotonic() >= self.at


class Gate:
    """Admits work, one per process; what it admits may share `workers`."""

    def __init__(self, settings: Settings, workers: Workers) -> None:
        self._settings = settings
        self._workers = workers
        self._threads = ThreadPoolExecutor(settings.compute_threads, thread_name_prefix="compute")
        self._held = 0

    async def run(self, body: Body, prepare: Prepare, deadline: Deadline) -> Reply:
        """Return the answer to one request.

        Raises QueueFull at once when too many wait, DeadlineExceeded when the answer is late, and whatever `prepare`
        and `complete` raise.
        """
        if len(body.content) > INLINE_BYTES:
            return await self._in_thread(lambda run: prepare(body, self._settings).complete(run), deadline)
        prepared: Prepared = prepare(body, self._settings)
        if prepared.operations > INLINE_OPERATIONS:
            return await self._in_thread(prepared.complete, deadline)
        return prepared.complete(Run(self._workers))

    async def _in_thread(self, work: Callable[[Run], Reply], deadline: Deadline) -> Reply:
        settings = self._settings
        if self._held >= settings.compute_threads + settings.queue_size:
            raise QueueFull(
                f"expected at most {settings.queue_size} requests to wait for {settings.compute_threads} compute "
                "threads; received one more. Try again after the seconds in Retry-After."
            )
        abandoned = threading.Event()

        def should_stop() -> bool:
            return abandoned.is_set() or deadline.passed()

        def start() -> Reply:
            if should_stop():
                raise Stopped("expired while waiting")
            # Whatever it computes, no helper of another request is to take the same core.
            with self._workers.occupied():
                return work(Run(self._workers, should_stop))

        self._held += 1
        future = asyncio.get_running_loop().run_in_executor(self._threads, start)
        future.add_done_callback(self._release)
        try:
            return await asyncio.wait_for(asyncio.shield(future), deadline.remaining)
        except (Stopped, TimeoutError):
            raise DeadlineExceeded(
                "expected an answer before the deadline; received more work than that time allows. Send less at once, "
                f"or allow more time: Request-Timeout up to {settings.deadline_seconds:g} seconds."
            ) from None
        finally:
            abandoned.set()

    def _release(self, future: "asyncio.Future[Reply]") -> None:
        self._held -= 1
        if not future.cancelled():
            # A late failure has nobody left to hear it; asking for it keeps asyncio from reporting it as forgotten.
            future.exception()

    def close(self) -> None:
        """Let running work end and take no more."""
        self._threads.shutdown(wait=False, cancel_futures=True)


async def read_body(
    receive: Receive, content_length: bytes | str | None, limit: int, timeout_seconds: float, lead: bytes = b""
) -> bytes:
    """Return the body, counted while it arrives, behind a `lead` that moves what is in it to where it is aligned.

    Raises TooLarge as soon as it is known to exceed `limit`, BodyTimeout, MalformedBody, or Disconnected.
    """
    if content_length is not None and int(content_length) > limit:
        raise _too_large(int(content_length), limit)
    message = await _receive(receive, timeout_seconds)
    body: bytes = message.get("body", b"")
    if not message.get("more_body", False):
        if len(body) > limit:
            raise _too_large(len(body), limit)
        return lead + body if lead else body
    chunks, size = [lead, body], len(body)
    until = monotonic() + timeout_seconds
    while message.get("more_body", False):
        message = await _receive(receive, until - monotonic())
        chunk = message.get("body", b"")
        chunks.append(chunk)
        size += len(chunk)
        if size > limit:
            raise _too_large(size, limit)
    return b"".join(chunks)


async def _receive(receive: Receive, seconds: float) -> MutableMapping[str, Any]:
    """Return the next message; a small body has usually arrived already, and then no timer is set."""
    steps = receive().__await__()
    try:
        first = next(steps)
    except StopIteration as arrived:
        message: MutableMapping[str, Any] = arrived.value
    else:
        try:
            async with asyncio.timeout(max(seconds, 0)):
                message = await _resumed(steps, first)
        except TimeoutError:
            raise BodyTimeout(
                "expected the whole body in time; received only part. Send it faster, or send less."
            ) from None
    if message["type"] == "http.disconnect":
        raise Disconnected("the client went away before its body had arrived")
    return message


@coroutine
def _resumed(steps: Generator[Any, Any, Any], yielded: Any) -> Generator[Any, Any, Any]:
    """Go on with a coroutine that has run to its first wait."""
    while True:
        try:
            sent = yield yielded
        except BaseException as thrown:  # noqa: BLE001 - whatever is thrown in, a cancellation above all, is passed on
            resume = partial(steps.throw, thrown)
        else:
            resume = partial(steps.send, sent)
        try:
            yielded = resume()
        except StopIteration as finished:
            return finished.value


def _too_large(size: int, limit: int) -> TooLarge:
    return TooLarge(
        f"expected a body of at most {limit} bytes; received {size} or more. Send less at once, or a denser format."
    )


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not seconds > 0:
        raise MalformedBody(
            f"expected a positive number of seconds in Request-Timeout; received {text[:40]!r}. Send, say, 2.5."
        )
    return seconds
