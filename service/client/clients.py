"""The two clients: everything is decided in `exchange`; here is only how to send and how to wait."""

import asyncio
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Literal, Self, TypeVar, Unpack

import httpx
from numpy.typing import ArrayLike

from service.client import calls
from service.client.answers import AttentionResult, Reply
from service.client.arguments import Document, Options
from service.client.calls import Call
from service.client.connection import ADDRESS, Connected, address, authorized, failure_of, intake_for, request_of
from service.client.errors import ConnectionFailed
from service.client.exchange import Attempt, Conduct, Exchange, Retry, exchange, too_late
from service.client.progress import OnProgress

T = TypeVar("T")


class AttentionClient(Connected):
    """Asks an attention service, with NumPy arrays in and out; keeps its connections, and may be shared by threads.

    >>> with AttentionClient("http://127.0.0.1:8000") as client:  # doctest: +SKIP
    ...     client.attend(query, key, value, mask={"causal": True}).output

    :param base_url: where the service is, a path prefix included.
    :param api_key: sent as ``Authorization: Bearer``.
    :param timeout: seconds for all of a call, every attempt and wait included; the service is told as well.
    :param retry: when to try again after 429, 503 or a broken connection.
    :param compress: whether tensors are sent gzipped and results asked for likewise; raw floats hardly shrink, so it
        pays on slow networks alone.
    :param transport: another way to reach the service than httpx's own, with its certificates and proxies.
    """

    def __init__(
        self,
        base_url: str = ADDRESS,
        *,
        api_key: str | None = None,
        timeout: float = 60.0,
        retry: Retry | None = None,
        compress: bool = False,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._conduct = Conduct(timeout, retry or Retry(), compress)
        self._http = httpx.Client(base_url=address(base_url), headers=authorized(api_key), transport=transport)

    def attend(
        self,
        query: ArrayLike,
        key: ArrayLike,
        value: ArrayLike | None = None,
        *,
        progress: OnProgress | None = None,
        **options: Unpack[Options],
    ) -> AttentionResult:
        """Score every key for every query, turn scores into weights, mix the values.

        Arguments are those of ``POST /v1/attention``, with arrays for lists: score_model, normalizer, softcap, mask,
        bias, position, heads, past_key, past_value, dtype and include.  Without a dtype it is what query, key and value
        all are, else float64.  Queries, keys and values may hold NaN and ±∞.  See `attention_core.attend`.

        `progress` hears how far a long computation is, as the service tells; the result then comes as JSON, so that
        it takes longer to arrive.
        """
        if progress is not None:
            return self._ask(calls.watch(progress, query, key, value, **options))
        return self._ask(calls.attend(query, key, value, **options))

    def estimate(
        self, query: ArrayLike, key: ArrayLike, value: ArrayLike | None = None, **options: Unpack[Options]
    ) -> Document:
        """Tell what a request to /v1/attention would cost, without computing it."""
        return self._ask(calls.estimate(query, key, value, **options))

    def explain(
        self,
        query: ArrayLike,
        key: ArrayLike,
        value: ArrayLike | None = None,
        *,
        query_index: int,
        key_index: int,
        index: tuple[int, ...] | None = None,
        language: Literal["en", "zh"] = "en",
        **options: Unpack[Options],
    ) -> Document:
        """Tell every number behind one weight; `index` counts the leading axes."""
        pair = calls.Pair(query_index, key_index, index, language)
        return self._ask(calls.explain(pair, query, key, value, **options))

    def check(
        self,
        query: ArrayLike,
        key: ArrayLike,
        value: ArrayLike | None = None,
        *,
        candidate: Mapping[str, ArrayLike],
        rtol: float | None = None,
        atol: float | None = None,
        progress: OnProgress | None = None,
        **options: Unpack[Options],
    ) -> Document:
        """Tell whether output, weights, scores or logsumexp of your own are right, and if not, which mistake it is."""
        claim = calls.Claim(candidate, rtol, atol)
        return self._ask(calls.check(claim, progress, query, key, value, **options))

    def score_models(self) -> list[Document]:
        """List the score models: title, formula, parameters, source and example of each."""
        return self._ask(calls.SCORE_MODELS)

    def normalizers(self) -> list[Document]:
        """List the normalizers likewise."""
        return self._ask(calls.NORMALIZERS)

    def examples(self) -> list[Document]:
        """List the worked examples: id and title of each."""
        return self._ask(calls.EXAMPLES)

    def example(self, identifier: str) -> Document:
        """Return one worked example: a story, a request, and the numbers to expect."""
        return self._ask(calls.example(identifier))

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, call: Call[T]) -> T:
        conversation: Exchange[T] = exchange(call, self._conduct)
        attempt = next(conversation)
        while True:
            time.sleep(attempt.after)
            try:
                attempt = conversation.send(self._outcome(attempt))
            except StopIteration as end:
                return end.value

    def _outcome(self, attempt: Attempt) -> Reply | ConnectionFailed:
        request = request_of(self._http, attempt)
        try:
            response = self._http.send(request, stream=True)
            try:
                intake = intake_for(response, attempt)
                # httpx bounds each read, not all of them together.
                for chunk in response.iter_bytes():
                    attempt.require_time()
                    intake.take(chunk)
            finally:
                response.close()
        except httpx.RequestError as error:
            return failure_of(error)
        return intake.outcome()


