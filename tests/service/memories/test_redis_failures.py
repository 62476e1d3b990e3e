"""A server of Redis that stops, is killed, loses connections or is full: errors that say so, and nothing lost."""

import random
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace

import pytest
from redis.exceptions import RedisError

from service.memories import MemoryName, StoreLimits
from service.memories.errors import (
    MemoryNotFound,
    StorageFull,
    StoreDamaged,
    StoreUnavailable,
    VersionMismatch,
)
from service.memories.redis import RedisStore, connection, reading, segments, writing
from service.memories.store import Precondition
from tests.service.memories.locations import held_at, open_store_at
from tests.service.memories.lossy import LossyProxy
from tests.service.memories.numbered import OPTIONS, numbers_of, tensors
from tests.service.memories.redis_server import RedisServer

pytestmark = pytest.mark.redis

NAME, OTHER = MemoryName("", "dragon"), MemoryName("", "other")

WAIT_SECONDS = 30
"""Longest wait for a server or a writer."""


@pytest.fixture(scope="module")
def own_server():
    """A server that tests of this module stop and change; it runs again behind each of them."""
    server = RedisServer()
    yield server
    server.close()


@pytest.fixture
def store(own_server, request):
    with closing(open_store_at(own_server.url(request.node.name), has_upkeep=False)) as opened:
        yield opened


CALLS = {
    "put": lambda store: store.put(NAME, tensors([9]), OPTIONS),
    "append": lambda store: store.append(NAME, tensors([9])),
    "append_and_read": lambda store: store.append_and_read(NAME, tensors([9])),
    "snapshot": lambda store: store.snapshot(NAME),
    "describe": lambda store: store.describe(NAME),
    "list": lambda store: store.list("", 10),
    "delete": lambda store: store.delete(NAME),
    "usage": lambda store: store.usage(),
    "sweep": lambda store: store.sweep(),
    "compact": lambda store: store.compact(),
}


def test_a_server_that_is_stopped_and_started_loses_nothing(own_server, store):
    store.put(NAME, tensors([1, 2]), OPTIONS)
    described = store.append(NAME, tensors([3]))
    held = store.snapshot(NAME)
    own_server.stop()
    started = time.monotonic()
    for call in CALLS.values():
        with pytest.raises(StoreUnavailable, match="no connection to Redis") as raised:
            call(store)
        assert raised.value.retry_seconds == 1
        assert str(own_server.socket) not in str(raised.value), "an answer names no address"
    assert time.monotonic() - started < len(CALLS) * (connection.CONNECT_SECONDS + connection.ANSWER_SECONDS)
    own_server.start()
    assert store.describe(NAME) == described
    assert numbers_of(store.snapshot(NAME)) == numbers_of(held) == [1, 2, 3]
    assert numbers_of(store.append_and_read(NAME, tensors([4]))) == [1, 2, 3, 4]


def test_a_store_can_be_opened_before_its_server_runs(own_server, request):
    own_server.stop()
    with closing(open_store_at(own_server.url(request.node.name))) as store:
        with pytest.raises(StoreUnavailable):
            store.snapshot(NAME)
        own_server.start()
        store.put(NAME, tensors([1]), OPTIONS)
        assert numbers_of(store.snapshot(NAME)) == [1]


@pytest.mark.parametrize("kills", [pytest.param(3, id="3"), pytest.param(60, id="60", marks=pytest.mark.soak)])
def test_writes_are_whole_however_often_the_server_is_killed(own_server, request, report_figure, kills):
    """A write whose answer is lost is there or not, and everything before it is there."""
    url, chance = own_server.url(request.node.name), random.Random(1)
    ended, done, lost = threading.Event(), [], []

    def write(name):
        with closing(open_store_at(url, StoreLimits(idle_seconds=0.01))) as store:
            held, number, own_chance = None, 0, random.Random(name.name)
            while not ended.is_set():
                more = list(range(number, number + own_chance.choice((1, 1, 3, 150))))
                number += len(more)
                is_put = held is None or own_chance.random() < 0.2
                after = more if is_put else held + more
                try:
                    store.put(name, tensors(more), OPTIONS) if is_put else store.append(name, tensors(more))
                except StoreUnavailable:
                    lost.append(name)
                    found = read_again(store, name)
                    assert found in (held, after)
                    held = found
                else:
                    held = after
                done.append(name)
            assert numbers_of(store.snapshot(name)) == held
            return number

    with ThreadPoolExecutor(2) as threads:
        writers = [threads.submit(write, MemoryName("", f"writer-{number}")) for number in range(2)]
        try:
            for kill in range(kills):
                writes = len(done) + chance.randrange(10, 60)
                wait_until(lambda writes=writes: len(done) >= writes or any(writer.done() for writer in writers))
                own_server.kill()
                wait_until(lambda kill=kill: len(lost) > kill or any(writer.done() for writer in writers))
                own_server.start()
        finally:
            ended.set()
    numbers = [writer.result() for writer in writers]
    report_figure(f"memories: Redis killed {kills} times in {len(done)} writes, {sum(numbers)} keys, {len(lost)} lost")


