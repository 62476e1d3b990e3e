"""A decoding loop over HTTP: every step counts once, whatever is lost on the way."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attention_client import (
    AsyncAttentionClient,
    AttentionClient,
    AttentionResult,
    AttentionServiceError,
    ConnectionFailed,
    DeadlineExceeded,
    InvalidArgument,
    NotFound,
    PreconditionFailed,
    Retry,
    ShapeMismatch,
    StepInterrupted,
)
from tests.attention_client.equality import ML_DTYPES, assert_same_bits
from tests.attention_client.losing import TRANSPORTS, Losses
from tests.attention_client.scripted import answer, problem, scripted
from tests.attention_client.test_memories import DESCRIPTION
from tests.sampling import sample
from tests.server import Server, free_port, running_server

QUICK = Retry(first_seconds=0.01)
ONCE = Retry(attempts=1)

TOKENS, PROMPT = 8, 3


class Awaited:
    """A session without asyncio as one that is awaited."""

    def __init__(self, session: Any) -> None:
        self._session = session

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._session, name)
        if not callable(found):
            return found

        async def wait(*arguments: Any) -> Any:
            return found(*arguments)

        return wait


Begin = Callable[..., AbstractAsyncContextManager[Any]]


@pytest.fixture(params=["sync", "asyncio"])
def decoding(request: pytest.FixtureRequest) -> Begin:
    """Begin a session of a new client: ``async with decoding(url, name, key, value) as session``.

    :param losses: what the connection loses.
    :param retry: of the client.
    """

    @asynccontextmanager
    async def begin(
        url: str, *arguments: Any, losses: Losses | None = None, retry: Retry = QUICK, **options: Any
    ) -> AsyncIterator[Any]:
        transport: Any = None if losses is None else TRANSPORTS[request.param](losses)
        if request.param == "sync":
            client = AttentionClient(url, retry=retry, transport=transport)
            with client, client.decoding(*arguments, **options) as session:
                yield Awaited(session)
        else:
            client = AsyncAttentionClient(url, retry=retry, transport=transport)
            async with client, client.decoding(*arguments, **options) as session:
                yield session

    return begin


@dataclass(frozen=True)
class Loop:
    """The tokens of a loop, their keys along an axis, and the results of its steps one by one."""

    query: np.ndarray
    key: np.ndarray
    value: np.ndarray
    axis: int
    options: dict[str, Any]

    def part(self, array: np.ndarray, start: int, stop: int) -> np.ndarray:
        """Return some of the tokens."""
        return np.take(array, range(start, stop), self.axis)

    def token(self, position: int, count: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return query, key and value of some tokens."""
        query, key, value = (self.part(one, position, position + count) for one in (self.query, self.key, self.value))
        return query, key, value

    def expected(self, url: str, position: int, count: int = 1) -> AttentionResult:
        """Return attention of the tokens over all keys up to them, whose tensors are sent."""
        mask = {"causal": True, "offset": position, **self.options.get("mask", {})}
        query, _, _ = self.token(position, count)
        key, value = (self.part(one, 0, position + count) for one in (self.key, self.value))
        with AttentionClient(url) as client:
            return client.attend(query, key, value, **{"include": ["output"], **self.options, "mask": mask})


def loop_of(
    query: tuple[int, ...] = (TOKENS, 8), key: tuple[int, ...] | None = None, dtype: str = "float64", **options: Any
) -> Loop:
    random = np.random.default_rng(7)
    arrays = [random.normal(size=shape).astype(ML_DTYPES[dtype]) for shape in (query, key or query, key or query)]
    axis = 1 if options.get("layout") == "bshd" else len(query) - 2
    return Loop(*arrays, axis, options)


