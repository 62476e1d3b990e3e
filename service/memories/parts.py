"""Files with the parts of memories: made, read, opened and removed."""

import os
import re
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from pathlib import Path
from threading import Lock

from service.memories import append_log, segment
from service.memories.append_log import TornRecord, log_start, read_records
from service.memories.catalogue import Part, Row
from service.memories.errors import DamagedFile
from service.memories.files import (
    FILE_MODE,
    PART_SUFFIX,
    Descriptor,
    NewFile,
    abandoned,
    open_existing,
)
from service.memories.form import MemoryForm
from service.memories.naming import FILE_ID, new_file_id
from service.memories.private import make_private_directory
from service.memories.segment import Rows, join_rows, open_segment, write_segment

MAX_OPEN_LOGS = 64
"""Logs that a process keeps open."""

READ_ONLY = 0o400
"""Mode of segments."""

DIRECTORIES = ("segments", "logs")

FILE_NAME = re.compile(
    rf"{FILE_ID.pattern}({re.escape(segment.SUFFIX)}|{re.escape(append_log.SUFFIX)})({PART_SUFFIX})?"
)
"""The form of the names of files that a sweep may remove; it leaves what anyone else puts there alone."""


def closed_parts(row: Row) -> tuple[Part, ...]:
    """Return the parts of a memory that take no appends."""
    return row.parts if row.log is None else row.parts[:-1]


class PartFiles:
    """The files of a store; every thread may use it.

    :param root: directory of the store.
    """

    def __init__(self, root: Path) -> None:
        self._segments, self._logs = (root / name for name in DIRECTORIES)
        for directory in (self._segments, self._logs):
            make_private_directory(directory)
        self._open_logs: OrderedDict[str, Descriptor] = OrderedDict()
        self._mutex = Lock()

    def path(self, part: Part) -> Path:
        """Return the path of a part."""
        if part.kind == "segment":
            return self._segments / (part.file_id + segment.SUFFIX)
        return self._logs / (part.file_id + append_log.SUFFIX)

    def make_segment(self, form: MemoryForm, rows: Sequence[Rows]) -> tuple[NewFile, Part]:
        """Write keys to a new segment; it is durable, and others leave it alone for as long as the first result lives.

        :param form: of the memory.
        :param rows: parts whose keys follow each other; at least one.
        """
        file_id = new_file_id()
        new = NewFile(self._segments, file_id + segment.SUFFIX)
        try:
            write_segment(new, form, rows)
            new.publish(READ_ONLY)
        except BaseException:
            new.discard()
            raise
        return new, Part("segment", file_id, new.size, sum(one.keys for one in rows), new.checksum)

    def make_log(self, capacity: int) -> tuple[NewFile, Part]:
        """Make a log; it is durable, and others leave it alone for as long as the first result lives.

        :param capacity: bytes.
        """
        file_id = new_file_id()
        new = NewFile(self._logs, file_id + append_log.SUFFIX)
        try:
            new.write((bytes(capacity),))
            new.publish(FILE_MODE)
        except BaseException:
            new.discard()
            raise
        return new, Part("log", file_id, capacity)

    def open_log(self, part: Part) -> Descriptor:
        """Return the open file of a log.

        Raises FileNotFoundError or DamagedFile.
        """
        with self._mutex:
            found = self._open_logs.get(part.file_id)
            if found is not None:
                self._open_logs.move_to_end(part.file_id)
        if found is None:
            found = open_existing(self.path(part), part.size, os.O_RDWR)
            with self._mutex:
                self._open_logs[part.file_id] = found
                if len(self._open_logs) > MAX_OPEN_LOGS:
                    self._open_logs.popitem(last=False)
        elif os.fstat(found.number).st_size != part.size:
            raise DamagedFile(f"{self.path(part).name} with another length than {part.size} bytes")
        return found

    def read(self, part: Part, row: Row) -> Rows:
        """Return the keys of a part that takes no appends.

        Raises FileNotFoundError or DamagedFile.
        """
        path = self.path(part)
        if part.kind == "segment":
            return open_segment(path, part.size, part.check, row.form, part.keys)
        return self._read_closed_log(path, part, row.form)

    def remove(self, parts: Iterable[Part]) -> None:
        """Remove files; processes that have them open or mapped go on reading them."""
        for part in parts:
            self.path(part).unlink(missing_ok=True)
            with self._mutex:
                self._open_logs.pop(part.file_id, None)

    def close_logs_except(self, live: set[str]) -> None:
        """Close the logs that other processes have removed, whose room the file system cannot use before."""
        with self._mutex:
            for file_id in set(self._open_logs) - live:
                del self._open_logs[file_id]

    def unnamed(self, live: set[str]) -> list[tuple[Path, Descriptor]]:
        """Return the files, open and locked, that the catalogue did not name and no process is making."""
        entries = [entry for directory in (self._segments, self._logs) for entry in os.scandir(directory)]
        ours = [one for one in entries if FILE_NAME.fullmatch(one.name) and one.is_file(follow_symlinks=False)]
        paths = (Path(entry) for entry in ours)
        return list(abandoned(path for path in paths if file_id_of(path) not in live))

    def _read_closed_log(self, path: Path, part: Part, form: MemoryForm) -> Rows:
        file, position, rows = open_existing(path, part.size), log_start(part.file_id), []
        try:
            for appended, following in read_records(file, position, form, unsynced_seconds=0):
                rows.append(appended.rows)
                position = following
                if position.offset >= part.check:
                    break
        except TornRecord as error:
            raise DamagedFile(f"{path.name} with {error.reason or 'a record that was cut off'}") from None
        if position.offset != part.check:
            raise DamagedFile(f"{path.name} with records up to byte {position.offset} instead of {part.check}")
        return join_rows(rows)


def file_id_of(path: Path) -> str:
    """Return the id of a file by its name."""
    return path.name.partition(".")[0]
