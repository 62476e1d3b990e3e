"""Random sequences of writes, reads, compaction and expiry by two stores, beside a model of lists."""

import random
from dataclasses import replace

import pytest

from service.memories import MemoryName, Precondition, redis, segment, writing
from service.memories.errors import MemoryNotFound, VersionMismatch
from tests.sampling import every
from tests.service.memories.numbered import OPTIONS, numbers_of, tensors

STEPS = 60
NAMES = [MemoryName(owner, name) for owner in ("", "team") for name in ("a", "b")]
COUNTS = (0, 1, 1, 1, 2, 5, 40, 150)
LIFETIMES = (None, None, 50)


class Model:
    """What the store must hold: for each name the numbers of its keys, its version and its last use."""

    def __init__(self, open_store, clock, seed, idle_seconds):
        self.chance, self.clock, self.open_store = random.Random(seed), clock, open_store
        self.idle_seconds = idle_seconds
        self.stores = [self._open(), self._open()]
        self.held, self.memories, self.versions, self.next = [], {}, set(), 0

    def _open(self):
        return self.open_store(
            idle_seconds=self.chance.choice(self.idle_seconds), cache_bytes=self.chance.choice((0, 50_000, 10**9))
        )

    def numbers(self):
        """Return the numbers of new keys."""
        first, self.next = self.next, self.next + self.chance.choice(COUNTS)
        return list(range(first, self.next))

    def step(self):
        """Do one thing with one of the stores, and compare."""
        store, name = self.chance.choice(self.stores), self.chance.choice(NAMES)
        act = self.chance.choice(("put", "append", "append", "append", "read", "read", "delete", "compact", "upkeep"))
        getattr(self, act)(store, name)

    def is_there(self, name):
        """Return whether a memory is there and has not expired."""
        if name not in self.memories:
            return False
        *_, lifetime, used = self.memories[name]
        return lifetime is None or self.clock.now < used + lifetime

    def remember(self, name, numbers, description):
        """Note a new version."""
        assert description.version not in self.versions
        self.versions.add(description.version)
        assert description.keys == len(numbers)
        self.memories[name] = numbers, description.version, description.options.ttl_seconds, self.clock.now

    def put(self, store, name):
        numbers, is_absent = self.numbers(), not self.is_there(name)
        condition = self.chance.choice((Precondition(), Precondition(absent=True)))
        options = replace(OPTIONS, ttl_seconds=self.chance.choice(LIFETIMES))
        if condition.absent and not is_absent:
            with pytest.raises(VersionMismatch):
                store.put(name, tensors(numbers), options, condition)
            return
        description, is_new = store.put(name, tensors(numbers), options, condition)
        assert is_new == is_absent
        self.remember(name, numbers, description)

    def append(self, store, name):
        more = tensors(numbers := self.numbers())
        if not self.is_there(name):
            with pytest.raises(MemoryNotFound):
                store.append(name, more)
            return
        before, version, *_ = self.memories[name]
        condition = self.chance.choice((Precondition(), Precondition(versions=(version,))))
        with pytest.raises(VersionMismatch):
            store.append(name, more, Precondition(versions=("other",)))
        if self.chance.random() < 0.5:
            self.remember(name, before + numbers, store.append(name, more, condition))
            return
        snapshot = store.append_and_read(name, more, condition)
        self.remember(name, before + numbers, snapshot.description)
        self.held.append((snapshot, before + numbers))

    def read(self, store, name):
        if not self.is_there(name):
            with pytest.raises(MemoryNotFound):
                store.snapshot(name)
            return
        numbers, version, lifetime, _ = self.memories[name]
        assert store.describe(name).version == version
        snapshot = store.snapshot(name, version)
        assert numbers_of(snapshot) == numbers
        self.held.append((snapshot, numbers))
        self.memories[name] = numbers, version, lifetime, self.clock.now

    def delete(self, store, name):
        if not self.is_there(name):
            with pytest.raises(MemoryNotFound):
                store.delete(name)
            return
        store.delete(name)
        del self.memories[name]

    def compact(self, store, _):
        store.compact()

    def upkeep(self, store, _):
        """Let time pass, sweep, or open a store anew."""
        self.clock.now += self.chance.choice((1, 20, 60))
        if self.chance.random() < 0.5:
            store.sweep()
        elif self.chance.random() < 0.5:
            store.close()
            self.stores[self.stores.index(store)] = self._open()

    def check(self):
        """Compare everything, and every snapshot that is still held."""
        for store in self.stores:
            for owner in ("", "team"):
                names = sorted(name.name for name in NAMES if name.owner == owner and self.is_there(name))
                assert [one.name for one in store.list(owner, 10)] == names
        for name in NAMES:
            for store in self.stores:
                self.read(store, name)
        for snapshot, numbers in self.held:
            assert numbers_of(snapshot) == numbers


@pytest.mark.parametrize("seed", every(9, range(40)))
def test_random_writes_are_as_a_model_says(open_store, kind, held, clock, monkeypatch, seed):
    monkeypatch.setattr(writing, "MIN_LOG_BYTES", 4096)
    monkeypatch.setattr(writing, "MAX_LOG_BYTES", 16_384)
    monkeypatch.setattr(writing, "RECORDS_PER_LOG", 1)
    monkeypatch.setattr(writing, "MAX_RECORD_BYTES", 12_000)
    monkeypatch.setattr(segment, "MAX_READ_BYTES", (0, 64 * 1024 * 1024)[seed % 2])
    monkeypatch.setattr(redis.segments, "CHUNK_BYTES", 6000)
    monkeypatch.setattr(redis.reading, "PAGE_BYTES", 10_000)
    monkeypatch.setattr(redis.writing, "PAGE_BYTES", 10_000)
    monkeypatch.setattr(redis.writing, "MAX_RECORD_BYTES", 12_000)
    monkeypatch.setattr(redis.upkeep, "MAX_TAIL_RECORDS", 4)
    model = Model(open_store, clock, seed, idle_seconds=(0, 30) if kind == "redis" else (0,))
    for _ in range(STEPS):
        model.step()
    model.check()
    model.stores[0].sweep()
    assert held().bytes == model.stores[1].usage().bytes
