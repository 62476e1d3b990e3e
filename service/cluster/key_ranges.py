"""Which keys of a memory each shard holds, and the part of a call that a shard computes from them."""

from dataclasses import replace
from typing import Any, NamedTuple

from numpy.typing import NDArray

from attention_core.call import ResolvedCall
from attention_core.heads import unpack_heads
from service.memories import MemoryName, MemorySnapshot


class MemoryVersion(NamedTuple):
    """One version of a memory whose keys are spread."""

    name: MemoryName
    version: str
    keys: int
    """Number of its keys."""


class KeyRange(NamedTuple):
    """Keys in succession."""

    first: int
    end: int
    """Index of the key after the last."""


def cut_keys(keys: int, shards: int, span: int) -> list[KeyRange]:
    """Return the ranges of keys that shards hold, of nearly equal lengths and at most as many as there are shards.

    :param keys: number of keys.
    :param shards: number of shards.
    :param span: of the kernel: ranges begin at its multiples.
    """
    spans = -(-keys // span)
    length = -(-spans // shards) * span
    return [KeyRange(first, min(first + length, keys)) for first in range(0, keys, max(1, length))]


def with_key_range(call: ResolvedCall, snapshot: MemorySnapshot, held: KeyRange) -> ResolvedCall:
    """Return a call with a range of the keys and values of a memory.

    :param call: as `without_keys` returns it: with the lengths of the whole, and one key and one value.
    :param snapshot: of the version that the call was made for.
    :param held: the range.

    Raises ValueError where the memory has another form.
    """
    layout = snapshot.description.options.layout
    value = snapshot.value
    if (value is None) != (call.stored_value is None):
        value = None if call.stored_value is None else value
    return replace(
        call,
        stored_key=_range_of(call, snapshot.key, call.stored_key, layout, held),
        stored_value=None if value is None else _range_of(call, value, call.stored_value, layout, held),
    )


def _range_of(
    call: ResolvedCall, array: NDArray[Any], one: NDArray[Any] | None, layout: str, held: KeyRange
) -> NDArray[Any]:
    """Return a range of keys or values, arranged and in the type of the one that the call has."""
    heads_third = layout == "bshd" and array.ndim == 4
    axis = 1 if heads_third else array.ndim - 2
    part = array[(*(slice(None),) * axis, slice(*held))]
    if one is None:
        raise ValueError("expected no values; received some")
    if heads_third:
        part = part.swapaxes(1, 2)
    elif call.has_packed_heads:
        part = unpack_heads(part, one.shape[1], "key")
    elif part.ndim == 3 and one.ndim == 4:
        part = part[None]
    if part.shape != (*one.shape[:-2], held.end - held.first, one.shape[-1]):
        raise ValueError(f"expected the form {one.shape}; received {part.shape}")
    return part if part.dtype == one.dtype else call.dtype.load(part, ("key",))
