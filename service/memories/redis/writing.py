"""Writing memories: each write is one script, which Redis runs as a whole or not at all."""

import json
from contextlib import suppress
from typing import Any, NamedTuple, cast

from service.memories.arrays import ArraySnapshot
from service.memories.errors import (
    DamagedFile,
    IncompatibleTensors,
    MemoryNotFound,
    MemoryStoreError,
    QuotaExceeded,
    StoreUnavailable,
    damage_of,
)
from service.memories.form import form_of
from service.memories.naming import MemoryName, new_file_id, new_version
from service.memories.redis.connection import Script
from service.memories.redis.reading import PAGE_BYTES, RedisReader
from service.memories.redis.records import MAX_RECORD_BYTES, Record, decode_record, encode_rows, encode_segment
from service.memories.redis.resources import RedisResources
from service.memories.redis.rows import (
    RedisRow,
    SegmentPart,
    condition_argument,
    describe,
    row_of,
    script_arguments,
)
from service.memories.redis.scripts import APPEND, DELETE, MERGE, PUT
from service.memories.redis.segments import UPLOAD_SECONDS, SegmentGone, SegmentUpload
from service.memories.redis.state import LoadedArrays
from service.memories.segment import Rows, join_rows
from service.memories.store import MemoryDescription, MemoryOptions, MemoryTensors, Precondition
from service.memories.writing import rows_of

PUT_SCRIPT, APPEND_SCRIPT, DELETE_SCRIPT, MERGE_SCRIPT = Script(PUT), Script(APPEND), Script(DELETE), Script(MERGE)


class Merged(NamedTuple):
    """What a merge takes the place of.

    :param parts: segments of the memory, and of appends.
    :param rows: keys of all of them, and of the other appends.
    :param records: number of appends.
    :param record_bytes: of these in the list.
    :param version: that the last of them made.
    """

    parts: list[SegmentPart]
    rows: list[Rows]
    records: int
    record_bytes: int
    version: str


