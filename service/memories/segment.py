"""Segments: immutable safetensors files with the keys, values and labels of a memory.

Keys begin at a page, so that a mapped file serves as an array.  The checksum of a whole file is in the catalogue: the
CRC-32 of zlib, which is in the standard library, finds every changed bit and every changed run of up to 32 bits, and
reads 1 to 6 GB/s where BLAKE2b and SHA-256 read 1.2 and 1.7.  It finds damage; a private directory prevents forgery.
"""

import mmap
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import orjson
from numpy.typing import NDArray

from attention_wire.datatypes import DATATYPES
from attention_wire.safetensors import LENGTH_BYTES, write_header
from service.memories.errors import DamagedFile
from service.memories.files import Buffer, open_existing
from service.memories.form import MemoryForm, TensorForm

MAX_READ_BYTES = 64 * 1024 * 1024
"""Largest segment that is read into memory; a longer one is mapped, so that processes share its pages."""

PAGE_BYTES = 4096

SUFFIX = ".safetensors"

LABELS = "labels.key"
"""Name of the tensor of bytes that holds the labels."""


class Rows(NamedTuple):
    """Consecutive keys of a memory, as files hold them.

    :param keys: their number.
    :param tensors: (outer, keys, bytes of a key) for each tensor of the form.
    :param labels: as `encode_labels` writes them; empty without labels.
    """

    keys: int
    tensors: tuple[NDArray[np.uint8], ...]
    labels: Buffer


def encode_labels(labels: Sequence[str] | None) -> bytes:
    """Return labels as JSON strings, each with a comma behind it: those of two parts need only be joined."""
    return orjson.dumps(list(labels))[1:-1] + b"," if labels else b""


def decode_labels(encoded: Buffer) -> list[str]:
    """Return the labels that `encode_labels` wrote."""
    return orjson.loads(b"[%b]" % bytes(encoded)[:-1])


def raw_rows(form: TensorForm, array: NDArray[Any], keys: int) -> NDArray[np.uint8]:
    """Return the bytes of an array, (outer, keys, bytes of a key); a view of a contiguous one but for bfloat16.

    :param form: of the tensor.
    :param array: with this form.
    :param keys: number of keys.
    """
    return np.frombuffer(form.datatype.store(array), np.uint8).reshape(form.outer, keys, form.row_bytes)


class SegmentSink(Protocol):
    """Takes the bytes of a segment."""

    def write(self, buffers: Iterable[Buffer]) -> None:
        """Take buffers, one behind the other."""
        ...


def write_segment(new: SegmentSink, form: MemoryForm, parts: Sequence[Rows]) -> None:
    """Write the keys of all parts, in their order.

    :param new: an empty file, or another sink.
    :param form: of the memory.
    :param parts: at least one.
    """
    keys = sum(part.keys for part in parts)
    tensors = [(one.name, one.datatype, one.shape(keys)) for one in form.tensors]
    if form.labels:
        tensors.append((LABELS, DATATYPES["UINT8"], (sum(len(part.labels) for part in parts),)))
    new.write((write_header({"format": "memory"}, tensors, alignment=PAGE_BYTES),))
    for place, tensor in enumerate(form.tensors):
        new.write(_runs([part.tensors[place] for part in parts], tensor.outer))
    new.write(part.labels for part in parts)


def _runs(parts: Sequence[NDArray[np.uint8]], outer: int) -> Iterator[Buffer]:
    """Yield the bytes of a tensor whose keys come in parts: for each leading index those of every part."""
    if len(parts) == 1:
        yield parts[0].reshape(-1).data
        return
    for index in range(outer):
        for part in parts:
            yield np.ascontiguousarray(part[index]).reshape(-1).data


def open_segment(path: Path, size: int, checksum: int, form: MemoryForm, keys: int) -> Rows:
    """Return the keys of a segment after checking all of it.

    :param path: of the file.
    :param size: its bytes.
    :param checksum: of the whole file.
    :param form: of the memory.
    :param keys: number of keys.

    Raises FileNotFoundError or DamagedFile.
    """
    descriptor = open_existing(path, size)
    content: Buffer | mmap.mmap
    if size > MAX_READ_BYTES:
        content = mmap.mmap(descriptor.number, size, access=mmap.ACCESS_READ)
    else:
        with open(descriptor.number, "rb", closefd=False) as file:
            content = file.read()
    if len(content) != size or zlib.crc32(content) != checksum:
        raise DamagedFile(f"{path.name} with another checksum than it was stored with")
    return split_segment(content, form, keys)


def split_segment(content: Buffer | mmap.mmap, form: MemoryForm, keys: int) -> Rows:
    """Return the keys of the bytes of a segment."""
    view = memoryview(content)
    return split_rows(view[LENGTH_BYTES + int.from_bytes(view[:LENGTH_BYTES], "little") :], form, keys)


def split_rows(view: memoryview, form: MemoryForm, keys: int) -> Rows:
    """Return the keys whose tensors, one behind the other, and labels are in a buffer."""
    tensors, begin = [], 0
    for tensor in form.tensors:
        end = begin + tensor.nbytes(keys)
        raw = np.frombuffer(view[begin:end], np.uint8)
        tensors.append(raw.reshape(tensor.outer, keys, tensor.row_bytes))
        begin = end
    return Rows(keys, tuple(tensors), view[begin:])


def join_rows(parts: Iterable[Rows]) -> Rows:
    """Return the keys of all parts as one; at least one part."""
    listed = list(parts)
    if len(listed) == 1:
        return listed[0]
    columns = zip(*(part.tensors for part in listed), strict=True)
    tensors = tuple(np.concatenate(column, axis=1) for column in columns)
    return Rows(sum(part.keys for part in listed), tensors, b"".join(part.labels for part in listed))
