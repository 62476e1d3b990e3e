"""Several calls in a row, as a generator that yields each call and is sent its result; and methods that are awaited."""

from collections.abc import Awaitable, Callable, Coroutine, Generator
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

from attention_client.calls import Call
from attention_client.errors import AttentionServiceError

P = ParamSpec("P")
T = TypeVar("T")

Procedure = Generator[Call[Any], Any, T]
"""Yields calls, is sent their results, is thrown their errors, and returns a result of its own."""


def single(call: Call[T]) -> Procedure[T]:
    """Return the procedure of one call."""
    result: T = yield call
    return result


def drive(procedure: Procedure[T], run: Callable[[Call[Any]], Any]) -> T:
    """Return the result of a procedure.

    :param procedure: just begun.
    :param run: makes a call.
    """
    try:
        call = next(procedure)
        while True:
            try:
                result = run(call)
            except AttentionServiceError as error:
                call = procedure.throw(error)
            else:
                call = procedure.send(result)
    except StopIteration as end:
        return cast("T", end.value)


async def drive_async(procedure: Procedure[T], run: Callable[[Call[Any]], Awaitable[Any]]) -> T:
    """Return the result of a procedure as `drive` does, where making a call is awaited."""
    try:
        call = next(procedure)
        while True:
            try:
                result = await run(call)
            except AttentionServiceError as error:
                call = procedure.throw(error)
            else:
                call = procedure.send(result)
    except StopIteration as end:
        return cast("T", end.value)


class OfClient:
    """Base of what belongs to a client, and calls as it does.

    :param client_drive: the client's function that returns the result of a procedure, or a coroutine that does.
    """

    def __init__(self, client_drive: Any) -> None:
        self.client_drive = client_drive

    def _run(self, call: Call[T]) -> T:
        return self._drive(single(call))

    def _drive(self, procedure: Procedure[T]) -> T:
        result: T = self.client_drive(procedure)
        return result


def awaited(method: Callable[Concatenate[Any, P], T]) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, T]]:
    """Return a method as one that is awaited.

    The method builds calls and returns what runs them, which is a coroutine in a class for asyncio.
    """

    @wraps(method)
    async def wait(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> T:
        running: Any = method(self, *args, **kwargs)
        return cast("T", await running)

    return wait
