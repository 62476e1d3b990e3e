"""Mistakes in positions: ALiBi, rotary embeddings, the order of cached and new keys."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from attention_core.arrays import FloatArray, IntArray
from attention_core.call import ResolvedCall
from attention_core.checking.variants import ChangedCall, CheckContext, Variant, resolve_repeated
from attention_core.heads import pack_heads
from attention_core.interfaces import Tile
from attention_core.positions import Alibi, Rotary


@dataclass(frozen=True, slots=True)
class ShiftedAlibi:
    """ALiBi from another position of query 0."""

    alibi: Alibi
    offset: IntArray

    def score_bias(self, tile: Tile) -> FloatArray | None:
        """Return the bias of the tile from the other position."""
        return self.alibi.score_bias(tile._replace(offset=self.offset))


class SignedAlibi(Alibi):
    """ALiBi without the absolute value: slope · (j − i), which rewards the keys that come after the query."""

    def score_bias(self, tile: Tile) -> FloatArray:
        """Return slope · (j − i)."""
        slopes = np.asarray(self.slopes)
        return (slopes[:, None, None] if slopes.ndim else slopes) * (tile.key_positions - tile.query_positions)


class ReversedRotary(Rotary):
    """Rotary embeddings by negative angles."""

    def rotate(self, vectors: FloatArray, positions: IntArray) -> FloatArray:
        """Rotate as from the opposite positions."""
        return Rotary.rotate(self, vectors, -positions)


class MixedRotary(Rotary):
    """Rotary in one layout of pairs with the angles of the other: θ_(i // 2) for θ_(i mod D/2), or the reverse."""

    def rotate(self, vectors: FloatArray, positions: IntArray) -> FloatArray:
        """Rotate each feature with its partner by the angle of the feature's own index."""
        size = vectors.shape[-1]
        half, places = size // 2, np.arange(size)
        exponents = places % half if self.interleaved else places // 2
        angles = positions[..., None] * self.base ** (-exponents / half)
        partner = np.empty_like(vectors)
        first, second = (places[0::2], places[1::2]) if self.interleaved else (places[:half], places[half:])
        partner[..., first], partner[..., second] = -vectors[..., second], vectors[..., first]
        return vectors * np.cos(angles) + partner * np.sin(angles)


def negated_alibi(_: ResolvedCall, position: Any) -> Any:
    """Added instead of subtracted."""
    return replace(position, slopes=-np.asarray(position.slopes)) if isinstance(position, Alibi) else position


def signed_alibi(_: ResolvedCall, position: Any) -> Any:
    """slope · (j − i) in place of −slope · |i − j|."""
    return SignedAlibi(position.slopes) if isinstance(position, Alibi) else position


def position_missing(context: CheckContext) -> Iterator[Variant]:
    """Neither rotation nor bias."""
    if context.call.position is not None:
        yield ChangedCall(resolve_repeated(replace(context.sent, position=None)))


def positions_from_zero(context: CheckContext) -> Iterator[Variant]:
    """Query 0 has position 0 in spite of cached keys, or of an offset."""
    if context.call.offset.any():
        yield from with_query_positions(context, 0)


def with_query_positions(context: CheckContext, offset: int) -> Iterator[Variant]:
    """Yield the variant with query 0 at another position for rotary or ALiBi; masks stay."""
    position = context.call.position
    if isinstance(position, Rotary):
        yield context.changed(query=resolve_repeated(replace(context.sent, offset=offset)).query)
    elif isinstance(position, Alibi):
        yield context.changed(position=ShiftedAlibi(position, np.asarray(offset)))


def alibi_slopes(context: CheckContext) -> Iterator[Variant]:
    """Heads counted from 0, a geometric ladder over any number of heads, or the defaults in place of the call's own."""
    position, heads = context.call.position, context.call.features.n_heads
    if not isinstance(position, Alibi):
        return
    count = heads or 1
    ladders = [np.exp2(-8.0 * np.arange(first, count + first) / count) for first in (0, 1)]
    defaults = Alibi().bind(context.call.features).slopes
    for slopes in (*ladders, np.asarray(defaults)):
        own = slopes if heads else slopes.reshape(())
        if not np.array_equal(own, np.asarray(position.slopes)):
            yield context.changed(position=replace(position, slopes=own))


def other_pairs(rotary: Rotary) -> Rotary:
    """Halves (m, m + D/2) where neighbours (2m, 2m + 1) were meant, or the reverse."""
    return replace(rotary, interleaved=not rotary.interleaved)


def default_base(rotary: Rotary) -> Rotary:
    """10000 in place of the call's own base."""
    return rotary if rotary.base == Rotary().base else replace(rotary, base=Rotary().base)


def cache_order(context: CheckContext) -> Iterator[Variant]:
    """New keys before those of the cache."""
    sent = context.sent
    if sent.past_key is None or sent.past_value is None or sent.value is None:
        return
    packed = sent.heads is not None
    past_key, past_value = (pack_heads(past) if packed else past for past in (sent.past_key, sent.past_value))
    joined = replace(
        sent,
        key=np.concatenate([sent.key, past_key], axis=-2),
        value=np.concatenate([sent.value, past_value], axis=-2),
        past_key=None,
        past_value=None,
        offset=sent.past_key.shape[-2] if sent.offset is None else sent.offset,
    )
    yield ChangedCall(resolve_repeated(joined))
