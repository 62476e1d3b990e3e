"""Normalizers that look at one key at a time: sigmoid, relu and none.  Rows need not sum to 1."""

from dataclasses import dataclass
from math import isfinite
from typing import Any, ClassVar, Self

import numpy as np

from attention_core.arrays import Leading, Logits, Row, RowMaximum, Weights
from attention_core.dtypes import in_compute_type
from attention_core.errors import InvalidValue
from attention_core.interfaces import NormalizerGradient, RowEnds, Rows, Stream, Term
from attention_core.normalizers.streams import KeyByKey, raise_to, unseen


@dataclass(frozen=True, slots=True)
class Sigmoid:
    """w = 1/(1 + exp(−(z + bias))); bias is a number, default 0.

    Ramapuram et al. 2024, "Theory, Analysis, and Best Practices for Sigmoid Self-Attention", equation 3.
    """

    bias: float = 0.0
    name: ClassVar[str] = "sigmoid"
    passes_non_finite: ClassVar[bool] = False
    is_distribution: ClassVar[bool] = False

    def bind(self, heads: int | None, dtype: np.dtype[Any]) -> Self:
        """Raise InvalidValue unless bias is finite."""
        if not isfinite(self.bias):
            raise InvalidValue(
                ("bias",), expected="a finite number", received=str(self.bias), advice="Leave bias out for 0."
            )
        in_compute_type(np.asarray(self.bias, dtype=np.float64), dtype, ("bias",))
        return self

    def within(self, leading: Leading) -> Self:
        """There is nothing to cut."""
        return self

    def weights(self, logits: Logits, maximum: RowMaximum) -> Weights:
        """Return the logistic function, from exp(−|z|) so that neither tail overflows or loses digits."""
        # In place, so that a tile holds three matrices and not six.
        shifted = logits + self.bias
        small = np.abs(shifted)
        np.negative(small, out=small)
        np.exp(small, out=small)
        weights: Weights = np.where(shifted >= 0, 1, small)
        small += 1
        weights /= small
        return weights

    def stream(self, rows: Rows) -> Stream:
        """Weigh key by key."""
        return KeyByKey(rows, lambda logits: self.weights(logits, logits))

    def gradient(self, logits: Logits, weights: Weights, weight_gradient: Weights) -> NormalizerGradient:
        """∂/∂z = g·w·(1 − w), and its sum for the bias."""
        gradient = weight_gradient * weights * (1 - weights)
        return NormalizerGradient(logits=gradient, parameters={"bias": np.asarray(gradient.sum())})

    def parts(self, logits: Row, weights: Row, key: int, head: int) -> tuple[Term, ...]:
        """Weight = 1 / denominator, denominator = 1 + exponential, exponential = exp(−(z + bias))."""
        exponential = float(np.exp(-(logits[key] + self.bias)))
        return (
            Term("exponential", exponential, "exp(−({} + {}))", (float(logits[key]), self.bias)),
            Term("denominator", 1 + exponential, "1 + {}", (exponential,)),
            Term("weight", float(weights[key]), "1 / {}", (1 + exponential,)),
        )

    def operations_per_logit(self) -> int:
        """Some twelve passes over fresh memory, one of them an exponential."""
        return 30

    def scratch(self) -> int:
        """Logits, weights and what lies between."""
        return 4


