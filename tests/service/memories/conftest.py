"""Stores of memories for tests."""

import pytest

from service.memories import EmbeddedStore, StoreLimits


class Clock:
    """Seconds since 1970 that a test sets."""

    def __init__(self):
        self.now = 1_800_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def open_store(tmp_path, clock):
    """Open stores in one directory, as processes do; without upkeep, which the tests ask for."""
    opened = []

    def open_one(**limits):
        store = EmbeddedStore(tmp_path / "memories", StoreLimits(**limits), clock=clock, has_upkeep=False)
        opened.append(store)
        return store

    yield open_one
    for store in opened:
        store.close()


@pytest.fixture
def store(open_store):
    return open_store()


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "memories"
