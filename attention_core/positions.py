"""Positional encodings: rotary embeddings rotate queries and keys, ALiBi adds a bias to their scores."""

from dataclasses import dataclass, field, replace
from math import log2
from typing import ClassVar, Self

import numpy as np

from attention_core.arrays import FloatArray, IntArray
from attention_core.descriptions import Description, Text, parameter
from attention_core.errors import InvalidValue, ShapeMismatch
from attention_core.expressions import Expression
from attention_core.interfaces import FeatureSizes, Position
from attention_core.parameters import PerHead
from attention_core.rotary_scaling import RotaryScaling
from attention_core.score_tile import Tile


@dataclass(frozen=True, slots=True, eq=False)
class Alibi(Position):
    """Adds −slope · |i + offset − j| to each score.

    Press, Smith & Lewis 2022, "Train Short, Test Long", section 3.
    """

    slopes: PerHead | None = field(
        default=None,
        metadata=parameter(
            zh="斜率",
            en="A slope, or one for each query head",
            default_text=Text("论文的规则", "the paper's rule"),
            advice="Leave out {position.alibi.slopes} for the default.",
            flat_name="alibi_slopes",
        ),
    )
    """None for `default_alibi_slopes` of the number of query heads, of 1 without a head axis."""
    name: ClassVar[str] = "alibi"
    description: ClassVar[Description] = Description(
        title=Text("ALiBi 线性偏置", "ALiBi"),
        summary=Text(
            "得分减去斜率乘以距离：越远的键得分越低。",
            "Subtracts a slope times the distance from each score: the farther the key, the lower it scores.",
        ),
        latex=r"z_{ij} \mathrel{-}= \mathrm{slope} \cdot |i + \mathrm{offset} - j|",
        plain="z_ij −= slope · |i + offset − j|",
        source="Press, Smith & Lewis 2022, Train Short, Test Long",
        example={"slopes": 0.5},
    )

    def bind(self, features: FeatureSizes) -> Self:
        """Return the encoding with default slopes resolved.

        Raises ShapeMismatch unless slopes are a number or (Hq), InvalidValue unless they are finite.
        """
        if self.slopes is None:
            slopes = default_alibi_slopes(features.n_heads or 1)
            return replace(self, slopes=slopes if features.n_heads else float(slopes[0]))
        return Position.bind(self, features)

    def score_bias(self, tile: Tile) -> FloatArray | None:
        """Return −slope · |i + offset − j|, broadcastable to (…, q, k)."""
        slopes = np.asarray(self.slopes, dtype=np.float64)
        distance = np.abs(tile.query_positions - tile.key_positions)
        return -(slopes[:, None, None] if slopes.ndim else slopes) * distance

    def explain_bias(self, query_position: int, key_position: int, head: int) -> Expression | None:
        """Return −slope · |i + offset − j| of one head."""
        slopes = np.asarray(self.slopes, dtype=np.float64)
        slope, distance = float(slopes[head] if slopes.ndim else slopes), abs(query_position - key_position)
        operands = (slope, float(query_position), float(key_position))
        return Expression("alibi", -slope * distance, "−{} × |{} − {}|", operands)


def default_alibi_slopes(n_heads: int) -> FloatArray:
    """Return the default slopes for n heads, (n): 2^(−8h/n), h = 1…n, if n is a power of two.

    Else the slopes of the nearest lower power of two, then every other slope of twice that power.
    Press, Smith & Lewis 2022, "Train Short, Test Long", section 3.
    """
    power = 2 ** int(log2(n_heads))
    slopes = _geometric(power)
    if power == n_heads:
        return slopes
    return np.concatenate([slopes, _geometric(2 * power)[0::2][: n_heads - power]])


def _geometric(n_heads: int) -> FloatArray:
    return np.exp2(-8.0 * np.arange(1, n_heads + 1) / n_heads)


