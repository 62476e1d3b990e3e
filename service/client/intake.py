"""The bytes of an answer, as they come: an ordinary one is kept, of a stream of events each is heard.

https://html.spec.whatwg.org/multipage/server-sent-events.html, as far as the service speaks it: an event is its name
and one line of JSON.
"""

import json
from collections.abc import Mapping
from typing import Any, Protocol

from service.client.answers import Reply
from service.client.errors import ConnectionFailed, UnreadableAnswer
from service.client.progress import OnProgress, Progress

EVENT_STREAM = "text/event-stream"

END = b"\n\n"


class Intake(Protocol):
    """Takes an answer in."""

    def take(self, chunk: bytes) -> None:
        """Take what has come."""
        ...

    def outcome(self) -> Reply | ConnectionFailed:
        """Return the answer, once nothing more comes."""
        ...


def intake_of(status: int, headers: Mapping[str, str], progress: OnProgress | None) -> Intake:
    """Return what takes in an answer with these headers; `progress` hears the events of a stream."""
    named = {name.lower(): value for name, value in headers.items()}
    if progress is not None and named.get("content-type", "").startswith(EVENT_STREAM):
        return _Events(named, progress)
    return _Whole(status, named)


class _Whole:
    """An answer that means nothing before it is whole."""

    def __init__(self, status: int, headers: Mapping[str, str]) -> None:
        self._status, self._headers = status, headers
        self._chunks: list[bytes] = []

    def take(self, chunk: bytes) -> None:
        """Keep it."""
        self._chunks.append(chunk)

    def outcome(self) -> Reply:
        """Return all of it."""
        return Reply(self._status, self._headers, b"".join(self._chunks))


class _Events:
    """News of a computation, and in the end its result or what went wrong."""

    def __init__(self, headers: Mapping[str, str], progress: OnProgress) -> None:
        self._headers, self._progress = headers, progress
        self._received = bytearray()
        self._last: Reply | None = None

    def take(self, chunk: bytes) -> None:
        """Hear every event that is whole; raises UnreadableAnswer."""
        searched = max(len(self._received) - 1, 0)
        self._received += chunk
        while (end := self._received.find(END, searched)) >= 0:
            self._hear(bytes(self._received[:end]))
            del self._received[: end + len(END)]
            searched = 0

    def outcome(self) -> Reply | ConnectionFailed:
        """Return what the last event told."""
        return self._last or ConnectionFailed("the stream of events ended before the result")

    def _hear(self, event: bytes) -> None:
        fields = dict(line.split(b": ", 1) for line in event.split(b"\n") if b": " in line and line[:1] != b":")
        name, data = fields.get(b"event"), fields.get(b"data", b"")
        if name == b"progress":
            self._progress(_read(data))
        elif name == b"result":
            self._last = Reply(200, self._headers, data)
        elif name == b"error":
            self._last = Reply(_status_of(data), self._headers, data)


def _read(data: bytes) -> Progress:
    news = _object(data)
    try:
        return Progress(news["done"], news["total"], news.get("seconds_left"))
    except KeyError as missing:
        raise UnreadableAnswer(f"expected progress with done and total; received none of {missing}.") from None


def _status_of(data: bytes) -> int:
    status = _object(data).get("status")
    if not isinstance(status, int):
        raise UnreadableAnswer("expected a problem with a status; received none.")
    return status


def _object(data: bytes) -> dict[str, Any]:
    try:
        document = json.loads(data)
    except ValueError as error:
        raise UnreadableAnswer(f"expected JSON in an event; received something else: {error}") from None
    if not isinstance(document, dict):
        raise UnreadableAnswer(f"expected an object in an event; received {type(document).__name__}.")
    return document
