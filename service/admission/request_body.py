"""The body of a request: counted while it arrives, and read within a time limit."""

from collections.abc import Callable
from io import BytesIO
from time import monotonic

from service.admission.timed_receive import Message, Receive, receive_within
from service.errors import BodyTimeout, Disconnected, TooLarge

Extend = Callable[[int], None]


async def read_body(
    receive: Receive,
    limit: int,
    timeout_seconds: float,
    lead: bytes = b"",
    extend: Extend | None = None,
) -> bytes:
    """Return `lead`, which aligns the tensors in the body, and then the body, of at most `limit` bytes.

    A body in several chunks is reported to `extend`, which is called with the size so far before a chunk is kept.
    Raises everything that `extend` raises, TooLarge as soon as the body exceeds `limit`, BodyTimeout, MalformedBody, or
    Disconnected.
    """
    message = await _receive(receive, timeout_seconds)
    body: bytes = message.get("body", b"")
    if not message.get("more_body", False):
        if len(body) > limit:
            raise too_large(len(body), limit)
        return lead + body if lead else body
    # `getvalue` returns the buffer itself, without a copy.
    whole, size = BytesIO(), 0
    whole.write(lead)
    until = monotonic() + timeout_seconds
    while True:
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise too_large(size, limit)
        if extend is not None:
            extend(size)
        whole.write(chunk)
        if not message.get("more_body", False):
            return whole.getvalue()
        message = await _receive(receive, until - monotonic())


async def _receive(receive: Receive, seconds: float) -> Message:
    """Return the next message that belongs to the body."""
    try:
        message = await receive_within(receive, seconds)
    except TimeoutError:
        raise BodyTimeout(
            "expected the whole body in time; received only part. Send it faster, or send less."
        ) from None
    if message["type"] == "http.disconnect":
        raise Disconnected("the client went away before its body had arrived")
    return message


def too_large(size: int, limit: int) -> TooLarge:
    """Return the error of a body over the limit."""
    return TooLarge(
        f"expected a body of at most {limit} bytes; received {size} or more. Send less at once, or a denser format."
    )
