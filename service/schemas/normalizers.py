"""The normalizers on the wire: parameters, titles, formulas, sources.  The core computes them."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from attention_core import NORMALIZERS
from attention_core.interfaces import Normalizer
from service.schemas.base import About, Described, Named, PositiveFloat, Text


class NormalizerSchema(Described):
    """A normalizer in a request."""

    name: str

    def to_core(self) -> Normalizer:
        """Return the core's object of the same name; a parameter that is null keeps the core's default."""
        parameters = {name: value for name, value in self if name != "name" and value is not None}
        return NORMALIZERS[self.name](**parameters)


class Softmax(NormalizerSchema):
    name: Literal["softmax"] = "softmax"
    temperature: PositiveFloat | None = Field(
        None, description="T > 0, default 1; smaller is sharper, larger is flatter. 温度，缺省为 1，越小越集中。"
    )

    about = About(
        title=Text("Softmax", "Softmax"),
        description=Text(
            "取指数再除以总和：权重为正，每行之和为 1。先减去最大值，再大的得分也不会溢出。",
            "Exponentials over their sum: weights are positive and each row sums to 1. The maximum is taken off first, "
            "so no finite score overflows.",
        ),
        latex=r"w_j = \frac{e^{z_j / T}}{\sum_i e^{z_i / T}}",
        plain="w_j = exp(z_j / T) / Σ exp(z_i / T)",
        reference="Vaswani et al. 2017, equation 1; temperature: Hinton, Vinyals & Dean 2015, equation 1",
        example={"name": "softmax", "temperature": 0.5},
    )


class Proportional(NormalizerSchema):
    name: Literal["proportional"] = "proportional"

    about = About(
        title=Text("按比例", "Proportional"),
        description=Text(
            "得分除以得分总和：70、15、10、5 变成 0.70、0.15、0.10、0.05。得分不能为负；全为零的行权重为零。",
            "Each score over the sum of scores: 70, 15, 10, 5 become 0.70, 0.15, 0.10, 0.05. Scores must not be "
            "negative; a row of zeros weighs nothing.",
        ),
        latex=r"w_j = \frac{z_j}{\sum_i z_i}",
        plain="w_j = z_j / Σ z_i",
        reference="The founding tutorial of this project",
        example={"name": "proportional"},
    )


NORMALIZER_SCHEMAS: tuple[type[NormalizerSchema], ...] = (Softmax, Proportional)

_NAMED = Named("a normalizer", NORMALIZER_SCHEMAS)

AnyNormalizer = Annotated[
    Annotated[Softmax | Proportional, Field(discriminator="name")],
    BeforeValidator(_NAMED),
    _NAMED,
]
