"""The tensors of a memory as a safetensors file, which makes an equal memory when it is put.

The file is sent in pieces out of a snapshot.  A slow reader keeps the snapshot from being freed, and one piece beside.
"""

from collections.abc import Iterator, Mapping
from math import prod
from typing import Any

import orjson
from numpy.typing import NDArray

from attention_wire.datatypes import BY_DTYPE, Datatype
from attention_wire.safetensors import REQUEST, write_header
from service.codecs.safetensors.codec import CODEC
from service.compute.contract import Reply, Stream
from service.memories import MemoryDescription, MemorySnapshot
from service.memories.segment import MAX_READ_BYTES

PIECE_BYTES = 1 << 18
"""Maximum bytes of a piece."""

BYTES_PER_LABEL_BYTE = 4
"""Labels are held as texts, and two times as JSON while the header is written."""


def download(snapshot: MemorySnapshot, headers: Mapping[str, str]) -> Reply:
    """Return the file of a memory.

    :param snapshot: of the memory.
    :param headers: further header fields of the answer.
    """
    described = snapshot.description
    datatype = BY_DTYPE[described.options.dtype]
    tensors = {"key": snapshot.key} if snapshot.value is None else {"key": snapshot.key, "value": snapshot.value}
    metadata = {REQUEST: orjson.dumps(_beside_tensors(snapshot)).decode()}
    header = write_header(metadata, ((name, datatype, one.shape) for name, one in tensors.items()), orjson.dumps)
    length = sum(one.size for one in tensors.values()) * datatype.wire.itemsize
    name = f'attachment; filename="{described.name}{CODEC.suffix}"'
    return Reply(
        header,
        CODEC.media_type,
        {**headers, "Content-Disposition": name},
        stream=Stream(length, _snapshot_bytes(described), _all_pieces(list(tensors.values()), datatype)),
    )


def held_bytes(described: MemoryDescription) -> int:
    """Return about how many bytes a download holds in this process: its header, and a snapshot that is not mapped."""
    shapes = [one for one in (described.key_shape, described.value_shape) if one is not None]
    numbers = sum(map(prod, shapes)) * BY_DTYPE[described.options.dtype].wire.itemsize
    return _snapshot_bytes(described) + BYTES_PER_LABEL_BYTE * max(0, described.bytes - numbers)


def _snapshot_bytes(described: MemoryDescription) -> int:
    """Return the bytes of a snapshot; 0 for a long one, whose pages are those of a mapped file."""
    return described.bytes if described.bytes <= MAX_READ_BYTES else 0


def _beside_tensors(snapshot: MemorySnapshot) -> dict[str, Any]:
    """Return the body of a PUT without its tensors."""
    options, labels = snapshot.description.options, snapshot.labels
    members = {
        "dtype": options.dtype,
        "layout": options.layout,
        "labels": None if labels is None else {"key": list(labels)},
        "ttl_seconds": options.ttl_seconds,
        "durability": options.durability,
        "note": options.note,
        "shards": options.shards,
    }
    return {name: member for name, member in members.items() if member is not None}


def _all_pieces(tensors: list[NDArray[Any]], datatype: Datatype) -> Iterator[memoryview]:
    for tensor in tensors:
        yield from tensor_pieces(tensor, datatype)


def tensor_pieces(array: NDArray[Any], datatype: Datatype, limit: int = PIECE_BYTES) -> Iterator[memoryview]:
    """Yield the bytes of a tensor, row-major, in pieces of at most `limit` bytes; views of it where its bytes serve.

    :param array: in the NumPy type that the house has for the datatype; only its last axis need be contiguous.
    :param datatype: of the bytes.
    :param limit: at least one number.
    """
    size = datatype.wire.itemsize
    if array.size * size <= limit:
        yield datatype.store(array)
    elif array.flags.c_contiguous:
        flat, step = array.reshape(-1), limit // size
        for start in range(0, flat.size, step):
            yield datatype.store(flat[start : start + step])
    else:
        rows = limit // (array[0].size * size)
        for start in range(0, len(array), max(1, rows)):
            part = array[start : start + rows] if rows else array[start]
            yield from tensor_pieces(part, datatype, limit)
