"""A decoding loop over HTTP: the keys and values so far are a memory, and each step is one request.

A step appends its keys and values and attends over all of them, on the condition that the memory has the version of the
step before.  So a step that is sent again after a lost answer is refused instead of appended twice.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import wraps
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self

from numpy.typing import ArrayLike, NDArray

from attention_client import calls, memory_calls
from attention_client.arguments import Document, build_document, check_memory_name, shared_dtype
from attention_client.errors import (
    AttentionServiceError,
    ConnectionFailed,
    DeadlineExceeded,
    InvalidArgument,
    NotFound,
    PreconditionFailed,
    RequestRefused,
    ServiceBusy,
    ServiceFailed,
    UnreadableAnswer,
)
from attention_client.memory_calls import MemoryDescription
from attention_client.procedures import OfClient, Procedure, awaited
from attention_client.responses import AttentionResult
from attention_client.tensors import as_array

SET_BY_SESSION = ("memory", "append", "past_key", "past_value", "positions")
"""Options of `AttentionClient.attend` that a session does not take."""

INTERRUPTIONS = (ConnectionFailed, DeadlineExceeded, ServiceBusy, ServiceFailed, UnreadableAnswer)
"""Errors that are not about the step, so that it may succeed when it is sent again."""

P = ParamSpec("P")


class StepInterrupted(AttentionServiceError):
    """The answer to a step was lost; `resume` of the session returns its result.  The cause says how it was lost.

    :param appended: whether the keys and values of the step are in the memory; None if that is not known.
    """

    def __init__(self, *, appended: bool | None) -> None:
        self.appended = appended
        self.may_have_changed = appended is not False
        said = {None: "may have been appended", True: "has been appended", False: "has not been appended"}[appended]
        super().__init__(f"expected an answer to a step; it was lost, and the step {said}. Go on with resume().")


@dataclass(frozen=True, slots=True)
class Step:
    """A step whose result has not arrived.

    :param document: its arguments, without the memory.
    :param keys: number of its keys.
    """

    document: Document
    keys: int


class DecodingLoop:
    """State of a decoding loop, and the procedures that change it; no two of them may run at the same time.

    :param name: of the memory.
    :param prompt: keys and values to begin with; None for none.
    :param options: of every step, as for `AttentionClient.attend`.
    :param memory_options: ttl_seconds, durability and note of a new memory.
    :param is_there: whether the memory exists already.
    :param keeps: whether the memory stays when the loop ends; None if it does exactly if it was there before.

    Raises InvalidArgument for options that do not fit a loop.
    """

    def __init__(
        self,
        name: str,
        prompt: tuple[ArrayLike, ArrayLike | None] | None,
        options: Mapping[str, Any],
        memory_options: Mapping[str, Any],
        *,
        is_there: bool,
        keeps: bool | None,
    ) -> None:
        self.name = check_memory_name(name)
        self.memory: MemoryDescription | None = None
        """As it was put or found; `version` and `keys` are those behind the last step."""
        self.version: str | None = None
        self.keys = 0
        self._prompt = prompt
        self._is_there = is_there
        self._keeps = is_there if keeps is None else keeps
        self._memory_options = memory_options
        self._options = {**options, "mask": _causal(options.get("mask"))}
        self._pending: Step | None = None
        self._may_be_put = False
        self._has_ended = self._is_removed = False
        for option in SET_BY_SESSION:
            if options.get(option) is not None:
                raise InvalidArgument(f"/{option}", "expected none, since the session says it; received one.")
        if is_there and prompt is not None:
            raise InvalidArgument("/key", "expected none beside existing=True; received one. Append it with a step.")

    def begin(self) -> Procedure[None]:
        """Put the prompt, or describe the memory that is there; without either the first step begins."""
        if self.memory is not None:
            return
        if self._is_there:
            self._follow((yield memory_calls.get(self.name)))
        elif self._prompt is not None:
            key, value = self._prompt
            arrays = [as_array(one, f"/{name}") for name, one in (("key", key), ("value", value)) if one is not None]
            dtype = shared_dtype(arrays, self._options.get("dtype"))
            yield from self._create(arrays[0], None if value is None else arrays[1], dtype)

    def step(self, query: ArrayLike, key: ArrayLike, value: ArrayLike | None) -> Procedure[AttentionResult]:
        """Append keys and values, and return attention over all of them; raises StepInterrupted."""
        if self._has_ended or self._pending is not None:
            state = "a session that has ended" if self._has_ended else "an interrupted step. Call resume() first"
            raise RuntimeError(f"expected a session that waits for a step; received {state}.")
        yield from self.begin()
        options = dict(self._options)
        if self.memory is not None:
            options["dtype"] = options.get("dtype") or self.memory.dtype
            options["layout"] = options.get("layout") or self.memory.layout
        if options.get("include") is None and value is not None:
            options["include"] = ("output",)
        document = build_document(query, key, value, **options, memory=self.name, append=True)
        if self.memory is None:
            axis = _key_axis(document["key"].ndim, document.get("layout"))
            no_value = document["value"].take([], axis) if "value" in document else None
            yield from self._create(document["key"].take([], axis), no_value, document["dtype"])
        return (yield from self._send(Step(document, self._count(document["key"])), is_repeated=False))

    def resume(self) -> Procedure[AttentionResult]:
        """Return the result of the interrupted step, which is appended unless it has been; raises StepInterrupted.

        A memory with the keys of the step behind those before it is taken to have them from this session: no other
        client may write to it.
        """
        step = self._pending
        if step is None:
            raise RuntimeError("expected an interrupted step to resume; received none.")
        appended = None
        try:
            found: MemoryDescription = yield memory_calls.get(self.name)
            if found.version == self.version or found.keys != self.keys + step.keys:
                # The service refuses it if another client has changed the memory.
                return (yield from self._send(step, is_repeated=True))
            appended = True
            reading = {name: one for name, one in step.document.items() if name not in ("key", "value", "append")}
            reading["mask"] = {**reading["mask"], "offset": self.keys}
            result: AttentionResult = yield calls.attend({**reading, "memory": _reference(self.name, found.version)})
        except INTERRUPTIONS as error:
            raise StepInterrupted(appended=appended) from error
        self._advance(step, found.version)
        return result

    def end(self) -> Procedure[None]:
        """Remove the memory unless it is to stay or gone; raises PreconditionFailed if another client has changed it.

        It may be called again after an error.
        """
        self._has_ended = True
        version = self.version
        if self._keeps or self._is_removed or version is None:
            return
        with suppress(NotFound):
            if self._pending is not None:
                found: MemoryDescription = yield memory_calls.get(self.name)
                if found.keys == self.keys + self._pending.keys:
                    version = found.version
            yield memory_calls.delete(self.name, version)
        self._is_removed = True

    def _create(self, key: NDArray[Any], value: NDArray[Any] | None, dtype: str) -> Procedure[None]:
        """Put a memory that must be new; one of these shapes is taken for that of an attempt whose answer was lost."""
        options = {**self._memory_options, "dtype": dtype, "layout": self._options.get("layout")}
        try:
            self._follow((yield memory_calls.put(self.name, key, value, options, if_none_match="*")))
        except AttentionServiceError as error:
            self._may_be_put = self._may_be_put or error.may_have_changed
            if not (self._may_be_put and isinstance(error, PreconditionFailed)):
                raise
            found: MemoryDescription = yield memory_calls.get(self.name)
            value_shape = None if value is None else value.shape
            if (found.key_shape, found.value_shape, found.dtype) != (key.shape, value_shape, dtype):
                raise
            self._follow(found)

    def _follow(self, memory: MemoryDescription) -> None:
        self.memory, self.version, self.keys = memory, memory.version, memory.keys

    def _advance(self, step: Step, version: str) -> None:
        self._pending, self.version, self.keys = None, version, self.keys + step.keys

    def _count(self, key: NDArray[Any]) -> int:
        """Return the number of keys in the layout of the memory; 0 for another rank, which the service refuses."""
        memory = self.memory
        if memory is None or key.ndim != len(memory.key_shape):
            return 0
        return int(key.shape[_key_axis(key.ndim, memory.layout)])

    def _send(self, step: Step, *, is_repeated: bool) -> Procedure[AttentionResult]:
        """Send a step on the condition that the memory has the version of the step before.

        :param step: its arguments.
        :param is_repeated: whether it may have been sent before.
        """
        call = calls.attend({**step.document, "memory": _reference(self.name, self.version)})
        # It stays pending where a task is cancelled while it waits.
        self._pending = step
        try:
            result: AttentionResult = yield call
        except INTERRUPTIONS as error:
            is_open = is_repeated or error.may_have_changed
            is_known = isinstance(error, DeadlineExceeded) and error.memory_version is not None
            raise StepInterrupted(appended=True if is_known else None if is_open else False) from error
        except RequestRefused as error:
            may_be_own = isinstance(error, PreconditionFailed) and (is_repeated or error.may_have_changed)
            if may_be_own and (yield from self._holds(step)):
                raise StepInterrupted(appended=True) from error
            self._pending = None
            raise
        if result.memory_version is None:
            raise StepInterrupted(appended=None) from UnreadableAnswer(
                "expected the version of the memory; found none."
            )
        self._advance(step, result.memory_version)
        return result

    def _holds(self, step: Step) -> Procedure[bool]:
        """Return whether a memory that has changed holds the keys of a step; raises StepInterrupted."""
        try:
            found: MemoryDescription = yield memory_calls.get(self.name)
        except INTERRUPTIONS as error:
            raise StepInterrupted(appended=None) from error
        return found.keys == self.keys + step.keys


class OfLoop(OfClient):
    """Base of both sessions.

    :param client_drive: as for `OfClient`.
    :param loop: the state.
    """

    def __init__(self, client_drive: Any, loop: DecodingLoop) -> None:
        super().__init__(client_drive)
        self.loop = loop

    @property
    def name(self) -> str:
        """The name of the memory."""
        return self.loop.name

    @property
    def version(self) -> str | None:
        """The version of the memory behind the last step; None before there is one."""
        return self.loop.version

    @property
    def keys(self) -> int:
        """The number of keys behind the last step."""
        return self.loop.keys


class DecodingSession(OfLoop):
    """A decoding loop, as `AttentionClient.decoding` begins it; one step at a time.

    >>> with client.decoding("chat-7", key, value, heads={"query": 8, "key_value": 2}) as session:  # doctest: +SKIP
    ...     for query, key, value in tokens:
    ...         output = session.step(query, key, value).output
    """

    def step(self, query: ArrayLike, key: ArrayLike, value: ArrayLike | None = None) -> AttentionResult:
        """Append the keys and values of new tokens, and return attention of their queries over all keys so far.

        :param query: queries of the tokens, (…, n, D), at the positions behind the keys so far.
        :param key: their keys, (…, n, D), in the shape of those before but for their number.
        :param value: their values, exactly if the memory has values.

        The result has the output, or whatever `include` of the session asks for.  Raises StepInterrupted if the answer
        was lost, after which only `resume` can go on; and what `AttentionClient.attend` raises, after which nothing is
        appended: PreconditionFailed means that another client has changed the memory.
        """
        return self._drive(self.loop.step(query, key, value))

    def resume(self) -> AttentionResult:
        """Return the result of the interrupted step, which is appended now unless it has been.

        Raises what `step` raises; it may be called until it succeeds.
        """
        return self._drive(self.loop.resume())

    def close(self) -> None:
        """End the loop, and remove its memory unless it is to be kept."""
        self._drive(self.loop.end())

    def __enter__(self) -> Self:
        self._drive(self.loop.begin())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self.close()
        except AttentionServiceError:
            # The error that ends the loop says more than one that follows from it.
            if kind is None:
                raise


class AsyncDecodingSession(OfLoop):
    """`DecodingSession` with asyncio: the same arguments and results, and every call is awaited."""

    step = awaited(DecodingSession.step)
    resume = awaited(DecodingSession.resume)

    async def aclose(self) -> None:
        """End the loop, and remove its memory unless it is to be kept."""
        await self.client_drive(self.loop.end())

    async def __aenter__(self) -> Self:
        await self.client_drive(self.loop.begin())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            await self.aclose()
        except AttentionServiceError:
            if kind is None:
                raise


def with_asyncio(
    method: Callable[Concatenate[Any, P], DecodingSession],
) -> Callable[Concatenate[Any, P], AsyncDecodingSession]:
    """Return a method that returns a session as one whose session is awaited."""

    @wraps(method)
    def begin(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> AsyncDecodingSession:
        session = method(self, *args, **kwargs)
        return AsyncDecodingSession(session.client_drive, session.loop)

    return begin


def _causal(mask: Any) -> Any:
    """Return a mask that is causal unless it says otherwise; raises InvalidArgument for one with an offset."""
    if mask is None:
        return {"causal": True}
    if not isinstance(mask, Mapping):
        return mask
    if mask.get("offset") is not None:
        raise InvalidArgument("/mask/offset", "expected none, since the session says it; received one.")
    return {"causal": True, **mask}


def _key_axis(rank: int, layout: str | None) -> int:
    return 1 if layout == "bshd" and rank == 4 else rank - 2


def _reference(name: str, version: str | None) -> Document:
    return {"name": name, "version": version}
