"""Mistakes in which heads belong together, and where their features are."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from attention_core.arrays import FloatArray, IntArray
from attention_core.checking.attempts import Ending, Fields, Given, Way, Wrong, resolve_repeated
from attention_core.dense import evaluate_dense
from attention_core.heads import unpack


def heads_tiled(given: Given) -> Iterator[Way]:
    """Query head h uses key head h modulo their number, instead of h divided by the size of a group."""
    heads, shared = _counts(given)
    if 1 < shared < heads:
        yield _with_key_heads(given, np.arange(heads) % shared)


def heads_grouped_wrongly(given: Given) -> Iterator[Way]:
    """Query head h divided by the number of key heads instead of the size of a group; or the first key head for all."""
    heads, shared = _counts(given)
    if not 1 < shared < heads:
        return
    if heads <= shared * shared:
        yield _with_key_heads(given, np.arange(heads) // shared)
    yield _with_key_heads(given, np.zeros(heads, dtype=int))


def _counts(given: Given) -> tuple[int, int]:
    """Query heads, and the key heads that they share."""
    sent, heads = given.sent, given.call.features.heads
    if heads is None:
        return 0, 0
    if sent.heads is not None:
        return heads, sent.heads.key_value
    return heads, sent.key.shape[1] if sent.key.ndim == 4 else 0


def _with_key_heads(given: Given, shared: IntArray) -> Wrong:
    """Let each query head use this key head."""
    call, (heads, count) = given.call, _counts(given)
    order = shared * (heads // count)
    value = call.value
    if value is not None and value.ndim == 4 and value.shape[1] == heads:
        value = value[:, order]
    return Wrong(replace(call, key=call.key[:, order], value=value))


def heads_reshaped(given: Given) -> Iterator[Way]:
    """(B, L, H·D) read or written as (B, H, L, D): reshaped, but not transposed."""
    sent = given.sent
    if sent.heads is None:
        return
    shared = _split(sent.key, sent.heads.key_value)
    value = None if sent.value is None else _split(sent.value, sent.heads.key_value)
    reshaped = replace(sent, query=_split(sent.query, sent.heads.query), key=shared, value=value, heads=None)
    call = resolve_repeated(reshaped)
    yield Wrong(call)
    if "output" in given.candidate:
        yield Ending(lambda right: iter([_joined(right.fields)]))
        yield Ending(lambda _: iter([_joined(evaluate_dense(call, given.should_stop, None)[0])]))


def _split(packed: FloatArray, heads: int) -> FloatArray:
    batch, length, features = packed.shape
    return packed.reshape(batch, heads, length, features // heads)


def _joined(fields: Fields) -> Fields:
    """Write the output of each head after that of the other, and read it as if it were packed."""
    output = fields["output"]
    batch, heads, length, features = output.shape
    return {**fields, "output": unpack(output.reshape(batch, length, heads * features), heads, "output")}
