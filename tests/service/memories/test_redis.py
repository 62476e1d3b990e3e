"""What only the store in Redis has: replicas that share memories, keys, and a URL."""

import shutil
import subprocess
import threading
import time
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest

from service.memories import (
    MemoryName,
    MemoryOptions,
    MemoryTensors,
    Precondition,
    StoreLimits,
    background,
    why_unusable,
)
from service.memories.errors import (
    MemoryNotFound,
    StoreUnavailable,
    VersionGone,
    VersionMismatch,
)
from service.memories.redis import RedisStore, reading, upkeep
from service.settings import Settings
from tests.server import free_port
from tests.service.memories.locations import held_at
from tests.service.memories.numbered import OPTIONS, numbers_of, tensors
from tests.service.memories.redis_server import RedisServer, count_calls

pytestmark = pytest.mark.redis

NAME, OTHER = MemoryName("", "dragon"), MemoryName("", "other")

WAIT_SECONDS = 30


def test_a_replica_sees_at_once_what_another_has_acknowledged(open_replica):
    first, second = open_replica(), open_replica()
    first.put(NAME, tensors([0]), OPTIONS)
    numbers = [0]
    for number in range(1, 20):
        writer, reader = (first, second) if number % 2 else (second, first)
        version = writer.append(NAME, tensors([number])).version
        numbers.append(number)
        assert numbers_of(reader.snapshot(NAME, version)) == numbers
    first.put(NAME, tensors([7]), OPTIONS)
    assert numbers_of(second.snapshot(NAME)) == [7]
    second.delete(NAME)
    with pytest.raises(MemoryNotFound):
        first.snapshot(NAME)


def test_a_query_and_an_append_are_one_round_trip_each(open_replica, monkeypatch):
    first, second = open_replica(), open_replica()
    first.put(NAME, tensors(range(100)), OPTIONS)
    first.append(NAME, tensors([100]))
    second.snapshot(NAME)
    calls = count_calls(second, monkeypatch)
    second.snapshot(NAME)
    first.append(NAME, tensors([101]))
    second.snapshot(NAME)
    first.append(NAME, tensors([102]))
    # The two appends that it has not seen come with the answer.
    assert numbers_of(second.append_and_read(NAME, tensors([103]))) == list(range(104))
    second.append(NAME, tensors([104]))
    assert len(calls) == 4
    with pytest.raises(VersionGone):
        second.snapshot(NAME, "other")
    assert len(calls) == 5


def test_only_the_appends_that_a_replica_has_not_seen_are_sent(open_replica, monkeypatch):
    first, second = open_replica(), open_replica()
    first.put(NAME, tensors([0]), OPTIONS)
    second.snapshot(NAME)
    decoded, decode = [], reading.decode_record
    monkeypatch.setattr(reading, "decode_record", lambda record, form: decoded.append(record) or decode(record, form))
    for number in range(1, 6):
        first.append(NAME, tensors([number]))
        second.snapshot(NAME)
    assert len(decoded) == 5


def test_no_caller_that_must_not_wait_asks_the_server(open_replica, monkeypatch):
    store = open_replica()
    store.put(NAME, tensors([0]), OPTIONS)
    store.snapshot(NAME)
    calls = count_calls(store, monkeypatch)
    assert store.loaded_snapshot(NAME) is None
    assert calls == []


OWNERS = ["", "team", "team:a", "a%3Ab", "团队", "new\nline", "nul\0", "\ud800", "*?[", " "]


def test_owners_of_any_characters_are_told_apart(open_replica):
    store = open_replica()
    for place, owner in enumerate(OWNERS):
        store.put(MemoryName(owner, "a"), tensors([place]), replace(OPTIONS, ttl_seconds=60))
        store.append(MemoryName(owner, "a"), tensors([100 + place]))
    assert store.compact() == 0
    for place, owner in enumerate(OWNERS):
        [listed] = store.list(owner, 10)
        assert listed == store.describe(MemoryName(owner, "a"))
        assert numbers_of(store.snapshot(MemoryName(owner, "a"))) == [place, 100 + place]
    for place, owner in enumerate(OWNERS):
        store.delete(MemoryName(owner, "a"))
        assert store.usage().memories == len(OWNERS) - place - 1


def test_merged_memories_are_those_of_their_owners(open_replica):
    store = open_replica(idle_seconds=0)
    for place, owner in enumerate(OWNERS):
        store.put(MemoryName(owner, "a"), tensors([place]), OPTIONS)
        store.append(MemoryName(owner, "a"), tensors([100 + place]))
    assert store.compact() == len(OWNERS)
    for place, owner in enumerate(OWNERS):
        assert numbers_of(store.snapshot(MemoryName(owner, "a"))) == [place, 100 + place]