@dataclass(frozen=True, slots=True)
class Relu:
    """w = max(z, 0) / (number of visible keys).

    Wortsman et al. 2023, "Replacing softmax with ReLU in Vision Transformers", section 3.
    """

    name: ClassVar[str] = "relu"
    passes_non_finite: ClassVar[bool] = False
    is_distribution: ClassVar[bool] = False

    def bind(self, heads: int | None, dtype: np.dtype[Any]) -> Self:
        """Nothing to check."""
        return self

    def within(self, leading: Leading) -> Self:
        """There is nothing to cut."""
        return self

    def weights(self, logits: Logits, maximum: RowMaximum) -> Weights:
        """Return the positive part over the count of visible keys."""
        return (np.maximum(logits, 0) / _visible_keys(logits)).astype(logits.dtype, copy=False)

    def stream(self, rows: Rows) -> Stream:
        """Count the visible keys."""
        return _ReluRows(rows)

    def gradient(self, logits: Logits, weights: Weights, weight_gradient: Weights) -> NormalizerGradient:
        """∂/∂z = g over the count, where z > 0."""
        gradient = np.where(logits > 0, weight_gradient, 0) / _visible_keys(logits)
        return NormalizerGradient(logits=gradient.astype(logits.dtype, copy=False), parameters={})

    def parts(self, logits: Row, weights: Row, key: int, head: int) -> tuple[Term, ...]:
        """Weight = max(z, 0) / denominator, the number of visible keys."""
        count = float(_visible_keys(logits)[0])
        return (
            Term("denominator", count, "{}", (count,)),
            Term("weight", float(weights[key]), "max({}, 0) / {}", (float(logits[key]), count)),
        )

    def operations_per_logit(self) -> int:
        """Comparison, count, division, each over fresh memory."""
        return 10

    def scratch(self) -> int:
        """Logits, weights and what lies between."""
        return 4


@dataclass(frozen=True, slots=True)
class Identity:
    """w = z, 0 for a hidden key: raw linear attention.

    Katharopoulos et al. 2020, "Transformers are RNNs", without feature map and denominator.
    """

    name: ClassVar[str] = "none"
    passes_non_finite: ClassVar[bool] = True
    is_distribution: ClassVar[bool] = False

    def bind(self, heads: int | None, dtype: np.dtype[Any]) -> Self:
        """Nothing to check."""
        return self

    def within(self, leading: Leading) -> Self:
        """There is nothing to cut."""
        return self

    def weights(self, logits: Logits, maximum: RowMaximum) -> Weights:
        """Return the visible logits as they are, NaN and +∞ included."""
        return np.where(np.isneginf(logits), 0, logits).astype(logits.dtype, copy=False)

    def stream(self, rows: Rows) -> Stream:
        """Weigh key by key."""
        return KeyByKey(rows, lambda logits: self.weights(logits, logits))

    def gradient(self, logits: Logits, weights: Weights, weight_gradient: Weights) -> NormalizerGradient:
        """∂/∂z = g, where the key is visible."""
        return NormalizerGradient(logits=np.where(np.isneginf(logits), 0, weight_gradient), parameters={})

    def parts(self, logits: Row, weights: Row, key: int, head: int) -> tuple[Term, ...]:
        """Weight = z."""
        return (Term("weight", float(weights[key]), "{}", (float(logits[key]),)),)

    def operations_per_logit(self) -> int:
        """Two comparisons and a copy, each over fresh memory."""
        return 9

    def scratch(self) -> int:
        """Logits, weights and what lies between."""
        return 4


def _visible_keys(logits: Logits) -> Logits:
    """How many keys each row sees, at least 1 so that it divides safely: (…, q, 1)."""
    return np.maximum(np.sum(~np.isneginf(logits), axis=-1, keepdims=True), 1)


class _ReluRows:
    """max(z, 0), and at the end the count of visible keys.

    Unless a bound on the logits proves it needless, what is summed is first divided by a power of two, the number of
    keys rounded up: no sum overflows where the weights themselves do not.
    """

    def __init__(self, rows: Rows) -> None:
        self._maximum = unseen(rows)
        self._visible = np.zeros((*rows.shape, 1), dtype=np.intp)
        largest = rows.bound * rows.keys * max(rows.largest_value, 1.0)
        self._share = 1.0 if largest < float(np.finfo(rows.dtype).max) else 2.0 ** -rows.keys.bit_length()

    def weigh(self, logits: Logits, first_key: int, rows: slice) -> None:
        """Take positive parts and count."""
        raise_to(self._maximum[..., rows, :], logits)
        self._visible[..., rows, :] += np.sum(~np.isneginf(logits), axis=-1, keepdims=True)
        np.maximum(logits, 0, out=logits)
        logits *= self._share

    def ends(self) -> RowEnds:
        """Divide by the count."""
        divisor = (np.maximum(self._visible, 1) * self._share).astype(self._maximum.dtype)
        return RowEnds(maximum=self._maximum, divisor=divisor)
