"""Which layer takes how much of a small request: four keys of eight features as JSON, all three results back.

    python -m benchmarks.over_http.shares

Each layer is called with all that are inside it, in this process, by turns; its share is what it takes more than those.
All together take the processor time of a server for each answer under load; what is not in a layer is the socket:
uvicorn, its parser, its loop and the kernel.  Beside it a bare FastAPI route, which has no layer but the framework, and
what is looked at when a request has a form that is not known yet: the requests of the load all have the same.
Keeps its figures in `results/shares.json`.
"""

import asyncio
import os
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any, Protocol

from attention_core import Workers
from benchmarks import figures
from benchmarks.over_http import machine
from benchmarks.over_http.exchanges import Exchange, anything
from benchmarks.over_http.load import load, require_wrk, script_of
from benchmarks.over_http.peers import bare
from benchmarks.over_http.report import shares as table
from benchmarks.over_http.rows import small_json
from benchmarks.over_http.servers import BARE, OURS, SERVER_CORE, Servers, exit_on_signals
from benchmarks.over_http.table import CONNECTIONS
from service.codecs import json
from service.codecs.negotiate import JSON
from service.compute import Body, Run, prepare_attention
from service.compute.attention import run_call
from service.compute.budget import predict_within, require_affordable
from service.compute.documents import bytes_per_number
from service.compute.requests import resolve_document
from service.main import create_app
from service.middleware.envelope import Envelope
from service.routes.attention import router
from service.schemas.attention import AttentionRequest
from service.schemas.parse import parse
from service.settings import Settings
from service.telemetry.logs import AccessLog
from service.telemetry.metrics import Metrics
from service.telemetry.metrics.ledger import Ledger

BATCH, ROUNDS = 200, 40

TURNS, TURN_SECONDS = 7, 2

JSON_IN, KNOWN = "JSON to arrays", "looking its form up, limits"
PYDANTIC, RESOLVE, COST = "Pydantic", "checks and defaults", "predicted cost, limits"
NEW_FORM = "first request of a form"
COMPUTE, JSON_OUT = "attention", "answer to JSON"
ENDPOINT, FRAMEWORK = "headers, deadline, body, gate", "FastAPI and Starlette"
ENVELOPE = "request id, metrics, log line"
SOCKET = "socket: uvicorn, httptools, uvloop, kernel"

Application = Callable[[Any, Any, Any], Awaitable[None]]


class Layer(Protocol):
    """Calls a layer, and all that are inside it, so many times."""

    def __call__(self, times: int = BATCH) -> float:
        """Return the seconds of processor time of one call."""
        ...


def main() -> int:
    """Measure, keep, print."""
    require_wrk()
    exit_on_signals()
    description = machine.description()
    exchange = small_json()
    whole = over_socket({OURS: exchange, BARE: anything(exchange)})
    os.sched_setaffinity(0, {int(SERVER_CORE)})
    with Path(os.devnull).open("w") as nowhere, redirect_stderr(nowhere):
        inside = by_turns({**layers(exchange), BARE: calls_of(bare.app, exchange)})
        at_first = by_turns(layers_of_a_new_form(exchange))
    framework = inside.pop(BARE)
    whole[NEW_FORM] = at_first[COST]
    for series, nested in (
        (NEW_FORM, at_first),
        (OURS, {**inside, SOCKET: whole[OURS]}),
        (BARE, {FRAMEWORK: framework, SOCKET: whole[BARE]}),
    ):
        before = 0.0
        for layer, seconds in nested.items():
            row = {"series": series, "layer": layer, "seconds": seconds - before, "whole": whole[series]}
            figures.keep("shares", f"{series}: {layer}", row, description)
            before = seconds
    print(table(figures.load("shares")))
    return 0


