"""Stores that several processes open: in a directory, or in Redis."""

from pathlib import Path
from typing import NamedTuple

from redis import Redis

from service.memories import EmbeddedStore
from service.memories.redis import RedisStore


def open_store_at(location, limits=None, **options):
    """Open the store in a directory, or at a URL of Redis by its socket, beside which the cache is."""
    if not is_url(location):
        return EmbeddedStore(Path(location), limits, **options)
    return RedisStore(location, socket_of(location).parent / "cache", limits, **options)


def is_url(location):
    return str(location).startswith("unix://")


def socket_of(url):
    return Path(url.removeprefix("unix://").partition("?")[0])


class Held(NamedTuple):
    """What stores hold, as found behind their back.

    :param segments: number of segments.
    :param logs: number of logs, or lists, of appends.
    :param bytes: of all of these.
    :param others: number of files, or keys, beside these, of each memory or of some.
    """

    segments: int
    logs: int
    bytes: int
    others: int


def held_at(location):
    """Count what stores hold in a directory, or at a URL."""
    return held_by_redis(location) if is_url(location) else held_by_files(Path(location))


def held_by_files(directory):
    segments, logs, uses = (list((directory / name).iterdir()) for name in ("segments", "logs", "uses"))
    return Held(len(segments), len(logs), sum(path.stat().st_size for path in segments + logs), len(uses))


def held_by_redis(url):
    """Count the keys of a store; chunks that the server removes by itself, since no memory has them, do not count."""
    prefix = url.partition("prefix=")[2]
    with Redis(unix_socket_path=str(socket_of(url))) as client:
        keys = {key.decode() for key in client.keys(f"{prefix}*")} - {f"{prefix}total", f"{prefix}upkeep"}
        unfinished = {key for key in keys if key.startswith(f"{prefix}chunk:") and client.ttl(key) != -1}
        chunks = {key for key in keys - unfinished if key.startswith(f"{prefix}chunk:")}
        lists = {key for key in keys if key.startswith(f"{prefix}records:")}
        records = [record for key in lists for record in client.lrange(key, 0, -1)]
        return Held(
            segments=len({key.split(":")[-2] for key in chunks}),
            logs=len(lists),
            bytes=sum(map(client.strlen, chunks)) + sum(map(len, records)),
            others=len(keys - unfinished - chunks - lists),
        )
