"""Waiting for the next ASGI message with a time limit, which costs a timer only where there is something to wait for.

A small body has usually arrived with its head.  Without a timer for it a request of the row "4 keys × 8, JSON, all
three results" of benchmarks/RESULTS.md takes 16 µs less in process, of 162 (docs/adr/0001-raw-routes.md).
"""

import asyncio
from collections.abc import Awaitable, Callable, Generator, MutableMapping
from functools import partial
from types import coroutine
from typing import Any

Message = MutableMapping[str, Any]

Receive = Callable[[], Awaitable[Message]]


async def receive_within(receive: Receive, seconds: float) -> Message:
    """Return the next message; raise TimeoutError when it has not come within `seconds`."""
    steps = receive().__await__()
    try:
        first = next(steps)
    except StopIteration as arrived:
        message: Message = arrived.value
        return message
    async with asyncio.timeout(max(seconds, 0)):
        return await _resumed(steps, first)


@coroutine
def _resumed(steps: Generator[Any, Any, Any], yielded: Any) -> Generator[Any, Any, Any]:
    """Go on with a coroutine that has run to its first wait."""
    while True:
        try:
            sent = yield yielded
        except BaseException as thrown:  # noqa: BLE001 - every exception, above all a cancellation, is passed on
            resume = partial(steps.throw, thrown)
        else:
            resume = partial(steps.send, sent)
        try:
            yielded = resume()
        except StopIteration as finished:
            return finished.value
