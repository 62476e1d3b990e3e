"""An answer as server-sent events: progress, then the result, or the error of a computation that had begun."""

import asyncio
import logging
from dataclasses import asdict

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from service.admission import ProgressChannel
from service.codecs.negotiate import EVENT_STREAM
from service.compute import Reply
from service.errors import Disconnected, Draining, ServiceError
from service.problems import problem_of

HEARTBEAT_SECONDS = 5.0
"""Send a comment after this time without an event, so that no proxy takes the connection for dead."""

error_log = logging.getLogger("service.error")


async def wait_until_started(answering: "asyncio.Task[Reply]", progress: ProgressChannel) -> None:
    """Wait until an answer is being computed; raise its error while it can still be an ordinary response."""
    try:
        await _wait(answering, progress)
        if answering.done():
            answering.result()
    except BaseException:
        answering.cancel()
        raise


class EventStreamResponse(Response):
    """The events ``progress``, any number of times, and then ``result`` or ``error``."""

    def __init__(self, request: Request, answering: "asyncio.Task[Reply]", progress: ProgressChannel) -> None:
        # nginx would buffer events without X-Accel-Buffering; a media_type of Starlette's would carry a charset.
        headers = {"Content-Type": EVENT_STREAM, "Cache-Control": "no-store", "Vary": "Accept"}
        super().__init__(headers=headers | {"X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._request, self._answering, self._progress = request, answering, progress

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send events as they come."""
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            ended = False
            while not ended:
                ended = self._answering.done()
                if (update := self._progress.take_latest()) is not None:
                    await send(_chunk(_event("progress", orjson.dumps(asdict(update))), more=True))
                elif not ended and not await _wait(self._answering, self._progress, HEARTBEAT_SECONDS):
                    await send(_chunk(b": still there\n\n", more=True))
            await send(_chunk(self._final_event(), more=False))
        except asyncio.CancelledError:
            # Only a process that has run out of time to drain cancels its requests.
            overtaken = Draining("expected to finish before the process ends; received more work than that.")
            await send(_chunk(_event("error", orjson.dumps(problem_of(self._request, overtaken))), more=False))
        finally:
            self._answering.cancel()

    def _final_event(self) -> bytes:
        """Return the event that ends the stream."""
        error = self._answering.exception()
        if error is None:
            return _event("result", self._answering.result().content)
        if isinstance(error, Disconnected) or not isinstance(error, Exception):
            raise error
        request_id = self._request.scope["state"]["request_id"]
        problem = problem_of(self._request, error)
        # The access log has status 200 for a stream; an error that the service raised on purpose is no defect.
        if isinstance(error, ServiceError):
            error_log.warning("a stream ended in %s", error.slug, extra={"request_id": request_id})
        else:
            error_log.error("failed in a stream", exc_info=error, extra={"request_id": request_id})
        return _event("error", orjson.dumps(problem))


async def _wait(answering: "asyncio.Task[Reply]", progress: ProgressChannel, seconds: float | None = None) -> bool:
    """Wait for progress or the end of an answer, and at most `seconds`; return whether either came."""
    waiting = asyncio.ensure_future(progress.wait())
    try:
        done, _ = await asyncio.wait((answering, waiting), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        return bool(done)
    finally:
        waiting.cancel()


def _event(name: str, data: bytes) -> bytes:
    """Return one event; compact JSON has no line breaks."""
    return b"event: %s\ndata: %s\n\n" % (name.encode(), data)


def _chunk(content: bytes, *, more: bool) -> dict[str, object]:
    return {"type": "http.response.body", "body": content, "more_body": more}
