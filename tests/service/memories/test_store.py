"""The embedded store keeps tensors as they were sent, under conditions, quotas and times to live."""

import sqlite3
import stat
import threading
import time
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest

from attention_core import BFLOAT16
from attention_wire.datatypes import round_to_bfloat16
from service.memories import (
    EmbeddedStore,
    MemoryName,
    MemoryOptions,
    MemoryTensors,
    Precondition,
    StoreLimits,
    background,
    catalogue,
)
from service.memories.errors import (
    IncompatibleTensors,
    MemoryNotFound,
    QuotaExceeded,
    StoreUnavailable,
    VersionGone,
    VersionMismatch,
)
from tests.service.memories.marks import EMBEDDED_ONLY
from tests.service.memories.numbered import OPTIONS, numbers_of, tensors

NAME = MemoryName("", "dragon")

WAIT_SECONDS = 30
"""Longest wait for the background to have done something."""

DTYPES = {
    "float64": lambda array: array,
    "float32": lambda array: array.astype(np.float32),
    "float16": lambda array: array.astype(np.float16),
    "bfloat16": round_to_bfloat16,
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("layout", "shape", "axis"),
    [
        ("bhsd", (5, 3), 0),
        ("bhsd", (2, 5, 3), 1),
        ("bhsd", (2, 3, 5, 4), 2),
        ("bshd", (2, 5, 3, 4), 1),
        ("bhsd", (0, 3), 0),
    ],
)
def test_numbers_come_back_as_they_were_sent(open_store, dtype, layout, shape, axis):
    rng = np.random.default_rng(0)
    rounded = DTYPES[dtype]
    key, value = rounded(rng.standard_normal(shape)), rounded(rng.standard_normal((*shape[:-1], 2)))
    more_key, more_value = key[..., ::-1] * 2, value[..., ::-1] * 4
    store, other = open_store(), open_store()
    store.put(NAME, MemoryTensors(key, value), MemoryOptions(dtype, layout))
    store.append(NAME, MemoryTensors(more_key, more_value))
    for reader in (store, other):
        snapshot = reader.snapshot(NAME)
        for received, sent in ((snapshot.key, (key, more_key)), (snapshot.value, (value, more_value))):
            whole = np.concatenate(sent, axis)
            if dtype == "bfloat16":
                # The upper half of the bits of the same number in float32.
                whole = (whole.view(np.uint32) >> 16).astype(np.uint16).view(BFLOAT16)
            assert received.dtype == whole.dtype
            assert received.tobytes() == whole.tobytes()
        assert snapshot.description.key_shape == snapshot.key.shape
        assert snapshot.description.value_shape == snapshot.value.shape
        assert not snapshot.key.flags.writeable
        assert snapshot.description.options.dtype == dtype
        assert snapshot.description.options.layout == layout


def test_numbers_that_are_not_finite_keep_their_bits(store):
    key = np.array([[np.nan, -np.inf, np.inf, -0.0]])
    store.put(NAME, MemoryTensors(key), MemoryOptions())
    assert store.append_and_read(NAME, MemoryTensors(key)).key.tobytes() == key.tobytes() * 2


def test_a_description_says_everything_but_the_numbers(store, clock):
    options = MemoryOptions("float32", ttl_seconds=60, durability="relaxed", note="第二局", shards=2)
    first, is_new = store.put(NAME, tensors([1, 2, 3]), options)
    assert is_new
    assert (first.name, first.keys, first.labels, first.options) == ("dragon", 3, True, options)
    assert (first.key_shape, first.value_shape) == ((2, 3, 24), (2, 3, 16))
    assert first.bytes == 2 * 3 * (24 + 16) * 4 + len('"键 1",'.encode()) * 3
    assert (first.created, first.modified, first.expires) == (clock.now, clock.now, clock.now + 60)
    clock.now += 5
    second = store.append(NAME, tensors([4]))
    assert (second.created, second.modified, second.expires) == (first.created, clock.now, clock.now + 60)
    assert second.version != first.version
    assert store.describe(NAME) == second
    assert store.list("", 10) == [second]


@EMBEDDED_ONLY
def test_the_directory_is_private_and_segments_are_read_only(store, directory):
    store.put(NAME, tensors([1]), OPTIONS)
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    store.append(NAME, tensors([2]))
    modes = {path.suffix or path.name: stat.S_IMODE(path.stat().st_mode) for path in directory.rglob("*")}
    assert modes.pop(".safetensors") == 0o400
    assert {modes.pop(name) for name in ("segments", "logs", "uses")} == {0o700}
    assert set(modes.values()) == {0o600}, modes