LOOPS = {
    "plain": loop_of(),
    "grouped heads": loop_of((1, 4, TOKENS, 8), (1, 2, TOKENS, 8), "float32"),
    "packed heads": loop_of((2, TOKENS, 32), (2, TOKENS, 16), "float16", heads={"query": 4, "key_value": 2}),
    "bshd": loop_of((2, TOKENS, 4, 8), (2, TOKENS, 2, 8), "bfloat16", layout="bshd"),
    "rotary": loop_of((1, 2, TOKENS, 8), position="rotary", normalizer={"name": "softmax", "sink": 0.5}),
    "window": loop_of((1, 2, TOKENS, 8), mask={"window": {"left": 2}}, include=["weights", "output"]),
    "another model": loop_of(score_model="gaussian", normalizer="sparsemax", softcap=3.0),
}


async def description(url: str, name: str) -> Any:
    async with AsyncAttentionClient(url) as client:
        return await client.memories.get(name)


def assert_same(result: AttentionResult, expected: AttentionResult) -> None:
    assert result.arrays.keys() == expected.arrays.keys()
    for field, array in expected.arrays.items():
        assert_same_bits(result.arrays[field], array, field)


@pytest.mark.parametrize("case", LOOPS)
async def test_each_step_has_the_bits_of_a_call_with_all_tensors(
    server: Server, decoding: Begin, name: str, case: str
) -> None:
    loop = LOOPS[case]
    key, value = loop.part(loop.key, 0, PROMPT), loop.part(loop.value, 0, PROMPT)
    async with decoding(server.url, name, key, value, durability="relaxed", **loop.options) as session:
        assert session.keys == PROMPT
        for position in range(PROMPT, TOKENS - 2):
            assert_same(await session.step(*loop.token(position)), loop.expected(server.url, position))
        assert_same(await session.step(*loop.token(TOKENS - 2, 2)), loop.expected(server.url, TOKENS - 2, 2))
        found = await description(server.url, name)
        assert (session.name, session.keys, session.version) == (name, TOKENS, found.version)
        assert (found.keys, found.durability) == (TOKENS, "relaxed")
    with pytest.raises(NotFound):
        await description(server.url, name)


@pytest.mark.parametrize("case", sample(LOOPS, "packed heads", "bshd"))
async def test_a_loop_begins_with_its_first_step_and_goes_on_where_it_was_left(
    server: Server, decoding: Begin, name: str, case: str
) -> None:
    loop = LOOPS[case]
    async with decoding(server.url, name, keep=True, ttl_seconds=600, **loop.options) as session:
        assert (session.keys, session.version) == (0, None)
        assert_same(await session.step(*loop.token(0, 2)), loop.expected(server.url, 0, 2))
    assert (await description(server.url, name)).ttl_seconds == 600
    async with decoding(server.url, name, existing=True, **loop.options) as session:
        assert session.keys == 2
        # The type and the layout are those of the memory.
        assert_same(await session.step(*loop.token(2)), loop.expected(server.url, 2))
    async with decoding(server.url, name, existing=True, keep=False, **loop.options) as session:
        assert_same(await session.step(*loop.token(3)), loop.expected(server.url, 3))
    with pytest.raises(NotFound):
        await description(server.url, name)


@pytest.mark.parametrize("retry", [QUICK, ONCE], ids=["again", "once"])
@pytest.mark.parametrize("case", sample(LOOPS, "grouped heads", "rotary", "another model"))
async def test_a_step_whose_answer_is_lost_is_appended_once(
    server: Server, decoding: Begin, name: str, case: str, retry: Retry
) -> None:
    loop, losses = LOOPS[case], Losses()
    async with decoding(server.url, name, *loop.token(0, 2)[1:], losses=losses, retry=retry, **loop.options) as session:
        for position in range(2, TOKENS, 2):
            assert_same(await session.step(*loop.token(position)), loop.expected(server.url, position))
            losses.answers.append("POST")
            with pytest.raises(StepInterrupted) as raised:
                await session.step(*loop.token(position + 1))
            assert raised.value.appended is (True if retry is QUICK else None)
            assert raised.value.may_have_changed
            assert isinstance(raised.value.__cause__, PreconditionFailed if retry is QUICK else ConnectionFailed)
            with pytest.raises(RuntimeError, match="resume"):
                await session.step(*loop.token(position + 1))
            assert_same(await session.resume(), loop.expected(server.url, position + 1))
            assert session.keys == position + 2 == (await description(server.url, name)).keys
        with pytest.raises(RuntimeError, match="interrupted"):
            await session.resume()


