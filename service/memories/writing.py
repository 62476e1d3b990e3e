"""Writing memories: every write holds the lock of its memory, and changes the catalogue in one transaction or none."""

import os
from contextlib import suppress
from dataclasses import replace

from service.memories.append_log import (
    MAX_LOG_BYTES,
    MIN_LOG_BYTES,
    RECORDS_PER_LOG,
    Appended,
    LogPosition,
    clear_from,
    encode_record,
    record_bytes,
)
from service.memories.arrays import ArraySnapshot
from service.memories.catalogue import Part, Row
from service.memories.errors import MemoryNotFound, QuotaExceeded, StorageFull
from service.memories.files import NewFile, storage_errors
from service.memories.form import MemoryForm, form_of
from service.memories.naming import MemoryName, new_file_id, new_version
from service.memories.parts import closed_parts
from service.memories.reading import MemoryReader, damage_of_files
from service.memories.resources import StoreResources
from service.memories.segment import Rows, encode_labels, raw_rows
from service.memories.state import MemoryEnd, MemoryState, start_of
from service.memories.store import ALWAYS, MemoryDescription, MemoryOptions, MemoryTensors, Precondition

MAX_RECORD_BYTES = MAX_LOG_BYTES // 4
"""Longest append that becomes a record of a log; a longer one becomes a segment."""

PAGE_BYTES = 4096


def rows_of(form: MemoryForm, tensors: MemoryTensors, keys: int) -> Rows:
    """Return tensors of a form as files hold them."""
    arrays = (tensors.key, tensors.value)
    raw = tuple(
        raw_rows(one, array, keys) for one, array in zip(form.tensors, arrays, strict=False) if array is not None
    )
    return Rows(keys, raw, encode_labels(tensors.labels))


