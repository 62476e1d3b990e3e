"""Attention over a part of the keys, and how parts become the whole: what makes a long sequence divisible."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from attention_core.arrays import FloatArray, PerQuery
from attention_core.errors import InvalidValue, ShapeMismatch


@dataclass(frozen=True, slots=True)
class Partial:
    """Output (…, Lq, Dv) and logsumexp (…, Lq) of softmax attention over some of the keys.

    Of a sink, which counts as a key, exactly one of the partials that are merged may know.
    """

    output: FloatArray
    logsumexp: PerQuery


def merge(partials: Sequence[Partial]) -> Partial:
    """Return attention over all the keys of partials over disjoint ones; exact, but for rounding.

    ::

        L = log Σ exp(Lᵢ)
        o = Σ exp(Lᵢ − L) · oᵢ

    A row that no partial saw a key for is zeros and −∞; a row that is poisoned in one of them stays so.
    Computed in the widest type among them.  Raises InvalidValue for no partials, ShapeMismatch for unequal shapes.
    Rabe & Staats 2021, "Self-attention Does Not Need O(n²) Memory", section 2.
    """
    _check(partials)
    dtype = np.result_type(*(array for one in partials for array in (one.output, one.logsumexp)))
    with np.errstate(all="ignore"):
        logarithms = np.stack([one.logsumexp.astype(dtype, copy=False) for one in partials])
        largest = np.max(logarithms, axis=0)
        # Nothing of an empty row is taken, and −∞ − (−∞) would be NaN.
        shift = np.where(np.isneginf(largest), 0, largest).astype(dtype, copy=False)
        shares = np.exp(logarithms - shift)
        total = np.sum(shares, axis=0)
        shares /= np.where(total > 0, total, 1)
        output = np.zeros(partials[0].output.shape, dtype=dtype)
        for share, one in zip(shares, partials, strict=True):
            taken = share[..., None]
            output += np.where(taken == 0, 0, taken * one.output)
        poisoned = ~(largest < np.inf)
        output[np.broadcast_to(poisoned, output.shape[:-1])] = np.nan
        logsumexp = np.where(poisoned, largest, np.log(total) + shift).astype(dtype, copy=False)
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
    for index, one in enumerate(partials):
        if one.output.shape != shape:
            raise ShapeMismatch(
                ("partials", index, "output"),
                expected=f"shape {list(shape)}, as in the first partial",
                received=f"shape {list(one.output.shape)}",
                advice="Partials differ in their keys only.",
            )
        own = one.logsumexp.shape
        fits = len(own) <= len(leading) and all(
            size in (1, whole) for size, whole in zip(own[::-1], leading[::-1], strict=False)
        )
        if own != partials[0].logsumexp.shape or not fits or own[-1:] != leading[-1:]:
            raise ShapeMismatch(
                ("partials", index, "logsumexp"),
                expected=f"one number for each row of outputs, shape {list(leading)}, the same in every partial",
                received=f"shape {list(own)}",
                advice="Include logsumexp beside output in every part.",
            )
