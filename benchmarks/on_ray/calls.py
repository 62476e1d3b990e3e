"""Large calls on one, two and three nodes, and what each of their steps costs."""

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from attention_core import predict, resolve
from attention_core.call import AttentionCall, ResolvedCall
from benchmarks.backend_process import OURS, Backends
from benchmarks.backends.loop import inputs
from benchmarks.figures import Row as Kept
from benchmarks.on_ray.model import MIB, Costs, traffic
from benchmarks.on_ray.nodes import Front
from benchmarks.tables import quartiles
from benchmarks.work import Work
from service.cluster.large_calls import MAX_PARTS_PER_CPU, PART_OPERATIONS

THREADS = 2
WARM_UP_CALLS = 4
"""After which every node has started its process, and has what it keeps."""

COSTS, SCALING = "costs", "scaling"
"""Names of the rows that are no comparisons."""

SCALED = Work((1, 8, 16384, 64))
SCALED_NODES = (1, 2, 3, 4, 8, 16, 32, 64)

RUNS = 7
MEASURED_NODES = (1, 2, 3)

STEP = Work((1, 16, 256, 64))
"""A call whose parts read arrays of the object store and compute for 0.1 ms."""

SHORT, LONG = 4 * MIB, 32 * MIB
"""Bytes of arrays that are moved: what one more MiB takes is a difference."""


@dataclass(frozen=True)
class CallRow:
    """A call on a number of nodes."""

    work: Work
    nodes: int
    keeps: bool
    """Whether keys and values are in the object store already."""
    pairs: int = 0
    """Pairs of turns beside one process with two threads; 0 for none."""
    target: float | None = None
    """For the ratio of the two."""

    @property
    def name(self) -> str:
        """Tells it from the others."""
        sizes = ",".join(map(str, self.work.query))
        there = "K and V there" if self.keeps else "K and V sent"
        return f"{sizes} on {self.nodes} {'node' if self.nodes == 1 else 'nodes'}, {there}"


def _rows() -> Iterator[CallRow]:
    for length in (4096, 8192):
        work = Work((1, 8, length, 64))
        for nodes in MEASURED_NODES:
            for keeps in (True, False):
                pairs = (15 if length == 4096 else RUNS) if nodes == THREADS else 0
                target = 1.15 if (length, keeps, nodes) == (4096, True, THREADS) else None
                yield CallRow(work, nodes, keeps, pairs, target)


ROWS = tuple(_rows())


def resolved(work: Work) -> tuple[ResolvedCall, dict[str, Any]]:
    """Return a call for the output, and its arrays."""
    arrays = inputs(work)
    return resolve(AttentionCall(**arrays, include=("output",))), arrays


def measure(front: Front, row: CallRow, backends: Backends) -> Kept:
    """Let the nodes and one process take turns; a row without pairs has the nodes alone."""
    call, arrays = resolved(row.work)
    operations = predict(call).operations
    kept = [arrays["key"], arrays["value"]] if row.keeps else []
    with front.session() as session, front.keeping(*kept):
        if session.nodes != row.nodes:
            raise RuntimeError(f"expected {row.nodes} nodes; received {session.nodes}")
        for _ in range(WARM_UP_CALLS * row.nodes):
            front.seconds(call)
        pairs = []
        for _ in range(row.pairs or RUNS):
            ours = front.seconds(call)
            pairs.append((ours, backends[OURS].seconds(row.work) if row.pairs else 0.0))
    addresses = [range(array.ctypes.data, array.ctypes.data + array.nbytes) for array in kept]
    found: Kept = {
        "seconds": statistics.median(ours for ours, _ in pairs),
        "pairs": len(pairs),
        "operations": operations,
        "traffic": asdict(traffic(call, operations, row.nodes, addresses)),
    }
    if row.pairs:
        found["other"] = statistics.median(other for _, other in pairs)
        found["ratio"] = quartiles(ours / other for ours, other in pairs)
    return found


def measure_costs(front: Front, work: Work) -> Costs:
    """Return what each step of a call costs, on two nodes of which the front has the first."""
    with front.session() as session:
        call, part = _of_parts(front, session.cpus)
        ray = session.ray
        put = _for_a_mib(lambda numbers: _timed(lambda: ray.put(numbers)))
        send, back = _moved(ray)
    with Backends(1) as backends:
        backends[OURS].seconds(work)
        seconds = statistics.median(backends[OURS].seconds(work) for _ in range(RUNS))
    resolved_call, _ = resolved(work)
    return Costs(call, part, put, send, back, seconds / predict(resolved_call).operations)


def _of_parts(front: Front, cpus: int) -> tuple[float, float]:
    """Return what a call costs, and what each of its parts does."""
    call, arrays = resolved(STEP)
    with front.keeping(*arrays.values()):
        counts = [cpus * rounds for rounds in (1, MAX_PARTS_PER_CPU)]
        seconds = []
        for count in counts:
            for _ in range(WARM_UP_CALLS):
                front.seconds(call, PART_OPERATIONS * count)
            seconds.append(statistics.median(front.seconds(call, PART_OPERATIONS * count) for _ in range(3 * RUNS)))
    part = (seconds[1] - seconds[0]) / (counts[1] - counts[0])
    return seconds[0] - counts[0] * part, part


def _moved(ray: Any) -> tuple[float, float]:
    """Return what it costs to fetch a MiB on another node, and to have a MiB of its results."""
    own = ray.get_runtime_context().get_node_id()
    [other] = [node["NodeID"] for node in ray.nodes() if node["Alive"] and node["NodeID"] != own]
    strategy = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(other, soft=False)

    @ray.remote(num_cpus=1, scheduling_strategy=strategy)
    def size(numbers: Any) -> int:
        return numbers.nbytes

    @ray.remote(num_cpus=1, scheduling_strategy=strategy)
    def zeros(count: int) -> Any:
        return np.full(count, 1, np.uint8)

    def send(numbers: Any) -> float:
        reference = ray.put(numbers)
        return _timed(lambda: ray.get(size.remote(reference)))

    def give(numbers: Any) -> float:
        place = np.empty_like(numbers)
        return _timed(lambda: np.copyto(place, ray.get(zeros.remote(numbers.nbytes))))

    return _for_a_mib(send), _for_a_mib(give)


def _for_a_mib(seconds: Callable[[Any], float]) -> float:
    """Return by how much something takes longer for each MiB of an array that it is given."""
    found = []
    for count in (SHORT, LONG):
        numbers = np.full(count, 1, np.uint8)
        seconds(numbers)
        found.append(statistics.median(seconds(numbers) for _ in range(RUNS)))
    return (found[1] - found[0]) / ((LONG - SHORT) / MIB)


def _timed(run: Callable[[], Any]) -> float:
    started = time.perf_counter()
    result = run()
    elapsed = time.perf_counter() - started
    del result
    return elapsed


@contextmanager
def connected(address: str) -> Iterator[Front]:
    """Connect a front until the end of the block."""
    front = Front(address)
    try:
        yield front
    finally:
        front.close()
