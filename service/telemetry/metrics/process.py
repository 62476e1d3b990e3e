"""Resources of the process, under the names of the client libraries of Prometheus, and its build."""

import os
import platform
import resource
from importlib.metadata import version
from multiprocessing import parent_process
from pathlib import Path

from service.telemetry.metrics.store import MetricStore

MEASURE_SECONDS = 1.0
"""Longest age of the numbers of other workers that a scrape shows."""

STARTED_FIELD, RESIDENT_FIELD = 19, 21
"""Fields 22 and 24 of /proc/<pid>/stat (proc(5)), counted from the one after the name, which may hold spaces."""


class ProcessMetrics:
    """Measures the process into a store; numbers that the system does not provide, as without /proc, stay absent."""

    def __init__(self, store: MetricStore) -> None:
        self._store = store
        self._cpu_seconds = 0.0
        python = platform.python_version()
        store.set(store.slot(("attention_build_info", version("attention-service"), python)), 1)
        started = _started_seconds()
        if started is not None:
            store.set(store.slot(("process_start_time_seconds",)), started)
        self.measure()

    def measure(self) -> None:
        """Measure the numbers that change, which takes some tens of microseconds."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        seconds = used.ru_utime + used.ru_stime
        # Add, since the numbers may continue those of a dead worker: counters never go backwards.
        self._store.add((self._store.slot(("process_cpu_seconds_total",)), seconds - self._cpu_seconds))
        self._cpu_seconds = seconds
        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._store.set(self._store.slot(("process_max_fds",)), float(limit))
        try:
            resident, descriptors = _resident_bytes(), _open_descriptors()
        except OSError:
            return
        self._store.set(self._store.slot(("process_resident_memory_bytes",)), resident)
        self._store.set(self._store.slot(("process_open_fds",)), descriptors)


def _stat(process: int | str) -> list[str]:
    """Return the fields of /proc/<pid>/stat after the name; raise OSError where there is none."""
    return Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(") ")[2].split()


def _resident_bytes() -> float:
    return float(int(_stat("self")[RESIDENT_FIELD]) * resource.getpagesize())


def _open_descriptors() -> float:
    # From Linux 6.2 on the size of the directory tells how many there are, which is quick for thousands too.
    return float(os.stat("/proc/self/fd").st_size or len(os.listdir("/proc/self/fd")))  # noqa: PTH116, PTH208 - lighter


def _started_seconds() -> float | None:
    """Return the Unix time when the service started: that of its parent for a worker, which may have been replaced."""
    parent = parent_process()
    process = os.getpid() if parent is None or parent.pid is None else parent.pid
    try:
        boot = next(line for line in Path("/proc/stat").read_text(encoding="utf-8").splitlines() if "btime" in line)
        return float(boot.split()[1]) + int(_stat(process)[STARTED_FIELD]) / os.sysconf("SC_CLK_TCK")
    except (OSError, StopIteration):
        return None
