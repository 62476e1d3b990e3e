"""Mistakes in positions: ALiBi, rotary embeddings, the order of cached and new keys."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from math import sqrt
from typing import Any

import numpy as np

from attention_core.arrays import FloatArray, IntArray
from attention_core.call import Positions, ResolvedCall
from attention_core.checking.variants import ChangedCall, CheckContext, Variant, resolve_repeated
from attention_core.errors import CallError
from attention_core.heads import pack_heads
from attention_core.positions import Alibi, Rotary
from attention_core.rotary_scaling import RotaryScaling
from attention_core.score_tile import Tile


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


class RotaryOfLastFeatures(Rotary):
    """Rotary embeddings of the last features in the place of the first."""

    def rotate(self, vectors: FloatArray, positions: IntArray) -> FloatArray:
        """Rotate as if the last features were the first."""
        last = self.dims or vectors.shape[-1]
        return np.roll(Rotary.rotate(self, np.roll(vectors, last, axis=-1), positions), -last, axis=-1)


class MixedRotary(Rotary):
    """Rotary in one layout of pairs with the angles of the other: θ_(i // 2) for θ_(i mod D/2), or the reverse."""

    def rotate_pairs(self, vectors: FloatArray, positions: IntArray) -> FloatArray:
        """Rotate each feature with its partner by the angle of the feature's own index."""
        size = vectors.shape[-1]
        half, places = size // 2, np.arange(size)
        exponents = places % half if self.interleaved else places // 2
        angles = positions[..., None] * self.angles(half)[exponents]
        length = 1.0 if self.scaling is None else self.scaling.attention_scale
        partner = np.empty_like(vectors)
        first, second = (places[0::2], places[1::2]) if self.interleaved else (places[:half], places[half:])
        partner[..., first], partner[..., second] = -vectors[..., second], vectors[..., first]
        return length * (vectors * np.cos(angles) + partner * np.sin(angles))


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
    if context.call.offset.any() and context.sent.positions is None:
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


def positions_ignored(context: CheckContext) -> Iterator[Variant]:
    """Queries at i + the length of the past and keys at j in spite of positions, or one of the two."""
    positions = context.sent.positions
    if positions is None:
        return
    kept = [Positions()]
    if positions.query is not None and positions.key is not None:
        kept += [Positions(query=positions.query), Positions(key=positions.key)]
    for one in kept:
        yield ChangedCall(resolve_repeated(replace(context.sent, positions=one)))


def copy_rotary(kind: type[Rotary], rotary: Rotary, **changes: Any) -> Rotary:
    """Return the parameters of an encoding in another class, some of them changed."""
    return kind(**{one.name: getattr(rotary, one.name) for one in fields(Rotary)} | changes)


def other_dims(context: CheckContext) -> Iterator[Variant]:
    """Other features are rotated: all, half or a quarter of them, or the last; or with the angles of all features."""
    rotary, size = context.call.position, min(context.call.features[:2])
    if not isinstance(rotary, Rotary):
        return
    own = rotary.dims or size
    others = [dims for dims in (size, size // 2, size // 4) if dims != own and dims > 1 and dims % 2 == 0]
    wrong = [replace(rotary, dims=dims) for dims in others]
    if own < size:
        wrong += [copy_rotary(RotaryOfLastFeatures, rotary), replace(rotary, base=rotary.base ** (own / size))]
    yield from _with_rotary(context, wrong)


def other_scaling(context: CheckContext) -> Iterator[Variant]:
    """No scaling of angles, or one of another kind."""
    rotary = context.call.position
    if not isinstance(rotary, Rotary) or rotary.scaling is None:
        return
    scaling = rotary.scaling
    longest = scaling.original_max_position_embeddings
    kinds = [kind for kind in ("linear", "ntk") if kind != scaling.kind]
    others = [RotaryScaling(kind, scaling.factor) for kind in kinds]
    if longest is not None:
        kinds = [kind for kind in ("yarn", "llama3") if kind != scaling.kind]
        others += [RotaryScaling(kind, scaling.factor, longest) for kind in kinds]
    yield from _with_rotary(context, [replace(rotary, scaling=other) for other in (None, *others)])


def other_attention_factor(context: CheckContext) -> Iterator[Variant]:
    """Yarn's attention factor left out, or on one side only."""
    rotary = context.call.position
    if isinstance(rotary, Rotary) and rotary.scaling is not None and rotary.scaling.attention_scale != 1:
        factors = (1.0, sqrt(rotary.scaling.attention_scale))
        others = [replace(rotary.scaling, attention_factor=factor) for factor in factors]
        yield from _with_rotary(context, [replace(rotary, scaling=other) for other in others])


def _with_rotary(context: CheckContext, wrong: list[Any]) -> Iterator[Variant]:
    """Yield the variants with other rotations; one that its parameters do not allow is left out."""
    for rotary in wrong:
        try:
            yield ChangedCall(resolve_repeated(replace(context.sent, position=rotary)))
        except CallError:
            continue


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
        offset=sent.past_key.shape[-2] if sent.offset is None and sent.positions is None else sent.offset,
    )
    yield ChangedCall(resolve_repeated(joined))