def over_socket(exchanges: dict[str, Exchange]) -> dict[str, float]:
    """Return the processor time that each server takes for one answer."""
    seconds: dict[str, list[float]] = {name: [] for name in exchanges}
    with Servers() as servers:
        for turn in range(TURNS):
            for name, exchange in exchanges.items():
                exchange.once(servers[name].port)
                with script_of(exchange) as script:
                    measured = load(servers[name], exchange.path, script, TURN_SECONDS, CONNECTIONS)
                # The first turn warms up.
                seconds[name] += [measured.processor_seconds] if turn else []
    return {name: statistics.median(found) for name, found in seconds.items()}


def by_turns(nested: dict[str, Layer]) -> dict[str, float]:
    """Return the median of what each layer takes with all that are inside it."""
    found: dict[str, list[float]] = {name: [] for name in nested}
    for _ in range(ROUNDS):
        for name, layer in nested.items():
            found[name].append(layer())
    return {name: statistics.median(seconds) for name, seconds in found.items()}


def layers(exchange: Exchange) -> dict[str, Layer]:
    """Return the layers of the service, the innermost first, each with all that are inside it."""
    settings = Settings(compute_threads=machine.SERVER_THREADS)
    app = create_app(settings)
    body = Body(exchange.body)
    run = Run(Workers(machine.SERVER_THREADS))
    access_log = AccessLog(settings.log_level, settings.log_format)
    endpoint = next(route for route in router.routes if route.path == exchange.path)

    def attend() -> None:
        prepared = prepare_attention(body, settings)
        run_call(prepared.call, run, prepared.operations)

    async def direct(scope: Any, receive: Any, send: Any) -> None:
        await endpoint.handle({**scope, "app": app}, receive, send)

    return {
        JSON_IN: calls(lambda: json.decode(body.content, settings.max_json_depth)),
        KNOWN: calls(lambda: prepare_attention(body, settings)),
        COMPUTE: calls(attend),
        JSON_OUT: calls(lambda: prepare_attention(body, settings).complete(run)),
        ENDPOINT: calls_of(direct, exchange),
        ENVELOPE: calls_of(Envelope(direct, access_log, Metrics(Ledger())), exchange),
        FRAMEWORK: calls_of(app, exchange),
    }


def layers_of_a_new_form(exchange: Exchange) -> dict[str, Layer]:
    """Return what is done before a request whose form is not known is computed, one inside the next."""
    settings = Settings(compute_threads=machine.SERVER_THREADS)
    body = Body(exchange.body)

    def decoded() -> Any:
        return json.decode(body.content, settings.max_json_depth)

    def priced() -> None:
        _, call = resolve_document(decoded())
        require_affordable(predict_within(settings, call), call.dtype.name, settings, bytes_per_number(call, JSON))

    return {
        JSON_IN: calls(decoded),
        PYDANTIC: calls(lambda: parse(AttentionRequest, decoded())),
        RESOLVE: calls(lambda: resolve_document(decoded())),
        COST: calls(priced),
    }


def calls(layer: Callable[[], object]) -> Layer:
    """Call a function many times."""

    def batch(times: int = BATCH) -> float:
        started = time.process_time()
        for _ in range(times):
            layer()
        return (time.process_time() - started) / times

    return batch


def calls_of(application: Application, exchange: Exchange) -> Layer:
    """Call an ASGI application many times, without a socket."""
    headers = {"host": "127.0.0.1", "content-length": str(len(exchange.body)), **exchange.headers}
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "scheme": "http",
        "method": "POST",
        "root_path": "",
        "path": exchange.path,
        "raw_path": exchange.path.encode(),
        "query_string": b"",
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
        "headers": raw,
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": exchange.body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        if message.get("status", 200) != 200:
            raise ValueError(message)

    async def repeat(times: int) -> float:
        started = time.process_time()
        for _ in range(times):
            await application({**scope, "state": {}}, receive, send)
        return (time.process_time() - started) / times

    return lambda times=BATCH: asyncio.run(repeat(times))


if __name__ == "__main__":
    sys.exit(main())