@dataclass(frozen=True, slots=True)
class Rotary(Position):
    """Rotates pair m of features by position · θ_m with θ_m = base^(−2m/D): query i by i + offset, key j by j.

    With `dims` only that many features, the first, are rotated, and stand for D.

    Su et al. 2021, "RoFormer: Enhanced Transformer with Rotary Position Embedding", equation 34.
    """

    base: float = field(
        default=10000.0,
        metadata=parameter(
            zh="角度的底数",
            en="Base of the angles",
            per_head=False,
            above=0,
            advice="The paper's base is 10000.",
            flat_name="",
        ),
    )
    interleaved: bool = field(
        default=False,
        metadata=parameter(
            zh="是否交错配对",
            en="Pairs (2m, 2m + 1) instead of (m, m + D/2)",
            per_head=False,
            kind="boolean",
            flat_name="",
        ),
    )
    dims: int | None = field(
        default=None,
        metadata=parameter(
            zh="旋转前多少个特征，偶数",
            en="How many features are rotated, the first ones; even, at most D",
            per_head=False,
            kind="integer",
            minimum=2,
            default_text=Text("全部", "all"),
            flat_name="",
        ),
    )
    scaling: RotaryScaling | None = field(
        default=None,
        metadata=parameter(
            zh="角度的缩放，用于更长的上下文",
            en="How angles are scaled for longer sequences than in training",
            per_head=False,
            kind="object",
            of=RotaryScaling,
            flat_name="",
        ),
    )
    name: ClassVar[str] = "rotary"
    description: ClassVar[Description] = Description(
        title=Text("旋转位置编码", "Rotary"),
        summary=Text(
            "把特征两两配对，按位置旋转：得分只取决于相对距离。旋转的特征数须为偶数。",
            "Rotates features in pairs by angles that grow with the position, so that scores depend on distances only. "
            "The number of rotated features must be even.",
        ),
        latex=r"\theta_m = \mathrm{base}^{-2m/D}",
        plain="θ_m = base^(−2m/D); pair m of query i is rotated by (i + offset)·θ_m, of key j by j·θ_m",
        source="Su et al. 2021, RoFormer, equation 34",
        example={"base": 10000},
    )

    def bind(self, features: FeatureSizes) -> Self:
        """Return the encoding with its parameters checked.

        Raises InvalidValue for a base that is not finite and greater than 0, for `dims` that are odd or more than a
        query or a key has, and for wrong parameters of `scaling`; ShapeMismatch for an odd number of features without
        `dims`.
        """
        if self.dims is None:
            self._require_pairs(features)
        elif self.dims % 2 or not 2 <= self.dims <= min(features.query, features.key):
            raise InvalidValue(
                ("dims",),
                expected=f"an even number from 2 to {min(features.query, features.key)}, the number of features",
                received=str(self.dims),
                advice="Leave it out to rotate all features.",
            )
        bound = Position.bind(self, features)
        if bound.scaling is not None:
            bound.scaling.check(bound.base, min(features.query, features.key) if self.dims is None else self.dims)
        return bound

    def _require_pairs(self, features: FeatureSizes) -> None:
        for size, whose in ((features.query, "query"), (features.key, "key")):
            if size % 2:
                raise ShapeMismatch(
                    (),
                    expected="an even number of features, since rotary rotates them in pairs",
                    received=f"{size} features in each {whose}",
                    advice="Rotate fewer with {position.rotary.dims}, add a feature of zeros, or use alibi.",
                )

    def rotate(self, vectors: FloatArray, positions: IntArray) -> FloatArray:
        """Return the rotated vectors; angles are computed in float64, so that large positions keep their digits."""
        if self.dims is not None and self.dims < vectors.shape[-1]:
            rotated = self.rotate_pairs(vectors[..., : self.dims], positions)
            others = np.broadcast_to(vectors[..., self.dims :], (*rotated.shape[:-1], vectors.shape[-1] - self.dims))
            return np.concatenate([rotated, others], axis=-1)
        return self.rotate_pairs(vectors, positions)

    def angles(self, pairs: int) -> FloatArray:
        """Return the angle of each pair for one position, in radians and float64, (pairs).

        :param pairs: number of rotated features, halved.
        """
        angles: FloatArray = self.base ** (-np.arange(pairs) / pairs)
        return angles if self.scaling is None else self.scaling.scale_angles(angles, self.base)

    def rotate_pairs(self, vectors: FloatArray, positions: IntArray) -> FloatArray:
        """Return vectors with all features rotated.

        :param vectors: (…, L, 2 · pairs).
        :param positions: integers that broadcast to (…, L).
        """
        half = vectors.shape[-1] // 2
        angles = positions[..., None] * self.angles(half)
        length = 1.0 if self.scaling is None else self.scaling.attention_scale
        cosines, sines = ((length * part).astype(vectors.dtype) for part in (np.cos(angles), np.sin(angles)))
        if self.interleaved:
            first, second = vectors[..., 0::2], vectors[..., 1::2]
        else:
            first, second = vectors[..., :half], vectors[..., half:]
        rotated = (first * cosines - second * sines, first * sines + second * cosines)
        if self.interleaved:
            return np.stack(rotated, axis=-1).reshape(*rotated[0].shape[:-1], 2 * half)
        return np.concatenate(rotated, axis=-1)


POSITIONS: dict[str, type[Position]] = {position.name: position for position in (Alibi, Rotary)}
