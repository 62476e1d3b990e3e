"""A load that does not wait: requests leave when they are due, however late the answers to earlier ones are.

A client that waits for its answer before it asks again slows down with the server, and never sees what overload does
to those who arrive meanwhile.  Here a latency counts from when the request was due, so that waiting for a connection,
or for this process, is part of it.
"""

import asyncio
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from benchmarks.over_http.exchanges import Exchange

MOST_CONNECTIONS = 512
"""Requests that are due while so many others are under way wait for a connection, which counts as latency."""


@dataclass
class Outcome:
    """What became of the requests that were due in so many seconds."""

    offered: int
    seconds: float
    statuses: Counter[int] = field(default_factory=Counter)
    """Of all of them, in the end; 0 for a connection that broke."""
    in_time: Counter[int] = field(default_factory=Counter)
    """Of those that ended while others were still due."""
    late: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    """Seconds from when each was due to its answer, by status."""
    generator: float = 0.0
    """Which part of a core this process took."""


class Connections:
    """Connections to one server, each for one request at a time; the last used is used first."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._permits = asyncio.Semaphore(MOST_CONNECTIONS)

    async def ask(self, request: bytes) -> int:
        """Send a request, read its answer to the end and return its status."""
        async with self._permits:
            reader, writer = self._idle.pop() if self._idle else await self._connect()
            try:
                writer.write(request)
                head = await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(_length(head))
            except (OSError, asyncio.IncompleteReadError):
                writer.close()
                raise
            if b"\r\nconnection: close\r\n" in head.lower():
                writer.close()
            else:
                self._idle.append((reader, writer))
            return int(head[9:12])

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self._port, limit=1 << 20)

    def close(self) -> None:
        """Close what is idle."""
        for _, writer in self._idle:
            writer.close()


def request_of(exchange: Exchange) -> bytes:
    """Return the bytes of a request."""
    headers = {"Host": "127.0.0.1", **exchange.headers, "Content-Length": str(len(exchange.body))}
    lines = [f"POST {exchange.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode() + exchange.body


async def capacity(port: int, exchange: Exchange, seconds: float, clients: int) -> float:
    """Return answers per second to clients who wait for each."""
    connections, request = Connections(port), request_of(exchange)
    until = time.perf_counter() + seconds

    async def wait_and_ask_again() -> int:
        answers = 0
        while time.perf_counter() < until:
            if await connections.ask(request) != 200:
                raise RuntimeError("the server refuses what a few clients ask")
            answers += 1
        return answers

    began = time.perf_counter()
    answers = sum(await asyncio.gather(*(wait_and_ask_again() for _ in range(clients))))
    connections.close()
    return answers / (time.perf_counter() - began)


async def offer(port: int, exchange: Exchange, rate: float, seconds: float) -> Outcome:
    """Send so many requests a second for so long, evenly, and wait for the last answer."""
    connections, request = Connections(port), request_of(exchange)
    offered = round(rate * seconds)
    outcome = Outcome(offered, seconds)

    async def one(due: float) -> None:
        try:
            status = await connections.ask(request)
        except (OSError, asyncio.IncompleteReadError):
            status = 0
        ended = time.perf_counter()
        outcome.statuses[status] += 1
        outcome.in_time[status] += ended - began <= seconds
        outcome.late[status].append(ended - due)

    computed, began = time.process_time(), time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number in range(offered):
            due = began + number / rate
            if (ahead := due - time.perf_counter()) > 0:
                await asyncio.sleep(ahead)
            group.create_task(one(due))
    outcome.generator = (time.process_time() - computed) / (time.perf_counter() - began)
    connections.close()
    return outcome


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    raise RuntimeError("an answer without Content-Length")
