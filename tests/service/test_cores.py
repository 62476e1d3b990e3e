"""How many cores are usable: those of the process, at most the quota of its control groups."""

import os
import subprocess
import sys

import pytest

from service.cores import usable_cores

HERE = len(os.sched_getaffinity(0))


@pytest.fixture
def groups(tmp_path):
    """Write control groups as the kernel shows them; return how many cores they leave."""

    def cores(membership, **limits):
        process = tmp_path / "cgroup"
        process.write_text(membership)
        for name, text in limits.items():
            path = tmp_path / "fs" / name.replace("__", "/").replace("_dot_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return usable_cores(process, tmp_path / "fs")

    return cores


@pytest.fixture
def many(monkeypatch):
    """A machine of sixteen cores."""
    monkeypatch.setattr("service.cores.os.sched_getaffinity", lambda _: set(range(16)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [("200000 100000\n", 2), ("150000 100000\n", 2), ("10000 100000\n", 1), ("max 100000\n", 16), ("", 16)],
)
def test_a_container_is_limited_by_its_group(many, groups, text, expected):
    assert groups("0::/\n", cpu_dot_max=text) == expected


def test_the_tightest_group_above_counts(many, groups):
    limits = {
        "a__cpu_dot_max": "300000 100000",
        "a__b__cpu_dot_max": "800000 100000",
        "c__cpu_dot_max": "100000 100000",
    }
    assert groups("0::/a/b\n", **limits) == 3


def test_the_older_version_of_groups_is_understood(many, groups):
    limits = {
        "cpu,cpuacct__docker__cpu_dot_cfs_quota_us": "400000\n",
        "cpu,cpuacct__docker__cpu_dot_cfs_period_us": "100000\n",
        "memory__docker__cpu_dot_cfs_quota_us": "100000\n",
        "memory__docker__cpu_dot_cfs_period_us": "100000\n",
    }
    assert groups("4:memory:/docker\n3:cpu,cpuacct:/docker\n", **limits) == 4


def test_an_older_group_without_a_limit(many, groups):
    limits = {"cpu__cpu_dot_cfs_quota_us": "-1\n", "cpu__cpu_dot_cfs_period_us": "100000\n"}
    assert groups("3:cpu:/\n", **limits) == 16


def test_without_groups_it_is_what_the_process_may_run_on(tmp_path):
    assert usable_cores(tmp_path / "none", tmp_path / "none") == HERE


def test_one_core_of_several_is_one_thread():
    program = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
    program += "from service.settings import Settings; print(Settings().compute_threads)"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ATTENTION_")}
    ended = subprocess.run([sys.executable, "-c", program], env=kept, capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "1"
