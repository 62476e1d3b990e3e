"""Segments in Redis are chunks, and files in a directory of each machine."""

import os
import stat

import pytest

from service.memories import MemoryName
from service.memories.redis import cache, segments
from tests.service.memories.numbered import OPTIONS, numbers_of, tensors
from tests.service.memories.redis_server import count_calls

pytestmark = pytest.mark.redis

NAME = MemoryName("", "dragon")


def test_segments_are_split_into_chunks(open_replica, redis_client, key, monkeypatch):
    monkeypatch.setattr(segments, "CHUNK_BYTES", 5000)
    first, second = open_replica(), open_replica()
    first.put(NAME, tensors(range(100)), OPTIONS)
    sizes = sorted(redis_client.strlen(one) for one in redis_client.keys(key("chunk:*")))
    assert sizes[1:] == [5000] * (len(sizes) - 1)
    assert len(sizes) > 4
    assert numbers_of(second.snapshot(NAME)) == list(range(100))


def test_replicas_of_one_machine_fetch_a_segment_once(open_replica, monkeypatch):
    stores = [open_replica(), open_replica(machine=1), open_replica(machine=1)]
    stores[0].put(NAME, tensors(range(100)), OPTIONS)
    calls = [count_calls(store, monkeypatch) for store in stores]
    for store in stores:
        assert numbers_of(store.snapshot(NAME)) == list(range(100))
    # The one that has put it has a copy, too.
    assert [sum(words[0] == "GET" for words in one) for one in calls] == [0, 1, 0]


def copies(tmp_path, machine=0):
    return sorted((tmp_path / f"machine-{machine}").glob("*.safetensors"))


def test_the_cache_is_private_and_copies_are_read_only(open_replica, tmp_path):
    open_replica().put(NAME, tensors([1]), OPTIONS)
    [path] = copies(tmp_path)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.stat().st_mode) == 0o400


def change(path):
    path.chmod(0o600)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def shorten(path):
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-1])


def remove_directory(path):
    path.unlink()
    path.parent.rmdir()


@pytest.mark.parametrize("damage", [change, shorten, lambda path: path.unlink(), remove_directory])
def test_a_copy_that_is_damaged_or_gone_is_fetched_again(open_replica, tmp_path, damage):
    open_replica().put(NAME, tensors(range(100)), OPTIONS)
    [path] = copies(tmp_path)
    whole = path.read_bytes()
    damage(path)
    assert numbers_of(open_replica(machine=0).snapshot(NAME)) == list(range(100))
    assert path.read_bytes() == whole


def test_without_room_for_copies_segments_are_read_from_the_server(open_replica, tmp_path, monkeypatch):
    def no_room(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache.os, "write", no_room)
    store = open_replica()
    store.put(NAME, tensors(range(100)), OPTIONS)
    store.append(NAME, tensors([100]))
    assert numbers_of(store.snapshot(NAME)) == list(range(101))
    assert list((tmp_path / "machine-0").iterdir()) == []


def test_copies_that_were_used_longest_ago_make_room(open_replica, tmp_path):
    writer, reader = open_replica(), open_replica(memories_bytes=60_000)
    kept = []
    for _ in range(5):
        writer.put(NAME, tensors(range(40)), OPTIONS)
        reader.snapshot(NAME)
        kept.append(copies(tmp_path, machine=1))
    assert [len(paths) for paths in kept] == [1, 2, 3, 3, 3]
    newest = {path for path in kept[-1] if path not in kept[-2]}
    assert len(newest) == 1
    left = tmp_path / "machine-1" / "left.part"
    left.write_bytes(b"of a process that was killed")
    os.utime(left, (0, 0))
    writer.put(NAME, tensors([1]), OPTIONS)
    reader.snapshot(NAME)
    assert not left.exists()