@pytest.mark.parametrize("retry", [QUICK, ONCE], ids=["again", "once"])
async def test_a_step_that_the_service_never_received_is_sent_again(
    server: Server, decoding: Begin, name: str, retry: Retry
) -> None:
    loop, losses = LOOPS["plain"], Losses()
    async with decoding(server.url, name, losses=losses, retry=retry) as session:
        await session.step(*loop.token(0))
        for position in range(1, TOKENS):
            losses.requests.append("POST")
            if retry is QUICK:
                result = await session.step(*loop.token(position))
            else:
                with pytest.raises(StepInterrupted) as raised:
                    await session.step(*loop.token(position))
                for lost in ("GET", "POST"):
                    assert raised.value.appended is None
                    losses.requests.append(lost)
                    with pytest.raises(StepInterrupted) as raised:
                        await session.resume()
                result = await session.resume()
            assert_same(result, loop.expected(server.url, position))
        assert (await description(server.url, name)).keys == TOKENS


@pytest.mark.parametrize("retry", [QUICK, ONCE], ids=["again", "once"])
async def test_a_memory_whose_answer_is_lost_is_made_once(
    server: Server, decoding: Begin, name: str, retry: Retry
) -> None:
    loop, losses = LOOPS["packed heads"], Losses()
    async with decoding(server.url, name, losses=losses, retry=retry, **loop.options) as session:
        losses.answers += ["PUT"]
        if retry is ONCE:
            with pytest.raises(ConnectionFailed):
                await session.step(*loop.token(0))
        assert_same(await session.step(*loop.token(0)), loop.expected(server.url, 0))


async def test_the_memory_of_another_is_not_taken(server: Server, decoding: Begin, name: str) -> None:
    loop = LOOPS["plain"]
    async with AsyncAttentionClient(server.url) as client:
        await client.memories.put(name, loop.key[:2], loop.value[:2])
    with pytest.raises(PreconditionFailed):
        async with decoding(server.url, name, loop.key, loop.value):
            raise AssertionError("expected no session")
    losses = Losses(answers=["PUT"])
    with pytest.raises(PreconditionFailed):
        async with decoding(server.url, name, loop.key, loop.value, losses=losses):
            raise AssertionError("expected no session")
    with pytest.raises(NotFound):
        async with decoding(server.url, f"{name}-none", existing=True):
            raise AssertionError("expected no session")


@pytest.mark.parametrize("is_lost", [False, True], ids=["answered", "lost"])
async def test_what_another_client_appends_ends_the_loop(
    server: Server, decoding: Begin, name: str, is_lost: bool
) -> None:
    loop, losses = LOOPS["plain"], Losses()

    async def decode_beside_another() -> None:
        async with decoding(server.url, name, *loop.token(0, 2)[1:], losses=losses) as session:
            async with AsyncAttentionClient(server.url) as client:
                await client.memories.append(name, *loop.token(2, 3)[1:])
            losses.requests += ["POST"] if is_lost else []
            await session.step(*loop.token(2))

    with pytest.raises(PreconditionFailed) as raised:
        await decode_beside_another()
    found = await description(server.url, name)
    assert (found.version, found.keys) == (raised.value.version, 5)