def test_appends_of_every_length_follow_each_other(open_store):
    """Records of one log, a log that is full, and an append that becomes a segment."""
    store, other = open_store(), open_store()
    store.put(NAME, tensors([0]), OPTIONS)
    numbers = [0]
    for count in (1, 1, 0, 300, 1, 2000, 1, 30_000, 2, 5000, 1):
        more = list(range(len(numbers), len(numbers) + count))
        numbers += more
        assert store.append(NAME, tensors(more)).keys == len(numbers)
        if count > 1000:
            assert numbers_of(other.snapshot(NAME)) == numbers
    assert numbers_of(store.snapshot(NAME)) == numbers
    assert numbers_of(open_store().snapshot(NAME)) == numbers


def test_memories_are_found_again_after_the_store_was_closed(open_store):
    first = open_store()
    first.put(NAME, tensors([1, 2]), OPTIONS)
    described = first.append(NAME, tensors([3]))
    first.close()
    second = open_store()
    assert second.describe(NAME) == described
    assert numbers_of(second.snapshot(NAME)) == [1, 2, 3]


def test_owners_see_their_own_memories_alone(store):
    ours, theirs = MemoryName("team-a", "scores"), MemoryName("team-b", "scores")
    store.put(ours, tensors([1]), OPTIONS)
    store.put(theirs, tensors([2, 3]), OPTIONS)
    assert numbers_of(store.snapshot(ours)) == [1]
    assert [one.keys for one in store.list("team-b", 10)] == [2]
    store.delete(ours)
    assert store.list("team-a", 10) == []
    with pytest.raises(MemoryNotFound, match="'scores'"):
        store.snapshot(ours)
    assert numbers_of(store.snapshot(theirs)) == [2, 3]


def test_a_list_goes_on_behind_a_name(store):
    for place in range(7):
        store.put(MemoryName("", f"memory-{place}"), tensors([place]), OPTIONS)
    names = [one.name for one in store.list("", 3, after="memory-1")]
    assert names == ["memory-2", "memory-3", "memory-4"]
    assert [one.name for one in store.list("", 10, after="memory-5")] == ["memory-6"]


def test_preconditions_of_writes(store):
    absent, present = Precondition(absent=True), Precondition(present=True)
    with pytest.raises(VersionMismatch, match="a memory of this name"):
        store.put(NAME, tensors([1]), OPTIONS, present)
    first, is_new = store.put(NAME, tensors([1]), OPTIONS, absent)
    assert is_new
    with pytest.raises(VersionMismatch) as raised:
        store.put(NAME, tensors([2]), OPTIONS, absent)
    assert raised.value.current == first.version
    second = store.append(NAME, tensors([2]), Precondition(versions=("other", first.version)))
    with pytest.raises(VersionMismatch) as raised:
        store.append(NAME, tensors([3]), Precondition(versions=(first.version,)))
    assert raised.value.current == second.version
    with pytest.raises(VersionMismatch, match=first.version):
        store.delete(NAME, Precondition(versions=(first.version,)))
    third, is_new = store.put(NAME, tensors([9]), OPTIONS, Precondition(versions=(second.version,)))
    assert not is_new
    assert numbers_of(store.snapshot(NAME, third.version)) == [9]
    store.delete(NAME, Precondition(versions=(third.version,)))
    with pytest.raises(MemoryNotFound):
        store.delete(NAME)


@pytest.mark.parametrize("others", [(), ("other", 'a "tag", of another')])
def test_writes_of_all_but_some_versions(store, others):
    for call in (lambda condition: store.append(NAME, tensors([2]), condition), lambda one: store.delete(NAME, one)):
        version = store.put(NAME, tensors([1]), OPTIONS, Precondition(excluded=("other", *others)))[0].version
        with pytest.raises(VersionMismatch) as raised:
            store.put(NAME, tensors([2]), OPTIONS, Precondition(excluded=(*others, version)))
        assert raised.value.current == version
        with pytest.raises(VersionMismatch):
            call(Precondition(excluded=(version, *others)))
        assert numbers_of(store.snapshot(NAME, version)) == [1]
        call(Precondition(versions=(*others, version), excluded=("other", *others)))
        with pytest.raises(VersionMismatch):
            store.put(NAME, tensors([2]), OPTIONS, Precondition(versions=()))


def test_an_append_in_another_dtype_than_the_memory_is_refused(store):
    """Also where the numbers have the same NumPy type, as those of float32 and bfloat16."""
    store.put(NAME, tensors([1]), OPTIONS)
    for dtype in ("bfloat16", "float64"):
        with pytest.raises(IncompatibleTensors, match=f"expected float32, the dtype of the memory; received {dtype}"):
            store.append(NAME, replace(tensors([2]), dtype=dtype))
    assert store.append(NAME, replace(tensors([2]), dtype="float32")).keys == 2


