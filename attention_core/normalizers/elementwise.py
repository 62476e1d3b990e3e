"""Normalizers that act on each logit alone: sigmoid, relu and none.  Rows need not sum to 1."""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from attention_core.arrays import Logits, Row, RowMaximum, Weights
from attention_core.descriptions import Description, Text, parameter
from attention_core.expressions import Expression
from attention_core.interfaces import Normalizer, NormalizerGradient
from attention_core.kernel_forms import KernelNormalizer
from attention_core.normalizers.online import OnlineElementwise, initial_maximum, update_maximum
from attention_core.online_normalization import OnlineNormalizer, OnlineRows, RowState


@dataclass(frozen=True, slots=True)
class Sigmoid(Normalizer):
    """w = 1/(1 + exp(−(z + bias))).

    Ramapuram et al. 2024, "Theory, Analysis, and Best Practices for Sigmoid Self-Attention", equation 3.
    """

    bias: float = field(
        default=0.0,
        metadata=parameter(
            zh="加到每个得分上", en="Added to every logit", per_head=False, advice="Leave bias out for 0.", flat_name=""
        ),
    )
    name: ClassVar[str] = "sigmoid"
    description: ClassVar[Description] = Description(
        title=Text("Sigmoid", "Sigmoid"),
        summary=Text(
            "每个键单独决定，互不竞争；每行之和不必为 1。",
            "Each key is decided on its own, without competition; rows need not sum to 1.",
        ),
        latex=r"w_j = \frac{1}{1 + e^{-(z_j + \mathrm{bias})}}",
        plain="w_j = 1 / (1 + exp(−(z_j + bias)))",
        source="Ramapuram et al. 2024, Theory, Analysis, and Best Practices for Sigmoid Self-Attention",
        example={"bias": -1},
    )

    def kernel_normalizer(self) -> KernelNormalizer:
        """Return sigmoid with its bias."""
        return KernelNormalizer("sigmoid", self.bias)

    def compute_weights(self, logits: Logits, maximum: RowMaximum) -> Weights:
        """Return the logistic function, computed from exp(−|z|) so that neither tail overflows or loses digits."""
        # Most steps are in place, so that three matrices are held at once instead of six.
        shifted = logits + self.bias
        small = np.abs(shifted)
        np.negative(small, out=small)
        np.exp(small, out=small)
        weights: Weights = np.where(shifted >= 0, 1, small)
        small += 1
        weights /= small
        return weights

    def start_online(self, rows: OnlineRows) -> OnlineNormalizer:
        """Return an online normalizer that maps each logit to its weight."""
        return OnlineElementwise(rows, lambda logits: self.compute_weights(logits, logits))

    def backward(self, logits: Logits, weights: Weights, weight_gradient: Weights) -> NormalizerGradient:
        """Return ∂/∂z = g·w·(1 − w) and ∂/∂bias = Σ ∂/∂z."""
        # With t = exp(−|z + bias|) the slope is t/(1 + t)²: where w is nearly 1, no digits of 1 − w are left.
        tail = np.exp(-np.abs(logits + self.bias))
        gradient = weight_gradient * tail / np.square(1 + tail)
        return NormalizerGradient(logits=gradient, parameters={"bias": np.asarray(gradient.sum())})

    def explain_weight(self, logits: Row, weights: Row, key: int, head: int) -> tuple[Expression, ...]:
        """Return exponential = exp(−(z + bias)), denominator = 1 + exponential, weight = 1 / denominator."""
        exponential = float(np.exp(-(logits[key] + self.bias)))
        return (
            Expression("exponential", exponential, "exp(−({} + {}))", (float(logits[key]), self.bias)),
            Expression("denominator", 1 + exponential, "1 + {}", (exponential,)),
            Expression("weight", float(weights[key]), "1 / {}", (1 + exponential,)),
        )


