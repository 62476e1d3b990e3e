"""A snapshot stays as it is while others append, replace, delete and compact, in this process and in others."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from attention_core import attend
from attention_wire.datatypes import BY_DTYPE
from service.memories import EmbeddedStore, MemoryName, MemoryOptions, MemoryTensors, segment, writing
from service.memories.errors import MemoryNotFound, VersionGone
from service.memories.state import MemoryState
from tests.service.memories.marks import EMBEDDED_ONLY
from tests.service.memories.numbered import OPTIONS, numbers_of, tensors

NAME = MemoryName("", "dragon")


@pytest.mark.parametrize("max_read_bytes", [0, 64 * 1024 * 1024], ids=["mapped", "read"])
def test_a_held_snapshot_outlives_the_memory(open_store, held, monkeypatch, max_read_bytes):
    monkeypatch.setattr(segment, "MAX_READ_BYTES", max_read_bytes)
    reader, writer = open_store(idle_seconds=0), open_store(idle_seconds=0)
    writer.put(NAME, tensors(range(500)), OPTIONS)
    snapshots = [(reader.snapshot(NAME), list(range(500)))]
    for number in range(500, 520):
        writer.append(NAME, tensors([number]))
        snapshots.append((reader.snapshot(NAME), list(range(number + 1))))
    assert writer.compact() == 1
    snapshots.append((reader.snapshot(NAME), list(range(520))))
    writer.put(NAME, tensors([7]), OPTIONS)
    snapshots.append((reader.snapshot(NAME), [7]))
    writer.delete(NAME)
    assert held() == (0, 0, 0, 0)
    with pytest.raises(MemoryNotFound):
        reader.snapshot(NAME)
    for snapshot, numbers in snapshots:
        assert numbers_of(snapshot) == numbers


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
def test_attention_over_a_snapshot_has_the_bits_of_attention_over_sent_tensors(open_store, dtype):
    """Before an append the arrays lie as in the file, behind one as in a buffer with room between the heads."""
    rng, store = np.random.default_rng(0), open_store()
    query, key, value = (BY_DTYPE[dtype].round(rng.standard_normal((2, length, 16))) for length in (3, 2500, 2500))
    store.put(NAME, MemoryTensors(key[:, :2000], value[:, :2000]), MemoryOptions(dtype))
    more = MemoryTensors(key[:, 2000:], value[:, 2000:])
    for snapshot, keys in ((store.snapshot(NAME), 2000), (store.append_and_read(NAME, more), 2500)):
        found = attend(query, snapshot.key, snapshot.value, dtype=dtype)
        expected = attend(query, key[:, :keys], value[:, :keys], dtype=dtype)
        assert found.output.tobytes() == expected.output.tobytes()
        assert found.weights.tobytes() == expected.weights.tobytes()


def test_labels_are_read_one_by_one_or_in_slices(open_store):
    store = open_store()
    store.put(NAME, tensors([5, 6, 7]), OPTIONS)
    labels = store.snapshot(NAME).labels
    store.append_and_read(NAME, tensors([8]))
    assert (labels[0], labels[-1], labels[1:], labels[::-2]) == ("键 5", "键 7", ["键 6", "键 7"], ["键 7", "键 5"])
    with pytest.raises(IndexError):
        labels[3]
    assert len(labels) == 3


def test_compaction_changes_no_version_and_no_number(open_store, held, short_records):
    store, other = open_store(idle_seconds=0), open_store(idle_seconds=0)
    store.put(NAME, tensors([0]), OPTIONS)
    numbers = [0]
    for count in (1, 5, 200, 3, 1000, 200, 1):
        more = list(range(len(numbers), len(numbers) + count))
        numbers += more
        described = store.append(NAME, tensors(more))
    assert numbers_of(other.snapshot(NAME)) == numbers
    assert store.compact() == 1
    assert store.compact() == 0
    assert held()[:2] == (1, 0)
    for one in (store, other, open_store()):
        assert one.describe(NAME) == described
        assert numbers_of(one.snapshot(NAME)) == numbers
    other.append(NAME, tensors([len(numbers)]))
    assert numbers_of(store.snapshot(NAME)) == [*numbers, len(numbers)]


@EMBEDDED_ONLY
def test_a_caller_that_must_not_wait_gets_a_snapshot_once_the_memory_is_loaded(open_store):
    writer, reader = open_store(), open_store()
    writer.put(NAME, tensors([0]), OPTIONS)
    assert reader.loaded_snapshot(NAME) is None
    reader.snapshot(NAME)
    version = writer.append(NAME, tensors([1])).version
    assert numbers_of(reader.loaded_snapshot(NAME, version)) == [0, 1]
    with pytest.raises(VersionGone):
        reader.loaded_snapshot(NAME, "other")
    state = reader._of.states.get(reader._of.catalogue.find(NAME))
    with state.mutex:
        assert reader.loaded_snapshot(NAME) is None
    writer.put(NAME, tensors([2]), OPTIONS)
    assert reader.loaded_snapshot(NAME) is None
    writer.delete(NAME)
    with pytest.raises(MemoryNotFound):
        reader.loaded_snapshot(NAME)


@EMBEDDED_ONLY
def test_a_reader_goes_on_behind_logs_that_were_closed(open_store, monkeypatch):
    """A reader in another process loads a memory once, however many logs its writers have filled."""
    loads = []
    load = MemoryState.load
    monkeypatch.setattr(writing, "MAX_LOG_BYTES", 256 * 1024)
    monkeypatch.setattr(MemoryState, "load", lambda state, row, files: loads.append(row) or load(state, row, files))
    writer, reader = open_store(), open_store()
    writer.put(NAME, tensors([0]), OPTIONS)
    writer.append(NAME, tensors([1]))
    assert numbers_of(reader.snapshot(NAME)) == [0, 1]
    numbers = [0, 1]
    for turn in range(12):
        for _ in range(4):
            more = list(range(len(numbers), len(numbers) + 300))
            numbers += more
            writer.append(NAME, tensors(more))
        if turn % 3:
            assert numbers_of(reader.snapshot(NAME)) == numbers
    assert len(writer._of.catalogue.find(NAME).parts) > 3
    assert len(loads) == 2, "that of the reader, and that of the writer, which adds to nothing that it has not read"


def during_compaction(monkeypatch, store, act):
    """Have a store act after it has read the parts that it merges, and before others see what it has made of them."""
    is_embedded = isinstance(store, EmbeddedStore)
    files, method = (store._of.files, "make_segment") if is_embedded else (store._of.segments, "upload")
    make = getattr(files, method)

    def make_later(_, form, rows):
        monkeypatch.undo()
        act()
        return make(form, rows)

    monkeypatch.setattr(type(files), method, make_later)


def test_appends_go_on_while_a_memory_is_compacted(open_store, monkeypatch):
    store, other = open_store(idle_seconds=0), open_store()
    store.put(NAME, tensors([0]), OPTIONS)
    store.append(NAME, tensors([1]))
    during_compaction(monkeypatch, store, lambda: other.append(NAME, tensors([2])))
    assert store.compact() == 1
    assert numbers_of(store.snapshot(NAME)) == [0, 1, 2]
    assert numbers_of(other.snapshot(NAME)) == [0, 1, 2]


def test_a_memory_that_is_replaced_during_compaction_is_left_alone(open_store, held, monkeypatch):
    store, other = open_store(idle_seconds=0), open_store()
    store.put(NAME, tensors([0]), OPTIONS)
    store.append(NAME, tensors([1]))
    during_compaction(monkeypatch, store, lambda: other.put(NAME, tensors([5]), OPTIONS))
    assert store.compact() == 0
    assert numbers_of(store.snapshot(NAME)) == [5]
    assert held()[:2] == (1, 0)


def test_threads_read_whole_appends_in_their_order(open_store):
    """Each snapshot holds the keys 0, 1, … up to the end of an append; two stores append and compact meanwhile."""
    stores = open_store(idle_seconds=0), open_store(idle_seconds=0)
    stores[0].put(NAME, tensors([]), OPTIONS)
    ended, lock, numbers = threading.Event(), threading.Lock(), iter(range(10_000))

    def append(store):
        for _ in range(40):
            with lock:
                first = next(numbers)
                store.append(NAME, tensors([first, *(next(numbers) for _ in range(first % 4))]))

    def read(store):
        longest = 0
        while not ended.is_set():
            found = numbers_of(store.snapshot(NAME))
            assert found == list(range(len(found)))
            assert len(found) >= longest
            longest = len(found)

    def compact(store):
        while not ended.is_set():
            store.compact()

    with ThreadPoolExecutor(6) as threads:
        others = [threads.submit(act, store) for store in stores for act in (read, compact)]
        try:
            for writer in [threads.submit(append, store) for store in stores]:
                writer.result()
        finally:
            ended.set()
    for other in others:
        other.result()
    assert numbers_of(stores[0].snapshot(NAME)) == list(range(next(numbers)))