def test_a_version_that_is_not_current_is_gone(store):
    first, _ = store.put(NAME, tensors([1]), OPTIONS)
    second = store.append(NAME, tensors([2]))
    with pytest.raises(VersionGone) as raised:
        store.snapshot(NAME, first.version)
    assert (raised.value.version, raised.value.current) == (first.version, second.version)


def test_no_version_of_a_name_comes_twice(open_store):
    store = open_store(idle_seconds=0)
    seen = []
    for _ in range(5):
        seen.append(store.put(NAME, tensors([1]), OPTIONS)[0].version)
        seen += [store.append(NAME, tensors([1])).version for _ in range(3)]
        store.compact()
        assert store.describe(NAME).version == seen[-1]
        store.delete(NAME)
    assert len(set(seen)) == len(seen)


WRONG_APPENDS = {
    "another number of features": (lambda good: replace(good, key=good.key[..., :-1]), "key"),
    "another number of heads": (lambda good: replace(good, value=good.value[:1]), "value"),
    "another rank": (lambda good: replace(good, key=good.key[0, 0]), "key"),
    "fewer values than keys": (lambda good: replace(good, value=good.value[:, :1]), "value"),
    "no values": (lambda good: replace(good, value=None), "value"),
    "no labels": (lambda good: replace(good, labels=None), "labels.key"),
    "too few labels": (lambda good: replace(good, labels=["a"]), "labels.key"),
    "another dtype": (lambda good: replace(good, key=good.key.astype(np.float64)), "dtype"),
}


@pytest.mark.parametrize("case", WRONG_APPENDS)
def test_an_append_that_does_not_fit_is_refused_and_changes_nothing(store, case):
    change, field = WRONG_APPENDS[case]
    before, _ = store.put(NAME, tensors([1, 2]), OPTIONS)
    with pytest.raises(IncompatibleTensors, match=r"expected .*; received ") as raised:
        store.append(NAME, change(tensors([3, 4])))
    assert raised.value.field == field
    assert store.describe(NAME) == before


def test_values_and_labels_that_a_memory_does_not_have_are_refused(store):
    store.put(NAME, MemoryTensors(np.ones((2, 3))), MemoryOptions())
    with pytest.raises(IncompatibleTensors, match="no values, since the memory has none"):
        store.append(NAME, MemoryTensors(np.ones((1, 3)), np.ones((1, 3))))
    with pytest.raises(IncompatibleTensors, match="no labels, since the memory has none"):
        store.append(NAME, MemoryTensors(np.ones((1, 3)), labels=["a"]))


@pytest.mark.parametrize(("dtype", "layout", "field"), [("int8", "bhsd", "dtype"), ("float64", "bdsh", "layout")])
def test_options_that_do_not_exist_are_refused(store, dtype, layout, field):
    with pytest.raises(IncompatibleTensors) as raised:
        store.put(NAME, MemoryTensors(np.ones((2, 3))), MemoryOptions(dtype, layout))
    assert raised.value.field == field


def test_the_quota_of_one_memory(open_store):
    store = open_store(memory_bytes=10_000)
    plain = tensors(range(31), labels=False)
    assert plain.key.nbytes + plain.value.nbytes == 9920
    before, _ = store.put(NAME, plain, OPTIONS)
    for write in (store.append, lambda name, more: store.put(name, tensors(range(32), labels=False), OPTIONS)):
        with pytest.raises(QuotaExceeded, match="10000 bytes for one memory; received 10240") as raised:
            write(NAME, tensors([31], labels=False))
        error = raised.value
        assert (error.setting, error.limit_bytes, error.required_bytes) == ("memory_bytes", 10_000, 10_240)
    assert store.describe(NAME) == before


def test_the_quota_of_all_memories(open_store, clock):
    store = open_store(memories_bytes=1_500_000)
    large = tensors(range(3000), labels=False)
    store.put(NAME, large, OPTIONS)
    with pytest.raises(QuotaExceeded, match="for all memories together") as raised:
        store.put(MemoryName("", "second"), large, OPTIONS)
    assert raised.value.setting == "memories_bytes"
    assert raised.value.required_bytes > raised.value.limit_bytes == 1_500_000
    store.put(NAME, large, OPTIONS)
    assert store.usage().memories == 1
    assert 960_000 < store.usage().bytes < 970_000
    # A log takes the room that is left, where its usual length would be too much.
    store.append(NAME, tensors([1], labels=False))
    assert store.usage().bytes < 1_500_000
    store.delete(NAME)
    assert store.usage().bytes == 0


