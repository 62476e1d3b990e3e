"""The catalogue of a store: one row of SQLite for each memory, in write-ahead mode (https://www.sqlite.org/wal.html).

A row says which files hold a memory; a transaction on it is the moment at which a put, a deletion or a compaction
happens.  Appends write to the log that the row names, and change no row.
"""

import json
import sqlite3
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

from service.memories.form import MemoryForm, form_from_json, form_to_json
from service.memories.naming import MemoryName
from service.memories.private import make_private_file
from service.memories.store import Durability, MemoryOptions

BUSY_SECONDS = 10
"""Longest wait for a transaction of another process."""

SCHEMA_VERSION = 1

SCHEMA = """
CREATE TABLE memories (
    owner TEXT NOT NULL,
    name TEXT NOT NULL,
    generation TEXT NOT NULL,
    version TEXT NOT NULL,
    keys INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    modified REAL NOT NULL,
    parts TEXT NOT NULL,
    file_bytes INTEGER NOT NULL,
    form TEXT NOT NULL,
    layout TEXT NOT NULL,
    ttl_seconds REAL,
    durability TEXT NOT NULL,
    note TEXT,
    created REAL NOT NULL,
    fragmented INTEGER NOT NULL,
    PRIMARY KEY (owner, name)
) WITHOUT ROWID;
CREATE INDEX expiring ON memories (owner, name) WHERE ttl_seconds IS NOT NULL;
CREATE INDEX fragmented ON memories (owner, name) WHERE fragmented;
CREATE TABLE total (file_bytes INTEGER NOT NULL, memories INTEGER NOT NULL);
INSERT INTO total VALUES (0, 0);
CREATE TRIGGER inserted AFTER INSERT ON memories BEGIN
    UPDATE total SET file_bytes = file_bytes + new.file_bytes, memories = memories + 1;
END;
CREATE TRIGGER deleted AFTER DELETE ON memories BEGIN
    UPDATE total SET file_bytes = file_bytes - old.file_bytes, memories = memories - 1;
END;
"""

PartKind = Literal["segment", "closed_log", "log"]


class Part(NamedTuple):
    """A file with consecutive keys of a memory.

    :param kind: a segment, a log that takes no more appends, or the one that does, which is the last part.
    :param file_id: stem of the name of the file.
    :param size: bytes of the file.
    :param keys: keys in it; 0 for the log that takes appends.
    :param check: of a segment the checksum; of a closed log the byte behind its last record.
    """

    kind: PartKind
    file_id: str
    size: int
    keys: int = 0
    check: int = 0


@dataclass(frozen=True, slots=True)
class Row:
    """A memory as the catalogue has it.

    :param generation: the put that it comes from, by a random name.
    :param version: behind its segments and closed logs.
    :param keys: in its segments and closed logs.
    :param bytes: of tensors and labels in these.
    :param modified: when that version was made.
    :param parts: its files, in the order of their keys.
    :param form: of its tensors.
    :param created: when it was put.
    """

    name: MemoryName
    generation: str
    version: str
    keys: int
    bytes: int
    modified: float
    parts: tuple[Part, ...]
    form: MemoryForm
    options: MemoryOptions
    created: float

    @property
    def log(self) -> Part | None:
        """The log that takes appends; None for none."""
        return self.parts[-1] if self.parts[-1].kind == "log" else None


COLUMNS = (
    "owner, name, generation, version, keys, bytes, modified, parts, form, layout, ttl_seconds, durability, note, "
    "created"
)

# Written out of names of the house alone; every value of a request is bound.
SELECT = f"SELECT {COLUMNS} FROM memories "  # noqa: S608 - no value is in it
INSERT = f"INSERT INTO memories ({COLUMNS}, file_bytes, fragmented) VALUES "  # noqa: S608 - no value is in it


@lru_cache(maxsize=4096)
def _row(columns: tuple[Any, ...]) -> Row:
    """Return a row; the JSON of one that has not changed is read once."""
    owner, name, generation, version, keys, nbytes, modified, parts, form, layout, ttl, durability, note, created = (
        columns
    )
    described = json.loads(form)
    return Row(
        MemoryName(owner, name),
        generation,
        version,
        keys,
        nbytes,
        modified,
        tuple(Part(*part) for part in json.loads(parts)),
        form_from_json(described),
        MemoryOptions(described["dtype"], layout, ttl, cast("Durability", durability), note, described.get("shards")),
        created,
    )


