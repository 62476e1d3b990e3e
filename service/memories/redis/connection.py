"""The connection to Redis: commands and scripts, within a limit of time, and with the errors of a store.

What may have happened once is not done again: a script that writes is sent once, and where its answer is lost the
store is unavailable.  Reads are sent again once, on a new connection.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl, urlencode

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, BusyLoadingError, NoPermissionError, RedisError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from service.memories.errors import MemoryStoreError, StorageFull, StoreDamaged, StoreUnavailable
from service.memories.files import Buffer
from service.memories.redis.keyspace import DEFAULT_PREFIX, KeySpace

Result = TypeVar("Result")

CONNECT_SECONDS: Final = 1.0
ANSWER_SECONDS: Final = 2.0
"""Longest waits for a connection, and for each piece of an answer; those of a URL, socket_connect_timeout and
socket_timeout, are stronger."""

READ_BYTES: Final = 1024 * 1024
"""Bytes that are read from the socket at a time."""

UNAVAILABLE: Final = {
    "LOADING": "Redis is reading its data from the disk",
    "READONLY": "Redis is a replica that takes no writes",
    "MASTERDOWN": "Redis is a replica without a connection to its master",
    "NOREPLICAS": "Redis has fewer replicas than it asks for",
    "CLUSTERDOWN": "the cluster of Redis is down",
    "TRYAGAIN": "the cluster of Redis is moving keys",
    "BUSY": "Redis is busy with a script",
    "MISCONF": "Redis cannot write to its disk",
}
"""Codes of errors that pass, and what they mean."""

STALE_CODES: Final = ("LOADING", "READONLY", "MASTERDOWN")
"""Codes after which another server may answer at the same address."""


class Script:
    """A script of Redis.

    :param text: in Lua.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


def split_prefix(url: str) -> tuple[str, str]:
    """Return a URL without its parameter `prefix`, and the prefix of all keys.

    :param url: redis://, rediss:// or unix://.
    """
    address, _, query = url.partition("?")
    parameters = parse_qsl(query, keep_blank_values=True)
    prefixes = [value for name, value in parameters if name == "prefix"]
    others = urlencode([(name, value) for name, value in parameters if name != "prefix"])
    return address + (f"?{others}" if others else ""), prefixes[-1] if prefixes else DEFAULT_PREFIX


