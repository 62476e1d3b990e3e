"""Stores of memories for tests."""

from itertools import count

import pytest

from service.memories import StoreLimits
from service.memories.redis import RedisStore
from tests.service.memories.locations import held_at, open_store_at
from tests.service.memories.redis_server import RedisServer

_prefixes = count()


class Clock:
    """Seconds since 1970 that a test sets."""

    def __init__(self):
        self.now = 1_800_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture(params=["embedded", pytest.param("redis", marks=pytest.mark.redis)])
def kind(request):
    """The kind of store: a test runs with each, or says with which (`marks.EMBEDDED_ONLY`)."""
    return request.param


@pytest.fixture(scope="session")
def redis_server():
    """A server for all tests that neither stop it nor change how it is set up."""
    server = RedisServer()
    yield server
    server.close()


@pytest.fixture
def redis_url(redis_server):
    """The URL of an empty store."""
    return redis_server.url(f"test-{next(_prefixes)}")


@pytest.fixture
def location(kind, request):
    """Where the stores of a test keep their memories."""
    return request.getfixturevalue("redis_url" if kind == "redis" else "directory")


@pytest.fixture
def open_store(location, clock):
    """Open stores that share their memories, as processes do; without upkeep, which the tests ask for."""
    opened = []

    def open_one(**limits):
        store = open_store_at(location, StoreLimits(**limits), clock=clock, has_upkeep=False)
        opened.append(store)
        return store

    yield open_one
    for store in opened:
        store.close()


@pytest.fixture
def short_records(kind, monkeypatch):
    """Make segments of appends of more than 20 000 bytes."""
    module = "service.memories.redis.writing" if kind == "redis" else "service.memories.writing"
    monkeypatch.setattr(f"{module}.MAX_RECORD_BYTES", 20_000)


@pytest.fixture
def store(open_store):
    return open_store()


@pytest.fixture
def held(location):
    """Count what all stores of a test hold."""
    return lambda: held_at(location)


@pytest.fixture
def directory(tmp_path):
    """The directory of an embedded store."""
    return tmp_path / "memories"


@pytest.fixture
def open_replica(redis_url, tmp_path, clock):
    """Open stores as replicas do, each on a machine of its own; or on one, with the directory of the first."""
    opened = []

    def open_one(*, machine=None, **limits):
        directory = tmp_path / f"machine-{len(opened) if machine is None else machine}"
        opened.append(RedisStore(redis_url, directory, StoreLimits(**limits), clock=clock, has_upkeep=False))
        return opened[-1]

    yield open_one
    for store in opened:
        store.close()


@pytest.fixture
def redis_client(redis_server):
    with redis_server.client() as client:
        yield client


@pytest.fixture
def key(redis_url):
    """Return the key of a store by what follows its prefix."""
    prefix = redis_url.partition("prefix=")[2]
    return lambda rest: prefix + rest
