"""Requests that ask for another protocol."""

import json

from tests.service.holding_up.wire import chunked, with_length

BODY = json.dumps({"query": [[1.0]], "key": [[1.0]], "include": ["weights"]}).encode()

LOOKALIKE = b"GET /readyz HTTP/1.1\r\nHost: test\r\nX-Request-ID: smuggled\r\n\r\n"

UPGRADES = {
    "h2c": ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA"),
    "websocket": ("Upgrade: websocket", "Connection: keep-alive, Upgrade", "Sec-WebSocket-Version: 13",
                  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="),
    "anything": ("connection: upgrade", "upgrade: TLS/1.0, foo/2"),
    "split": ("Connection: close, upgrade", "Upgrade: h2c"),
}  # fmt: skip

FRAMINGS = {"length": with_length, "chunks": chunked}

CURL = (
    b"POST /v1/attention HTTP/1.1\r\nHost: 127.0.0.1:8000\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n"
    b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n"
    b"Content-Length: 58\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\n"
)
"""What `curl --http2 -d` sends in front of a body of 58 bytes."""

JAVA = (
    b"POST /v1/attention HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nContent-Length: 58\r\n"
    b"Host: 127.0.0.1:8000\r\nHTTP2-Settings: AAEAAEAAAAIAAAAAAAMAAAAAAAQBAAAAAAUAAEAAAAYABgAA\r\nUpgrade: h2c\r\n"
    b"User-Agent: Java-http-client/17.0.21.1\r\n\r\n"
)
"""What the HttpClient of Java 17 sends in front of a body of 58 bytes, which follows in a packet of its own."""
