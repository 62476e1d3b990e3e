"""Taylor softmax: the exponential replaced by its polynomial of degree 2."""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from attention_core.arrays import FloatArray, Logits, RowMaximum, Weights
from attention_core.descriptions import Description, Text, parameter
from attention_core.interfaces import Normalizer, NormalizerGradient


@dataclass(frozen=True, slots=True)
class Taylor(Normalizer):
    """w = (constant + z + z²/2) / Σ (constant + z + z²/2) over the visible keys."""

    constant: float = field(
        default=1.0, metadata=parameter(zh="常数项", en="Term of degree 0", per_head=False, above=0.5)
    )
    name: ClassVar[str] = "taylor"
    description: ClassVar[Description] = Description(
        title=Text("泰勒 softmax", "Taylor softmax"),
        summary=Text("用二次多项式代替指数。", "A polynomial of degree 2 in the place of the exponential."),
        latex=r"w_j = \frac{c + z_j + z_j^2 / 2}{\sum_i c + z_i + z_i^2 / 2}",
        plain="w_j = (c + z_j + z_j²/2) / Σ (c + z_i + z_i²/2)",
        source="de Brébisson & Vincent 2016, An Exploration of Softmax Alternatives, section 3.2",
        example={"constant": 2},
    )
    is_distribution: ClassVar[bool] = True

    def _polynomial(self, logits: Logits) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return scale s, the polynomial of visible logits over s², and 1 + z over s²; 0 for hidden keys.

        s is the largest |z| of a row, at least 1, so that no square overflows.
        """
        visible = ~np.isneginf(logits)
        shown = np.where(visible, logits, 0)
        scale = np.max(np.abs(shown), axis=-1, keepdims=True, initial=1)
        ratios = shown / scale
        values = self.constant / scale / scale + ratios / scale + ratios * ratios / 2
        return scale, np.where(visible, values, 0), np.where(visible, (1 / scale + ratios) / scale, 0)

    def compute_weights(self, logits: Logits, maximum: RowMaximum) -> Weights:
        """Return the polynomial over its sum."""
        _, values, _ = self._polynomial(logits)
        return (values / values.sum(axis=-1, keepdims=True)).astype(logits.dtype, copy=False)

    def backward(self, logits: Logits, weights: Weights, weight_gradient: Weights) -> NormalizerGradient:
        """Return ∂/∂z = (g − Σ w·g)·(1 + z) / Σ, and ∂/∂constant = Σ (g − Σ w·g) / Σ over the visible keys."""
        scale, values, slopes = self._polynomial(logits)
        mean = np.sum(weights * weight_gradient, axis=-1, keepdims=True)
        centred = (weight_gradient - mean) / values.sum(axis=-1, keepdims=True)
        constant = np.sum(np.where(np.isneginf(logits), 0, centred) / scale / scale)
        return NormalizerGradient(logits=centred * slopes, parameters={"constant": np.asarray(constant)})