def test_stores_with_different_prefixes_share_a_server(redis_server, redis_url, tmp_path, redis_client):
    strangers = {b"attention": b"of another program"}
    redis_client.mset(strangers)
    url = f"unix://{redis_server.socket}?db=0"
    stores = [
        RedisStore(one, tmp_path / f"cache-{place}", has_upkeep=False)
        for place, one in enumerate((url, redis_url, f"{url}&prefix=other%3A"))
    ]
    before = set(redis_client.keys())
    for place, store in enumerate(stores):
        store.put(NAME, tensors([place]), replace(OPTIONS, ttl_seconds=60))
        store.append(NAME, tensors([place]))
    prefixes = (b"attention:", redis_url.partition("prefix=")[2].encode(), b"other:")
    made = set(redis_client.keys()) - before
    assert {key for key in made if not key.startswith(prefixes)} == set()
    assert [sum(key.startswith(prefix) for key in made) for prefix in prefixes] == [8] * 3
    for place, store in enumerate(stores):
        assert numbers_of(store.snapshot(NAME)) == [place, place]
        store.delete(NAME)
        store.close()
    assert redis_client.get("attention") == strangers[b"attention"]


def test_a_url_may_have_a_password_and_a_database(tmp_path):
    port = free_port()
    server = RedisServer(port=str(port), requirepass="p:/?#@ 密")
    try:
        with closing(RedisStore(f"redis://:p%3A%2F%3F%23%40%20%E5%AF%86@127.0.0.1:{port}/3", tmp_path)) as store:
            store.put(NAME, tensors([1]), OPTIONS)
            assert numbers_of(store.snapshot(NAME)) == [1]
        with closing(RedisStore(f"redis://:wrong@127.0.0.1:{port}/3", tmp_path, has_upkeep=False)) as store:
            with pytest.raises(StoreUnavailable, match="refuses the user, the password") as raised:
                store.snapshot(NAME)
            assert "wrong" not in str(raised.value)
        with server.client() as redis_client:
            assert dict(redis_client.info("keyspace")).keys() == {"db3"}
    finally:
        server.close()


