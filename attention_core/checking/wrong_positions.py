"""Mistakes in where things stand: ALiBi, rotary turning, the order of cached and new keys."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from attention_core.arrays import FloatArray, IntArray
from attention_core.checking.attempts import Given, Way, Wrong, resolve_repeated
from attention_core.heads import pack
from attention_core.interfaces import Tile
from attention_core.positions import Alibi, Rotary


@dataclass(frozen=True, slots=True)
class _Added:
    """ALiBi with something wrong about it."""

    alibi: Alibi
    offset: IntArray | None = None
    signed: bool = False

    def added(self, tile: Tile) -> FloatArray | None:
        """Add what ALiBi would from another position, or slope · (j − i) without the absolute value."""
        moved = tile if self.offset is None else tile._replace(offset=self.offset)
        if not self.signed:
            return self.alibi.added(moved)
        slopes = np.asarray(self.alibi.slopes)
        return (slopes[:, None, None] if slopes.ndim else slopes) * (moved.key_positions - moved.query_positions)


def position_missing(given: Given) -> Iterator[Way]:
    """Neither turned nor sloped."""
    if given.call.position is not None:
        yield Wrong(resolve_repeated(replace(given.sent, position=None)))


def positions_from_zero(given: Given) -> Iterator[Way]:
    """Query 0 stands at position 0 though there are cached keys, or an offset."""
    position = given.call.position
    if position is None or not given.call.offset.any():
        return
    if isinstance(position, Rotary):
        yield Wrong(replace(given.call, query=resolve_repeated(replace(given.sent, offset=0)).query))
    elif isinstance(position, Alibi):
        yield _with_position(given, _Added(position, offset=np.asarray(0)))


def alibi_sign(given: Given) -> Iterator[Way]:
    """Added instead of taken off, or slope · (j − i), which rewards the keys that come after the query."""
    position = given.call.position
    if isinstance(position, Alibi):
        yield _with_position(given, replace(position, slopes=-np.asarray(position.slopes)))
        yield _with_position(given, _Added(position, signed=True))


def alibi_slopes(given: Given) -> Iterator[Way]:
    """Heads counted from 0, a geometric ladder over any number of heads, or the defaults in place of one's own."""
    position, heads = given.call.position, given.call.features.heads
    if not isinstance(position, Alibi):
        return
    count = heads or 1
    ladders = [np.exp2(-8.0 * np.arange(first, count + first) / count) for first in (0, 1)]
    defaults = Alibi().bind(given.call.features).slopes
    for slopes in (*ladders, np.asarray(defaults)):
        own = slopes if heads else slopes.reshape(())
        if not np.array_equal(own, np.asarray(position.slopes)):
            yield _with_position(given, replace(position, slopes=own))


def _with_position(given: Given, position: Any) -> Wrong:
    return Wrong(replace(given.call, position=position))


def rotary_pairs(given: Given) -> Iterator[Way]:
    """Halves (m, m + D/2) where neighbours (2m, 2m + 1) were meant, or the reverse."""
    position = given.call.position
    if isinstance(position, Rotary):
        other = replace(position, interleaved=not position.interleaved)
        yield Wrong(resolve_repeated(replace(given.sent, position=other)))


def rotary_base(given: Given) -> Iterator[Way]:
    """10000 in place of one's own."""
    position = given.call.position
    if isinstance(position, Rotary) and position.base != Rotary().base:
        yield Wrong(resolve_repeated(replace(given.sent, position=replace(position, base=Rotary().base))))


def cache_order(given: Given) -> Iterator[Way]:
    """New keys before those of the cache."""
    sent = given.sent
    if sent.past_key is None or sent.past_value is None or sent.value is None:
        return
    packed = sent.heads is not None
    past_key, past_value = (pack(past) if packed else past for past in (sent.past_key, sent.past_value))
    joined = replace(
        sent,
        key=np.concatenate([sent.key, past_key], axis=-2),
        value=np.concatenate([sent.value, past_value], axis=-2),
        past_key=None,
        past_value=None,
        offset=sent.past_key.shape[-2] if sent.offset is None else sent.offset,
    )
    yield Wrong(resolve_repeated(joined))