class RedisWriter:
    """Writes memories.

    :param resources: of the store.
    :param reader: of the store.
    """

    def __init__(self, resources: RedisResources, reader: RedisReader) -> None:
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
        asked, limit = condition_argument(condition), self._of.limits.memories_bytes
        # Asked before anything is sent: what would be refused costs no memory of the server.
        answer = self._of.connection.read(PUT_SCRIPT, *self._place(name), 1, asked, limit, nbytes, *[""] * 7)
        self._require_ok(name, condition, answer)
        upload, part = self._of.segments.upload(form, [rows])
        ttl = "" if options.ttl_seconds is None else repr(options.ttl_seconds)
        fields = (new_file_id(), new_version(), rows.keys, nbytes, ttl, describe(form, options), json.dumps([part]))
        arguments = (*self._place(name), 0, asked, limit, part.size, *fields)
        answer = self._commit(PUT_SCRIPT, upload, *arguments, *upload.chunk_keys)
        self._require_ok(name, condition, answer)
        self._of.states.forget(name)
        _, lines, is_new = answer
        return row_of(name, lines).description(), bool(is_new)

    def append(self, name: MemoryName, tensors: MemoryTensors, condition: Precondition) -> MemoryDescription:
        """Add keys; see `MemoryStore.append`."""
        row, _ = self._append(name, tensors, condition, reads=False)
        return row.description()

    def append_and_read(self, name: MemoryName, tensors: MemoryTensors, condition: Precondition) -> ArraySnapshot:
        """Add keys and return a snapshot; see `MemoryStore.append_and_read`."""
        row, arrays = self._append(name, tensors, condition, reads=True)
        return cast("LoadedArrays", arrays).snapshot(row, row.used)

    def delete(self, name: MemoryName, condition: Precondition) -> None:
        """Remove a memory; see `MemoryStore.delete`."""
        answer = self._of.connection.write(DELETE_SCRIPT, *self._place(name), condition_argument(condition))
        self._require_ok(name, condition, answer)
        self._of.states.forget(name)

    def merge(self, row: RedisRow, first: int) -> bool:
        """Make one segment of segments and of all appends behind them; return whether that was done.

        Appends go on meanwhile, and readers and their versions stay as they are.

        :param row: the memory.
        :param first: place of the first segment that is merged.
        """
        with damage_of(row.name):
            merged = self._read_parts(row, row.segments[first:])
            if merged is None or len(row.segments) - first + merged.records < 2:
                return False
            upload, part = self._of.segments.upload(row.form, merged.rows)
        segments = (*row.segments[:first], part)
        removed = [key for old in merged.parts for key in self._of.keys.segment_chunks(old.segment_id, old.chunks)]
        stored = part.size - merged.record_bytes - sum(old.size for old in merged.parts)
        answer = self._commit(
            MERGE_SCRIPT,
            upload,
            *self._place(row.name),
            *(
                row.generation,
                json.dumps(row.segments),
                row.first,
                merged.records,
                json.dumps(segments),
                merged.version,
            ),
            *(merged.record_bytes, stored, json.dumps(removed), int(len(segments) == 1)),
            *upload.chunk_keys,
        )
        if answer[0] != b"ok":
            return False
        self._of.segments.forget(old.segment_id for old in merged.parts)
        return True

    def _read_parts(self, row: RedisRow, segments: tuple[SegmentPart, ...]) -> Merged | None:
        """Return segments and all appends of a memory; None if it has changed too much since.

        Raises DamagedFile.
        """
        records: list[bytes] = []
        version = row.first_version
        decoded: list[Record] = []
        while row.first + len(records) < row.records:
            page = self._reader.page(row, row.first + len(records), version)
            if not page.is_known or page.row.segments != row.segments:
                return None
            if not page.records:
                raise DamagedFile("fewer appends than were stored")
            records += page.records[: row.records - row.first - len(records)]
            decoded += [decode_record(record, row.form) for record in records[len(decoded) :]]
            version = decoded[-1].version
        parts = [*segments, *(one.content for one in decoded if isinstance(one.content, SegmentPart))]
        try:
            read = {part: self._of.segments.read(part, row.form) for part in parts}
        except SegmentGone as error:
            fresh = self._reader.find(row.name)
            if (fresh.generation, fresh.segments, fresh.first) == (row.generation, row.segments, row.first):
                raise DamagedFile(f"no segment {error.segment_id}") from error
            return None
        appended = [read[one.content] if isinstance(one.content, SegmentPart) else one.content for one in decoded]
        rows = [*(read[part] for part in segments), *([join_rows(appended)] if appended else [])]
        return Merged(parts, rows, len(records), sum(map(len, records)), version)

    def _append(
        self, name: MemoryName, tensors: MemoryTensors, condition: Precondition, *, reads: bool
    ) -> tuple[RedisRow, LoadedArrays | None]:
        """Add keys; return the memory with them, and arrays that hold its keys if it is to be read."""
        while True:
            # Another thread may have dropped the state.
            state = self._of.states.get(name)
            row, arrays = state.row, state.arrays if reads else None
            if reads and (row is None or arrays is None or arrays.generation != row.generation):
                row, arrays = self._reader.load(name)
            elif row is None:
                row = self._reader.find(name)
            rows = self._fit(row, tensors, condition)
            if rows is None:
                continue
            version = new_version()
            upload, record = self._encode(row, rows, version, condition)
            seen = (0, "") if arrays is None else arrays.seen
            added = rows.keys, row.form.nbytes(rows.keys) + len(rows.labels)
            answer = self._commit(
                APPEND_SCRIPT,
                upload,
                *(*self._place(name), condition_argument(condition)),
                *(self._of.limits.memory_bytes, self._of.limits.memories_bytes),
                *(row.generation, version, *added, record, 0 if upload is None else upload.size),
                *(int(reads), *seen, PAGE_BYTES),
                *([] if upload is None else upload.chunk_keys),
            )
            if answer[0] in (b"replaced", b"behind"):
                state.row = None
                continue
            self._require_ok(name, condition, answer)
            _, lines, before = answer
            state.row = row = row_of(name, lines)
            if arrays is not None:
                with damage_of(name):
                    arrays.extend(seen[0], [*self._reader.decode(before, row.form), (version, rows)])
            return row, arrays

    def _fit(self, row: RedisRow, tensors: MemoryTensors, condition: Precondition) -> Rows | None:
        """Return tensors as a memory stores them; None where it was replaced by one of another form.

        Raises MemoryNotFound, VersionMismatch or IncompatibleTensors.
        """
        try:
            return rows_of(row.form, tensors, row.form.count(tensors))
        except IncompatibleTensors:
            fresh = self._reader.find(row.name)
            condition.check(row.name, fresh.version)
            if fresh.generation == row.generation:
                raise
            return None

    def _encode(
        self, row: RedisRow, rows: Rows, version: str, condition: Precondition
    ) -> tuple[SegmentUpload | None, bytes]:
        """Return the record of an append; of a long one also the segment, which is written first."""
        nbytes = row.form.nbytes(rows.keys) + len(rows.labels)
        if nbytes <= MAX_RECORD_BYTES:
            return None, encode_rows(version, rows)
        fresh = self._reader.find(row.name)
        condition.check(row.name, fresh.version)
        self._require_memory_quota(fresh.bytes + nbytes)
        held, limit = self._of.connection.total(self._of.keys)[0] + nbytes, self._of.limits.memories_bytes
        if held > limit:
            raise QuotaExceeded("memories_bytes", limit, held)
        upload, part = self._of.segments.upload(row.form, [rows])
        return upload, encode_segment(version, part)

    def _commit(self, script: Script, upload: SegmentUpload | None, *arguments: Any) -> list[Any]:
        """Return the answer of a script that makes a segment part of a memory, and keep the segment if it did."""
        try:
            answer = self._of.connection.write(script, *arguments)
        except BaseException as error:
            if upload is not None and isinstance(error, StoreUnavailable):
                upload.abandon()
            elif upload is not None:
                with suppress(MemoryStoreError):
                    upload.discard()
            raise
        if upload is not None and answer[0] == b"ok":
            upload.keep()
        elif upload is not None:
            upload.discard()
        return answer

    def _place(self, name: MemoryName) -> tuple[str, str, str]:
        return script_arguments(self._of.keys.prefix, name, self._of.clock())

    def _require_ok(self, name: MemoryName, condition: Precondition, answer: list[Any]) -> None:
        """Raise the error that the status of an answer stands for."""
        status = answer[0]
        if status == b"ok":
            return
        if status == b"missing":
            self._of.states.forget(name)
            raise MemoryNotFound(name)
        if status == b"mismatch":
            condition.check(name, answer[1].decode() or None)
        elif status == b"memory_quota":
            raise QuotaExceeded("memory_bytes", self._of.limits.memory_bytes, int(answer[1]))
        elif status == b"total_quota":
            raise QuotaExceeded("memories_bytes", self._of.limits.memories_bytes, int(answer[1]))
        elif status == b"lost":
            raise StoreUnavailable(f"writing took longer than {UPLOAD_SECONDS} s")
        raise RuntimeError(f"expected a status of a script; received {status!r}")

    def _require_memory_quota(self, nbytes: int) -> None:
        limit = self._of.limits.memory_bytes
        if nbytes > limit:
            raise QuotaExceeded("memory_bytes", limit, nbytes)
