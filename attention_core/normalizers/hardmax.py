"""Hardmax, which puts all weight on one key."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from attention_core.arrays import Logits, Row, RowMaximum, Weights
from attention_core.descriptions import Description, Text
from attention_core.errors import InvalidValue
from attention_core.expressions import Expression
from attention_core.interfaces import Normalizer, NormalizerGradient
from attention_core.normalizers.row_expressions import explain_maximum


@dataclass(frozen=True, slots=True)
class Hardmax(Normalizer):
    """w = 1 at the largest z, at the lowest index on ties, and 0 elsewhere: the limit of softmax as T → 0."""

    name: ClassVar[str] = "hardmax"
    description: ClassVar[Description] = Description(
        title=Text("Hardmax", "Hardmax"),
        summary=Text(
            "全部注意力给得分最高的键；并列时取下标最小的。",
            "All attention on the key with the highest score, the lowest index on ties.",
        ),
        latex=r"w_j = [j = \arg\max_i z_i]",
        plain="w_j = 1 at the largest z_j, else 0",
        source="The limit of softmax as T → 0",
        example={},
    )
    is_distribution: ClassVar[bool] = True
    operations_per_logit: ClassVar[int] = 8
    """An argmax and a copy."""

    def reach(self) -> float:
        """Return 0: the largest logit alone has a weight."""
        return 0.0

    def compute_weights(self, logits: Logits, maximum: RowMaximum) -> Weights:
        """Return one-hot rows."""
        weights = np.zeros_like(logits)
        if weights.size:
            np.put_along_axis(weights, np.argmax(logits, axis=-1, keepdims=True), 1, axis=-1)
        return weights

    def backward(self, logits: Logits, weights: Weights, weight_gradient: Weights) -> NormalizerGradient:
        """Raise InvalidValue: a step function has slope 0 wherever it has one."""
        raise InvalidValue(
            ("normalizer",),
            expected="a normalizer that can be differentiated",
            received="hardmax, whose slope is 0 wherever it exists",
            advice="Use softmax with a low temperature, or sparsemax.",
        )

    def explain_weight(self, logits: Row, weights: Row, key: int, head: int) -> tuple[Expression, ...]:
        """Return maximum, and weight = 1 for the first key whose logit is the maximum, else 0."""
        maximum, weight = explain_maximum(logits), float(weights[key])
        template = "{} = {}" if logits[key] == maximum.value else "{} < {}"
        return maximum, Expression("weight", weight, template, (float(logits[key]), maximum.value))
