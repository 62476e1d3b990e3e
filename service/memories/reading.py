"""Reading memories: without locks, and begun again where a writer has replaced the files in the meantime."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from service.memories.append_log import TornRecord, clear_from, holds_record
from service.memories.arrays import ArraySnapshot
from service.memories.catalogue import Row
from service.memories.errors import DamagedFile, MemoryDamaged, MemoryNotFound, VersionGone, damage_of
from service.memories.naming import MemoryName
from service.memories.resources import StoreResources
from service.memories.state import MemoryEnd, MemoryState, start_of
from service.memories.store import MemoryDescription

Result = TypeVar("Result")

Follow = Callable[[MemoryState, Row], None]
"""Brings a state, whose mutex is held, to the end of the log of a row."""


@contextmanager
def damage_of_files(name: MemoryName) -> Iterator[None]:
    """Raise MemoryDamaged for a file that is missing or damaged."""
    with damage_of(name):
        try:
            yield
        except FileNotFoundError as error:
            raise MemoryDamaged(name, f"no file {Path(error.filename).name}") from error


class MemoryReader:
    """Reads memories.

    :param resources: of the store.
    """

    def __init__(self, resources: StoreResources) -> None:
        self._of = resources

    def find(self, name: MemoryName) -> Row:
        """Return the row of a memory.

        Raises MemoryNotFound for one that does not exist or has expired.
        """
        row = self._of.catalogue.find(name)
        if row is None or self._of.uses.has_expired(row):
            raise MemoryNotFound(name)
        return row

    def describe(self, name: MemoryName) -> MemoryDescription:
        """Return the description of a memory."""
        return self._read(name, self._describe)

    def snapshot(self, name: MemoryName, version: str | None) -> ArraySnapshot:
        """Return a memory for reading, and note the use.

        :param name: the memory.
        :param version: the only one that will do; None for the current one.
        """

        def take(row: Row, follow: Follow) -> ArraySnapshot:
            state = self._of.states.get(row)
            with state.mutex:
                follow(state, row)
                _require_version(name, version, state.end)
                return self.snapshot_of(state, row, follow)

        return self._read(name, take)

    def loaded_snapshot(self, name: MemoryName, version: str | None) -> ArraySnapshot | None:
        """Return a snapshot where the arrays are in this process and no thread is reading them in, else None."""
        row = self.find(name)
        state = self._of.states.get(row)
        if not state.is_loaded or not state.mutex.acquire(blocking=False):
            return None
        try:
            self.follow(state, row)
            if state.arrays is None:
                return None
            _require_version(name, version, state.end)
            return self.snapshot_of(state, row, self.follow)
        except (TornRecord, FileNotFoundError, DamagedFile):
            return None
        finally:
            state.mutex.release()

    def list(self, owner: str, limit: int, after: str) -> list[MemoryDescription]:
        """Return the first memories of an owner whose names sort behind `after`; a damaged one as its row says."""
        described: list[MemoryDescription] = []
        while len(described) < limit:
            rows = self._of.catalogue.page(owner, limit - len(described), after)
            if not rows:
                break
            described += [self._describe_listed(row) for row in rows if not self._of.uses.has_expired(row)]
            after = rows[-1].name.name
        return described

    def follow(self, state: MemoryState, row: Row) -> None:
        """Bring a state, whose mutex is held, to the end of the log.

        Raises TornRecord, FileNotFoundError where the row is out of date, or DamagedFile.
        """
        state.follow(row, self._of.files.open_log)

    def follow_locked(self, state: MemoryState, row: Row) -> None:
        """Do as `follow` with the lock of the memory held: a record that is not whole was cut off, and is cleared away.

        Raises FileNotFoundError or DamagedFile.
        """
        try:
            self.follow(state, row)
        except TornRecord as error:
            log = row.parts[-1]
            if error.reason is not None:
                raise DamagedFile(f"{self._of.files.path(log).name} with {error.reason}") from None
            clear_from(self._of.files.open_log(log), state.end.position.offset, log.size)

    def snapshot_of(self, state: MemoryState, row: Row, follow: Follow) -> ArraySnapshot:
        """Return the version that a state, whose mutex is held, has reached; note the use.

        :param state: of the memory.
        :param row: the memory in the catalogue.
        :param follow: `follow` or `follow_locked`.
        """
        arrays = state.arrays
        if arrays is None:
            arrays = state.load(row, self._of.files)
            follow(state, row)
            self._of.states.trim()
        if not state.is_verified:
            self._require_end_of_log(state, row, is_locked=follow == self.follow_locked)
            state.is_verified = True
        if row.options.ttl_seconds is not None:
            self._of.uses.record(row)
            return ArraySnapshot(self.description(row, state.end), *arrays.views(), arrays.labels)
        # Without a time to live nothing of a snapshot goes by the time: it serves until the memory changes, which takes
        # 6 of the 210 µs of a query on a small memory less (benchmarks/RESULTS.md, "Memories").
        described = arrays.described
        if described is None or described[0] is not row or described[1] != state.end:
            snapshot = ArraySnapshot(self.description(row, state.end), *arrays.views(), arrays.labels)
            arrays.described = described = row, state.end, snapshot
        return described[2]

    def _require_end_of_log(self, state: MemoryState, row: Row, *, is_locked: bool) -> None:
        """Raise DamagedFile where whole records stand behind zeros, in a log whose every record is synced.

        Without the lock of the memory they may have been written meanwhile: TornRecord.
        """
        log, offset = row.log, state.end.position.offset
        if log is None or row.options.durability != "strict" or state.end.log_id != log.file_id:
            return
        if holds_record(self._of.files.open_log(log), offset, log.size):
            reason = f"zeros at byte {offset} in front of a record"
            if not is_locked:
                raise TornRecord(reason)
            raise DamagedFile(f"{self._of.files.path(log).name} with {reason}")

    def description(self, row: Row, end: MemoryEnd) -> MemoryDescription:
        """Return the description of a version."""
        form = row.form
        return MemoryDescription(
            name=row.name.name,
            version=end.version,
            key_shape=form.key.shape(end.keys),
            value_shape=None if form.value is None else form.value.shape(end.keys),
            keys=end.keys,
            bytes=end.bytes,
            labels=form.labels,
            created=row.created,
            modified=end.modified,
            expires=self._of.uses.expires(row),
            options=row.options,
        )

    def _describe(self, row: Row, follow: Follow) -> MemoryDescription:
        if row.log is None:
            return self.description(row, start_of(row))
        state = self._of.states.get(row)
        with state.mutex:
            follow(state, row)
            return self.description(row, state.end)

    def _describe_listed(self, row: Row) -> MemoryDescription:
        try:
            return self._describe(row, self.follow)
        except (TornRecord, FileNotFoundError, DamagedFile):
            pass
        try:
            return self.describe(row.name)
        except (MemoryNotFound, MemoryDamaged):
            return self.description(row, start_of(row))

    def _read(self, name: MemoryName, act: Callable[[Row, Follow], Result]) -> Result:
        """Return the result of an action on the row of a memory.

        The action is called again with a fresh row while files of the row are gone, and with the lock of the memory
        where a record is not whole, which may be one that is being written.

        :param name: the memory.
        :param act: called with the row, and with `follow` or `follow_locked`.
        """
        with damage_of_files(name):
            try:
                return self._read_current(name, act, self.follow)
            except TornRecord:
                with self._of.locks.hold(name):
                    return self._read_current(name, act, self.follow_locked)

    def _read_current(self, name: MemoryName, act: Callable[[Row, Follow], Result], follow: Follow) -> Result:
        row = self.find(name)
        while True:
            try:
                return act(row, follow)
            except FileNotFoundError:
                before, row = row, self.find(name)
                if row == before:
                    raise


def _require_version(name: MemoryName, version: str | None, end: MemoryEnd) -> None:
    """Raise VersionGone unless a version is None or the current one."""
    if version is not None and end.version != version:
        raise VersionGone(name, version, end.version)
