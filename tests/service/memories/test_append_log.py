"""Records of appends that were cut off are no records, wherever they were cut off."""

import errno
import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from service.memories import MemoryName, append_log
from service.memories.errors import MemoryDamaged, StorageFull
from tests.service.memories.marks import EMBEDDED_ONLY
from tests.service.memories.numbered import OPTIONS, numbers_of, tensors

pytestmark = EMBEDDED_ONLY

NAME = MemoryName("", "dragon")

HELD = list(range(30))


@pytest.fixture
def log(open_store, directory):
    """The path of a log, its content before the last of three records, and after it."""
    store = open_store()
    store.put(NAME, tensors([0]), OPTIONS)
    store.append(NAME, tensors(HELD[1:]))
    store.append(NAME, tensors([]))
    [path] = (directory / "logs").iterdir()
    before = path.read_bytes()
    store.append(NAME, tensors(range(30, 50)))
    return path, before, path.read_bytes()


def record_of(before, after):
    """Return where the last record begins and ends."""
    first = len(before.rstrip(b"\0"))
    first += -first % append_log.ALIGNMENT
    return first, len(after.rstrip(b"\0"))


@pytest.mark.parametrize("part", [0.0, 0.03, 0.1, 0.25, 0.5, 0.75, 0.99])
def test_a_record_that_was_cut_off_is_overwritten(open_store, log, part):
    """SIGKILL in the middle of a write leaves the first bytes of a record."""
    path, before, after = log
    first, end = record_of(before, after)
    cut = first + max(64, int(part * (end - first))) if part else first
    path.write_bytes(after[:cut] + bytes(len(after) - cut))
    reader, writer = open_store(), open_store()
    assert numbers_of(reader.snapshot(NAME)) == HELD
    writer.append(NAME, tensors([7]))
    assert numbers_of(reader.snapshot(NAME)) == [*HELD, 7]
    assert numbers_of(open_store().snapshot(NAME)) == [*HELD, 7]


def test_a_long_record_of_a_process_that_was_killed_leaves_nothing_behind_a_shorter_one(open_store, directory):
    survivor, killed = open_store(), open_store()
    survivor.put(NAME, tensors([0]), OPTIONS)
    survivor.append(NAME, tensors(HELD[1:]))
    [path] = (directory / "logs").iterdir()
    before = path.read_bytes()
    killed.append(NAME, tensors(range(100, 200)))
    first, end = record_of(before, path.read_bytes())
    whole = path.read_bytes()
    path.write_bytes(whole[: end - 100] + bytes(len(whole) - end + 100))
    survivor.append(NAME, tensors([30]))
    assert end - first > 10_000
    for store in (survivor, open_store()):
        assert numbers_of(store.snapshot(NAME)) == [*HELD, 30]


def test_bytes_behind_the_end_of_a_closed_log_are_not_read(open_store, directory):
    writer, reader = open_store(), open_store()
    writer.put(NAME, tensors([0]), OPTIONS)
    writer.append(NAME, tensors([1]))
    [path] = (directory / "logs").iterdir()
    assert numbers_of(reader.snapshot(NAME)) == [0, 1]
    writer.append(NAME, tensors([2]))
    before = path.read_bytes()
    numbers = list(range(3, 1500))
    writer.append(NAME, tensors(numbers))
    assert len(list((directory / "logs").iterdir())) == 2
    end, _ = record_of(before, before)
    path.write_bytes(before[:end] + b"left behind" * 20 + before[end + 220 :])
    for store in (reader, open_store()):
        assert numbers_of(store.snapshot(NAME)) == [0, 1, 2, *numbers]


@pytest.mark.parametrize("length", [40, 300], ids=["in its header", "in its keys"])
def test_a_write_that_fails_halfway_leaves_nothing(open_store, monkeypatch, length):
    store = open_store()
    store.put(NAME, tensors([0]), OPTIONS)
    described = store.append(NAME, tensors(HELD[1:]))
    write, written = os.pwrite, []

    def write_the_first_bytes(number, data, offset):
        if not written:
            written.append(write(number, data[:length], offset))
            return written[0]
        monkeypatch.undo()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("service.memories.writing.os.pwrite", write_the_first_bytes)
    with pytest.raises(StorageFull, match="no space left"):
        store.append(NAME, tensors([30, 31]))
    for one in (store, open_store()):
        assert one.describe(NAME) == described
        assert numbers_of(one.snapshot(NAME)) == HELD
    store.append(NAME, tensors([32]))
    assert numbers_of(open_store().snapshot(NAME)) == [*HELD, 32]


def test_sectors_that_a_power_loss_took_away_are_no_damage(open_store, log):
    path, before, after = log
    first, _ = record_of(before, after)
    sector = -(-first // 512) * 512
    assert any(after[sector : sector + 512])
    path.write_bytes(after[:sector] + bytes(512) + after[sector + 512 :])
    store = open_store()
    assert numbers_of(store.snapshot(NAME)) == HELD
    store.append(NAME, tensors([7]))
    assert numbers_of(open_store().snapshot(NAME)) == [*HELD, 7]


def test_bytes_behind_a_lost_header_are_cleared(open_store, log):
    path, before, after = log
    first, _ = record_of(before, after)
    path.write_bytes(after[:first] + bytes(64) + after[first + 64 :])
    store = open_store()
    assert numbers_of(store.snapshot(NAME)) == HELD
    store.append(NAME, tensors([]))
    assert numbers_of(open_store().snapshot(NAME)) == HELD


def test_a_lost_sector_in_front_of_a_record_that_was_synced_is_damage(open_store, log):
    path, before, after = log
    sector = 512
    assert sector + 512 < record_of(before, after)[0]
    path.write_bytes(after[:sector] + bytes(512) + after[sector + 512 :])
    with pytest.raises(MemoryDamaged, match="checksum"):
        open_store().snapshot(NAME)


def test_an_old_record_is_not_taken_for_the_next_one(open_store, log):
    """A client can send the bytes of a record as keys, and a file system could return those of another log."""
    path, before, after = log
    first, end = record_of(before, after)
    length = end + -end % append_log.ALIGNMENT - first
    path.write_bytes(after[: first + length] + after[first : first + length] + after[first + 2 * length :])
    with pytest.raises(MemoryDamaged, match="header"):
        open_store().snapshot(NAME)


@pytest.mark.usefixtures("log")
def test_a_reader_waits_for_a_record_that_is_being_written(open_store, monkeypatch):
    """A reader that finds half a record reads it again with the lock, when it is whole."""
    reader, writer = open_store(), open_store()
    numbers_of(reader.snapshot(NAME))
    write, seen = os.pwrite, []

    def write_halves(number, data, offset):
        monkeypatch.undo()
        half = write(number, data[: len(data) // 2], offset)
        seen.append(threads.submit(reader.snapshot, NAME))
        return half

    with ThreadPoolExecutor(1) as threads:
        writer.describe(NAME)
        monkeypatch.setattr("service.memories.writing.os.pwrite", write_halves)
        writer.append(NAME, tensors([50]))
        [future] = seen
        assert numbers_of(future.result()) in (list(range(50)), list(range(51)))
    assert numbers_of(reader.snapshot(NAME)) == list(range(51))