class RedisConnection:
    """Connections to one server; every thread may use it, and it connects by itself, again where it must.

    :param url: redis://, rediss:// or unix://, with user, password and database.

    Raises ValueError for any other URL; the server need not answer yet.
    """

    def __init__(self, url: str) -> None:
        try:
            self._redis = Redis.from_url(
                url,
                socket_connect_timeout=CONNECT_SECONDS,
                socket_timeout=ANSWER_SECONDS,
                socket_read_size=READ_BYTES,
                retry=Retry(NoBackoff(), 0),
                protocol=2,
            )
            self._execute: Callable[..., Any] = self._redis.execute_command
            # An option that the client does not know shows when it makes a connection, which does not connect yet.
            self._redis.connection_pool.connection_class(**self._redis.connection_pool.connection_kwargs)
        except (TypeError, ValueError):
            # The text of the error may hold the password.
            raise ValueError(
                "expected redis://, rediss:// or unix:// with options of the client of Redis; received another URL"
            ) from None

    def write(self, script: Script, *arguments: Buffer | str | float) -> list[Any]:
        """Return the answer of a script that changes something; it runs once at most.

        :param script: to run.
        :param arguments: its ARGV.

        Raises StoreUnavailable also where the script has run and its answer was lost.
        """
        with redis_errors(self._forget_connections):
            return self._run(script, arguments)

    def read(self, script: Script, *arguments: Buffer | str | float) -> list[Any]:
        """Return the answer of a script that may run twice.

        :param script: to run.
        :param arguments: its ARGV.
        """
        return self._twice(lambda: self._run(script, arguments))

    def get(self, key: str) -> bytes | None:
        """Return the value of a key; None for none."""
        return self._twice(lambda: self._execute("GET", key))

    def set_for(self, key: str, value: Buffer, seconds: int) -> None:
        """Set a key that the server removes after some seconds unless it is kept."""
        self._twice(lambda: self._execute("SET", key, value, "EX", seconds))

    def unlink(self, keys: Sequence[str]) -> None:
        """Remove keys."""
        if keys:
            self._twice(lambda: self._execute("UNLINK", *keys))

    def fields(self, keys: Sequence[str], *fields: str) -> list[list[bytes | None]]:
        """Return fields of hashes, in one round trip."""

        def ask() -> list[list[bytes | None]]:
            pipeline = self._redis.pipeline(transaction=False)
            for key in keys:
                pipeline.hmget(key, list(fields))
            return pipeline.execute()

        return self._twice(ask)

    def total(self, keys: KeySpace) -> tuple[int, int]:
        """Return the bytes and the number of all memories."""
        [[stored, memories]] = self.fields([keys.total], "bytes", "memories")
        return int(stored or 0), int(memories or 0)

    def claim(self, key: str, holder: str, seconds: int) -> bool:
        """Set a key for some seconds if there is none; return whether the holder has it."""
        with redis_errors(self._forget_connections):
            if self._execute("SET", key, holder, "NX", "EX", seconds):
                return True
            return self._execute("GET", key) == holder.encode()

    def prolong(self, key: str, seconds: int) -> None:
        """Let the server remove a key, if it is there, only after some seconds from now."""
        self._twice(lambda: self._execute("EXPIRE", key, seconds))

    def close(self) -> None:
        """Close every connection."""
        self._redis.close()
        self._redis.connection_pool.disconnect()

    def _run(self, script: Script, arguments: Sequence[Buffer | str | float]) -> list[Any]:
        try:
            return self._execute("EVALSHA", script.digest, 0, *arguments)
        except ResponseError as error:
            if _code(error) != "NOSCRIPT":
                raise
            # The server has been started anew, and has not run the script; with its text it remembers it.
            return self._execute("EVAL", script.text, 0, *arguments)

    def _twice(self, ask: Callable[[], Result]) -> Result:
        """Return an answer; asked for again where the connection broke, as those of a server that was started anew."""
        with redis_errors(self._forget_connections):
            try:
                return ask()
            except BusyLoadingError:
                raise
            except RedisConnectionError:
                self._forget_connections()
                return ask()

    def _forget_connections(self) -> None:
        """Close the connections that no thread uses."""
        self._redis.connection_pool.disconnect(inuse_connections=False)


@contextmanager
def redis_errors(forget_connections: Callable[[], None]) -> Iterator[None]:
    """Raise StoreUnavailable, StorageFull or StoreDamaged for the errors of Redis; texts name no address.

    :param forget_connections: called where another server may answer at the same address.
    """
    try:
        yield
    except RedisError as error:
        translated = _translate(error)
        if translated is None:
            raise
        if _code(error) in STALE_CODES:
            forget_connections()
        raise translated from error


def _translate(error: RedisError) -> MemoryStoreError | None:
    code = _code(error)
    if code == "OOM":
        return StorageFull("Redis is at its limit of memory (maxmemory)")
    if code == "MISCONF" and "No space left" in str(error):
        return StorageFull("the disk of Redis is full")
    if code in UNAVAILABLE:
        return StoreUnavailable(UNAVAILABLE[code])
    if code == "WRONGTYPE":
        return StoreDamaged("a key of another type than the store makes")
    if isinstance(error, (AuthenticationError, NoPermissionError)):
        return StoreUnavailable("Redis refuses the user, the password or a command")
    if isinstance(error, RedisTimeoutError):
        return StoreUnavailable("no answer of Redis in time")
    if isinstance(error, RedisConnectionError):
        return StoreUnavailable("no connection to Redis, or one that broke")
    return None


def _code(error: RedisError) -> str:
    """Return the code of an error, the first word of an answer, which the client takes off where it knows it."""
    return getattr(error, "status_code", None) or str(error).partition(" ")[0]
