"""Latency against payload size: the same tensors as JSON, as safetensors and as binary V2, one request at a time.

    python -m benchmarks.over_http.sizes [--only 1024]

As many queries as keys, 64 features, float32, output only, one connection; the core's own call stands beside them.
Keeps its figures in `results/payloads.json`, of which `plot` makes the picture.
"""

import argparse
import statistics
import sys
from collections.abc import Callable
from contextlib import ExitStack

from benchmarks import figures
from benchmarks.figures import Row
from benchmarks.over_http import machine
from benchmarks.over_http.exchanges import OUTPUT, Arrays, Exchange, inference_binary, plain_json, safetensors, tensors
from benchmarks.over_http.load import load, require_wrk, script_of
from benchmarks.over_http.rows import FEATURES, OUR_MODEL
from benchmarks.over_http.servers import OURS, SERVER_CORE, Server, Servers, exit_on_signals
from benchmarks.player import Player

LENGTHS = (4, 16, 64, 256, 1024, 4096)

FORMS: dict[str, Callable[[Arrays], Exchange]] = {
    "JSON": lambda arrays: plain_json(arrays, OUTPUT),
    "safetensors": lambda arrays: safetensors(arrays, OUTPUT),
    "binary V2": lambda arrays: inference_binary(arrays, OUTPUT, OUR_MODEL),
}

CORE = "core"

TURNS, TURN_SECONDS = 5, 1

CORE_SECONDS = 0.05
"""A turn of the core lasts about so long."""


def main() -> int:
    """Measure every size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--only", action="append", type=int, help="a length; may be given several times")
    options = parser.parse_args()
    require_wrk()
    exit_on_signals()
    description = machine.description()
    with Servers() as servers, Player("ours.py", machine.SERVER_THREADS, core=SERVER_CORE) as core:
        for length in options.only or LENGTHS:
            for series, row in points(servers[OURS], core, length).items():
                figures.keep("payloads", f"{series} {length}", {"series": series, "length": length, **row}, description)
                print(f"{series:12} {length:5} {row['seconds'] * 1e3:10.3f} ms", flush=True)
    return 0


def points(server: Server, core: Player, length: int) -> dict[str, Row]:
    """Measure one size in every form, by turns."""
    arrays = tensors(length, length, FEATURES, "float32")
    exchanges = {name: form(arrays) for name, form in FORMS.items()}
    for exchange in exchanges.values():
        exchange.once(server.port)
    work = f"full 1,1,{length},{FEATURES}"
    times = max(1, round(CORE_SECONDS / core.seconds(work)))
    seconds: dict[str, list[float]] = {name: [] for name in (*exchanges, CORE)}
    with ExitStack() as stack:
        scripts = {name: stack.enter_context(script_of(exchange)) for name, exchange in exchanges.items()}
        for _ in range(TURNS):
            for name, exchange in exchanges.items():
                turn = load(server, exchange.path, scripts[name], TURN_SECONDS, connections=1)
                seconds[name].append(turn.median_latency)
            seconds[CORE].append(core.seconds(work, times))
    tensor_bytes = sum(array.nbytes for array in arrays.values())
    return {name: {"seconds": statistics.median(found), "bytes": tensor_bytes} for name, found in seconds.items()}


if __name__ == "__main__":
    sys.exit(main())
