"""Positions on the wire: rotary embeddings and ALiBi."""

from typing import Annotated, Literal

from pydantic import Field

from attention_core import POSITIONS
from attention_core.interfaces import Position
from service.schemas.base import About, Described, OneOf, PositiveFloat, Text
from service.schemas.tensors import NumberPerHead


class PositionSchema(Described):
    """A position in a request."""

    name: str

    def to_core(self) -> Position:
        """Return the core's object of the same name; a parameter that is null keeps the core's default."""
        return POSITIONS[self.name](**self.parameters())


class Alibi(PositionSchema):
    name: Literal["alibi"] = "alibi"
    slopes: NumberPerHead | None = Field(
        None, description="A slope, or one for each query head; null is the paper's rule. 斜率，缺省按论文规则。"
    )

    about = About(
        title=Text("ALiBi 线性偏置", "ALiBi"),
        description=Text(
            "得分减去斜率乘以距离：越远的键得分越低。",
            "Takes a slope times the distance off each score: the farther the key, the lower it scores.",
        ),
        latex=r"z_{ij} \mathrel{-}= \mathrm{slope} \cdot |i + \mathrm{offset} - j|",
        plain="z_ij −= slope · |i + offset − j|",
        reference="Press, Smith & Lewis 2022, Train Short, Test Long",
        example={"name": "alibi", "slopes": 0.5},
    )


class Rotary(PositionSchema):
    name: Literal["rotary"] = "rotary"
    base: PositiveFloat | None = Field(None, description="Base of the angles; default 10000. 角度的底数。")
    interleaved: bool | None = Field(
        None, description="Pairs (2m, 2m + 1) instead of (m, m + D/2); default false. 是否交错配对。"
    )

    about = About(
        title=Text("旋转位置编码", "Rotary"),
        description=Text(
            "把特征两两配对，按位置旋转：得分只取决于相对距离。特征数须为偶数。",
            "Turns features in pairs by angles that grow with the position, so that scores depend on distances only. "
            "The number of features must be even.",
        ),
        latex=r"\theta_m = \mathrm{base}^{-2m/D}",
        plain="θ_m = base^(−2m/D); pair m of query i turns by (i + offset)·θ_m, of key j by j·θ_m",
        reference="Su et al. 2021, RoFormer, equation 34",
        example={"name": "rotary", "base": 10000},
    )


POSITION_SCHEMAS: tuple[type[PositionSchema], ...] = (Alibi, Rotary)

AnyPosition = Annotated[PositionSchema, OneOf("a position", POSITION_SCHEMAS)]
