"""Memories: queries on a large one, decoding steps that append, and a list; beside what the same takes without them.

    make bench-memories
    python -m benchmarks.over_http.memories [--only decode]

One connection of `wrk`, one server with two compute threads, everything as shipped.  Two sides take turns; what counts
is the median of the ratios of neighbouring turns.  A memory that grows is put anew before each turn.  Keeps its figures
in `results/memories.json`.
"""

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from benchmarks import figures
from benchmarks.environments import NotInstalled, require_python
from benchmarks.figures import Row as Kept
from benchmarks.over_http.exchanges import JSON_HEADERS, OUTPUT, Exchange, inference_binary, plain_json, tensors
from benchmarks.over_http.load import Load, prepare_machine
from benchmarks.over_http.servers import OURS_WITH_MEMORIES, PEERS, Server, Servers
from benchmarks.tables import judged, markdown, milliseconds, quartiles, rate, spread

THREADS = 2
LARGE, FEATURES, SMALL = 1 << 20, 64, 4096
HEADS, HEAD_FEATURES = 8, 128
MODEL = "scaled_dot_product"
TURNS, TURN_SECONDS = 9, 1
MEMORIES = 1000

Array = NDArray[Any]


def large(count: int, *shape: int, dtype: str = "float32") -> list[Array]:
    """Return arrays of the same numbers every time."""
    rng = np.random.default_rng(0)
    return [rng.standard_normal(shape, dtype=np.float32).astype(dtype) for _ in range(count)]