def test_expired_memories_make_room(open_store, clock):
    store = open_store(memories_bytes=1_500_000)
    large = tensors(range(3000), labels=False)
    store.put(NAME, large, replace(OPTIONS, ttl_seconds=10))
    clock.now += 11
    store.put(MemoryName("", "second"), large, OPTIONS)
    assert store.usage().memories == 1


def test_a_memory_expires_a_time_after_its_last_use(open_store, clock, held):
    store, other = open_store(), open_store()
    store.put(NAME, tensors([1]), replace(OPTIONS, ttl_seconds=10))
    clock.now += 9
    other.snapshot(NAME)
    clock.now += 9
    assert store.append(NAME, tensors([2])).expires == clock.now + 10
    clock.now += 9
    assert other.describe(NAME).expires == clock.now + 1, "a description is no use"
    assert len(store.list("", 10)) == 1
    clock.now += 1
    for call in (store.describe, store.snapshot, lambda name: store.append(name, tensors([3])), other.delete):
        with pytest.raises(MemoryNotFound):
            call(NAME)
    assert store.list("", 10) == []
    assert store.usage().memories == 1
    assert other.sweep() == 1
    assert store.usage() == other.usage()
    assert store.usage().memories == 0
    assert held() == (0, 0, 0, 0)


def test_a_memory_that_has_expired_can_be_made_anew(store, clock):
    store.put(NAME, tensors([1]), replace(OPTIONS, ttl_seconds=10))
    clock.now += 10
    _, is_new = store.put(NAME, tensors([2]), OPTIONS, Precondition(absent=True))
    assert is_new
    assert numbers_of(store.snapshot(NAME)) == [2]


def test_a_sweep_says_how_many_memories_have_expired(tmp_path, clock):
    counts = []
    store = EmbeddedStore(tmp_path, clock=clock, has_upkeep=False, on_expired=counts.append)
    for place in range(3):
        store.put(MemoryName("", f"memory-{place}"), tensors([place]), replace(OPTIONS, ttl_seconds=10 * place + 10))
    store.sweep()
    clock.now += 20
    store.sweep()
    store.close()
    assert counts == [2]


def test_upkeep_goes_on_in_the_background(tmp_path, monkeypatch):
    monkeypatch.setattr(background, "INTERVAL_SECONDS", 0.01)
    expired = threading.Event()
    store = EmbeddedStore(tmp_path, StoreLimits(idle_seconds=0), on_expired=lambda _: expired.set())
    store.put(MemoryName("", "short"), tensors([1]), replace(OPTIONS, ttl_seconds=0.01))
    store.put(NAME, tensors([1]), OPTIONS)
    store.append(NAME, tensors([2]))
    assert expired.wait(WAIT_SECONDS)
    until = time.monotonic() + WAIT_SECONDS
    while list((tmp_path / "logs").iterdir()):
        assert time.monotonic() < until
        time.sleep(0.01)
    assert numbers_of(store.snapshot(NAME)) == [1, 2]
    store.close()


@EMBEDDED_ONLY
def test_a_database_that_another_process_holds_for_long_is_unavailable(open_store, directory, monkeypatch):
    monkeypatch.setattr(catalogue, "BUSY_SECONDS", 0.01)
    store = open_store()
    with closing(sqlite3.connect(directory / "catalogue.sqlite3", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable) as raised:
            store.put(NAME, tensors([1]), OPTIONS)
        assert raised.value.retry_seconds == 1
        assert not list((directory / "segments").iterdir())
        other.execute("ROLLBACK")
    store.put(NAME, tensors([1]), OPTIONS)


@EMBEDDED_ONLY
def test_relaxed_appends_are_on_the_disk_soon(open_store, monkeypatch):
    synced = []
    monkeypatch.setattr("service.memories.syncing.os.fdatasync", synced.append)
    store = open_store()
    store.put(NAME, tensors([0]), replace(OPTIONS, durability="relaxed"))
    store.append(NAME, tensors([1]))
    store.close()
    assert synced
    assert numbers_of(open_store().snapshot(NAME)) == [0, 1]


@EMBEDDED_ONLY
@pytest.mark.parametrize("spare", [1, 63, 4095, 4096, 5000, 200_000])
def test_an_append_takes_the_last_bytes_of_the_quota(open_store, directory, spare):
    """A log is as long as there is room for, in whole pages."""
    store = open_store()
    store.put(NAME, tensors([0]), OPTIONS)
    held, needed = store.usage().bytes, 4096
    store.close()
    small = open_store(memories_bytes=held + needed + spare)
    assert small.append(NAME, tensors([1])).keys == 2
    assert small.usage().bytes <= held + needed + spare
