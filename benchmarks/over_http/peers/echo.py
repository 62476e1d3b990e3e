"""The least that any ASGI server can do with a body: take all of it in, and send as much of it back as is asked for.

The path is ``/so-many-bytes``; a body that is shorter than that is sent back more than once.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]


async def app(
    scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    """Serve one exchange."""
    if scope["type"] != "http":
        return
    chunks, more = [], True
    while more:
        message = await receive()
        chunks.append(message.get("body", b""))
        more = message.get("more_body", False)
    size = int(scope["path"][1:])
    body = b"".join(chunks)
    if len(body) < size:
        body *= -(-size // len(body))
    headers = [(b"content-type", b"application/octet-stream"), (b"content-length", b"%d" % size)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body if len(body) == size else memoryview(body)[:size]})