def wait_until(holds):
    until = time.monotonic() + WAIT_SECONDS
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.005)


def read_again(store, name):
    """Return the numbers of a memory once the server answers; None where there is none."""
    until = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            return numbers_of(store.snapshot(name))
        except MemoryNotFound:
            return None
        except StoreUnavailable:
            assert time.monotonic() < until
            time.sleep(0.005)


@pytest.fixture
def proxy(redis_server, tmp_path_factory):
    path = redis_server.socket.parent / f"proxy-{time.monotonic_ns()}"
    with closing(LossyProxy(path, redis_server.socket)) as running:
        yield running


@pytest.fixture
def behind_proxy(proxy, redis_url, tmp_path):
    url = f"unix://{proxy.path}?{redis_url.partition('?')[2]}"
    with closing(RedisStore(url, tmp_path / "cache", has_upkeep=False)) as store:
        yield store


@pytest.mark.parametrize(("what", "expected"), [("answer", [1, 2]), ("request", [1])])
@pytest.mark.parametrize("call", ["append", "append_and_read"])
def test_an_append_whose_connection_breaks_is_not_sent_again(behind_proxy, proxy, what, expected, call):
    behind_proxy.put(NAME, tensors([1]), OPTIONS)
    version = behind_proxy.append(NAME, tensors([])).version
    assert numbers_of(behind_proxy.snapshot(NAME)) == [1]
    proxy.lose(what, writing.APPEND_SCRIPT)
    with pytest.raises(StoreUnavailable):
        getattr(behind_proxy, call)(NAME, tensors([2]))
    assert proxy.lost == 1
    assert numbers_of(behind_proxy.snapshot(NAME)) == expected
    if what == "answer":
        # With a precondition a client may send it again.
        with pytest.raises(VersionMismatch):
            behind_proxy.append(NAME, tensors([2]), Precondition(versions=(version,)))
    assert numbers_of(behind_proxy.append_and_read(NAME, tensors([3]))) == [*expected, 3]


def test_a_put_whose_answer_is_lost_keeps_its_segment(behind_proxy, proxy, monkeypatch):
    upload = behind_proxy._of.segments.upload

    def upload_and_lose(form, rows):
        made = upload(form, rows)
        proxy.lose("answer", writing.PUT_SCRIPT)
        return made

    monkeypatch.setattr(behind_proxy._of.segments, "upload", upload_and_lose)
    with pytest.raises(StoreUnavailable):
        behind_proxy.put(NAME, tensors([1]), OPTIONS)
    assert proxy.lost == 1
    assert numbers_of(behind_proxy.snapshot(NAME)) == [1]


def test_a_read_whose_connection_breaks_is_asked_again(behind_proxy, proxy):
    behind_proxy.put(NAME, tensors([1]), OPTIONS)
    proxy.lose("answer", reading.READ_SCRIPT)
    assert numbers_of(behind_proxy.snapshot(NAME)) == [1]
    assert proxy.lost == 1


@contextmanager
def limited(server, megabytes):
    """Let a server hold this number of MiB more than it does."""
    with server.client() as client:
        client.config_set("maxmemory", client.info("memory")["used_memory"] + megabytes * 1024 * 1024)
        yield
        client.config_set("maxmemory", 0)


