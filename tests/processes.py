"""Figures of the operating system about a process."""

import os
import re
import subprocess
import time
from contextlib import suppress
from pathlib import Path


def resident_mib(pid: int) -> float:
    """Return the resident memory in MiB."""
    return _status_kib(pid, "VmRSS") / 1024


def peak_mib(pid: int) -> float:
    """Return the maximum of the resident memory in MiB."""
    return _status_kib(pid, "VmHWM") / 1024


def _status_kib(pid: int, name: str) -> int:
    [kib] = re.findall(rf"^{name}:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(kib)


def cpu_seconds(pid: int) -> float:
    """Return the time on all cores in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def assert_started_at(pid: int, said: float) -> None:
    """Fail unless a process started at this time, in seconds since 1970, as `ps` counts its age in whole seconds."""
    before = time.time()
    [age] = subprocess.run(["ps", "-o", "etimes=", "-p", str(pid)], capture_output=True, check=True).stdout.split()
    # The time at which the machine started is known to a second, too.
    assert before - int(age) - 2 <= said <= time.time() - int(age) + 1


def descriptors(pid: int) -> int:
    """Return the number of open files and sockets."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def children_of(pid: int) -> set[int]:
    """Return the ids of all running children of a process."""
    found = set()
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            text = status.read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if f"\nPPid:\t{pid}\n" in text and "\nState:\tZ" not in text:
            found.add(int(status.parent.name))
    return found


def workers_of(pid: int) -> list[int]:
    """Return the ids of the running worker processes of a server, without the helper of multiprocessing."""
    found = []
    for child in sorted(children_of(pid)):
        with suppress(FileNotFoundError, ProcessLookupError):
            if "spawn_main" in Path(f"/proc/{child}/cmdline").read_text():
                found.append(child)
    return found
