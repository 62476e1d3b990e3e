"""Which layer takes how much of a small request: four keys of eight features as JSON, all three results back.

    python -m benchmarks.over_http.shares

The application is called in this process, without a socket, while a timer of processor time looks every millisecond
which module computes; a layer is a folder of the service or a package.  All together take the processor time of a
server for each answer under load; the rest is the socket: uvicorn, its parser, its loop and the kernel.  Beside it a
bare FastAPI route, and requests that have other options each time, so that none is in the cache of validated calls.
Keeps its figures in `results/shares.json`.
"""

import asyncio
import json
import os
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from itertools import count, repeat
from pathlib import Path
from types import FrameType
from typing import Any

from benchmarks import figures
from benchmarks.environments import ROOT
from benchmarks.over_http.exchanges import Exchange, anything
from benchmarks.over_http.load import Load, prepare_machine
from benchmarks.over_http.peers import bare
from benchmarks.over_http.report import shares as table
from benchmarks.over_http.rows import small_json
from benchmarks.over_http.servers import BARE, OURS, SERVER_CORE, SERVER_THREADS, Servers
from service.main import create_app
from service.middleware.header_fields import STATE
from service.settings import Settings

TURNS, TURN_SECONDS = 7, 2

SAMPLED_SECONDS, SAMPLE_SECONDS = 10.0, 0.001

NEW_FORM, SOCKET = "attention-service, options never seen", "socket: uvicorn, httptools, uvloop, kernel"

LIBRARY = "standard library"

Application = Callable[[Any, Any, Any], Awaitable[None]]


def main() -> int:
    """Measure, keep, print."""
    machine, exchange = prepare_machine(), small_json()
    whole = over_socket({OURS: exchange, BARE: anything(exchange)})
    os.sched_setaffinity(0, {int(SERVER_CORE)})
    # The log goes where a server's own goes under load: to a file, not to a terminal.
    with tempfile.TemporaryFile() as log:
        os.dup2(log.fileno(), sys.stderr.fileno())
    app = create_app(Settings(compute_threads=SERVER_THREADS))
    found = {
        OURS: sample(app, exchange, repeat(exchange.body), SAMPLED_SECONDS),
        NEW_FORM: sample(app, exchange, unseen(exchange), SAMPLED_SECONDS),
        BARE: sample(bare.app, exchange, repeat(exchange.body), SAMPLED_SECONDS),
    }
    for series, layers in found.items():
        if series in whole:
            layers[SOCKET] = whole[series] - sum(layers.values())
        figures.keep("shares", series, {"layers": layers}, machine)
    print(table(figures.load("shares")[machine["processor"]]))
    return 0


def over_socket(exchanges: dict[str, Exchange]) -> dict[str, float]:
    """Return the processor time that each server takes for one answer."""
    with Servers() as servers:
        loads = {name: Load(servers[name], exchange) for name, exchange in exchanges.items()}
        turns = [{name: one.turn(TURN_SECONDS).processor_seconds for name, one in loads.items()} for _ in range(TURNS)]
    # The first turn warms up.
    return {name: statistics.median(turn[name] for turn in turns[1:]) for name in exchanges}


def unseen(exchange: Exchange) -> Iterator[bytes]:
    """Yield the body of an exchange with another softcap each time."""
    document = json.loads(exchange.body)
    return (json.dumps({**document, "softcap": 1e6 + number}).encode() for number in count())


def sample(app: Application, exchange: Exchange, bodies: Iterator[bytes], seconds: float) -> dict[str, float]:
    """Return the processor time of one request by layer, the largest first."""
    seen: Counter[str] = Counter()

    def look(_number: int, frame: FrameType | None) -> None:
        while frame is not None and frame.f_code.co_filename == __file__ and frame.f_back is not None:
            frame = frame.f_back
        seen[layer_of(frame.f_code.co_filename) if frame else LIBRARY] += 1

    before = signal.signal(signal.SIGPROF, look)
    signal.setitimer(signal.ITIMER_PROF, SAMPLE_SECONDS, SAMPLE_SECONDS)
    try:
        requests, computed = asyncio.run(ask_for(app, exchange, bodies, seconds))
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
    return {layer: computed / requests * times / seen.total() for layer, times in seen.most_common()}


def layer_of(file: str) -> str:
    """Return the folder of the service, or the package, that a file is in."""
    parts = Path(file).parts
    if "site-packages" in parts:
        return parts[parts.index("site-packages") + 1]
    if not Path(file).is_relative_to(ROOT):
        return LIBRARY
    package, *inside = Path(file).relative_to(ROOT).parts
    return f"service/{inside[0]}" if package == "service" else package


async def ask_for(app: Application, exchange: Exchange, bodies: Iterator[bytes], seconds: float) -> tuple[int, float]:
    """Ask an ASGI application without a socket; return the number of requests and their processor time."""
    headers = {"host": "127.0.0.1", "content-length": str(len(exchange.body)), **exchange.headers}
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http", "method": "POST"}
    addresses = {"client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2), "root_path": "", "query_string": b""}
    scope |= {**addresses, "path": exchange.path, "raw_path": exchange.path.encode(), "headers": raw}

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": next(bodies), "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        if message.get("status", 200) != 200:
            raise ValueError(message)

    requests, started = 0, time.process_time()
    while (computed := time.process_time() - started) < seconds or not requests:
        await app({**scope, "state": {STATE: dict(raw)}}, receive, send)
        requests += 1
    return requests, computed


if __name__ == "__main__":
    sys.exit(main())
