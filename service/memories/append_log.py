"""Logs of appends: files of a fixed length into which each append writes one record with one write and one sync.

A file is written full of zeros when it is made, so that a sync later writes the record and no metadata of the file
system.  Records stand one behind the other from byte 0, each at a multiple of 64: header, keys, values, labels, and the
checksums of header and payload once more as a footer.  The checksum of a header goes on from the one before it, so that
neither an older record nor bytes that a client sends can be taken for the next one.

A write that was cut off leaves a record without its footer, or after a power loss with sectors of zeros.  A record that
does not fit its checksum is damaged if it has neither, or if a later record says that it must have been synced.
"""

import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from service.memories.files import Buffer, Descriptor
from service.memories.form import MemoryForm
from service.memories.naming import VERSION_LENGTH
from service.memories.segment import Rows, split_rows

SUFFIX = ".log"

MIN_LOG_BYTES = 256 * 1024
MAX_LOG_BYTES = 16 * 1024 * 1024
RECORDS_PER_LOG = 64
"""A first log has room for this many records as long as its first, between the two limits."""

ALIGNMENT = 64
"""Records begin at a multiple of it, so that a header lies within one sector and one page."""

SECTOR_BYTES = 512

_HEADER = struct.Struct(f"<4sIIIQQQd{VERSION_LENGTH}s")
"""Magic number, checksums of header and payload, bytes of labels, bytes of payload, sequence, keys, time, version."""

_CHECKED_FROM = 8
"""Byte of a header from which on its checksum counts."""

_FOOTER = struct.Struct("<II")

_MAGIC = b"ATLR"


class Appended(NamedTuple):
    """An append as a record holds it.

    :param rows: its keys.
    :param version: that it made.
    :param modified: when, in seconds since 1970.
    """

    rows: Rows
    version: str
    modified: float


@dataclass(frozen=True, slots=True)
class LogPosition:
    """The end of a record in a log.

    :param offset: byte at which the next record begins.
    :param sequence: number of records before it.
    :param chain: checksum of the header of the last one.
    """

    offset: int
    sequence: int
    chain: int


def log_start(log_id: str) -> LogPosition:
    """Return the position of the first record of a log."""
    return LogPosition(0, 0, zlib.crc32(log_id.encode()))


def record_bytes(form: MemoryForm, keys: int, labels: Buffer) -> int:
    """Return the bytes of the record of an append."""
    used = _HEADER.size + form.nbytes(keys) + len(labels) + _FOOTER.size
    return used + -used % ALIGNMENT


def encode_record(position: LogPosition, appended: Appended) -> tuple[bytes, LogPosition]:
    """Return the record of an append at a position, and the position behind it."""
    rows = appended.rows
    payload = b"".join((*(tensor.tobytes() for tensor in rows.tensors), rows.labels))
    payload_sum = zlib.crc32(payload)
    version = appended.version.encode()
    fields = (len(rows.labels), len(payload), position.sequence, rows.keys, appended.modified, version)
    header = _HEADER.pack(_MAGIC, 0, payload_sum, *fields)
    header_sum = zlib.crc32(memoryview(header)[_CHECKED_FROM:], position.chain)
    record = _HEADER.pack(_MAGIC, header_sum, payload_sum, *fields) + payload + _FOOTER.pack(header_sum, payload_sum)
    record += bytes(-len(record) % ALIGNMENT)
    return record, LogPosition(position.offset + len(record), position.sequence + 1, header_sum)


class TornRecord(Exception):
    """The bytes behind the last record are no record: one is being written, was cut off, or is damaged.

    :param reason: how it is damaged if no write is going on; None for one that was cut off.
    """

    def __init__(self, reason: str | None) -> None:
        self.reason = reason
        super().__init__(reason)


