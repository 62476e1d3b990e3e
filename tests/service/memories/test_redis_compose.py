"""The server of Redis in docker-compose.yml: it keeps every answered write, drops nothing, and publishes no port."""

from contextlib import closing

import pytest
import yaml

from service.memories import MemoryName, StoreLimits
from tests.service.memories.locations import open_store_at
from tests.service.memories.numbered import OPTIONS, numbers_of, tensors
from tests.service.memories.redis_server import RedisServer

NAME = MemoryName("", "dragon")


@pytest.fixture(scope="module")
def document(project):
    return yaml.safe_load((project / "docker-compose.yml").read_text())


@pytest.fixture(scope="module")
def compose(document):
    return document["services"]["redis"]


@pytest.fixture(scope="module")
def options(compose):
    """The options of the server, by their names."""
    program, *words = compose["command"]
    assert program == "redis-server"
    return {name.removeprefix("--"): value for name, value in zip(words[::2], words[1::2], strict=True)}


def test_compose_publishes_no_port_and_gives_no_rights(document, compose, options):
    services = document["services"]
    assert compose["profiles"] == ["redis"]
    assert "ports" not in compose
    for key in ("read_only", "cap_drop", "security_opt", "restart"):
        assert compose[key] == services["attention"][key]
    assert not {"privileged", "cap_add", "network_mode", "pid", "devices", "tmpfs"} & set(compose)
    [volume] = compose["volumes"]
    name, _, path = volume.partition(":")
    assert name in document["volumes"]
    assert path == options["dir"]


def test_compose_has_memory_for_all_memories_and_one_that_is_replaced(compose, options):
    limits, gib = StoreLimits(), 1024**3
    held = int(options["maxmemory"].removesuffix("gb")) * gib
    assert held >= limits.memories_bytes + limits.memory_bytes
    assert int(compose["mem_limit"].removesuffix("g")) * gib > 1.25 * held


@pytest.mark.redis
def test_the_server_of_compose_keeps_every_answered_write(options):
    server = RedisServer(**{name: value for name, value in options.items() if name != "dir"})
    try:
        with closing(open_store_at(server.url("compose"), has_upkeep=False)) as store:
            store.put(NAME, tensors([1]), OPTIONS)
            store.append(NAME, tensors([2]))
            server.kill()
            server.start()
            assert numbers_of(store.snapshot(NAME)) == [1, 2]
        with server.client() as client:
            assert client.config_get("maxmemory*")["maxmemory-policy"] == "noeviction"
            assert client.config_get("append*").items() >= {("appendonly", "yes"), ("appendfsync", "always")}
    finally:
        server.close()