class Client:
    """Puts memories on a server."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._http = httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=120)

    def put(self, name: str, arrays: dict[str, Array], **options: Any) -> None:
        """Put keys and values."""
        content = save(arrays, {"request": json.dumps(options)})
        response = self._http.put(
            f"/v1/memories/{name}", content=content, headers={"Content-Type": "application/vnd.safetensors"}
        )
        response.raise_for_status()

    def append(self, name: str, arrays: dict[str, Array]) -> None:
        """Append keys and values."""
        headers = {"Content-Type": "application/vnd.safetensors"}
        self._http.post(f"/v1/memories/{name}/append", content=save(arrays), headers=headers).raise_for_status()

    def list_seconds(self, limit: int) -> list[float]:
        """Return how long some lists took."""
        found = []
        for _ in range(20):
            response = self._http.get("/v1/memories", params={"limit": limit})
            response.raise_for_status()
            if len(response.json()["memories"]) != limit:
                raise ValueError("the list is not whole")
            found.append(response.elapsed.total_seconds())
        return found

    def put_large(self, name: str, **arrays: Array) -> None:
        """Put tensors that are too large for one body, in pieces of 65 536 keys."""
        pieces = LARGE >> 16
        split = {one: np.array_split(array, pieces) for one, array in arrays.items()}
        self.put(name, {one: parts[0] for one, parts in split.items()})
        for place in range(1, pieces):
            self.append(name, {one: parts[place] for one, parts in split.items()})


def on_memory(name: str, query: Array, new: Array | None = None) -> Exchange:
    """Return an inference on a memory with raw tensors; new keys, which are their values too, are appended first."""
    arrays = {"query": query} | ({} if new is None else {"key": new, "value": new})
    datatypes = {"float32": "FP32", "float16": "FP16"}
    inputs = [
        {
            "name": one,
            "shape": list(array.shape),
            "datatype": datatypes[array.dtype.name],
            "parameters": {"binary_data_size": array.nbytes},
        }
        for one, array in arrays.items()
    ]
    parameters = {"memory": name, "append": new is not None, "binary_data_output": True}
    head = json.dumps({"inputs": inputs, "outputs": [{"name": "output"}], "parameters": parameters}).encode()
    body = b"".join((head, *(array.tobytes() for array in arrays.values())))
    headers = {"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": str(len(head))}
    return Exchange(f"/v2/models/{MODEL}/infer", body, headers)


Side = Callable[[], float]
"""Takes one turn, and returns the median seconds of an answer in it."""


@dataclass(frozen=True)
class Row:
    """One comparison.

    :param name: of the row.
    :param sides: given a client, ours and what stands beside it; None for none.
    :param beside: what that is.
    :param target: for ours / its time; None for none.
    :param per_second: least answers a second of ours; None for none.
    """

    name: str
    sides: Callable[[Client], tuple[Side, Side | None]]
    beside: str = ""
    target: float | None = None
    per_second: float | None = None


def turns_of(client: Client, exchange: Exchange, before: Callable[[], None] | None = None) -> Side:
    """Return a side that sends a request over and over; `before` each turn something is put anew."""
    if before is not None:
        before()
    load = Load(client.server, exchange, connections=1)

    def turn() -> float:
        if before is not None:
            before()
            exchange.once(client.server.port)
        return load.turn(TURN_SECONDS).median_latency

    return turn


@dataclass
class Beside:
    """A process of `peers/whole_table.py`."""

    what: str
    environment: str | None
    _process: subprocess.Popen[str] | None = field(default=None, init=False)

    def __call__(self) -> float:
        """Return the median of several runs."""
        if self._process is None:
            command = [require_python(self.environment), str(PEERS / "whole_table.py"), self.what]
            sizes = [str(number) for number in (THREADS, LARGE, FEATURES)]
            self._process = subprocess.Popen(
                [*command, *sizes], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
            )
            self._once()
        return statistics.median(self._once() for _ in range(20))

    def _once(self) -> float:
        if self._process is None or self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("the process has no pipes")
        self._process.stdin.write("\n")
        return float(self._process.stdout.readline())


def query_large(client: Client) -> tuple[Side, Side]:
    """One query on keys and values of 512 MiB."""
    key, value = large(2, LARGE, FEATURES)
    client.put_large("large", key=key, value=value)
    [query] = large(1, 1, FEATURES)
    return turns_of(client, on_memory("large", query)), Beside("sum", None)


def rank_large(client: Client) -> tuple[Side, Side]:
    """The ten best of keys of 256 MiB."""
    [key] = large(1, LARGE, FEATURES)
    client.put_large("keys", key=key)
    [query] = large(1, 1, FEATURES)
    document = {"query": query.tolist(), "memory": "keys", "score_model": "dot_product", "include": ["ranking"]}
    body = json.dumps(document | {"top_k": 10, "dtype": "float32"}).encode()
    return turns_of(client, Exchange("/v1/attention", body, JSON_HEADERS)), Beside("faiss", "faiss")


def small_memory(client: Client) -> Exchange:
    """Put 4 096 keys; return a request of one query on them."""
    key, value = large(2, SMALL, FEATURES)
    client.put("small", {"key": key, "value": value})
    return on_memory("small", *large(1, 1, FEATURES))


def small_beside_json(client: Client) -> tuple[Side, Side]:
    """One query on 4 096 keys beside the smallest JSON request."""
    smallest = plain_json(tensors(1, 4, 8, "float64"))
    return turns_of(client, small_memory(client)), turns_of(client, smallest)


def small_beside_sent(client: Client) -> tuple[Side, Side]:
    """One query on 4 096 keys beside the same tensors sent as raw bytes."""
    sent = inference_binary(tensors(1, SMALL, FEATURES, "float32"), OUTPUT, MODEL)
    return turns_of(client, small_memory(client)), turns_of(client, sent)


def decoding(durability: str, keys: int = SMALL, dtype: str = "float32") -> Callable[[Client], tuple[Side, Side]]:
    """Return a step of eight heads that appends, beside one that only reads."""

    def sides(client: Client) -> tuple[Side, Side]:
        key, value = large(2, 1, HEADS, keys, HEAD_FEATURES, dtype=dtype)
        query, new = large(2, 1, HEADS, 1, HEAD_FEATURES, dtype=dtype)

        def put(name: str) -> None:
            client.put(name, {"key": key, "value": value}, durability=durability)

        put("read")
        reading = turns_of(client, on_memory("read", query))
        return turns_of(client, on_memory("decoding", query, new), lambda: put("decoding")), reading

    return sides


def listing(client: Client) -> tuple[Side, None]:
    """A list of a thousand memories."""
    [key] = large(1, 1, 4)
    for number in range(MEMORIES):
        client.put(f"of-many-{number:04}", {"key": key})

    def turn() -> float:
        found = client.list_seconds(MEMORIES)
        return statistics.median(found)

    return turn, None


ROWS = (
    Row(f"1 query on {LARGE} × {FEATURES}, output", query_large, "NumPy's sum over K and V, two threads", 1.2),
    Row(f"top 10 of {LARGE} × {FEATURES}", rank_large, "faiss IndexFlatIP, two threads", 0.8),
    Row(f"1 query on {SMALL} × {FEATURES}", small_beside_json, "4 keys × 8, JSON, all three", 1.25),
    Row(f"1 query on {SMALL} × {FEATURES}", small_beside_sent, "the same tensors, raw", 0.05),
    Row("decoding step, strict", decoding("strict"), "the same without appending", per_second=400),
    Row("decoding step, relaxed", decoding("relaxed"), "the same without appending", 1 / 0.85, 650),
    Row("decoding step, float16", decoding("relaxed", dtype="float16"), "without appending", per_second=1000),
    Row("decoding step, 2 048 keys", decoding("relaxed", SMALL // 2), "without appending", per_second=1000),
    Row(f"list of {MEMORIES} memories", listing, per_second=20),
)


def main() -> int:
    """Measure the rows, keep them, print them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--only", action="append", help="part of a row's name; may be given several times")
    options = parser.parse_args()
    machine = {**prepare_machine(), "threads": str(THREADS)}
    for row in ROWS:
        name = f"{row.name}, {row.beside}"
        if options.only and not any(part in name for part in options.only):
            continue
        with Servers() as servers:
            figures.keep("memories", name, measure(Client(servers[OURS_WITH_MEMORIES]), row), machine)
        print(report(figures.load("memories")[machine["processor"]]), flush=True)
    return 0


