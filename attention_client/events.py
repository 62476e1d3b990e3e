"""The body of a response as it arrives: collected whole, or read as a stream of events.

https://html.spec.whatwg.org/multipage/server-sent-events.html, as far as the service uses it: an event is its name and
one line of JSON.
"""

from collections.abc import Mapping

from attention_client.errors import ConnectionFailed, UnreadableAnswer
from attention_client.progress import OnProgress, Progress
from attention_client.responses import Reply, parse_object

EVENT_STREAM = "text/event-stream"

END_OF_EVENT = b"\n\n"


class WholeReader:
    """Collects a body."""

    def __init__(self, status: int, headers: Mapping[str, str]) -> None:
        self._status, self._headers = status, headers
        self._chunks: list[bytes] = []

    def feed(self, chunk: bytes) -> None:
        """Keep the bytes."""
        self._chunks.append(chunk)

    def finish(self) -> Reply:
        """Return the response with all of its body."""
        return Reply(self._status, self._headers, b"".join(self._chunks))


class EventReader:
    """Reads progress events, and the last event as the response: a result, or an error with its own status."""

    def __init__(self, headers: Mapping[str, str], on_progress: OnProgress) -> None:
        self._headers, self._on_progress = headers, on_progress
        self._received = bytearray()
        self._reply: Reply | None = None

    def feed(self, chunk: bytes) -> None:
        """Read every event that is complete; raises UnreadableAnswer."""
        start = max(len(self._received) - 1, 0)
        self._received += chunk
        while (end := self._received.find(END_OF_EVENT, start)) >= 0:
            self._read_event(bytes(self._received[:end]))
            del self._received[: end + len(END_OF_EVENT)]
            start = 0

    def finish(self) -> Reply | ConnectionFailed:
        """Return the response that the last event holds."""
        return self._reply or ConnectionFailed("the stream of events ended before the result")

    def _read_event(self, event: bytes) -> None:
        fields = dict(line.split(b": ", 1) for line in event.split(b"\n") if b": " in line and line[:1] != b":")
        name, data = fields.get(b"event"), fields.get(b"data", b"")
        if name == b"progress":
            self._on_progress(_read_progress(data))
        elif name == b"result":
            self._reply = Reply(200, self._headers, data)
        elif name == b"error":
            self._reply = Reply(_status_of(data), self._headers, data)


def body_reader(status: int, headers: Mapping[str, str], on_progress: OnProgress | None) -> WholeReader | EventReader:
    """Return the reader of a response.

    :param on_progress: called with each progress event; None for a call that asked for no events.
    """
    lower = {name.lower(): value for name, value in headers.items()}
    if on_progress is not None and lower.get("content-type", "").startswith(EVENT_STREAM):
        return EventReader(lower, on_progress)
    return WholeReader(status, lower)


def _read_progress(data: bytes) -> Progress:
    document = parse_object(data, "an event")
    try:
        return Progress(document["done"], document["total"], document.get("seconds_left"))
    except KeyError as missing:
        raise UnreadableAnswer(f"expected progress with done and total; received none of {missing}.") from None


def _status_of(data: bytes) -> int:
    status = parse_object(data, "an event").get("status")
    if not isinstance(status, int):
        raise UnreadableAnswer("expected a problem with a status; received none.")
    return status