def _described(row: Row) -> dict[str, Any]:
    """Return the column `form`; it has the option that came after the others as well."""
    shards = row.options.shards
    return form_to_json(row.form) | ({} if shards is None else {"shards": shards})


class Catalogue:
    """The table of memories; every thread may use it.

    :param path: of the database, which is made where there is none.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._idle: deque[sqlite3.Connection] = deque()
        self._closed = False
        # SQLite gives its other files the mode of this one.
        make_private_file(path)
        with self._connection() as connection:
            connection.execute("PRAGMA journal_mode = WAL")
        with self.transaction() as connection:
            [version] = connection.execute("PRAGMA user_version").fetchone()
            if version == 0:
                for statement in _statements(SCHEMA):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            elif version != SCHEMA_VERSION:
                raise RuntimeError(f"expected a catalogue of version {SCHEMA_VERSION}; received version {version}")

    def find(self, name: MemoryName) -> Row | None:
        """Return the row of a memory; None for none."""
        with self._connection() as connection:
            found = connection.execute(SELECT + "WHERE owner = ? AND name = ?", name).fetchone()
        return None if found is None else _row(found)

    def page(self, owner: str, limit: int, after: str) -> list[Row]:
        """Return the first `limit` rows of an owner whose names sort behind `after`."""
        query = SELECT + "WHERE owner = ? AND name > ? ORDER BY name LIMIT ?"
        with self._connection() as connection:
            return [_row(found) for found in connection.execute(query, (owner, after, limit)).fetchall()]

    def expiring(self) -> list[Row]:
        """Return the rows of memories with a time to live."""
        return self._where("ttl_seconds IS NOT NULL")

    def fragmented(self) -> list[Row]:
        """Return the rows of memories with more than one part."""
        return self._where("fragmented")

    def live_files(self) -> set[str]:
        """Return the names without suffix of all files that rows name: parts, and generations."""
        with self._connection() as connection:
            found = connection.execute("SELECT generation, parts FROM memories").fetchall()
        live = {generation for generation, _ in found}
        live.update(part[1] for _, parts in found for part in json.loads(parts))
        return live

    def total(self) -> tuple[int, int]:
        """Return the bytes of the files of all memories, and the number of memories."""
        with self._connection() as connection:
            file_bytes, memories = connection.execute("SELECT file_bytes, memories FROM total").fetchone()
        return file_bytes, memories

    def total_in(self, connection: sqlite3.Connection) -> int:
        """Return the bytes of the files of all memories within a transaction."""
        [file_bytes] = connection.execute("SELECT file_bytes FROM total").fetchone()
        return int(file_bytes)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Hold the database for writing; commit at the end, roll back after an exception."""
        with self._connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def store(self, connection: sqlite3.Connection, row: Row) -> None:
        """Insert or replace a row within a transaction."""
        self.remove(connection, row.name)
        options = row.options
        columns = (
            *row.name,
            row.generation,
            row.version,
            row.keys,
            row.bytes,
            row.modified,
            json.dumps(row.parts),
            json.dumps(_described(row)),
            options.layout,
            options.ttl_seconds,
            options.durability,
            options.note,
            row.created,
            sum(part.size for part in row.parts),
            len(row.parts) > 1,
        )
        places = ", ".join("?" * len(columns))
        connection.execute(f"{INSERT}({places})", columns)

    def remove(self, connection: sqlite3.Connection, name: MemoryName) -> None:
        """Remove a row, if there is one, within a transaction."""
        connection.execute("DELETE FROM memories WHERE owner = ? AND name = ?", name)

    def shorten(self) -> None:
        """Give back the room of the write-ahead log, as far as readers of other processes allow."""
        with self._connection() as connection, suppress(sqlite3.OperationalError):
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def close(self) -> None:
        """Close the connections: now those that no thread uses, the others when their threads are done."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()

    def _where(self, condition: str) -> list[Row]:
        with self._connection() as connection:
            return [_row(found) for found in connection.execute(f"{SELECT}WHERE {condition}").fetchall()]

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection to one thread at a time."""
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._connect()
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        if self._closed:
            connection.close()
        else:
            self._idle.append(connection)

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA synchronous = FULL")
        return connection


def _statements(script: str) -> Iterator[str]:
    """Yield the statements of a script; `executescript` would commit the transaction around them."""
    statement = ""
    for line in script.strip().splitlines():
        statement += line + "\n"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
