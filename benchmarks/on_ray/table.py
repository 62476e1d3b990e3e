"""Large calls on the nodes of a Ray cluster in this machine, beside one process.

    make bench-cluster
    python -m benchmarks.on_ray.table [--only "K and V there"]

Runs in the environment of Ray.  Two sides take turns; what counts is the median of the ratios of neighbouring
turns.  Keeps its figures in `results/cluster.json`.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict

from attention_core import predict
from benchmarks import figures
from benchmarks.backend_process import Backends
from benchmarks.on_ray import calls
from benchmarks.on_ray.model import traffic
from benchmarks.on_ray.nodes import prepare_environment, running_nodes

Found = Iterator[tuple[str, figures.Row]]
Wanted = Callable[[str], bool]


def main() -> int:
    """Measure the rows, keep them, print them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--only", action="append", help="part of a row's name; may be given several times")
    options = parser.parse_args()

    def wanted(name: str) -> bool:
        return not options.only or any(part in name for part in options.only)

    prepare_environment()
    machine = figures.describe_machine(calls.THREADS, ("ray",))
    for name, row in large_calls(wanted):
        figures.keep("cluster", name, row, machine)
        print(name, row, flush=True)
    if wanted(calls.SCALING):
        figures.keep("cluster", calls.SCALING, scaling(), machine)
    return 0


def large_calls(wanted: Wanted) -> Found:
    """Measure large calls on one node and on more, and on two of them what each step costs."""
    rows = [row for row in calls.ROWS if wanted(row.name)]
    if not rows and not wanted(calls.COSTS):
        return
    with running_nodes() as nodes, Backends(calls.THREADS) as backends:
        for count in calls.MEASURED_NODES:
            if count > 1:
                nodes.add()
            with calls.connected(nodes.address) as front:
                if count == calls.THREADS and wanted(calls.COSTS):
                    yield calls.COSTS, asdict(calls.measure_costs(front, calls.ROWS[0].work))
                for row in rows:
                    if row.nodes == count:
                        yield row.name, calls.measure(front, row, backends)


def scaling() -> figures.Row:
    """Return what a call on more nodes than can be measured consists of."""
    call, _ = calls.resolved(calls.SCALED)
    operations = predict(call).operations
    return {
        "operations": operations,
        "traffic": [asdict(traffic(call, operations, nodes)) for nodes in calls.SCALED_NODES],
    }


if __name__ == "__main__":
    sys.exit(main())