async def test_a_refused_step_changes_nothing(server: Server, decoding: Begin, name: str) -> None:
    loop = LOOPS["plain"]
    async with decoding(server.url, name, *loop.token(0, 2)[1:]) as session:
        query, key, value = loop.token(2)
        version = session.version
        for kind, wrong in (
            (ShapeMismatch, (query[..., :3], key, value)),
            (ShapeMismatch, (query, key[..., :3], value)),
            (ShapeMismatch, (query, key[0], value)),
            (AttentionServiceError, (query, key, None)),
            (InvalidArgument, (query, [["a"]], value)),
        ):
            with pytest.raises(kind):
                await session.step(*wrong)
            assert (session.version, session.keys) == (version, 2)
        assert_same(await session.step(query, key, value), loop.expected(server.url, 2))


async def test_an_error_in_the_block_is_raised_and_the_memory_removed(
    server: Server, decoding: Begin, name: str
) -> None:
    loop = LOOPS["plain"]
    with pytest.raises(ZeroDivisionError):
        async with decoding(server.url, name, loop.key, loop.value):
            raise ZeroDivisionError
    with pytest.raises(NotFound):
        await description(server.url, name)
    losses = Losses(requests=["DELETE", "DELETE"])
    with pytest.raises(ZeroDivisionError):
        async with decoding(server.url, name, loop.key, loop.value, losses=losses, retry=ONCE):
            raise ZeroDivisionError
    with pytest.raises(ConnectionFailed):
        async with decoding(server.url, name, existing=True, keep=False, losses=losses, retry=ONCE):
            pass
    assert (await description(server.url, name)).keys == TOKENS


async def test_a_loop_that_ends_interrupted_removes_its_memory(server: Server, decoding: Begin, name: str) -> None:
    loop = LOOPS["plain"]
    for losses in (Losses(answers=["POST"]), Losses(requests=["POST"])):
        with pytest.raises(StepInterrupted):
            async with decoding(server.url, name, *loop.token(0, 2)[1:], losses=losses, retry=ONCE) as session:
                await session.step(*loop.token(2))
        with pytest.raises(NotFound):
            await description(server.url, name)


async def test_a_session_that_has_ended_takes_no_step(server: Server, name: str) -> None:
    loop = LOOPS["plain"]
    with AttentionClient(server.url) as client:
        session = client.decoding(name)
        session.step(*loop.token(0))
        session.close()
        session.close()
        with pytest.raises(RuntimeError, match="ended"):
            session.step(*loop.token(1))
    async with AsyncAttentionClient(server.url) as client:
        session = client.decoding(name)
        await session.step(*loop.token(0))
        await session.aclose()
        with pytest.raises(RuntimeError, match="ended"):
            await session.step(*loop.token(1))


async def test_a_cancelled_step_is_resumed(server: Server, name: str) -> None:
    loop = LOOPS["plain"]
    async with AsyncAttentionClient(server.url) as client, client.decoding(name) as session:
        await session.step(*loop.token(0))
        for position in range(1, TOKENS):
            step = asyncio.ensure_future(session.step(*loop.token(position)))
            # Whether the request has been sent, received or answered by then makes no difference.
            await asyncio.sleep(0.0005 * position)
            step.cancel()
            with suppress(asyncio.CancelledError):
                await step
            result = None if step.cancelled() else step.result()
            while result is None:
                # The request may reach the service between the look at the memory and the second attempt.
                with suppress(StepInterrupted):
                    result = await session.resume()
            assert_same(result, loop.expected(server.url, position))
        assert (await client.memories.get(name)).keys == TOKENS


@pytest.mark.parametrize("retry", [QUICK, ONCE], ids=["again", "once"])
@pytest.mark.parametrize("seed", sample(range(20), 0, 1))
async def test_whatever_is_lost_each_step_counts_once(server: Server, name: str, seed: int, retry: Retry) -> None:
    """Two requests of five are lost, before or after the service has done them."""
    loop, losses = LOOPS["another model"], Losses(share=0.4, seed=seed)
    transport: Any = TRANSPORTS["asyncio"](losses)
    async with AsyncAttentionClient(server.url, retry=retry, transport=transport) as client:
        session = client.decoding(name, **loop.options)
        for position in range(TOKENS):
            result, is_interrupted = None, False
            while result is None:
                try:
                    result = await (session.resume() if is_interrupted else session.step(*loop.token(position)))
                except StepInterrupted:
                    is_interrupted = True
                except ConnectionFailed:
                    assert position == 0, "only making the memory fails so"
            assert_same(result, loop.expected(server.url, position))
        assert (await description(server.url, name)).version == session.version
        is_closed = False
        while not is_closed:
            with suppress(ConnectionFailed):
                await session.aclose()
                is_closed = True
    with pytest.raises(NotFound):
        await description(server.url, name)


