"""Records: appends as the list of a memory holds them.

A record is a header, and either the keys that were appended or the segment that holds them, if they are many.
"""

import json
import struct
import zlib
from typing import NamedTuple

from service.memories.errors import DamagedFile
from service.memories.form import MemoryForm
from service.memories.naming import VERSION_LENGTH
from service.memories.redis.rows import SegmentPart
from service.memories.segment import Rows, split_rows

MAX_RECORD_BYTES = 1024 * 1024
"""Longest append that becomes a record of its own; a longer one becomes a segment, which is read once and cached."""

_HEADER = struct.Struct(f"<{VERSION_LENGTH}sI?Q")
"""Version, checksum of all but itself, whether a segment has the keys, number of keys; scripts read first and third."""

_KEYS_FROM = VERSION_LENGTH + 4


class Record(NamedTuple):
    """An append.

    :param version: that it made.
    :param content: the keys, or the segment that holds them.
    """

    version: str
    content: Rows | SegmentPart


def encode_rows(version: str, rows: Rows) -> bytes:
    """Return the record of keys."""
    payload = b"".join((*(tensor.tobytes() for tensor in rows.tensors), rows.labels))
    return _encode(version, payload, rows.keys, is_segment=False)


def encode_segment(version: str, part: SegmentPart) -> bytes:
    """Return the record of a segment."""
    return _encode(version, json.dumps(part).encode(), part.keys, is_segment=True)


def _encode(version: str, payload: bytes, keys: int, *, is_segment: bool) -> bytes:
    header = _HEADER.pack(version.encode(), 0, is_segment, keys)
    checksum = zlib.crc32(payload, _header_checksum(header))
    return _HEADER.pack(version.encode(), checksum, is_segment, keys) + payload


def _header_checksum(record: bytes) -> int:
    view = memoryview(record)
    return zlib.crc32(view[_KEYS_FROM : _HEADER.size], zlib.crc32(view[:VERSION_LENGTH]))


def decode_record(record: bytes, form: MemoryForm) -> Record:
    """Return the append of a record.

    :param record: as Redis returns it.
    :param form: of the memory.

    Raises DamagedFile.
    """
    if len(record) < _HEADER.size:
        raise DamagedFile(f"a record of {len(record)} bytes")
    version, checksum, is_segment, keys = _HEADER.unpack_from(record)
    payload = memoryview(record)[_HEADER.size :]
    if zlib.crc32(payload, _header_checksum(record)) != checksum:
        raise DamagedFile("a record with another checksum than it was stored with")
    content = SegmentPart(*json.loads(bytes(payload))) if is_segment else split_rows(payload, form, keys)
    return Record(version.decode(), content)
