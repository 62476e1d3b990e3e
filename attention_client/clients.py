"""The two clients: they send and wait, with and without asyncio; `exchange` decides everything else."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Literal, Self, TypeVar, Unpack

import httpx
from numpy.typing import ArrayLike

from attention_client import calls
from attention_client.arguments import Document, build_document
from attention_client.calls import Call
from attention_client.connection import Configured, failure_of, reader_of, request_of
from attention_client.decoding import DecodingLoop, DecodingSession, with_asyncio
from attention_client.errors import AttentionServiceError
from attention_client.exchange import Attempt, Exchange, exchange
from attention_client.gradients import AttentionGradients
from attention_client.memories import AsyncMemories, Memories
from attention_client.memory_calls import Durability
from attention_client.partials import LogBase, Mergeable, MergedResult
from attention_client.procedures import Procedure, awaited, drive, drive_async
from attention_client.progress import OnProgress
from attention_client.responses import AttentionResult, Reply
from attention_client.schema import GradientField, GradientOptions, Options

T = TypeVar("T")


class AttentionClient(Configured[httpx.Client, httpx.BaseTransport]):
    """Client of an attention service, with NumPy arrays in and out; keeps its connections; threads may share it.

    >>> with AttentionClient("http://127.0.0.1:8000") as client:  # doctest: +SKIP
    ...     client.attend(query, key, value, mask={"causal": True}).output

    :param base_url: of the service, with its path prefix; default http://127.0.0.1:8000.
    :param api_key: sent as ``Authorization: Bearer``; default none.
    :param timeout: seconds for all attempts and waits of a call, default 60; sent to the service as Request-Timeout.
    :param retry: when to try again after 429, 503 or a broken connection; default ``Retry()``.
    :param compress: whether tensors are compressed with gzip in both directions, default False; raw floats hardly
        shrink, so that it pays on slow networks alone.
    :param transport: of httpx, for certificates and proxies; default httpx's own.

    Raises InvalidArgument for a URL or a key that cannot be used.
    """

    _open = httpx.Client

    def attend(
        self,
        query: ArrayLike,
        key: ArrayLike | None = None,
        value: ArrayLike | None = None,
        *,
        progress: OnProgress | None = None,
        **options: Unpack[Options],
    ) -> AttentionResult:
        """Score every key for every query, normalize the scores to weights, and return weighted sums of the values.

        :param query: queries, (…, Lq, D); they, keys and values may hold NaN and ±∞.
        :param key: keys, (…, Lk, D); None with ``memory=``, which has keys and values, unless ``append=True``.
        :param value: values, (…, Lk, Dv); without them the result has no output.
        :param progress: called with each `Progress` of a long computation.  The result then arrives as JSON, which
            takes longer to read.
        :param options: score_model, normalizer, softcap, mask, bias, position, heads, past_key, past_value, dtype,
            include, memory and append; see `Options`.  A memory is a name, or ``(name, version)``, which raises
            Conflict where that version is gone.  With append the version makes the call safe to try again:
            PreconditionFailed says that another one is there.

        Raises InvalidArgument or TypeError for arguments that cannot be sent, else an error of
        `attention_client.errors`.
        """
        return self._run(calls.attend(build_document(query, key, value, **options), progress))

    def estimate(
        self, query: ArrayLike, key: ArrayLike | None = None, value: ArrayLike | None = None, **options: Unpack[Options]
    ) -> Document:
        """Return the predicted cost of a call: bytes, operations and whether the service allows them.

        :param query, key, value, options: as for `attend`.
        """
        return self._run(calls.estimate(build_document(query, key, value, **options)))

    def gradients(
        self,
        query: ArrayLike,
        key: ArrayLike | None = None,
        value: ArrayLike | None = None,
        output_gradient: ArrayLike | None = None,
        *,
        include: Sequence[GradientField] | None = None,
        progress: OnProgress | None = None,
        **options: Unpack[GradientOptions],
    ) -> AttentionGradients:
        """Return the gradients of a loss with respect to queries, keys, values, bias and the models' parameters.

        :param query, key, value: as for `attend`; values are required, here or in the memory.
        :param output_gradient: gradient of the loss with respect to the output, in its shape, or one number for all of
            it: 1 for the loss that is the sum of the output.  Required.
        :param include: any of output, query, key, value, past_key, past_value, bias, score_model,
            score_modifier and normalizer; None
            for all that the call has.
        :param progress: called with each `Progress` of a long computation; the result then arrives as JSON.
        :param options: as for `attend`, but for include.

        Raises InvalidRequest for the normalizer hardmax, which has no slope, and what `attend` raises.
        """
        document = build_document(query, key, value, **options)
        return self._run(calls.gradients(document, output_gradient, include, progress))

    def estimate_gradients(
        self,
        query: ArrayLike,
        key: ArrayLike | None = None,
        value: ArrayLike | None = None,
        output_gradient: ArrayLike | None = None,
        *,
        include: Sequence[GradientField] | None = None,
        **options: Unpack[GradientOptions],
    ) -> Document:
        """Return the predicted cost of `gradients`, as `estimate` does that of `attend`.

        :param query, key, value, output_gradient, include, options: as for `gradients`.
        """
        document = build_document(query, key, value, **options)
        return self._run(calls.estimate_gradients(document, output_gradient, include))

    def explain(
        self,
        query: ArrayLike,
        key: ArrayLike | None = None,
        value: ArrayLike | None = None,
        *,
        query_index: int,
        key_index: int,
        index: tuple[int, ...] | None = None,
        language: Literal["en", "zh"] = "en",
        **options: Unpack[Options],
    ) -> Document:
        """Return every number behind one weight, with sentences that explain them.

        :param query, key, value, options: as for `attend`.
        :param query_index: the query, counted from 0 along Lq.
        :param key_index: the key, counted from 0 along Lk.
        :param index: of the matrix along the leading axes; None if there is only one.
        :param language: of the sentences; default en.
        """
        pair = {"query_index": query_index, "key_index": key_index, "index": index, "language": language}
        return self._run(calls.explain(build_document(query, key, value, **options), pair))

    def check(
        self,
        query: ArrayLike,
        key: ArrayLike | None = None,
        value: ArrayLike | None = None,
        *,
        candidate: Mapping[str, ArrayLike],
        rtol: float | None = None,
        atol: float | None = None,
        progress: OnProgress | None = None,
        **options: Unpack[Options],
    ) -> Document:
        """Compare arrays of your own with the float64 reference, and name the mistake behind a difference.

        :param query, key, value, options: as for `attend`.
        :param candidate: your output, weights, scores or logsumexp, by name.
        :param rtol: relative tolerance; None is the default of the service for the dtype.
        :param atol: absolute tolerance, as `rtol`.
        :param progress: called with each `Progress` of a long computation.
        """
        document = build_document(query, key, value, **options)
        return self._run(calls.check(document, candidate, rtol, atol, progress))

    def merge(
        self,
        partials: Sequence[Mergeable],
        *,
        dtype: str | None = None,
        log_base: LogBase | None = None,
        layout: Literal["bhsd", "bshd"] | None = None,
    ) -> MergedResult:
        """Return softmax attention over all keys, given attention over disjoint parts of them.

        :param partials: one or more, in any order, of equal shapes: results of `attend` that include output and
            logsumexp, merged results, and `Partial` for arrays from elsewhere.  A sink may be in one of them only.
        :param dtype: number type of the merged output; default the one that all outputs share, else float64.
        :param log_base: base of the merged logsumexp: "e", the default, or 2, as FlashInfer has it.
        :param layout: "bshd" for outputs (B, Lq, H, Dv), as `attend` returns them with ``layout="bshd"``; default
            "bhsd".
        """
        return self._run(calls.merge(partials, dtype, log_base, layout))

    def decoding(
        self,
        name: str,
        key: ArrayLike | None = None,
        value: ArrayLike | None = None,
        *,
        existing: bool = False,
        keep: bool | None = None,
        ttl_seconds: float | None = None,
        durability: Durability | None = None,
        note: str | None = None,
        **options: Unpack[Options],
    ) -> DecodingSession:
        """Return a decoding loop whose keys and values are a memory; a ``with`` block begins and ends it.

        :param name: of the memory, which no other client may write to; of a new one without `existing`.
        :param key: keys of the prompt, in the shapes of `attend`; None to begin with the first step.
        :param value: values of the prompt.
        :param existing: whether to go on behind the last key of a memory that is there.
        :param keep: whether the memory stays when the loop ends; default if it was there before.
        :param ttl_seconds: after the last step, when a new memory is gone; default never.  It removes the memory of a
            client that ends without closing the session.
        :param durability: of a new memory: strict, the default, or relaxed, which is faster; see `Memories.put`.
        :param note: of a new memory: any text; default none.
        :param options: of every step, as for `attend`: score_model, normalizer, heads, layout, dtype, include and
            others.  The default of include is the output, and a mask is causal unless it says ``"causal": False``.

        Raises InvalidArgument.  The session raises PreconditionFailed as it begins if a new memory has the name of one
        that is there.
        """
        memory_options = {"ttl_seconds": ttl_seconds, "durability": durability, "note": note}
        prompt = None if key is None else (key, value)
        loop = DecodingLoop(name, prompt, options, memory_options, is_there=existing, keeps=keep)
        return DecodingSession(self._drive, loop)

    def score_models(self) -> list[Document]:
        """Return title, formula, parameters, source and example of each score model."""
        return self._run(calls.SCORE_MODELS)

    def normalizers(self) -> list[Document]:
        """Return title, formula, parameters, source and example of each normalizer."""
        return self._run(calls.NORMALIZERS)

    def expressions(
        self, formula: str | None = None, kind: Literal["score_model", "score_modifier", "mask"] | None = None
    ) -> Document:
        """Return the language of formulas; of a formula its LaTeX, its MathML and the parameters that it needs.

        :param formula: a formula to check; None for the language.
        :param kind: where the formula is to stand; None for the first kind that it is good for.
        """
        return self._run(calls.expressions(formula, kind))

    def examples(self) -> list[Document]:
        """Return id and title of each worked example."""
        return self._run(calls.EXAMPLES)

    def example(self, identifier: str) -> Document:
        """Return one worked example: a story, a request and the expected numbers.

        :param identifier: id of the example, as `examples` returns it.
        """
        return self._run(calls.example(identifier))

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def memories(self) -> Memories:
        """Keys and values that the service keeps: put once, queried often."""
        return Memories(self._drive)

    def _drive(self, procedure: Procedure[T]) -> T:
        return drive(procedure, self._run)

    def _run(self, call: Call[T]) -> T:
        attempts: Exchange[T] = exchange(call, self._settings)
        attempt = next(attempts)
        while True:
            time.sleep(attempt.delay)
            try:
                attempt = attempts.send(self._outcome(attempt))
            except StopIteration as end:
                return end.value

    def _outcome(self, attempt: Attempt) -> Reply | AttentionServiceError:
        request = request_of(self._http, attempt)
        try:
            response = self._http.send(request, stream=True)
            try:
                reader = reader_of(response, attempt)
                # The time-out of httpx is for each read, not for all of them.
                for chunk in response.iter_bytes():
                    attempt.check_deadline()
                    reader.feed(chunk)
            finally:
                response.close()
        except httpx.RequestError as error:
            return failure_of(error)
        except AttentionServiceError as error:
            return error
        return reader.finish()


class AsyncAttentionClient(Configured[httpx.AsyncClient, httpx.AsyncBaseTransport]):
    """`AttentionClient` with asyncio: the same arguments and results, and every call is awaited.

    >>> async with AsyncAttentionClient("http://127.0.0.1:8000") as client:  # doctest: +SKIP
    ...     (await client.attend(query, key, value, mask={"causal": True})).output
    """

    _open = httpx.AsyncClient

    attend = awaited(AttentionClient.attend)
    estimate = awaited(AttentionClient.estimate)
    gradients = awaited(AttentionClient.gradients)
    estimate_gradients = awaited(AttentionClient.estimate_gradients)
    explain = awaited(AttentionClient.explain)
    check = awaited(AttentionClient.check)
    merge = awaited(AttentionClient.merge)
    decoding = with_asyncio(AttentionClient.decoding)
    score_models = awaited(AttentionClient.score_models)
    normalizers = awaited(AttentionClient.normalizers)
    expressions = awaited(AttentionClient.expressions)
    examples = awaited(AttentionClient.examples)
    example = awaited(AttentionClient.example)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    @property
    def memories(self) -> AsyncMemories:
        """Keys and values that the service keeps: put once, queried often."""
        return AsyncMemories(self._drive)

    async def _drive(self, procedure: Procedure[T]) -> T:
        return await drive_async(procedure, self._run)

    async def _run(self, call: Call[T]) -> T:
        attempts: Exchange[T] = exchange(call, self._settings)
        attempt = next(attempts)
        while True:
            await asyncio.sleep(attempt.delay)
            try:
                attempt = attempts.send(await self._outcome(attempt))
            except StopIteration as end:
                return end.value

    async def _outcome(self, attempt: Attempt) -> Reply | AttentionServiceError:
        request = request_of(self._http, attempt)
        try:
            async with asyncio.timeout(attempt.remaining):
                response = await self._http.send(request, stream=True)
                try:
                    reader = reader_of(response, attempt)
                    async for chunk in response.aiter_bytes():
                        reader.feed(chunk)
                finally:
                    await response.aclose()
        except (httpx.RequestError, TimeoutError) as error:
            return failure_of(error)
        except AttentionServiceError as error:
            return error
        return reader.finish()
