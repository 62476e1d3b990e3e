"""Split a safetensors file into tensors and metadata, after its header was checked against its length."""

from dataclasses import dataclass
from math import prod
from typing import Any

import orjson
from numpy.typing import NDArray

from attention_wire.datatypes import BY_SAFETENSORS_NAME, Datatype
from attention_wire.safetensors import LENGTH_BYTES, METADATA
from service.codecs import json
from service.codecs.shapes import require_shape
from service.errors import DuplicateName, MalformedBody, TooLarge
from service.schemas.tensors import describe

MEMBERS = {"dtype", "shape", "data_offsets"}


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A tensor of a file; its array is a view of the file if the numbers are aligned there."""

    name: str
    datatype: Datatype
    array: NDArray[Any]


@dataclass(frozen=True, slots=True)
class Entry:
    """A checked entry of the header; `begin` and `end` are byte offsets behind the header."""

    name: str
    datatype: Datatype
    shape: tuple[int, ...]
    begin: int
    end: int


def split(content: bytes, header_limit: int) -> tuple[list[StoredTensor], dict[str, str]]:
    """Return the tensors and the metadata of a file.

    :param header_limit: bytes of the header; raises TooLarge for a longer one.

    Raises MalformedBody for a malformed header, and unless the tensors fill the bytes behind it without a gap, an
    overlap or a rest.
    """
    if len(content) < LENGTH_BYTES:
        raise _malformed(f"{LENGTH_BYTES} bytes that tell the length of its header", f"{len(content)} bytes")
    length = int.from_bytes(content[:LENGTH_BYTES], "little")
    if length > len(content) - LENGTH_BYTES:
        raise _malformed(
            f"a header of at most {len(content) - LENGTH_BYTES} bytes, as many as follow its length", str(length)
        )
    if length > header_limit:
        raise TooLarge(
            f"expected a header of at most {header_limit} bytes; received {length}. Send long arrays as tensors."
        )
    header = _header(content[LENGTH_BYTES : LENGTH_BYTES + length])
    data = memoryview(content)[LENGTH_BYTES + length :]
    metadata = _metadata(header.pop(METADATA, {}))
    entries = [_entry(name, value, len(data)) for name, value in header.items()]
    _require_filled(entries, len(data))
    tensors = [
        StoredTensor(one.name, one.datatype, one.datatype.read(data[one.begin : one.end], one.shape)) for one in entries
    ]
    return tensors, metadata


def header_range(content: bytes) -> tuple[int, int]:
    """Return the byte offsets at which the header of a file begins and ends, clipped to the length of the file."""
    begin = min(LENGTH_BYTES, len(content))
    return begin, min(begin + int.from_bytes(content[:begin], "little"), len(content))


def _header(raw: bytes) -> dict[str, Any]:
    """Return the header; raises MalformedBody unless it is strict JSON, an object, without duplicate names."""
    if not raw.startswith(b"{"):
        raise _malformed("a header that begins with {", repr(raw[:1])[1:])
    try:
        header: dict[str, Any] = orjson.loads(raw)
        json.require_distinct(raw, json.count_members(header))
    except (ValueError, RecursionError) as error:
        raise _malformed("strict JSON in its header", f"something else: {error}") from None
    except DuplicateName as error:
        raise DuplicateName(error.path, within="the header of the safetensors file") from None
    return header


def _metadata(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise _malformed(f"an object of strings in {METADATA}", describe(value))
    return value


def _entry(name: str, value: Any, size: int) -> Entry:
    if not isinstance(value, dict) or value.keys() != MEMBERS:
        received = f"one with {', '.join(value)[:80]}" if isinstance(value, dict) else describe(value)
        raise _malformed("an object with dtype, shape and data_offsets", received, name)
    datatype = BY_SAFETENSORS_NAME.get(value["dtype"]) if isinstance(value["dtype"], str) else None
    if datatype is None:
        raise _malformed(f"one of {', '.join(BY_SAFETENSORS_NAME)} as dtype", describe(value["dtype"]), name)
    shape = require_shape(value["shape"], f"{_of(name)}: shape")
    offsets = value["data_offsets"]
    if not isinstance(offsets, list) or [type(offset) for offset in offsets] != [int, int]:
        raise _malformed("two integers as data_offsets", describe(offsets), name)
    begin, end = offsets
    if not 0 <= begin <= end <= size:
        raise _malformed(f"data_offsets that rise between 0 and {size}", str(offsets), name)
    needed = prod(shape) * datatype.wire.itemsize
    if end - begin != needed:
        expected = f"{needed} bytes for {datatype.safetensors_name} of shape {list(shape)}"
        raise _malformed(expected, str(end - begin), name)
    return Entry(name, datatype, shape, begin, end)


def _require_filled(entries: list[Entry], size: int) -> None:
    """Raise MalformedBody unless every byte behind the header belongs to one tensor."""
    filled = 0
    for one in sorted(entries, key=lambda entry: (entry.begin, entry.end)):
        if one.begin != filled:
            received = "a hole before it" if one.begin > filled else "an overlap"
            raise _malformed(f"data that begin at {filled}, where the tensor before them ends", received, one.name)
        filled = one.end
    if filled != size:
        raise _malformed(f"{filled} bytes behind the header, those of all tensors", str(size))


def _of(name: str) -> str:
    return f"tensor {name[:80]!r} of the safetensors file"


def _malformed(expected: str, received: str, name: str | None = None) -> MalformedBody:
    place = "safetensors" if name is None else _of(name)
    return MalformedBody(f"{place}: expected {expected}; received {received}. Write the file again.")
