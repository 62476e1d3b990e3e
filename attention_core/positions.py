"""Positions: rotary embeddings turn queries and keys, ALiBi adds to their scores."""

from dataclasses import dataclass, replace
from math import isfinite, log2
from typing import ClassVar, Self

import numpy as np

from attention_core.arrays import FloatArray, IntArray, Leading
from attention_core.errors import InvalidValue, ShapeMismatch
from attention_core.interfaces import Features, Term, Tile


@dataclass(frozen=True, slots=True, eq=False)
class Alibi:
    """Adds −slope · |i + offset − j| to each score; slopes is a number, one per query head (Hq), or None.

    Default for n heads (n = 1 without a head axis): 2^(−8h/n), h = 1…n, when n is a power of two; else the slopes of
    the nearest lower power, then every other slope of twice that.
    Press, Smith & Lewis 2022, "Train Short, Test Long", section 3.
    """

    slopes: float | FloatArray | None = None
    name: ClassVar[str] = "alibi"

    def bind(self, features: Features) -> Self:
        """Resolve the default slopes; raise unless they are finite, one number or one per query head."""
        if self.slopes is None:
            slopes = default_slopes(features.heads or 1)
            return replace(self, slopes=slopes if features.heads else float(slopes[0]))
        slopes = np.asarray(self.slopes, dtype=np.float64)
        if slopes.ndim and slopes.shape != (features.heads,):
            raise ShapeMismatch(
                ("slopes",),
                expected="a number" if features.heads is None else f"a number, or {features.heads}: one for each head",
                received=f"shape {list(slopes.shape)}",
                advice="Send one number; a list needs scores of rank 4 (batch, heads, queries, keys).",
            )
        if not np.isfinite(slopes).all():
            where = tuple(int(i) for i in np.argwhere(~np.isfinite(slopes))[0])
            raise InvalidValue(
                ("slopes", *where),
                expected="a finite number",
                received=str(slopes[where]),
                advice="Leave slopes out for the default.",
            )
        return replace(self, slopes=slopes if slopes.ndim else float(slopes))

    def within(self, leading: Leading) -> Self:
        """Take the slopes of the block's heads."""
        slopes = self.slopes
        return replace(self, slopes=slopes[leading[1]] if isinstance(slopes, np.ndarray) else slopes)

    def turn(self, vectors: FloatArray, positions: IntArray) -> FloatArray:
        """Leave the vectors as they are."""
        return vectors

    def added(self, tile: Tile) -> FloatArray | None:
        """Return −slope · distance, (…, q, k)."""
        slopes = np.asarray(self.slopes, dtype=np.float64)
        distance = np.abs(tile.query_positions - tile.key_positions)
        return -(slopes[:, None, None] if slopes.ndim else slopes) * distance

    def part(self, query_position: int, key_position: int, head: int) -> Term | None:
        """−slope · distance, of one head."""
        slopes = np.asarray(self.slopes, dtype=np.float64)
        slope, distance = float(slopes[head] if slopes.ndim else slopes), abs(query_position - key_position)
        operands = (slope, float(query_position), float(key_position))
        return Term("alibi", -slope * distance, "−{} × |{} − {}|", operands)


def default_slopes(heads: int) -> FloatArray:
    """Return the paper's slopes for a number of heads."""
    power = 2 ** int(log2(heads))
    slopes = _geometric(power)
    if power == heads:
        return slopes
    return np.concatenate([slopes, _geometric(2 * power)[0::2][: heads - power]])


def _geometric(heads: int) -> FloatArray:
    return np.exp2(-8.0 * np.arange(1, heads + 1) / heads)


@dataclass(frozen=True, slots=True)
class Rotary:
    """Turns pairs of features by angles that grow with the position: query i by i + offset, key j by j.

    θ_m = base^(−2m/D); the pairs are (m, m + D/2), or (2m, 2m + 1) when interleaved.
    Su et al. 2021, "RoFormer: Enhanced Transformer with Rotary Position Embedding", equation 34.
    """

    base: float = 10000.0
    interleaved: bool = False
    name: ClassVar[str] = "rotary"

    def bind(self, features: Features) -> Self:
        """Raise unless base is positive and finite and every feature has a partner."""
        if not (self.base > 0 and isfinite(self.base)):
            raise InvalidValue(
                ("base",),
                expected="a finite number greater than 0",
                received=str(self.base),
                advice="10000 is the paper's.",
            )
        for size, whose in ((features.query, "query"), (features.key, "key")):
            if size % 2:
                raise ShapeMismatch(
                    (),
                    expected="an even number of features, since rotary turns them in pairs",
                    received=f"{size} features in each {whose}",
                    advice="Add a feature of zeros, or use alibi.",
                )
        return self

    def within(self, leading: Leading) -> Self:
        """There is nothing to cut."""
        return self

    def turn(self, vectors: FloatArray, positions: IntArray) -> FloatArray:
        """Return the vectors turned; angles are computed in float64, where even far positions keep their digits."""
        half = vectors.shape[-1] // 2
        angles = positions[..., None] * self.base ** (-np.arange(half) / half)
        cosines, sines = (part.astype(vectors.dtype) for part in (np.cos(angles), np.sin(angles)))
        if self.interleaved:
            first, second = vectors[..., 0::2], vectors[..., 1::2]
        else:
            first, second = vectors[..., :half], vectors[..., half:]
        turned = (first * cosines - second * sines, first * sines + second * cosines)
        if self.interleaved:
            return np.stack(turned, axis=-1).reshape(*turned[0].shape[:-1], 2 * half)
        return np.concatenate(turned, axis=-1)

    def added(self, tile: Tile) -> FloatArray | None:
        """Add nothing to the scores."""
        return None

    def part(self, query_position: int, key_position: int, head: int) -> Term | None:
        """Add nothing to a score."""
        return None


POSITIONS: dict[str, type[Alibi] | type[Rotary]] = {"alibi": Alibi, "rotary": Rotary}