def test_a_server_at_its_limit_of_memory_leaves_memories_as_they_were(own_server, store, monkeypatch):
    monkeypatch.setattr(segments, "CHUNK_BYTES", 256 * 1024)
    large, small = tensors(range(10_000), labels=False), tensors(range(500), labels=False)
    store.put(OTHER, small, replace(OPTIONS, ttl_seconds=3600))
    before, _ = store.put(NAME, small, OPTIONS)
    with limited(own_server, 1):
        with pytest.raises(StorageFull, match="maxmemory"):
            store.put(NAME, large, OPTIONS)
        assert store.describe(NAME) == before
        appended = append_until_full(store, small)
        assert store.describe(NAME).keys == 500 * (1 + appended)
        assert numbers_of(store.snapshot(NAME)) == [*range(500)] * (1 + appended)
        # A read counts as a use even now, and a deletion makes room.
        used = store.describe(OTHER).expires
        assert store.snapshot(OTHER).description.expires > used
        assert store.describe(OTHER).expires > used
        store.delete(NAME)
        store.put(NAME, small, OPTIONS)
    assert held_at(own_server.url(store._of.keys.prefix[:-1])).bytes == store.usage().bytes


def append_until_full(store, more):
    """Append as often as there is room; return how often."""
    appended = 0
    while True:
        try:
            store.append(NAME, more)
        except StorageFull:
            return appended
        appended += 1


class WrongServer:
    """A server that answers every command in the same way.

    :param answer: line that it sends; empty for none.
    """

    def __init__(self, answer):
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}"
        self._clients = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self._listener.close()
        for client in self._clients:
            client.close()

    def _accept(self):
        try:
            while True:
                client, _ = self._listener.accept()
                self._clients.append(client)
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()
        except OSError:
            return

    def _serve(self, client):
        try:
            while content := client.recv(65536):
                # The client says its name when it connects, in two commands.
                introductions = content.count(b"SETINFO")
                client.sendall(b"+OK\r\n" * introductions or self._answer)
        except OSError:
            return


@contextmanager
def store_at_wrong_server(tmp_path, answer):
    with (
        closing(WrongServer(answer)) as server,
        closing(RedisStore(server.url, tmp_path / "cache", has_upkeep=False)) as store,
    ):
        yield store


@pytest.mark.parametrize(
    ("answer", "kind", "text"),
    [
        ("LOADING Redis is loading the dataset in memory", StoreUnavailable, "reading its data"),
        ("READONLY You can't write against a read only replica.", StoreUnavailable, "takes no writes"),
        ("MASTERDOWN Link with MASTER is down", StoreUnavailable, "without a connection to its master"),
        ("CLUSTERDOWN The cluster is down", StoreUnavailable, "cluster"),
        ("BUSY Redis is busy running a script.", StoreUnavailable, "busy"),
        ("NOREPLICAS Not enough good replicas to write.", StoreUnavailable, "replicas"),
        ("MISCONF Errors writing to the AOF file: Input/output error", StoreUnavailable, "disk"),
        ("MISCONF Errors writing to the AOF file: No space left on device", StorageFull, "disk of Redis is full"),
        ("OOM command not allowed when used memory > 'maxmemory'.", StorageFull, "maxmemory"),
        ("NOAUTH Authentication required.", StoreUnavailable, "refuses the user, the password"),
        ("NOPERM this user has no permissions to run the 'evalsha' command", StoreUnavailable, "or a command"),
        ("WRONGTYPE Operation against a key holding the wrong kind of value", StoreDamaged, "another type"),
        ("ERR max number of clients reached", StoreUnavailable, "no connection"),
    ],
)
def test_answers_that_refuse(tmp_path, answer, kind, text):
    with store_at_wrong_server(tmp_path, f"-{answer}\r\n".encode()) as store:
        for call in (store.describe, store.delete):
            with pytest.raises(kind, match=text):
                call(NAME)


def test_an_answer_that_has_no_meaning_is_raised_as_it_is(tmp_path):
    refused = pytest.raises(RedisError, match="unknown command")
    with store_at_wrong_server(tmp_path, b"-ERR unknown command\r\n") as store, refused:
        store.describe(NAME)


def test_a_server_that_does_not_answer_in_time(tmp_path, monkeypatch):
    monkeypatch.setattr(connection, "ANSWER_SECONDS", 0.05)
    with store_at_wrong_server(tmp_path, b"") as store:
        for call in (store.describe, store.delete):
            with pytest.raises(StoreUnavailable, match="no answer of Redis in time"):
                call(NAME)


def test_scripts_that_a_server_has_forgotten_are_sent_again(own_server, store):
    store.put(NAME, tensors([1]), OPTIONS)
    with own_server.client() as client:
        client.script_flush()
    assert store.append(NAME, tensors([2])).keys == 2
    assert numbers_of(store.snapshot(NAME)) == [1, 2]