def measure(client: Client, row: Row) -> Kept:
    """Let both sides of a row take turns."""
    ours, beside = row.sides(client)
    try:
        pairs = [(ours(), None if beside is None else beside()) for _ in range(TURNS)]
    except NotInstalled as reason:
        return {"missing": str(reason)}
    kept: Kept = {"seconds": statistics.median(one for one, _ in pairs), "pairs": len(pairs)}
    others = [(one, other) for one, other in pairs if other is not None]
    if others:
        kept["other"] = statistics.median(other for _, other in others)
        kept["ratio"] = quartiles(one / other for one, other in others)
    return kept


def report(document: figures.Document) -> str:
    """Return the table."""
    headers = ["request", "ours", "each second", "beside", "its time", "ours / its (quartiles)", "pairs", "targets"]
    rows = ((row, document["rows"].get(f"{row.name}, {row.beside}")) for row in ROWS)
    return markdown(headers, [_line(row, kept) for row, kept in rows if kept is not None])


def _line(row: Row, kept: Kept) -> list[str]:
    if "missing" in kept:
        return [row.name, "not measured", "", row.beside, kept["missing"], "", "", ""]
    targets = []
    if "ratio" in kept:
        targets.append(judged(kept["ratio"][1], row.target))
    if row.per_second is not None:
        targets.append(f"{judged(1 / kept['seconds'], row.per_second, at_least=True)} a second")
    beside = [milliseconds(kept["other"]), spread(kept["ratio"])] if "ratio" in kept else ["", ""]
    ours = [milliseconds(kept["seconds"]), rate(1 / kept["seconds"])]
    return [row.name, *ours, row.beside, *beside, str(kept["pairs"]), "; ".join(filter(None, targets))]


if __name__ == "__main__":
    sys.exit(main())