class AsyncAttentionClient(Connected):
    """The same with asyncio: arguments and answers are those of `AttentionClient`, and every call is awaited.

    >>> async with AsyncAttentionClient("http://127.0.0.1:8000") as client:  # doctest: +SKIP
    ...     (await client.attend(query, key, value, mask={"causal": True})).output
    """

    def __init__(
        self,
        base_url: str = ADDRESS,
        *,
        api_key: str | None = None,
        timeout: float = 60.0,
        retry: Retry | None = None,
        compress: bool = False,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._conduct = Conduct(timeout, retry or Retry(), compress)
        self._http = httpx.AsyncClient(base_url=address(base_url), headers=authorized(api_key), transport=transport)

    async def attend(
        self,
        query: ArrayLike,
        key: ArrayLike,
        value: ArrayLike | None = None,
        *,
        progress: OnProgress | None = None,
        **options: Unpack[Options],
    ) -> AttentionResult:
        """See `AttentionClient.attend`."""
        if progress is not None:
            return await self._ask(calls.watch(progress, query, key, value, **options))
        return await self._ask(calls.attend(query, key, value, **options))

    async def estimate(
        self, query: ArrayLike, key: ArrayLike, value: ArrayLike | None = None, **options: Unpack[Options]
    ) -> Document:
        """See `AttentionClient.estimate`."""
        return await self._ask(calls.estimate(query, key, value, **options))

    async def explain(
        self,
        query: ArrayLike,
        key: ArrayLike,
        value: ArrayLike | None = None,
        *,
        query_index: int,
        key_index: int,
        index: tuple[int, ...] | None = None,
        language: Literal["en", "zh"] = "en",
        **options: Unpack[Options],
    ) -> Document:
        """See `AttentionClient.explain`."""
        pair = calls.Pair(query_index, key_index, index, language)
        return await self._ask(calls.explain(pair, query, key, value, **options))

    async def check(
        self,
        query: ArrayLike,
        key: ArrayLike,
        value: ArrayLike | None = None,
        *,
        candidate: Mapping[str, ArrayLike],
        rtol: float | None = None,
        atol: float | None = None,
        progress: OnProgress | None = None,
        **options: Unpack[Options],
    ) -> Document:
        """See `AttentionClient.check`."""
        claim = calls.Claim(candidate, rtol, atol)
        return await self._ask(calls.check(claim, progress, query, key, value, **options))

    async def score_models(self) -> list[Document]:
        """See `AttentionClient.score_models`."""
        return await self._ask(calls.SCORE_MODELS)

    async def normalizers(self) -> list[Document]:
        """See `AttentionClient.normalizers`."""
        return await self._ask(calls.NORMALIZERS)

    async def examples(self) -> list[Document]:
        """See `AttentionClient.examples`."""
        return await self._ask(calls.EXAMPLES)

    async def example(self, identifier: str) -> Document:
        """See `AttentionClient.example`."""
        return await self._ask(calls.example(identifier))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _ask(self, call: Call[T]) -> T:
        conversation: Exchange[T] = exchange(call, self._conduct)
        attempt = next(conversation)
        while True:
            await asyncio.sleep(attempt.after)
            try:
                attempt = conversation.send(await self._outcome(attempt))
            except StopIteration as end:
                return end.value

    async def _outcome(self, attempt: Attempt) -> Reply | ConnectionFailed:
        request = request_of(self._http, attempt)
        try:
            async with asyncio.timeout(attempt.remaining):
                response = await self._http.send(request, stream=True)
                try:
                    intake = intake_for(response, attempt)
                    async for chunk in response.aiter_bytes():
                        intake.take(chunk)
                finally:
                    await response.aclose()
        except TimeoutError as error:
            raise too_late("none had come") from error
        except httpx.RequestError as error:
            return failure_of(error)
        return intake.outcome()
