"""Segments in Redis: split into chunks, copied to the cache, read from there.

Chunks are written under a limit of time, which the script that makes a memory of them lifts: those of a process that
was killed are removed by Redis itself.
"""

import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Final

from service.memories.errors import DamagedFile, MemoryStoreError
from service.memories.files import WRITE_BYTES, Buffer
from service.memories.form import MemoryForm
from service.memories.naming import new_file_id
from service.memories.redis.cache import SegmentCache
from service.memories.redis.connection import RedisConnection
from service.memories.redis.keyspace import KeySpace
from service.memories.redis.rows import SegmentPart
from service.memories.segment import Rows, open_segment, split_segment, write_segment

CHUNK_BYTES: Final = 8 * 1024 * 1024
"""Bytes of one value: Redis takes 512 MB at most, answers nothing else while it copies one, and each has to be sent
within the limit of time of a write."""

UPLOAD_SECONDS: Final = 600
"""Time within which all chunks of a segment have to be written, and the memory made of them."""


class SegmentGone(Exception):
    """A chunk is not there: the segment was replaced or removed, or the server has lost it.

    :param segment_id: of the segment.
    """

    def __init__(self, segment_id: str) -> None:
        self.segment_id = segment_id
        super().__init__(segment_id)


class SegmentUpload:
    """A segment that is being written to Redis, and to the cache.

    :param connection: to the server.
    :param keys: names of its keys.
    :param cache: of this machine.
    """

    def __init__(self, connection: RedisConnection, keys: KeySpace, cache: SegmentCache) -> None:
        self.segment_id = new_file_id()
        self.size = 0
        self._checksum = 0
        self._chunks = 0
        self._pending: list[memoryview] = []
        self._pending_bytes = 0
        self._connection, self._keys, self._cache = connection, keys, cache
        self._copy = cache.create()

    @property
    def chunk_keys(self) -> list[str]:
        """Keys of the chunks so far."""
        return self._keys.segment_chunks(self.segment_id, self._chunks)

    def write(self, buffers: Iterable[Buffer]) -> None:
        """Take buffers, one behind the other; whole chunks are sent."""
        for buffer in buffers:
            view = memoryview(buffer).cast("B")
            first = 0
            while first < len(view):
                piece = view[first : first + min(WRITE_BYTES, CHUNK_BYTES - self._pending_bytes)]
                first += len(piece)
                self._checksum = zlib.crc32(piece, self._checksum)
                self.size += len(piece)
                self._copy.write((piece,))
                self._pending.append(piece)
                self._pending_bytes += len(piece)
                if self._pending_bytes == CHUNK_BYTES:
                    self._send()

    def finish(self, keys: int) -> SegmentPart:
        """Send the last chunk; return the segment.

        :param keys: number of keys that were written.
        """
        if self._pending:
            self._send()
        return SegmentPart(self.segment_id, self.size, keys, self._checksum, self._chunks)

    def keep(self) -> None:
        """Publish the copy, once a memory has the segment."""
        self._cache.publish(self._copy, self.segment_id)

    def discard(self) -> None:
        """Remove the chunks, which no memory has, and the copy."""
        self._copy.discard()
        self._connection.unlink(self.chunk_keys)

    def abandon(self) -> None:
        """Remove the copy; whether a memory has the segment is unknown, and chunks that none has are removed later."""
        self._copy.discard()

    def _send(self) -> None:
        self._chunks += 1
        key = self._keys.chunk(self.segment_id, self._chunks - 1)
        self._connection.set_for(key, b"".join(self._pending), UPLOAD_SECONDS)
        self._pending.clear()
        self._pending_bytes = 0


class SegmentStore:
    """The segments of a server.

    :param connection: to the server.
    :param keys: names of its keys.
    :param cache: of this machine.
    """

    def __init__(self, connection: RedisConnection, keys: KeySpace, cache: SegmentCache) -> None:
        self._connection, self._keys, self._cache = connection, keys, cache

    def upload(self, form: MemoryForm, rows: Sequence[Rows]) -> tuple[SegmentUpload, SegmentPart]:
        """Write keys to a new segment, which belongs to no memory yet.

        :param form: of the memory.
        :param rows: parts whose keys follow each other; at least one.
        """
        upload = SegmentUpload(self._connection, self._keys, self._cache)
        try:
            write_segment(upload, form, rows)
            return upload, upload.finish(sum(one.keys for one in rows))
        except BaseException:
            with suppress(MemoryStoreError):
                upload.discard()
            raise

    def read(self, part: SegmentPart, form: MemoryForm) -> Rows:
        """Return the keys of a segment, from the cache if it has a copy that is whole.

        Raises SegmentGone or DamagedFile.
        """
        path = self._cache.path(part.segment_id)
        try:
            rows = open_segment(path, part.size, part.checksum, form, part.keys)
        except (OSError, DamagedFile):
            return self._fetch(part, form)
        self._cache.touch(part.segment_id)
        return rows

    def forget(self, segment_ids: Iterable[str]) -> None:
        """Remove the copies of segments that no memory has any more."""
        self._cache.remove(segment_ids)

    def _fetch(self, part: SegmentPart, form: MemoryForm) -> Rows:
        """Return the keys of a segment from Redis, by way of a copy in the cache if there is room for one."""
        copy = self._cache.create()
        try:
            for chunk in self._chunks(part):
                copy.write((chunk,))
                if not copy.is_kept:
                    break
        except BaseException:
            copy.discard()
            raise
        if self._cache.publish(copy, part.segment_id):
            # Another process may have removed the copy already.
            with suppress(OSError):
                return open_segment(self._cache.path(part.segment_id), part.size, part.checksum, form, part.keys)
        return split_segment(b"".join(self._chunks(part)), form, part.keys)

    def _chunks(self, part: SegmentPart) -> Iterator[bytes]:
        """Yield the chunks of a segment; raise DamagedFile behind the last if they are not as they were stored."""
        checksum = size = 0
        for key in self._keys.segment_chunks(part.segment_id, part.chunks):
            chunk = self._connection.get(key)
            if chunk is None:
                raise SegmentGone(part.segment_id)
            checksum, size = zlib.crc32(chunk, checksum), size + len(chunk)
            yield chunk
        if (size, checksum) != (part.size, part.checksum):
            raise DamagedFile(f"segment {part.segment_id} with another checksum than it was stored with")