@pytest.mark.soak
@pytest.mark.parametrize("durability", ["strict", "relaxed"])
async def test_a_service_that_is_killed_in_the_loop_loses_and_doubles_no_step(
    tmp_path: Path, name: str, durability: Any
) -> None:
    loop, port = LOOPS["grouped heads"], free_port()
    results: list[AttentionResult] = []
    async with AsyncAttentionClient(f"http://127.0.0.1:{port}", retry=ONCE) as client:
        session = client.decoding(name, durability=durability)
        is_interrupted = False
        # A kill comes before a step, in it or behind it, as it happens; the last service is not killed.
        for delay in (0.0, 0.001, 0.003, None):
            directory = str(tmp_path / "memories")
            with running_server(tmp_path, "--port", str(port), port=port, MEMORIES_DIRECTORY=directory) as running:
                results += [await session.resume()] if is_interrupted else []
                while len(results) < TOKENS and (delay is None or len(results) % 2 == 0):
                    results.append(await session.step(*loop.token(len(results))))
                if delay is not None:
                    step = asyncio.ensure_future(session.step(*loop.token(len(results))))
                    await asyncio.sleep(delay)
                    running.process.kill()
                    ended = await asyncio.gather(step, return_exceptions=True)
                    is_interrupted = isinstance(ended[0], StepInterrupted)
                    results += [] if is_interrupted else ended
                    continue
                assert (await client.memories.get(name)).keys == TOKENS == session.keys
                for position, result in enumerate(results):
                    assert_same(result, loop.expected(running.url, position))
                tensors = await client.memories.tensors(name)
                assert_same_bits(tensors.key, loop.key)
                assert_same_bits(tensors.value, loop.value)
                await session.aclose()


@pytest.mark.parametrize(
    ("options", "pointer"),
    [
        ({"memory": "b"}, "/memory"),
        ({"append": False}, "/append"),
        ({"past_key": np.ones((2, 4))}, "/past_key"),
        ({"positions": {"query": [1]}}, "/positions"),
        ({"mask": {"offset": 3}}, "/mask/offset"),
        ({"existing": True, "key": np.ones((2, 4))}, "/key"),
        ({"name": "a/b"}, "/name"),
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", [AttentionClient, AsyncAttentionClient])
def test_options_that_do_not_fit_a_loop_are_refused(kind: Any, options: dict[str, Any], pointer: str) -> None:
    with pytest.raises(InvalidArgument) as raised:
        kind().decoding(**{"name": "a", **options})
    assert raised.value.pointer == pointer


@pytest.mark.parametrize("version", ["v2", None])
async def test_a_deadline_that_passes_says_whether_the_step_was_appended(decoding: Begin, version: str | None) -> None:
    put = answer(201, json.dumps(DESCRIPTION | {"version": "v1"}).encode())
    late = problem(504, "deadline-exceeded", **({} if version is None else {"Attention_Memory_Version": version}))
    with scripted(put, late, problem(404, "not-found")) as server, pytest.raises(StepInterrupted) as raised:
        async with decoding(server.url, "a", np.ones((5, 4)), retry=ONCE) as session:
            await session.step(np.ones((1, 4)), np.ones((1, 4)))
    assert raised.value.appended is (None if version is None else True)
    assert isinstance(raised.value.__cause__, DeadlineExceeded)
