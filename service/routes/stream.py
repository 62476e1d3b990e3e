"""An answer as a stream of events: how far it is, then the result, or what went wrong after the stream had begun."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import asdict

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from service.admission import Follower
from service.codecs.negotiate import EVENT_STREAM
from service.compute import Reply
from service.errors import Disconnected, Draining
from service.problems import problem_of

HEARTBEAT_SECONDS = 5.0
"""After so long without an event a comment is sent, so that nothing in between takes the connection for dead."""

error_log = logging.getLogger("service.error")


async def begun(answering: "asyncio.Task[Reply]", follower: Follower) -> None:
    """Wait until an answer is being computed; raise what prevents it, as long as it can be an ordinary answer."""
    news = asyncio.ensure_future(follower.news())
    try:
        await asyncio.wait((answering, news), return_when=asyncio.FIRST_COMPLETED)
        if answering.done():
            answering.result()
    except BaseException:
        answering.cancel()
        raise
    finally:
        news.cancel()


class Stream(Response):
    """The events ``progress``, any number of times, and then ``result`` or ``error``."""

    def __init__(
        self, request: Request, answering: "asyncio.Task[Reply]", follower: Follower, on_sent: Callable[[], None]
    ) -> None:
        self.status_code = 200
        self.background = None
        self.raw_headers = [
            (b"content-type", EVENT_STREAM.encode()),
            (b"cache-control", b"no-store"),
            (b"vary", b"Accept"),
            # nginx would collect events until there are enough of them.
            (b"x-accel-buffering", b"no"),
        ]
        self._request, self._answering, self._follower, self._on_sent = request, answering, follower, on_sent

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send events as they come."""
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            ended = False
            while not ended:
                ended = self._answering.done()
                if (progress := self._follower.latest()) is not None:
                    await send(_piece(_event("progress", orjson.dumps(asdict(progress))), more=True))
                elif not ended and not await self._news():
                    await send(_piece(b": still there\n\n", more=True))
            await send(_piece(self._last(), more=False))
        except asyncio.CancelledError:
            # Only a process that has run out of time to drain cancels what it is at.
            overtaken = Draining("expected to finish before the process ends; received more work than that.")
            await send(_piece(_event("error", orjson.dumps(problem_of(self._request, overtaken))), more=False))
        finally:
            self._answering.cancel()
            self._on_sent()

    async def _news(self) -> bool:
        """Wait for news or the end, and no longer than a heartbeat; return whether there was any."""
        news = asyncio.ensure_future(self._follower.news())
        try:
            done, _ = await asyncio.wait(
                (self._answering, news), timeout=HEARTBEAT_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
            return bool(done)
        finally:
            news.cancel()

    def _last(self) -> bytes:
        """Return the event that ends the stream."""
        error = self._answering.exception()
        if error is None:
            return _event("result", self._answering.result().content)
        if isinstance(error, Disconnected) or not isinstance(error, Exception):
            raise error
        request_id = self._request.scope["state"]["request_id"]
        problem = problem_of(self._request, error)
        if problem["status"] >= 500:
            error_log.error("failed in a stream", exc_info=error, extra={"request_id": request_id})
        return _event("error", orjson.dumps(problem))


def _event(name: str, data: bytes) -> bytes:
    """Return one event; JSON as it is written here has no line breaks."""
    return b"event: %s\ndata: %s\n\n" % (name.encode(), data)


def _piece(content: bytes, *, more: bool) -> dict[str, object]:
    return {"type": "http.response.body", "body": content, "more_body": more}
