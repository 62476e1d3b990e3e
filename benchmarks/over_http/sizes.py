"""Latency against payload size: the same tensors as JSON, as safetensors and as binary V2, one request at a time.

    python -m benchmarks.over_http.sizes [--only 1024]

As many queries as keys, 64 features, float32, output only, one connection; the core's own call stands beside them.
Keeps its figures in `results/payloads.json`, of which `plot` makes the picture.
"""

import argparse
import statistics
import sys
from collections.abc import Callable

from benchmarks import backend_process, figures
from benchmarks.backend_process import SIDES, BackendProcess
from benchmarks.figures import Row
from benchmarks.over_http.exchanges import OUTPUT, Arrays, Exchange, inference_binary, plain_json, safetensors, tensors
from benchmarks.over_http.load import Load, prepare_machine
from benchmarks.over_http.rows import FEATURES, OURS_V2
from benchmarks.over_http.servers import OURS, SERVER_CORE, SERVER_THREADS, Server, Servers
from benchmarks.work import Work

LENGTHS = (4, 16, 64, 256, 1024, 4096)

FORMS: dict[str, Callable[[Arrays], Exchange]] = {
    "JSON": lambda arrays: plain_json(arrays, OUTPUT),
    "safetensors": lambda arrays: safetensors(arrays, OUTPUT),
    "binary V2": lambda arrays: inference_binary(arrays, OUTPUT, OURS_V2),
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
    description = prepare_machine()
    with Servers() as servers, BackendProcess(SIDES[backend_process.OURS], SERVER_THREADS, SERVER_CORE) as core:
        for length in options.only or LENGTHS:
            for series, row in points(servers[OURS], core, length).items():
                figures.keep("payloads", f"{series} {length}", {"series": series, "length": length, **row}, description)
                print(f"{series:12} {length:5} {row['seconds'] * 1e3:10.3f} ms", flush=True)
    return 0


def points(server: Server, core: BackendProcess, length: int) -> dict[str, Row]:
    """Measure one size in every form, by turns."""
    arrays = tensors(length, length, FEATURES, "float32")
    loads = {name: Load(server, form(arrays), connections=1) for name, form in FORMS.items()}
    work = Work((1, 1, length, FEATURES))
    calls = max(1, round(CORE_SECONDS / core.seconds(work)))
    seconds: dict[str, list[float]] = {name: [] for name in (*FORMS, CORE)}
    for _ in range(TURNS):
        for name, one in loads.items():
            seconds[name].append(one.turn(TURN_SECONDS).median_latency)
        seconds[CORE].append(core.seconds(work, calls))
    tensor_bytes = sum(array.nbytes for array in arrays.values())
    return {name: {"seconds": statistics.median(found), "bytes": tensor_bytes} for name, found in seconds.items()}


if __name__ == "__main__":
    sys.exit(main())
