"""What a file says it holds, held against what it does hold, before anything is made of it."""

import json as standard_json
from dataclasses import dataclass
from math import prod
from typing import Any

import orjson
from numpy.typing import NDArray

from service.codecs.datatypes import STORED, Datatype
from service.codecs.shapes import require_shape
from service.errors import MalformedBody, TooLarge
from service.schemas.tensors import describe

LENGTH = 8
"""Bytes of the little-endian integer that a file begins with: the length of its header."""

METADATA = "__metadata__"

MEMBERS = {"dtype", "shape", "data_offsets"}


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A tensor of a file; its numbers lie where they came, unless they are not aligned there."""

    name: str
    datatype: Datatype
    array: NDArray[Any]


@dataclass(frozen=True, slots=True)
class Entry:
    """What the header says of one tensor, held against the rules for one."""

    name: str
    datatype: Datatype
    shape: tuple[int, ...]
    begin: int
    end: int


def split(content: bytes, header_limit: int) -> tuple[list[StoredTensor], dict[str, str]]:
    """Return the tensors and the metadata of a file.

    Raises TooLarge when the header is longer than `header_limit` bytes, MalformedBody when anything else is wrong:
    tensors fill the bytes behind the header without a hole, an overlap or a rest.
    """
    if len(content) < LENGTH:
        raise _malformed(f"{LENGTH} bytes that tell the length of its header", f"{len(content)} bytes")
    length = int.from_bytes(content[:LENGTH], "little")
    if length > len(content) - LENGTH:
        raise _malformed(
            f"a header of at most {len(content) - LENGTH} bytes, as many as follow its length", str(length)
        )
    if length > header_limit:
        raise TooLarge(
            f"expected a header of at most {header_limit} bytes; received {length}. Send long arrays as tensors."
        )
    header = _header(content[LENGTH : LENGTH + length])
    data = memoryview(content)[LENGTH + length :]
    metadata = _metadata(header.pop(METADATA, {}))
    entries = [_entry(name, value, len(data)) for name, value in header.items()]
    _require_filled(entries, len(data))
    tensors = [
        StoredTensor(one.name, one.datatype, one.datatype.read(data[one.begin : one.end], one.shape)) for one in entries
    ]
    return tensors, metadata


def _header(raw: bytes) -> dict[str, Any]:
    """Return the header: strict JSON, an object, no name twice."""
    if not raw.startswith(b"{"):
        raise _malformed("a header that begins with {", repr(raw[:1])[1:])
    try:
        header: dict[str, Any] = orjson.loads(raw)
        # One reads strictly and the other sees every name, also one that comes again.
        standard_json.loads(raw, object_pairs_hook=_distinct)
    except (ValueError, RecursionError) as error:
        raise _malformed("strict JSON with distinct names in its header", f"something else: {error}") from None
    return header


def _distinct(members: list[tuple[str, Any]]) -> None:
    names = [name for name, _ in members]
    if len(set(names)) < len(names):
        twice = next(name for place, name in enumerate(names) if name in names[:place])
        raise ValueError(f"{twice[:80]!r} comes twice")


def _metadata(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise _malformed(f"an object of strings in {METADATA}", describe(value))
    return value


def _entry(name: str, value: Any, size: int) -> Entry:
    if not isinstance(value, dict) or value.keys() != MEMBERS:
        received = f"one with {', '.join(value)[:80]}" if isinstance(value, dict) else describe(value)
        raise _malformed("an object with dtype, shape and data_offsets", received, name)
    datatype = STORED.get(value["dtype"]) if isinstance(value["dtype"], str) else None
    if datatype is None:
        raise _malformed(f"one of {', '.join(STORED)} as dtype", describe(value["dtype"]), name)
    shape = require_shape(value["shape"], f"{_of(name)}: shape")
    offsets = value["data_offsets"]
    if not isinstance(offsets, list) or [type(offset) for offset in offsets] != [int, int]:
        raise _malformed("two integers as data_offsets", describe(offsets), name)
    begin, end = offsets
    if not 0 <= begin <= end <= size:
        raise _malformed(f"data_offsets that rise between 0 and {size}", str(offsets), name)
    needed = prod(shape) * datatype.wire.itemsize
    if end - begin != needed:
        raise _malformed(f"{needed} bytes for {datatype.stored} of shape {list(shape)}", str(end - begin), name)
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
