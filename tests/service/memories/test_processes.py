"""Several processes with one store: killed writers, conditional appends, shared pages, a full disk."""

import json
import os
import shutil
import subprocess
from contextlib import ExitStack

import numpy as np
import pytest

from service.memories import EmbeddedStore, MemoryName, MemoryOptions, MemoryTensors, locks
from service.memories.errors import StoreUnavailable
from tests.operations import Limit
from tests.service.memories.appending import NAME
from tests.service.memories.marks import EMBEDDED_ONLY, of_each_kind
from tests.service.memories.numbered import OPTIONS, numbers_of, tensors
from tests.service.memories.programs import run, start


@of_each_kind("kills", embedded=8, redis=4, soak=200)
def test_killed_writers_lose_and_tear_nothing(location, kind, tmp_path, report_figure, kills):
    journals = tmp_path / "journals"
    journals.mkdir()
    counts = json.loads(run("killing", location, journals, kills, kills))
    report_figure(f"memories, {kind}: {counts}")
    assert counts["kills"] == kills
    assert counts["append"] > counts["delete"] > 0
    # Of the processor, which other programs share.
    assert counts["processor seconds to open"] < Limit.MEMORIES_OPEN.number


@of_each_kind("each", embedded=300, redis=150, soak=10_000)
def test_conditional_appends_of_two_processes_lose_no_update(open_store, location, kind, report_figure, each):
    store = open_store()
    store.put(NAME, tensors([]), OPTIONS)
    with ExitStack() as running:
        both = [running.enter_context(start("appending", location, first, each)) for first in (0, each)]
        assert [process.stdout.readline() for process in both] == ["ready\n"] * 2
        for process in both:
            process.stdin.write("\n")
            process.stdin.flush()
        refused = [int(process.communicate()[0]) for process in both]
    assert [process.returncode for process in both] == [0, 0]
    report_figure(f"memories, {kind}: 2 x {each} conditional appends, refused {refused} times")
    assert sum(refused) > 0
    found = numbers_of(store.snapshot(NAME))
    assert [number for number in found if number < each] == list(range(each))
    assert [number for number in found if number >= each] == list(range(each, 2 * each))
    assert store.describe(NAME).keys == 2 * each


@EMBEDDED_ONLY
def test_two_processes_share_the_pages_of_a_large_memory(open_store, directory, report_figure):
    """Each has all pages, and half of them by the proportional count of the kernel."""
    keys = np.ones((72 * 1024 * 1024 // 4 // 64, 64), np.float32)
    open_store().put(MemoryName("", "large"), MemoryTensors(keys), MemoryOptions("float32"))
    with ExitStack() as running:
        both = [running.enter_context(start("sharing", directory, "large")) for _ in range(2)]
        assert [process.stdout.readline() for process in both] == ["ready\n"] * 2
        for process in both:
            process.stdin.write("\n")
            process.stdin.flush()
            resident, proportional = map(int, process.stdout.readline().split())
            report_figure(f"memories: of {keys.nbytes >> 10} KiB {resident} are resident, {proportional} by half")
            assert resident >= keys.nbytes >> 10
            assert proportional <= 0.55 * resident
        for process in both:
            process.stdin.close()


def test_files_of_a_limited_length_leave_the_memory_as_it_was(directory):
    """Writes fail within the bytes of a segment, a log and, as the catalogue grows, of its write-ahead log."""
    failed_puts, failed_appends = map(int, run("filling", directory, 400_000).split())
    assert failed_puts == failed_appends == 2


@pytest.mark.skipif(not shutil.which("unshare"), reason="needs the Debian package util-linux")
def test_a_full_disk_leaves_the_memory_as_it_was(directory, tmp_path):
    """A file system of 6 MiB in a namespace of its own."""
    directory.mkdir()
    mount = f'mount -t tmpfs -o size=6m none {directory} && {{ "$@"; code=$?; umount {directory}; exit $code; }}'
    # Root needs no namespace of users, which inside a changed root there may not be; nor is its root a mount there.
    mapped = ["--propagation", "unchanged"] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    namespace = ["unshare", *mapped, "--mount", "sh", "-c"]
    if subprocess.run([*namespace, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine allows no namespaces")
    failed_puts, failed_appends = map(int, run("filling", directory, 0, before=[*namespace, mount, "sh"]).split())
    assert failed_puts == failed_appends == 2
    assert not list(directory.iterdir())


def test_a_store_that_another_process_has_open_can_be_opened(directory):
    """Two processes that make the same new directory at once."""
    directory.parent.mkdir(exist_ok=True)
    opened = [EmbeddedStore(directory) for _ in range(3)]
    for place, store in enumerate(opened):
        store.put(MemoryName("", f"memory-{place}"), tensors([place]), OPTIONS)
    assert [len(store.list("", 10)) for store in opened] == [3, 3, 3]
    for store in opened:
        store.close()


@EMBEDDED_ONLY
def test_a_process_that_is_stopped_in_a_write_does_not_stop_the_others(open_store, monkeypatch):
    monkeypatch.setattr(locks, "WAIT_SECONDS", 0.05)
    stopped, store = open_store(), open_store()
    store.put(NAME, tensors([0]), OPTIONS)
    with stopped._of.locks.hold(NAME):
        for writer in (stopped, store):
            with pytest.raises(StoreUnavailable, match="holds the lock"):
                writer.append(NAME, tensors([1]))
        assert numbers_of(store.snapshot(NAME)) == [0]
    assert store.append(NAME, tensors([1])).keys == 2
