"""A scripted server: a real socket that answers with bytes from the test."""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

HEADER = "Inference-Header-Content-Length"


@dataclass
class Received:
    """A received request, with its time on the monotonic clock; names of headers are in lower case."""

    at: float
    line: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Scripted:
    """A running server and the requests that it received."""

    url: str
    received: list[Received] = field(default_factory=list)


@contextmanager
def scripted(*answers: bytes, seconds_between_bytes: float = 0.0) -> Iterator[Scripted]:
    """Answer each connection once, then close it; an answer may be empty."""
    stopped = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.05)
        server = Scripted(f"http://127.0.0.1:{listener.getsockname()[1]}")
        play = threading.Thread(target=_play, args=(listener, answers, server, stopped, seconds_between_bytes))
        play.start()
        try:
            yield server
        finally:
            stopped.set()
            play.join()


def _play(
    listener: socket.socket, answers: tuple[bytes, ...], server: Scripted, stopped: threading.Event, pause: float
) -> None:
    for answer in answers:
        connection = None
        while connection is None and not stopped.is_set():
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
        if connection is None:
            return
        with connection:
            server.received.append(_request_on(connection))
            _send(connection, answer, stopped, pause)


def _send(connection: socket.socket, answer: bytes, stopped: threading.Event, pause: float) -> None:
    """Send the head at once, and the rest at once or byte by byte, until the client closes the connection."""
    head, end, rest = answer.partition(b"\r\n\r\n")
    with contextlib.suppress(OSError):
        connection.sendall(head + end)
        for byte in rest if pause else ():
            if stopped.wait(pause):
                return
            connection.sendall(bytes([byte]))
        if not pause:
            connection.sendall(rest)


def _request_on(connection: socket.socket) -> Received:
    connection.settimeout(10)
    with connection.makefile("rb") as stream:
        line = stream.readline().decode().strip()
        headers = {}
        while text := stream.readline().decode().strip():
            name, _, value = text.partition(": ")
            headers[name.lower()] = value
        body = stream.read(int(headers.get("content-length", 0)))
    return Received(time.monotonic(), line, headers, body)


def answer(status: int, body: bytes = b"", **headers: str) -> bytes:
    """Return a response on the wire; underscores in the names of headers become hyphens."""
    lines = [f"HTTP/1.1 {status} Reason", f"Content-Length: {len(body)}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def problem(status: int, slug: str, **headers: str) -> bytes:
    """Return an error response of the service."""
    document = {"type": f"/prefix/problems/{slug}", "title": "T", "status": status, "detail": f"about {slug}",
                "instance": "id-1", "error": f"about {slug}"}  # fmt: skip
    return answer(status, json.dumps(document).encode(), **headers)


WEIGHTS = np.array([[0.25, 0.75]])


def inferred(head: dict[str, object] | None = None, raw: bytes | None = None) -> bytes:
    """Return a correct response to an inference, with another head or other raw tensors if they are given."""
    outputs = [{"name": "weights", "shape": [1, 2], "datatype": "FP64", "parameters": {"binary_data_size": 16}}]
    document = head or {"model_name": "scaled_dot_product", "model_version": "1", "outputs": outputs}
    content = json.dumps(document).encode()
    return answer(
        200,
        content + (WEIGHTS.tobytes() if raw is None else raw),
        **{HEADER: str(len(content)), "X_Request_ID": "id-2"},
    )
