"""Reading memories: one question for the version and the appends that this process has not seen."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Final, NamedTuple

from service.memories.arrays import ArraySnapshot
from service.memories.errors import DamagedFile, MemoryNotFound, MemoryStoreError, VersionGone, damage_of
from service.memories.form import MemoryForm
from service.memories.naming import MemoryName
from service.memories.redis.connection import Script
from service.memories.redis.records import decode_record
from service.memories.redis.resources import RedisResources
from service.memories.redis.rows import RedisRow, SegmentPart, row_of, script_arguments
from service.memories.redis.scripts import LIST, NOTE_USE, READ
from service.memories.redis.segments import SegmentGone
from service.memories.redis.state import LoadedArrays, RedisState
from service.memories.segment import Rows
from service.memories.store import MemoryDescription

PAGE_BYTES: Final = 8 * 1024 * 1024
"""Bytes of appends that one answer holds, about."""

READ_SCRIPT, NOTE_USE_SCRIPT, LIST_SCRIPT = Script(READ), Script(NOTE_USE), Script(LIST)


class Page(NamedTuple):
    """An answer about a memory.

    :param row: the memory.
    :param is_known: whether its appends follow those that the question named.
    :param first: number of the first append in the answer.
    :param records: the appends, or the first of them.
    """

    row: RedisRow
    is_known: bool
    first: int
    records: list[bytes]

    @property
    def is_last(self) -> bool:
        """Whether no append is missing behind those of the answer."""
        return self.first + len(self.records) >= self.row.records


class RedisReader:
    """Reads memories.

    :param resources: of the store.
    """

    def __init__(self, resources: RedisResources) -> None:
        self._of = resources

    def find(self, name: MemoryName) -> RedisRow:
        """Return a memory.

        Raises MemoryNotFound for one that does not exist or has expired.
        """
        row = self._ask(name, None, page_bytes=0).row
        self._of.states.get(name).row = row
        return row

    def snapshot(self, name: MemoryName, version: str | None) -> ArraySnapshot:
        """Return a memory for reading, and note the use.

        :param name: the memory.
        :param version: the only one that will do; None for the current one.
        """
        row, arrays = self.load(name, version, is_use=True)
        return arrays.snapshot(row, self._of.clock())

    def load(
        self, name: MemoryName, version: str | None = None, *, is_use: bool = False
    ) -> tuple[RedisRow, LoadedArrays]:
        """Return a memory, and arrays that hold all of its keys.

        :param name: the memory.
        :param version: the only one that will do; None for the current one.
        :param is_use: whether the time to live begins anew.
        """
        state, missing = self._of.states.get(name), ""
        arrays = state.arrays
        with damage_of(name):
            while True:
                page = self._ask(name, arrays, is_use=is_use, wanted=version)
                if version is not None and page.row.version != version:
                    raise VersionGone(name, version, page.row.version)
                is_use, state.row = False, page.row
                try:
                    if arrays is None or not page.is_known:
                        arrays, is_fresh = self._load_segments(state, arrays, page.row)
                        if not is_fresh:
                            continue
                    arrays.extend(page.first, self.decode(page.records, page.row.form))
                except SegmentGone as error:
                    # The memory was merged, replaced or deleted since the answer, or the segment is lost.
                    if error.segment_id == missing:
                        raise DamagedFile(f"no segment {missing}") from error
                    missing = error.segment_id
                    continue
                if page.is_last:
                    return page.row, arrays
                if not page.records:
                    raise DamagedFile("fewer appends than were stored")

    def describe(self, name: MemoryName) -> MemoryDescription:
        """Return the description of a memory."""
        return self.find(name).description()

    def page_of_owner(self, owner: str, limit: int, after: str) -> list[MemoryDescription]:
        """Return the first memories of an owner whose names sort behind `after`."""
        described: list[MemoryDescription] = []
        while len(described) < limit:
            prefix, place, now = script_arguments(self._of.keys.prefix, MemoryName(owner, ""), self._of.clock())
            wanted = limit - len(described)
            [_, listed] = self._of.connection.read(LIST_SCRIPT, prefix, place.rstrip(":"), now, after, wanted)
            rows = [row_of(MemoryName(owner, name.decode()), lines) for name, lines in listed if lines]
            described += [row.description() for row in rows]
            if len(listed) < wanted:
                break
            after = listed[-1][0].decode()
        return described

    def decode(self, records: Sequence[bytes], form: MemoryForm) -> list[tuple[str, Rows]]:
        """Return version and keys of appends; those of segments are read.

        Raises SegmentGone or DamagedFile.
        """
        decoded = []
        for record in records:
            version, content = decode_record(record, form)
            rows = self._of.segments.read(content, form) if isinstance(content, SegmentPart) else content
            decoded.append((version, rows))
        return decoded

    def page(self, row: RedisRow, first: int, version: str) -> Page:
        """Return appends of a memory from a number on; `is_known` is false where the memory has changed too much.

        :param row: the memory.
        :param first: number of the first append.
        :param version: that the append before it made.
        """
        return self._page(row.name, row.generation, (first, version), PAGE_BYTES, is_use=False, wanted=None)

    def _ask(
        self,
        name: MemoryName,
        arrays: LoadedArrays | None,
        *,
        page_bytes: int = PAGE_BYTES,
        is_use: bool = False,
        wanted: str | None = None,
    ) -> Page:
        generation, seen = ("", (0, "")) if arrays is None else (arrays.generation, arrays.seen)
        return self._page(name, generation, seen, page_bytes, is_use=is_use, wanted=wanted)

    def _page(
        self,
        name: MemoryName,
        generation: str,
        seen: tuple[int, str],
        page_bytes: int,
        *,
        is_use: bool,
        wanted: str | None,
    ) -> Page:
        arguments = script_arguments(self._of.keys.prefix, name, self._of.clock())
        status, *answer = self._of.connection.read(
            READ_SCRIPT, *arguments, generation, *seen, page_bytes, int(is_use), wanted or ""
        )
        if status == b"missing":
            self._of.states.forget(name)
            raise MemoryNotFound(name)
        lines, is_known, first, records, is_noted = answer
        row = row_of(name, lines)
        if not is_noted:
            # The server is at its limit of memory, or takes no writes: a read goes on.
            with suppress(MemoryStoreError):
                self._of.connection.write(NOTE_USE_SCRIPT, *arguments, row.generation)
        return Page(row, bool(is_known), first, records)

    def _load_segments(
        self, state: RedisState, arrays: LoadedArrays | None, row: RedisRow
    ) -> tuple[LoadedArrays, bool]:
        """Return arrays of the segments of a memory, and whether they are those of the row.

        Those that another thread has put in the place of `arrays` may be of another row: Redis has to be asked again.

        :param state: of the memory.
        :param arrays: that do not serve; None for none.
        :param row: the memory.
        """
        with state.mutex:
            others = state.arrays
            if others is not None and others is not arrays:
                return others, False
            fresh = LoadedArrays(row, [self._of.segments.read(part, row.form) for part in row.segments])
            state.arrays = fresh
        self._of.states.trim()
        return fresh, True
