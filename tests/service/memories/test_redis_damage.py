"""Data of a server that are damaged, or older than those that a replica has read."""

import pytest

from service.memories import MemoryName, background
from service.memories.errors import (
    MemoryDamaged,
    MemoryNotFound,
    StoreDamaged,
    StoreUnavailable,
)
from service.memories.redis import records
from tests.service.memories.numbered import OPTIONS, numbers_of, tensors

pytestmark = pytest.mark.redis

NAME, OTHER = MemoryName("", "dragon"), MemoryName("", "other")


@pytest.mark.parametrize("damage", ["change", "shorten", "remove"])
@pytest.mark.parametrize("what", ["chunk", "records"])
def test_damaged_data_of_the_server_are_damage_of_one_memory(open_replica, redis_client, key, what, damage):
    first, second = open_replica(idle_seconds=0), open_replica(idle_seconds=0)
    first.put(NAME, tensors([1, 2, 3]), OPTIONS)
    [chunk] = redis_client.keys(key("chunk:*"))
    first.append(NAME, tensors([4]))
    first.put(OTHER, tensors([8, 9]), OPTIONS)
    list_key = key("records::dragon")
    content = redis_client.get(chunk) if what == "chunk" else redis_client.lindex(list_key, 0)
    content = content[:-1] + (b"?" if damage == "change" else b"")
    if damage == "remove":
        redis_client.delete(chunk if what == "chunk" else list_key)
    elif what == "chunk":
        redis_client.set(chunk, content)
    else:
        redis_client.lset(list_key, 0, content)
    with pytest.raises(MemoryDamaged, match="'dragon'") as raised:
        second.snapshot(NAME)
    assert raised.value.name == NAME
    assert numbers_of(second.snapshot(OTHER)) == [8, 9]
    assert [one.name for one in second.list("", 10)] == ["dragon", "other"]
    assert second.compact() == 0
    second.put(NAME, tensors([5]), OPTIONS)
    assert numbers_of(second.snapshot(NAME)) == [5]


def test_upkeep_logs_no_name_of_a_memory(open_replica, redis_client, key, monkeypatch):
    lines = []
    monkeypatch.setattr(background.logger, "warning", lambda text, *arguments: lines.append(text % arguments))
    first, second = open_replica(idle_seconds=0), open_replica(idle_seconds=0)
    first.put(MemoryName("team-hidden", "hidden-name"), tensors([1]), OPTIONS)
    first.append(MemoryName("team-hidden", "hidden-name"), tensors([2]))
    [chunk] = redis_client.keys(key("chunk:*"))
    redis_client.delete(chunk)
    assert second.compact() == 0
    [line] = lines
    assert "could not be merged: " in line
    assert "hidden" not in line


@pytest.mark.parametrize(("field", "value"), [("keys", "many"), ("described", "{}"), ("segments", "?")])
def test_fields_that_the_store_has_not_written_say_so(open_replica, redis_client, key, field, value):
    store = open_replica()
    store.put(NAME, tensors([1]), OPTIONS)
    redis_client.hset(key("memory::dragon"), field, value)
    with pytest.raises(StoreDamaged, match="'dragon'"):
        store.describe(NAME)
    store.delete(NAME)
    store.put(NAME, tensors([2]), OPTIONS)
    assert numbers_of(store.snapshot(NAME)) == [2]


@pytest.mark.parametrize("later", [[], [5], [5, 6], [5, 6, 7]])
@pytest.mark.parametrize("merged", [False, True])
def test_appends_that_a_server_has_lost_are_gone_for_every_replica(open_replica, redis_client, key, later, merged):
    """A server that was started from an older copy, or a replica of it that took over, has others in their place."""
    writer, reader, other = open_replica(idle_seconds=0), open_replica(), open_replica()
    writer.put(NAME, tensors([1]), OPTIONS)
    writer.append(NAME, tensors([2]))
    if merged:
        writer.compact()
    kept = {one: redis_client.dump(one) for one in redis_client.keys(key("*"))}
    for number in (3, 4):
        writer.append(NAME, tensors([number]))
    assert numbers_of(reader.snapshot(NAME)) == [1, 2, 3, 4]
    redis_client.delete(*redis_client.keys(key("*")))
    for one, content in kept.items():
        redis_client.restore(one, 0, content)
    for number in later:
        other.append(NAME, tensors([number]))
    assert numbers_of(reader.snapshot(NAME)) == [1, 2, *later]
    assert numbers_of(writer.append_and_read(NAME, tensors([8]))) == [1, 2, *later, 8]


def test_an_upload_that_takes_too_long_makes_no_memory(open_replica, redis_client, key, monkeypatch):
    store = open_replica()
    upload = store._of.segments.upload

    def upload_and_expire(form, rows):
        made = upload(form, rows)
        assert {redis_client.ttl(one) > 0 for one in redis_client.keys(key("chunk:*"))} == {True}
        redis_client.delete(*redis_client.keys(key("chunk:*")))
        return made

    monkeypatch.setattr(store._of.segments, "upload", upload_and_expire)
    with pytest.raises(StoreUnavailable, match="took longer than 600 s"):
        store.put(NAME, tensors([1]), OPTIONS)
    with pytest.raises(MemoryNotFound):
        store.describe(NAME)


def test_a_record_that_is_too_short_is_damage():
    with pytest.raises(Exception, match="a record of 3 bytes"):
        records.decode_record(b"abc", None)
