"""The memories that a request may reach, while others write to the same names."""

import pytest

from service.memories import EVERYONE, Memories, MemoryAccess, MemoryName, Precondition, Stopping
from service.memories.errors import MemoryNotFound, StoreOff, VersionMismatch
from tests.service.memories.numbered import OPTIONS, numbers_of, tensors

OWNER = "team-a"

OWN, SHARED = MemoryName(OWNER, "table"), MemoryName(EVERYONE, "table")


class Overtaken:
    """A store in which another client deletes everyone's memory just before a put."""

    def __init__(self, store):
        self._store = store

    def __getattr__(self, name):
        return getattr(self._store, name)

    def put(self, name, *arguments):
        if name == SHARED:
            self._store.delete(SHARED)
        return self._store.put(name, *arguments)


def test_a_memory_that_an_owner_makes_is_never_everyones(store):
    store.put(SHARED, tensors([1]), OPTIONS)
    _, is_new = MemoryAccess(Memories(Overtaken(store)), OWNER).put("table", tensors([2]), OPTIONS)
    assert is_new
    assert numbers_of(store.snapshot(OWN)) == [2]
    with pytest.raises(MemoryNotFound):
        store.snapshot(SHARED)


def test_the_precondition_of_a_put_that_was_overtaken_still_counts(store):
    first, _ = store.put(SHARED, tensors([1]), OPTIONS)
    access = MemoryAccess(Memories(Overtaken(store)), OWNER, Precondition(versions=(first.version,)))
    with pytest.raises(VersionMismatch):
        access.put("table", tensors([2]), OPTIONS)
    for name in (OWN, SHARED):
        with pytest.raises(MemoryNotFound):
            store.describe(name)


def test_a_memory_of_everyone_is_replaced_where_it_is(store):
    store.put(SHARED, tensors([1]), OPTIONS)
    _, is_new = MemoryAccess(Memories(store), OWNER).put("table", tensors([2]), OPTIONS)
    assert not is_new
    assert numbers_of(store.snapshot(SHARED)) == [2]


def test_an_own_memory_hides_that_of_everyone(store):
    for name, number in ((OWN, 1), (SHARED, 2)):
        store.put(name, tensors([number]), OPTIONS)
    access = MemoryAccess(Memories(store), OWNER)
    access.in_thread(lambda _: None)
    assert numbers_of(access.open("table")) == [1]
    assert len(access.list(10)) == 1
    access.append("table", tensors([3]))
    assert numbers_of(store.snapshot(OWN)) == [1, 3]
    access.delete("table")
    assert numbers_of(access.open("table", anew=True)) == [2]


def test_no_write_begins_after_the_end_of_a_request(store):
    store.put(SHARED, tensors([1]), OPTIONS)
    access = MemoryAccess(Memories(store))
    assert access.end() == ("", None)
    for write in (
        lambda: access.put("table", tensors([2]), OPTIONS),
        lambda: access.append("table", tensors([2])),
        lambda: access.delete("table"),
    ):
        with pytest.raises(Stopping):
            write()
    assert numbers_of(store.snapshot(SHARED)) == [1]


def test_the_end_of_a_request_names_the_version_that_it_has_made(store):
    access = MemoryAccess(Memories(store))
    described, _ = access.put("table", tensors([1]), OPTIONS)
    text, version = access.end()
    assert version == described.version
    assert repr("table") in text
    assert repr(version) in text


def test_a_service_without_memories_says_why():
    memories = Memories(None, "the reason")
    for ask in (memories.require_kept, lambda: memories.store):
        with pytest.raises(StoreOff, match="the reason"):
            ask()
