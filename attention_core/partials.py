"""Merge softmax attention over disjoint parts of the keys into attention over all of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from attention_core.arrays import FloatArray, PerQuery
from attention_core.errors import InvalidValue, ShapeMismatch


@dataclass(frozen=True, slots=True)
class Partial:
    """Softmax attention over some of the keys.

    A sink counts as a key: exactly one of the partials that are merged may include it.
    """

    output: FloatArray
    """(…, Lq, Dv)."""
    logsumexp: PerQuery
    """(…, Lq), natural logarithm; −∞ for a row without a visible key."""


def merge(partials: Sequence[Partial]) -> Partial:
    """Return attention over all keys of partials whose keys are disjoint; exact but for rounding.

    ::

        L = log Σ exp(Lᵢ)
        o = Σ exp(Lᵢ − L) · oᵢ

    A row without a visible key in any partial has output 0 and logsumexp −∞; a row that is NaN in one of them is NaN.

    :param partials: at least one, of equal shapes.

    Returns a partial in the widest dtype among them.

    Raises InvalidValue for no partials, ShapeMismatch for unequal shapes.

    Rabe & Staats 2021, "Self-attention Does Not Need O(n²) Memory", section 2.
    """
    _check(partials)
    dtype = np.result_type(*(array for partial in partials for array in (partial.output, partial.logsumexp)))
    with np.errstate(all="ignore"):
        logarithms = np.stack([partial.logsumexp.astype(dtype, copy=False) for partial in partials])
        largest = np.max(logarithms, axis=0)
        # For a row without a visible key: −∞ − 0 is −∞, while −∞ − (−∞) would be NaN.
        shift = np.where(np.isneginf(largest), 0, largest).astype(dtype, copy=False)
        weights = np.exp(logarithms - shift)
        total = np.sum(weights, axis=0)
        weights /= np.where(total > 0, total, 1)
        output = np.zeros(partials[0].output.shape, dtype=dtype)
        for weight, partial in zip(weights, partials, strict=True):
            weight_column = weight[..., None]
            output += np.where(weight_column == 0, 0, weight_column * partial.output)
        nan_rows = ~(largest < np.inf)
        output[np.broadcast_to(nan_rows, output.shape[:-1])] = np.nan
        logsumexp = np.where(nan_rows, largest, np.log(total) + shift).astype(dtype, copy=False)
    return Partial(output, logsumexp)


def _check(partials: Sequence[Partial]) -> None:
    if not partials:
        raise InvalidValue(
            ("partials",),
            expected="at least one partial",
            received="none",
            advice="Over no keys the output is zeros and the logsumexp −∞.",
        )
    shape = partials[0].output.shape
    leading = shape[:-1]
    for index, partial in enumerate(partials):
        if partial.output.shape != shape:
            raise ShapeMismatch(
                ("partials", index, "output"),
                expected=f"shape {list(shape)}, as in the first partial",
                received=f"shape {list(partial.output.shape)}",
                advice="Partials differ in their keys only.",
            )
        received = partial.logsumexp.shape
        fits = len(received) <= len(leading) and all(
            size in (1, expected) for size, expected in zip(received[::-1], leading[::-1], strict=False)
        )
        if received != partials[0].logsumexp.shape or not fits or received[-1:] != leading[-1:]:
            raise ShapeMismatch(
                ("partials", index, "logsumexp"),
                expected=f"one number for each row of outputs, shape {list(leading)}, the same in every partial",
                received=f"shape {list(received)}",
                advice="Include logsumexp beside output in every part.",
            )