@pytest.mark.skipif(not shutil.which("openssl"), reason="needs the Debian package openssl")
def test_a_url_may_ask_for_tls(tmp_path):
    key, certificate, port = tmp_path / "key.pem", tmp_path / "certificate.pem", free_port()
    request = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    names = ["-subj", "/CN=redis", "-addext", "subjectAltName=IP:127.0.0.1"]
    made = [*request, *names, "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(made, check=True, capture_output=True)
    options = {"tls-port": str(port), "tls-cert-file": str(certificate), "tls-key-file": str(key)}
    server = RedisServer(**options, **{"tls-auth-clients": "no"})
    try:
        url = f"rediss://127.0.0.1:{port}"
        with closing(RedisStore(f"{url}?ssl_ca_certs={certificate}", tmp_path / "cache")) as store:
            store.put(NAME, tensors([1]), OPTIONS)
            assert numbers_of(store.snapshot(NAME)) == [1]
        # A certificate that no authority vouches for is refused.
        refused = pytest.raises(StoreUnavailable)
        with closing(RedisStore(url, tmp_path / "cache", has_upkeep=False)) as store, refused:
            store.snapshot(NAME)
    finally:
        server.close()


@pytest.mark.parametrize("url", ["redis://:secret@localhost:six", "unix:///nowhere?secret=1"])
def test_a_url_that_the_client_does_not_take_names_its_setting(tmp_path, url):
    settings = Settings(memories_url=url, memories_directory=str(tmp_path))
    name, reason = why_unusable(settings)
    assert name == "memories_url"
    assert "secret" not in reason
    named = {"memories_url": "unix:///nowhere", "memories_directory": str(tmp_path / "memories")}
    assert why_unusable(Settings(**named)) is None, "a server need not answer yet"
    (tmp_path / "memories").rename(tmp_path / "others")
    (tmp_path / "memories").write_text("no directory")
    assert why_unusable(Settings(**named))[0] == "memories_directory"


@pytest.mark.parametrize(
    "url", ["http://localhost", "localhost:6379", "redis://:secret@localhost:six", "redis://localhost?secret=1"]
)
def test_another_url_is_refused_and_not_shown(tmp_path, url):
    with pytest.raises(ValueError, match="expected redis://, rediss:// or unix://") as raised:
        RedisStore(url, tmp_path)
    assert "secret" not in str(raised.value)


def test_an_append_is_not_taken_for_one_to_another_generation(open_replica):
    """A replica that knows an older memory of the name, of another form, appends to the one that is there."""
    first, second = open_replica(), open_replica()
    first.put(NAME, tensors([1]), OPTIONS)
    second.append(NAME, tensors([2]))
    first.put(NAME, MemoryTensors(np.ones((3, 2))), MemoryOptions())
    assert second.append(NAME, MemoryTensors(np.ones((1, 2)))).keys == 4
    first.put(NAME, tensors([5]), OPTIONS)
    assert numbers_of(second.append_and_read(NAME, tensors([6]))) == [5, 6]


def test_an_append_goes_on_where_another_thread_forgets_the_memory(open_replica, monkeypatch):
    first, second = open_replica(), open_replica()
    first.put(NAME, tensors([1]), OPTIONS)
    second.append(NAME, tensors([2]))
    first.put(NAME, MemoryTensors(np.ones((3, 2))), MemoryOptions())
    asked, find = [], second._reader.find

    def forget_and_find(name):
        asked.append(name)
        assert len(asked) < 10
        second._of.states.forget(name)
        return find(name)

    monkeypatch.setattr(second._reader, "find", forget_and_find)
    assert second.append(NAME, MemoryTensors(np.ones((1, 2)))).keys == 4


def test_a_snapshot_of_an_append_has_its_version_and_no_later_one(open_replica, monkeypatch):
    """Another thread of the process reads a later version before the answer of the append is worked on."""
    store, other = open_replica(), open_replica()
    store.put(NAME, tensors([0]), OPTIONS)
    store.snapshot(NAME)
    write = store._of.connection.write

    def write_and_be_late(script, *arguments):
        answer = write(script, *arguments)
        other.append(NAME, tensors([2]))
        assert numbers_of(store.snapshot(NAME)) == [0, 1, 2]
        return answer

    monkeypatch.setattr(store._of.connection, "write", write_and_be_late)
    snapshot = store.append_and_read(NAME, tensors([1]))
    assert numbers_of(snapshot) == [0, 1]
    assert snapshot.description.keys == 2
    assert numbers_of(store.snapshot(NAME)) == [0, 1, 2]


def test_a_reader_goes_on_behind_appends_that_were_merged(open_replica, monkeypatch):
    """A reader that has seen all appends loads no segment again; one that is behind does."""
    monkeypatch.setattr(upkeep, "MAX_TAIL_RECORDS", 3)
    writer, reader, late = (open_replica() for _ in range(3))
    writer.put(NAME, tensors(range(1000)), OPTIONS)
    for one in (reader, late):
        assert numbers_of(one.snapshot(NAME)) == list(range(1000))
    calls, merged = count_calls(reader, monkeypatch), []
    for number in range(1000, 1009):
        writer.append(NAME, tensors([number]))
        reader.snapshot(NAME)
        merged.append(writer.compact())
    assert merged == [0, 0, 1] * 3
    assert all(words[0] == "EVALSHA" for words in calls)
    assert numbers_of(reader.snapshot(NAME)) == numbers_of(late.snapshot(NAME)) == list(range(1009))


def test_a_long_append_is_checked_before_its_segment_is_sent(open_replica, redis_client, key, monkeypatch):
    monkeypatch.setattr("service.memories.redis.writing.MAX_RECORD_BYTES", 1000)
    store = open_replica()
    store.put(NAME, tensors([1]), OPTIONS)
    calls = count_calls(store, monkeypatch)
    with pytest.raises(VersionMismatch):
        store.append(NAME, tensors(range(100)), Precondition(versions=("other",)))
    assert not [words for words in calls if words[0] == "SET"]


def test_one_replica_at_a_time_does_the_upkeep(redis_url, tmp_path, monkeypatch, redis_client, key):
    monkeypatch.setattr(background, "INTERVAL_SECONDS", 0.01)
    expired = threading.Event()
    stores = [
        RedisStore(redis_url, tmp_path / "cache", StoreLimits(idle_seconds=0), on_expired=lambda _: expired.set())
        for _ in range(2)
    ]
    stores[0].put(OTHER, tensors([1]), replace(OPTIONS, ttl_seconds=0.01))
    stores[0].put(NAME, tensors([1]), OPTIONS)
    stores[1].append(NAME, tensors([2]))
    assert expired.wait(WAIT_SECONDS)
    until = time.monotonic() + WAIT_SECONDS
    while held_at(redis_url).logs:
        assert time.monotonic() < until
        time.sleep(0.01)
    assert redis_client.get(key("upkeep")).decode() in {store._upkeep._holder for store in stores}
    for store in stores:
        assert numbers_of(store.snapshot(NAME)) == [1, 2]
        store.close()
