"""Servers on Ray beside servers without it: memories with shards, and Ray Serve.

    make bench-cluster
    python -m benchmarks.on_ray.services [--only "shards"]

Servers have two compute threads and one connection of `wrk`, and take turns; what counts is the median of the
differences of neighbouring turns.  Keeps its figures in `results/cluster.json`.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import yaml

from benchmarks import figures
from benchmarks.environments import ROOT
from benchmarks.figures import Row as Kept
from benchmarks.over_http.exchanges import JSON_HEADERS, Exchange
from benchmarks.over_http.load import Load, prepare_machine
from benchmarks.over_http.memories import Client, large, on_memory
from benchmarks.over_http.servers import Kind, Server, running_kind
from benchmarks.tables import quartiles

TURNS, TURN_SECONDS = 9, 1
READY_SECONDS = 180
FEATURES = 64
SHARDS = 2

THREADS = {"ATTENTION_COMPUTE_THREADS": "2", "OPENBLAS_NUM_THREADS": "1"}


@dataclass(frozen=True)
class ServiceRow:
    """A request to a server on Ray, beside the same to one without it."""

    name: str
    beside: str
    keys: int = 0
    """Of the memory that is asked; 0 for none, and Ray Serve."""
    target: float | None = None
    """Longest that it may take more, in seconds; None for no target."""


ROWS = (
    *(
        ServiceRow(f"1 query on {keys} × {FEATURES} in {SHARDS} shards", "the same without shards", keys, 5e-3)
        for keys in (1 << 16, 1 << 20)
    ),
    ServiceRow("Honor of Kings, JSON, by Ray Serve", "the same by uvicorn"),
)


def honor_of_kings() -> Exchange:
    """Return the request of the example, which has one query and four keys."""
    document = json.loads((ROOT / "service" / "examples" / "honor-of-kings.json").read_text(encoding="utf-8"))
    return Exchange("/v1/attention", json.dumps(document["request"]).encode(), JSON_HEADERS)


def main() -> int:
    """Measure the rows, keep them, print them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--only", action="append", help="part of a row's name; may be given several times")
    options = parser.parse_args()
    prepare_machine()
    machine = figures.describe_machine(2, ("ray",))
    for row in ROWS:
        if not options.only or any(part in row.name for part in options.only):
            kept = measure(row)
            figures.keep("cluster", row.name, kept, machine)
            print(row.name, kept, flush=True)
    return 0


def measure(row: ServiceRow) -> Kept:
    """Let two servers take turns, one of which is on Ray."""
    with ExitStack() as stack:
        local = stack.enter_context(_ready(_kind(THREADS)))
        if row.keys:
            on_ray = stack.enter_context(_ready(_kind({**THREADS, "ATTENTION_RAY_ADDRESS": "local"})))
            exchange = _put(row.keys, local, on_ray)
        else:
            on_ray, exchange = stack.enter_context(_ready(_serve())), honor_of_kings()
        loads = [Load(server, exchange, connections=1) for server in (on_ray, local)]
        computed = _by_shards(on_ray) if row.keys else 0
        pairs = [[load.turn(TURN_SECONDS).median_latency for load in loads] for _ in range(TURNS)]
        if row.keys and _by_shards(on_ray) == computed:
            raise RuntimeError("the shards have computed nothing")
    return {
        "seconds": statistics.median(ours for ours, _ in pairs),
        "other": statistics.median(other for _, other in pairs),
        "more": quartiles(ours - other for ours, other in pairs),
        "pairs": len(pairs),
    }


def _put(keys: int, local: Server, on_ray: Server) -> Exchange:
    """Put a memory on both servers, wait for its shards, and return a request."""
    pieces = [np.array_split(array, max(1, keys >> 16)) for array in large(2, keys, FEATURES)]
    tensors = [{"key": key, "value": value} for key, value in zip(*pieces, strict=True)]
    for server, options in ((local, {}), (on_ray, {"shards": SHARDS})):
        client = Client(server)
        client.put("large", tensors[0], **options)
        for piece in tensors[1:]:
            client.append("large", piece)
    exchange = on_memory("large", *large(1, 1, FEATURES))
    until = time.monotonic() + READY_SECONDS
    while not _by_shards(on_ray):
        if time.monotonic() > until:
            raise RuntimeError(f"the shards do not compute:\n{on_ray.log.read_text(errors='replace')[-2000:]}")
        exchange.once(on_ray.port)
        time.sleep(0.1)
    return exchange


def _by_shards(server: Server) -> float:
    """Return how many calls shards have computed."""
    text = httpx.get(f"http://127.0.0.1:{server.port}/metrics").text
    start = 'attention_shard_calls_total{computed_by="shards"}'
    return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(start))


def _kind(variables: dict[str, str]) -> Kind:
    """Return the service, as other benchmarks run it."""
    return Kind("ray", lambda port, _: ["-m", "service.cli", "serve", "--port", str(port)], variables, is_pinned=False)


def _serve() -> Kind:
    """Return Ray Serve with `deploy/ray/serve.yaml`, but for the port and one replica of as many CPUs."""

    def arguments(port: int, folder: Path) -> list[str]:
        document = yaml.safe_load((ROOT / "deploy" / "ray" / "serve.yaml").read_text(encoding="utf-8"))
        document["http_options"] |= {"host": "127.0.0.1", "port": port}
        [deployment] = document["applications"][0]["deployments"]
        deployment["autoscaling_config"] = {"min_replicas": 1, "max_replicas": 1}
        path = folder / "serve.yaml"
        path.write_text(yaml.safe_dump(document))
        return ["-c", "from ray.serve.scripts import cli; cli()", "run", "--address", "local", str(path)]

    return Kind("ray", arguments, {**THREADS, "PYTHONPATH": str(ROOT)}, is_pinned=False)


@contextmanager
def _ready(kind: Kind) -> Iterator[Server]:
    """Run a server, and wait until it is ready."""
    with running_kind("server", kind) as server:
        until = time.monotonic() + READY_SECONDS
        while time.monotonic() < until and server.process.poll() is None:
            try:
                if httpx.get(f"http://127.0.0.1:{server.port}/readyz", timeout=2).status_code == 200:
                    break
            except httpx.HTTPError:
                pass
            time.sleep(0.2)
        else:
            raise RuntimeError(f"the server is not ready:\n{server.log.read_text(errors='replace')[-2000:]}")
        yield server


if __name__ == "__main__":
    sys.exit(main())
