"""A Ray cluster of several nodes in one machine, run by the Python of `.venv-ray`: ``nodes.py SOCKET``.

Commands are lines of JSON over a Unix socket, ``["name", arguments…]``, answered by a line each.  The program ends when
its last connection is closed.
"""

import json
import queue
import signal
import socketserver
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import ray
from ray._private.state import state
from ray.cluster_utils import Cluster
from ray.core.generated import common_pb2

from service.cluster.shard import Shard
from service.memories import MemoryName, StoreLimits, StorePlace

ATTEMPTS = 4
"""To start a node."""

NODE = {"num_cpus": 1, "object_store_memory": 512 << 20}
ENDED = {common_pb2.TaskStatus.FINISHED, common_pb2.TaskStatus.FAILED}


class Nodes:
    """The cluster; nodes are known by the numbers in which they were added, 0 is the head."""

    def __init__(self) -> None:
        self.cluster = Cluster()
        self.nodes: dict[int, Any] = {0: self._start(include_dashboard=False)}
        ray.init(address=self.cluster.address, log_to_driver=False, logging_level="ERROR")

    def address(self) -> str:
        """Return where drivers connect."""
        return self.cluster.address

    def add(self, environment: dict[str, str] | None = None) -> int:
        """Add a node whose processes get further environment variables, and return its number."""
        number = max(self.nodes) + 1
        self.nodes[number] = self._start(env_vars=environment or {})
        return number

    def _start(self, **options: Any) -> Any:
        """Start a node, the first as head; again where the machine was so slow that the node ended by itself."""
        for _ in range(ATTEMPTS - 1):
            with suppress(Exception):
                return self.cluster.add_node(**NODE, **options)
        return self.cluster.add_node(**NODE, **options)

    def kill(self, number: int) -> None:
        """Kill the processes of a node."""
        self.cluster.remove_node(self.nodes.pop(number), allow_graceful=False)

    def freeze(self, number: int) -> None:
        """Stop all processes of a node, which stay connected."""
        for process in self._processes(number):
            process.suspend()

    def thaw(self, number: int) -> None:
        """Let the processes of a node go on."""
        for process in self._processes(number):
            process.resume()

    def _processes(self, number: int) -> list[Any]:
        import psutil  # noqa: PLC0415 — Ray has it, where it finds it alone

        raylet = psutil.Process(self.nodes[number].all_processes["raylet"][0].process.pid)
        return [raylet, *raylet.children(recursive=True)]

    def runs(self, number: int, task: str) -> bool:
        """Return whether a process of a node runs a task of a name, which Ray makes the title of the process."""
        titles = []
        for process in self._processes(number):
            # A process may end meanwhile.
            with suppress(Exception):
                titles.append(" ".join(process.cmdline()))
        return any(f"ray::{task}" in title for title in titles)

    def alive(self) -> list[int]:
        """Return the numbers of the nodes that the cluster knows to be alive."""
        known = {node["NodeID"] for node in ray.nodes() if node["Alive"]}
        return [number for number, node in self.nodes.items() if node.node_id in known]

    def actors(self) -> dict[str, int]:
        """Return the processes of the actors that have a name, by name; 0 for one that is starting."""
        found = state.actor_table(None).values()
        return {one["Name"]: one["Pid"] for one in found if one["Name"] and one["State"] != "DEAD"}

    def idle_shard(self, directory: str, memory: str, idle_seconds: float) -> str:
        """Start a shard of a memory that belongs to everyone, which ends when idle; return the name of its actor.

        The store is in a directory of this machine.
        """
        place = StorePlace(directory, "", StoreLimits())
        name = f"idle-{memory}"
        actor = (
            ray.remote(Shard)
            .options(name=name, lifetime="detached", max_restarts=-1, num_cpus=0)
            .remote(place, MemoryName("", memory), 1, idle_seconds)
        )
        ray.get(actor.renew.remote("no call"))
        return name

    def end_actors(self, names: list[str]) -> None:
        """End actors for good, as a shard ends itself when it is idle."""
        for one in ray.util.list_named_actors(all_namespaces=True):
            if one["name"] in names:
                ray.kill(ray.get_actor(**one), no_restart=True)

    def tasks(self, name: str, driver: int, since: int) -> tuple[int, int]:
        """Return how many tasks of a name are known, and how many of them have not ended, running and waiting ones.

        Those that a process has submitted since a time in nanoseconds are counted.
        Ray's own commands ask a dashboard, which takes longer to start than the nodes.
        """
        jobs = {job["JobID"] for job in state.job_table() if job["DriverPid"] == driver}
        states = [
            event.state_updates.state_ts_ns
            for event in state._get_all_task_events()
            if event.task_info.name == name and event.job_id.hex() in jobs
        ]
        states = [times for times in states if min(times.values(), default=0) >= since]
        return len(states), sum(not ENDED & set(times) for times in states)


def main() -> None:
    """Start three nodes and serve commands."""
    # As where the service is started in the background, so that nodes inherit it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    nodes = Nodes()
    for _ in range(2):
        nodes.add()
    # Ray adds nodes in the main thread alone.
    orders: queue.Queue[tuple[Callable[[], Any], queue.Queue[Any]] | None] = queue.Queue()
    connections: set[int] = set()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            connections.add(id(self))
            try:
                for line in self.rfile:
                    name, *arguments = json.loads(line)
                    answer: queue.Queue[Any] = queue.Queue()
                    orders.put((partial(getattr(nodes, name), *arguments), answer))
                    self.wfile.write(json.dumps(answer.get()).encode() + b"\n")
            finally:
                connections.discard(id(self))
                orders.put(None)

    class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
        daemon_threads = True

    path = Path(sys.argv[1])
    with Server(f"{path}.new", Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        Path(f"{path}.new").rename(path)
        while True:
            order = orders.get()
            if order is not None:
                command, answer = order
                answer.put(command())
            elif not connections:
                break
    path.unlink()
    ray.shutdown()
    nodes.cluster.shutdown()


if __name__ == "__main__":
    main()