class MemoryWriter:
    """Writes memories.

    :param resources: of the store.
    :param reader: of the store.
    """

    def __init__(self, resources: StoreResources, reader: MemoryReader) -> None:
        self._of = resources
        self._reader = reader

    def put(
        self, name: MemoryName, tensors: MemoryTensors, options: MemoryOptions, condition: Precondition
    ) -> tuple[MemoryDescription, bool]:
        """Create or replace a memory; see `MemoryStore.put`."""
        form = form_of(tensors, options.dtype, options.layout)
        rows = rows_of(form, tensors, form.count(tensors))
        nbytes = form.nbytes(rows.keys) + len(rows.labels)
        self._require_memory_quota(nbytes)
        with storage_errors(), self._of.locks.hold(name):
            old = self._of.catalogue.find(name)
            current = self._current_version(old, condition)
            condition.check(name, current)
            self._require_total_quota(self._of.catalogue.total()[0], old, nbytes)
            new, part = self._of.files.make_segment(form, [rows])
            now = self._of.clock()
            generation, version = new_file_id(), new_version()
            row = Row(name, generation, version, rows.keys, nbytes, now, (part,), form, options, now)
            self._commit(old, row, new)
            self._of.uses.record(row)
            if old is not None:
                self._forget(old)
            return self._reader.description(row, start_of(row)), current is None

    def append(self, name: MemoryName, tensors: MemoryTensors, condition: Precondition) -> MemoryDescription:
        """Add keys; see `MemoryStore.append`."""
        with storage_errors(), self._of.locks.hold(name), damage_of_files(name):
            row, _, end = self._append(name, tensors, condition)
            return self._reader.description(row, end)

    def append_and_read(self, name: MemoryName, tensors: MemoryTensors, condition: Precondition) -> ArraySnapshot:
        """Add keys and return a snapshot; see `MemoryStore.append_and_read`."""
        with storage_errors(), self._of.locks.hold(name), damage_of_files(name):
            row, state, end = self._append(name, tensors, condition)
            with state.mutex:
                if state.end is not end:
                    self._reader.follow_locked(state, row)
                return self._reader.snapshot_of(state, row, self._reader.follow_locked)

    def delete(self, name: MemoryName, condition: Precondition) -> None:
        """Remove a memory; see `MemoryStore.delete`."""
        with storage_errors(), self._of.locks.hold(name):
            row = self._of.catalogue.find(name)
            current = self._current_version(row, condition)
            condition.check(name, current)
            if row is None or current is None:
                raise MemoryNotFound(name)
            self._remove(row)

    def remove_expired(self, name: MemoryName) -> bool:
        """Remove a memory if it has expired; return whether it has."""
        with storage_errors(), self._of.locks.hold(name):
            row = self._of.catalogue.find(name)
            if row is None or not self._of.uses.has_expired(row):
                return False
            self._remove(row)
            return True

    def compact(self, name: MemoryName, *, closes_log: bool) -> bool:
        """Merge the parts of a memory into one segment; return whether that was done.

        The lock is not held while the segment is written: appends go on meanwhile, and readers and their versions stay
        as they are.

        :param name: the memory.
        :param closes_log: whether the log that takes appends is closed first, and merged too.
        """
        with damage_of_files(name), storage_errors():
            with self._of.locks.hold(name):
                row = self._of.catalogue.find(name)
                if row is not None and row.log is not None and closes_log:
                    row = self._close_log(row)
            if row is None or len(closed_parts(row)) < 2:
                return False
            merged = closed_parts(row)
            try:
                rows = [self._of.files.read(part, row) for part in merged]
            except FileNotFoundError:
                if self._of.catalogue.find(name) == row:
                    raise
                return False
            new, segment = self._of.files.make_segment(row.form, rows)
            with self._of.locks.hold(name):
                fresh = self._of.catalogue.find(name)
                if fresh is None or fresh.parts[: len(merged)] != merged:
                    new.discard()
                    return False
                self._commit(fresh, replace(fresh, parts=(segment, *fresh.parts[len(merged) :])), new)
                return True

    def _append(
        self, name: MemoryName, tensors: MemoryTensors, condition: Precondition
    ) -> tuple[Row, MemoryState, MemoryEnd]:
        """Add keys; return the row, the state, and the new version: other threads may move the state meanwhile."""
        row = self._reader.find(name)
        state = self._of.states.get(row)
        end = self._end(row, state)
        condition.check(name, end.version)
        self._verify(row, state)
        rows = rows_of(row.form, tensors, row.form.count(tensors))
        self._require_memory_quota(end.bytes + row.form.nbytes(rows.keys) + len(rows.labels))
        appended = Appended(rows, new_version(), self._of.clock())
        needed = record_bytes(row.form, rows.keys, rows.labels)
        if needed > MAX_RECORD_BYTES:
            row = self._append_segment(row, state, end, appended)
            end = self._end(row, state)
        else:
            if row.log is None or end.position.offset + needed > row.log.size:
                row = self._start_log(row, end, needed)
                end = self._end(row, state)
            record, position = encode_record(end.position, appended)
            self._write_record(row, state, end, record)
            end = self._extend(row, state, end, appended, position)
        self._of.uses.record(row)
        return row, state, end

    def _extend(
        self, row: Row, state: MemoryState, end: MemoryEnd, appended: Appended, position: LogPosition
    ) -> MemoryEnd:
        """Bring a state to the end of the record that was just written, without reading it; return the new version.

        :param end: the version in front of the record.
        :param position: behind the record.
        """
        with state.mutex:
            if state.end is end:
                state.extend(appended, position)
            else:
                # A reader has read the record already, or has gone back to an older row.
                self._reader.follow_locked(state, row)
            return state.end

    def _verify(self, row: Row, state: MemoryState) -> None:
        """Read the memory unless this process has: nothing is added to one that cannot be read.

        Raises DamagedFile.
        """
        if not state.is_verified:
            with state.mutex:
                self._reader.snapshot_of(state, row, self._reader.follow_locked)

    def _write_record(self, row: Row, state: MemoryState, end: MemoryEnd, record: bytes) -> None:
        """Write a record to the log of a row, which has room for it.

        A record that could not be written whole is cleared away.  One that could not be synced stays, since others may
        have read it.
        """
        log = row.parts[-1]
        file = self._of.files.open_log(log)
        if state.cleared_log != log.file_id:
            clear_from(file, end.position.offset, log.size)
            state.cleared_log = log.file_id
        written = 0
        try:
            while written < len(record):
                written += os.pwrite(file.number, memoryview(record)[written:], end.position.offset + written)
        except OSError:
            with suppress(OSError):
                clear_from(file, end.position.offset, log.size)
            raise
        if row.options.durability == "strict":
            os.fdatasync(file.number)
        else:
            self._of.syncer.add(file)

    def _append_segment(self, row: Row, state: MemoryState, end: MemoryEnd, appended: Appended) -> Row:
        """Make an append a segment of its own, behind the log, which is closed."""
        closed = self._with_closed_log(row, end)
        new, part = self._of.files.make_segment(row.form, [appended.rows])
        keys = end.keys + appended.rows.keys
        nbytes = end.bytes + row.form.nbytes(appended.rows.keys) + len(appended.rows.labels)
        parts = (*closed.parts, part)
        fresh = replace(
            closed, version=appended.version, keys=keys, bytes=nbytes, modified=appended.modified, parts=parts
        )
        self._commit(row, fresh, new)
        with state.mutex:
            if state.end.version == end.version and state.arrays is not None:
                state.arrays.append(appended.rows)
            elif state.end.version != end.version:
                state.arrays = None
            state.end = start_of(fresh)
        return fresh

    def _start_log(self, row: Row, end: MemoryEnd, needed: int) -> Row:
        """Close the log of a row, if there is one, and give it another.

        :param needed: bytes of the first record.
        """
        before = 0 if row.log is None else row.log.size
        room = self._of.limits.memories_bytes - self._of.catalogue.total()[0]
        capacity = min(MAX_LOG_BYTES, max(MIN_LOG_BYTES, RECORDS_PER_LOG * needed, 2 * before))
        capacity = max(min(capacity, room - room % PAGE_BYTES), needed)
        new, part = self._of.files.make_log(capacity + -capacity % PAGE_BYTES)
        closed = self._with_closed_log(row, end)
        fresh = replace(closed, parts=(*closed.parts, part))
        self._commit(row, fresh, new)
        return fresh

    def _close_log(self, row: Row) -> Row:
        """Close the log of a row."""
        closed = self._with_closed_log(row, self._end(row, self._of.states.get(row)))
        self._commit(row, closed, None)
        return closed

    def _with_closed_log(self, row: Row, end: MemoryEnd) -> Row:
        """Return a row as it is once its log takes no more appends; an empty log is left out."""
        if row.log is None:
            return row
        parts = row.parts[:-1]
        if end.position.offset:
            os.fdatasync(self._of.files.open_log(row.log).number)
            keys = end.keys - row.keys
            parts = (*parts, Part("closed_log", row.log.file_id, row.log.size, keys, end.position.offset))
        return replace(row, version=end.version, keys=end.keys, bytes=end.bytes, modified=end.modified, parts=parts)

    def _end(self, row: Row, state: MemoryState) -> MemoryEnd:
        """Return the current version, with the lock of the memory held."""
        with state.mutex:
            self._reader.follow_locked(state, row)
            return state.end

    def _current_version(self, row: Row | None, condition: Precondition) -> str | None:
        """Return the version that a precondition is checked against; None for no memory, and one that has expired."""
        if row is None or self._of.uses.has_expired(row):
            return None
        if condition == ALWAYS:
            # A damaged memory can be replaced and deleted.
            return row.version
        with damage_of_files(row.name):
            return self._end(row, self._of.states.get(row)).version

    def _commit(self, old: Row | None, row: Row, new: NewFile | None) -> None:
        """Store a row, and remove the files that it replaces.

        :param old: the row that is there; None for none.
        :param row: in its place.
        :param new: a file that `row` names and `old` does not; removed where the transaction fails.
        """
        try:
            with self._of.catalogue.transaction() as connection:
                self._require_total_quota(self._of.catalogue.total_in(connection), old, _file_bytes(row))
                self._of.catalogue.store(connection, row)
        except BaseException:
            if new is not None:
                self._discard(row, new)
            raise
        if old is not None:
            kept = {part.file_id for part in row.parts}
            self._of.files.remove(part for part in old.parts if part.file_id not in kept)

    def _discard(self, row: Row, new: NewFile) -> None:
        """Remove a new file unless the transaction that failed has happened after all; else a sweep removes it."""
        with suppress(Exception):
            if self._of.catalogue.find(row.name) != row:
                new.discard()

    def _remove(self, row: Row) -> None:
        """Remove a memory, whose lock is held, also where the file system is full."""
        try:
            self._remove_row(row)
        except StorageFull:
            self._of.reserve.release()
            self._of.catalogue.shorten()
            self._remove_row(row)
        self._of.files.remove(row.parts)
        self._forget(row)
        self._of.reserve.fill()

    def _remove_row(self, row: Row) -> None:
        with storage_errors(), self._of.catalogue.transaction() as connection:
            self._of.catalogue.remove(connection, row.name)

    def _forget(self, row: Row) -> None:
        """Drop the state and the last use of a memory that is gone."""
        self._of.states.forget(row.generation)
        self._of.uses.forget(row.generation)

    def _require_memory_quota(self, nbytes: int) -> None:
        limit = self._of.limits.memory_bytes
        if nbytes > limit:
            raise QuotaExceeded("memory_bytes", limit, nbytes)

    def _require_total_quota(self, held: int, old: Row | None, nbytes: int) -> None:
        """Raise QuotaExceeded unless the files of all memories may have these bytes in the place of a row's."""
        limit, before = self._of.limits.memories_bytes, 0 if old is None else _file_bytes(old)
        required = held - before + nbytes
        if required > limit and nbytes > before:
            raise QuotaExceeded("memories_bytes", limit, required)


def _file_bytes(row: Row) -> int:
    return sum(part.size for part in row.parts)
