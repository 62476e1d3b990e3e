"""The number of cores that this process may use, by its CPU affinity and the quotas of its control groups."""

import os
from math import ceil
from pathlib import Path

PROCESS, GROUPS = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")


def usable_cores(process: Path = PROCESS, groups: Path = GROUPS) -> int:
    """Return the number of usable cores, at least 1.

    `process` is the file that lists the control groups of the process, `groups` the directory of their quotas.
    """
    return max(1, min([_schedulable(), *_quotas(process, groups)]))


def _schedulable() -> int:
    """Return the number of cores in the CPU affinity, which a container or taskset may have reduced."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quotas(process: Path, groups: Path) -> list[int]:
    """Return the quota, in cores, of each control group of the process and of the groups above."""
    quotas = []
    for line in _text(process).splitlines():
        _, _, named = line.partition(":")
        controllers, _, name = named.partition(":")
        if controllers and "cpu" not in controllers.split(","):
            continue
        root = groups / controllers if controllers else groups
        # Inside a container the path may be that of the host, which does not exist; its own group is then the root.
        own = Path(name.lstrip("/"))
        for group in (own, *own.parents):
            quota, period = _quota(root / group)
            if quota > 0 and period > 0:
                quotas.append(ceil(quota / period))
    return quotas


def _quota(group: Path) -> tuple[int, int]:
    """Return quota and period in microseconds, of control groups version 2 or 1; 0 and 0 without a limit."""
    words = _text(group / "cpu.max").split() or [
        _text(group / "cpu.cfs_quota_us").strip(),
        _text(group / "cpu.cfs_period_us").strip(),
    ]
    if len(words) != 2 or not all(word.isdigit() for word in words):
        return 0, 0
    return int(words[0]), int(words[1])


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
