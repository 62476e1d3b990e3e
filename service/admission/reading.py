"""The body of a request: counted while it arrives, and given only so much time."""

import asyncio
from collections.abc import Awaitable, Callable, Generator, MutableMapping
from functools import partial
from io import BytesIO
from time import monotonic
from types import coroutine
from typing import Any

from service.errors import BodyTimeout, Disconnected, TooLarge

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

Extend = Callable[[int], None]


async def read_body(
    receive: Receive,
    limit: int,
    timeout_seconds: float,
    lead: bytes = b"",
    extend: Extend | None = None,
) -> bytes:
    """Return the body, counted while it arrives, behind a `lead` that moves what is in it to where it is aligned.

    `extend` hears of its size before any more of it is kept.  Raises what that raises, TooLarge as soon as the body is
    known to exceed `limit`, BodyTimeout, MalformedBody, or Disconnected.
    """
    message = await _receive(receive, timeout_seconds)
    body: bytes = message.get("body", b"")
    if not message.get("more_body", False):
        if len(body) > limit:
            raise too_large(len(body), limit)
        return lead + body if lead else body
    # What it grows to is handed out as it is, not copied.
    whole, size = BytesIO(), 0
    whole.write(lead)
    until = monotonic() + timeout_seconds
    while True:
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise too_large(size, limit)
        if extend is not None:
            extend(size)
        whole.write(chunk)
        if not message.get("more_body", False):
            return whole.getvalue()
        message = await _receive(receive, until - monotonic())


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


def too_large(size: int, limit: int) -> TooLarge:
    """Return the error of a body over the limit."""
    return TooLarge(
        f"expected a body of at most {limit} bytes; received {size} or more. Send less at once, or a denser format."
    )
