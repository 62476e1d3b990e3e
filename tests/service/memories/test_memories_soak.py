"""Long runs of the embedded store."""

import os
import random
import shutil
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import pytest

from service.memories import EmbeddedStore, MemoryName, StoreLimits
from tests.processes import descriptors, resident_mib
from tests.service.memories.numbered import OPTIONS, numbers_of, tensors

pytestmark = pytest.mark.soak

OPERATIONS = 100_000
NAMES = 50
GROWTH_MIB = 32
FAST = Path("/dev/shm")
"""A file system in memory, where a sync takes no time."""


@pytest.fixture
def fast_directory(tmp_path):
    path = Path(tempfile.mkdtemp(dir=FAST if FAST.is_dir() else tmp_path))
    yield path
    shutil.rmtree(path)


def test_memory_and_files_stay_flat_over_many_operations(fast_directory, report_figure):
    """The second half of 100 000 puts, appends, queries and deletions adds neither memory nor descriptors nor files."""
    chance = random.Random(1)
    store = EmbeddedStore(fast_directory / "memories", StoreLimits(idle_seconds=0.2, cache_bytes=4 * 1024 * 1024))
    held, half = {}, None
    for turn in range(OPERATIONS):
        if turn == OPERATIONS // 2:
            half = resident_mib(os.getpid()), descriptors(os.getpid())
        name = MemoryName("", f"memory-{chance.randrange(NAMES)}")
        kind = chance.choice(("put", "append", "append", "query", "query", "delete"))
        if name not in held or kind == "put" or len(held[name]) > 2000:
            held[name] = [turn]
            store.put(name, tensors([turn]), replace(OPTIONS, ttl_seconds=chance.choice((None, 3600))))
        elif kind == "append":
            more = list(range(turn, turn + chance.choice((1, 1, 100))))
            held[name] += more
            store.append(name, tensors(more))
        elif kind == "query":
            assert numbers_of(store.snapshot(name)) == held[name]
        else:
            store.delete(name)
            del held[name]
    after = resident_mib(os.getpid()), descriptors(os.getpid())
    report_figure(
        f"memories: {half} MiB and descriptors after {OPERATIONS // 2} operations, {after} after {OPERATIONS}"
    )
    assert after[0] - half[0] < GROWTH_MIB
    assert after[1] - half[1] <= NAMES
    assert store.usage().memories == len(held)
    for name in held:
        store.delete(name)
    store.sweep()
    store.close()
    assert not [path for path in (fast_directory / "memories").rglob("*") if path.suffix in (".log", ".safetensors")]


@pytest.mark.alone
def test_a_thousand_memories_are_listed_at_once(fast_directory, report_figure):
    store = EmbeddedStore(fast_directory / "memories", has_upkeep=False)
    for place in range(1000):
        name = MemoryName("", f"memory-{place:04}")
        store.put(name, tensors([place]), replace(OPTIONS, ttl_seconds=3600))
        if place % 10 == 0:
            store.append(name, tensors([place]))
    store.close()
    store = EmbeddedStore(fast_directory / "memories", has_upkeep=False)
    times = []
    for _ in range(3):
        started = time.perf_counter()
        assert len(store.list("", 1000)) == 1000
        times.append(round(1000 * (time.perf_counter() - started), 1))
    store.close()
    report_figure(f"memories: 1 000 listed within {times} ms")
    assert min(times) < 50