def read_records(
    file: Descriptor, position: LogPosition, form: MemoryForm, unsynced_seconds: float
) -> Iterator[tuple[Appended, LogPosition]]:
    """Yield the appends behind a position, each with the position behind it; end where zeros are.

    :param file: the log.
    :param position: from which to read.
    :param form: of the memory.
    :param unsynced_seconds: longest time between the write of a record and its sync, during which others may follow.

    Raises TornRecord at bytes that are no record.
    """
    while True:
        header = _read_header(file, position)
        if header is None:
            return
        used = header.payload_bytes + _FOOTER.size
        rest = os.pread(file.number, used, position.offset + _HEADER.size)
        payload = memoryview(rest)[: header.payload_bytes]
        footer = _FOOTER.pack(header.checksum, header.payload_checksum)
        following = header.following(position)
        if len(payload) != header.payload_bytes or zlib.crc32(payload) != header.payload_checksum:
            whole = rest[header.payload_bytes :] == footer and _has_no_empty_sector(position.offset, rest)
            damaged = whole or _is_synced(file, following, header.modified + unsynced_seconds)
            raise TornRecord(f"a record at byte {position.offset} with another checksum" if damaged else None)
        rows = split_rows(payload, form, header.keys)
        yield Appended(rows, header.version.decode(), header.modified), following
        position = following


class _Header(NamedTuple):
    """The header of a record."""

    magic: bytes
    checksum: int
    payload_checksum: int
    labels_bytes: int
    payload_bytes: int
    sequence: int
    keys: int
    modified: float
    version: bytes

    def following(self, position: LogPosition) -> LogPosition:
        """Return the position behind the record at a position."""
        used = _HEADER.size + self.payload_bytes + _FOOTER.size
        return LogPosition(position.offset + used + -used % ALIGNMENT, position.sequence + 1, self.checksum)


def _read_header(file: Descriptor, position: LogPosition) -> _Header | None:
    """Return the header at a position; None for zeros and the end of the file; raises TornRecord for anything else."""
    raw = os.pread(file.number, _HEADER.size, position.offset)
    if len(raw) < _HEADER.size or not any(raw):
        return None
    header = _Header(*_HEADER.unpack(raw))
    if zlib.crc32(memoryview(raw)[_CHECKED_FROM:], position.chain) != header.checksum or header.magic != _MAGIC:
        raise TornRecord(f"a header at byte {position.offset} with another checksum")
    return header


def _has_no_empty_sector(offset: int, rest: bytes) -> bool:
    """Return whether no sector of a record is full of zeros, as one is that never reached the disk.

    :param offset: byte of the log at which the record begins.
    :param rest: bytes of the record behind its header.
    """
    first = -(offset + _HEADER.size) % SECTOR_BYTES
    return all(any(rest[begin : begin + SECTOR_BYTES]) for begin in range(first, len(rest), SECTOR_BYTES))


def _is_synced(file: Descriptor, position: LogPosition, synced: float) -> bool:
    """Return whether a later record shows that the one before a position had reached the disk.

    :param position: behind the record.
    :param synced: time from which on it was synced, in seconds since 1970.
    """
    try:
        while (header := _read_header(file, position)) is not None:
            if header.modified >= synced:
                return True
            position = header.following(position)
    except TornRecord:
        pass
    return False


def holds_record(file: Descriptor, offset: int, capacity: int) -> bool:
    """Return whether anything behind a byte looks like the start of a record.

    :param file: the log.
    :param offset: byte behind the last record.
    :param capacity: bytes of the log.
    """
    rest = os.pread(file.number, capacity - offset, offset)
    found = rest.find(_MAGIC)
    while found >= 0 and found % ALIGNMENT:
        found = rest.find(_MAGIC, found + 1)
    return found >= 0


def clear_from(file: Descriptor, offset: int, capacity: int) -> None:
    """Write zeros over everything behind the last record: what a write that was cut off, or a power loss, has left.

    :param file: the log.
    :param offset: byte behind the last record.
    :param capacity: bytes of the log.
    """
    if any(os.pread(file.number, capacity - offset, offset)):
        os.pwrite(file.number, bytes(capacity - offset), offset)