@dataclass(frozen=True, slots=True)
class Relu(Normalizer):
    """w = max(z, 0) / (number of visible keys of the row).

    Wortsman et al. 2023, "Replacing softmax with ReLU in Vision Transformers", section 3.
    """

    name: ClassVar[str] = "relu"
    description: ClassVar[Description] = Description(
        title=Text("ReLU", "ReLU"),
        summary=Text(
            "取正的得分，再除以可见键的个数。",
            "The positive part of each score over the number of visible keys.",
        ),
        latex=r"w_j = \frac{\max(z_j, 0)}{n}",
        plain="w_j = max(z_j, 0) / (number of visible keys)",
        source="Wortsman et al. 2023, Replacing softmax with ReLU in Vision Transformers",
        example={},
    )
    operations_per_logit: ClassVar[int] = 10
    """A comparison, a count and a division, each over new memory."""

    def kernel_normalizer(self) -> KernelNormalizer:
        """Return relu."""
        return KernelNormalizer("relu")

    def compute_weights(self, logits: Logits, maximum: RowMaximum) -> Weights:
        """Return max(z, 0) / (number of visible keys)."""
        return (np.maximum(logits, 0) / _visible_keys(logits)).astype(logits.dtype, copy=False)

    def start_online(self, rows: OnlineRows) -> OnlineNormalizer:
        """Return an online normalizer that also counts visible keys."""
        return _OnlineRelu(rows)

    def backward(self, logits: Logits, weights: Weights, weight_gradient: Weights) -> NormalizerGradient:
        """Return ∂/∂z = g / (number of visible keys) where z > 0, else 0."""
        gradient = np.where(logits > 0, weight_gradient, 0) / _visible_keys(logits)
        return NormalizerGradient(logits=gradient.astype(logits.dtype, copy=False))

    def explain_weight(self, logits: Row, weights: Row, key: int, head: int) -> tuple[Expression, ...]:
        """Return denominator = number of visible keys, weight = max(z, 0) / denominator."""
        count = float(_visible_keys(logits)[0])
        return (
            Expression("denominator", count, "{}", (count,)),
            Expression("weight", float(weights[key]), "max({}, 0) / {}", (float(logits[key]), count)),
        )


@dataclass(frozen=True, slots=True)
class Identity(Normalizer):
    """w = z, 0 for a hidden key: linear attention without normalization.

    Katharopoulos et al. 2020, "Transformers are RNNs", without feature map and denominator.
    """

    name: ClassVar[str] = "none"
    description: ClassVar[Description] = Description(
        title=Text("不归一化", "None"),
        summary=Text(
            "权重就是得分本身：最朴素的线性注意力。",
            "The weights are the scores themselves: raw linear attention.",
        ),
        latex=r"w_j = z_j",
        plain="w_j = z_j",
        source="Katharopoulos et al. 2020, Transformers are RNNs",
        example={},
    )
    propagates_non_finite: ClassVar[bool] = True
    operations_per_logit: ClassVar[int] = 9
    """Two comparisons and a copy, each over new memory."""

    def kernel_normalizer(self) -> KernelNormalizer:
        """Return none."""
        return KernelNormalizer("none")

    def compute_weights(self, logits: Logits, maximum: RowMaximum) -> Weights:
        """Return the visible logits unchanged, NaN and +∞ included, and 0 for hidden keys."""
        return np.where(np.isneginf(logits), 0, logits).astype(logits.dtype, copy=False)

    def start_online(self, rows: OnlineRows) -> OnlineNormalizer:
        """Return an online normalizer that maps each logit to its weight."""
        return OnlineElementwise(rows, lambda logits: self.compute_weights(logits, logits))

    def backward(self, logits: Logits, weights: Weights, weight_gradient: Weights) -> NormalizerGradient:
        """Return ∂/∂z = g where the key is visible, else 0."""
        return NormalizerGradient(logits=np.where(np.isneginf(logits), 0, weight_gradient))

    def explain_weight(self, logits: Row, weights: Row, key: int, head: int) -> tuple[Expression, ...]:
        """Return weight = z."""
        return (Expression("weight", float(weights[key]), "{}", (float(logits[key]),)),)


def _visible_keys(logits: Logits) -> Logits:
    """Return the number of visible keys of each row, (…, q, 1); at least 1, so that it divides safely."""
    return np.maximum(np.sum(~np.isneginf(logits), axis=-1, keepdims=True), 1)


class _OnlineRelu:
    """max(z, 0) for each tile; the count of visible keys divides the output at the end.

    Each positive part is first scaled by a power of two, the inverse of the number of keys rounded up, so that no sum
    overflows where the weights do not.
    """

    def __init__(self, rows: OnlineRows) -> None:
        self._maximum = initial_maximum(rows)
        self._visible = np.zeros((*rows.shape, 1), dtype=np.intp)
        self._scale = 2.0 ** -rows.n_keys.bit_length()

    def update(self, logits: Logits, first_key: int) -> None:
        """Replace logits by scaled positive parts, and count visible keys."""
        update_maximum(self._maximum, logits)
        self._visible += np.sum(~np.isneginf(logits), axis=-1, keepdims=True)
        np.maximum(logits, 0, out=logits)
        logits *= self._scale

    def finalize(self) -> RowState:
        """Return the state whose divisor is the scaled count of visible keys."""
        divisor = (np.maximum(self._visible, 1) * self._scale).astype(self._maximum.dtype)
        return RowState(maximum=self._maximum, divisor=divisor)
