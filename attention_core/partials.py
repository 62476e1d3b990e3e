"""Merge softmax attention over disjoint parts of the keys into attention over all of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import log
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attention_core.arrays import FloatArray, PerQuery
from attention_core.call import LAYOUTS, Layout
from attention_core.errors import ArgumentPath, InvalidValue, ShapeMismatch, UnknownName

LogBase = Literal["e", 2]
"""Base of a logsumexp: "e" here, in PyTorch, JAX, FlashAttention and xFormers; 2 in FlashInfer."""


class _Logarithm(NamedTuple):
    exp: Callable[[FloatArray], FloatArray]
    log: Callable[[FloatArray], FloatArray]
    ln_base: float


_LOGARITHMS: Mapping[Any, _Logarithm] = {
    "e": _Logarithm(np.exp, np.log, 1.0),
    2: _Logarithm(np.exp2, np.log2, log(2)),
}


@dataclass(frozen=True, slots=True)
class Partial:
    """Softmax attention over some of the keys.

    A sink counts as a key: exactly one of the partials that are merged may include it.
    """

    output: FloatArray
    """(…, Lq, Dv)."""
    logsumexp: PerQuery
    """(…, Lq), logarithm of the softmax denominator to `log_base`; −∞ for a row without a visible key."""
    log_base: LogBase = "e"
    """Base of `logsumexp`: "e", the default, or 2."""


def change_log_base(logsumexp: PerQuery, old: LogBase, new: LogBase, path: ArgumentPath) -> PerQuery:
    """Return logarithms to another base; the array itself where the bases are equal.

    :param logsumexp: (…, Lq), logarithms to `old`; ±∞ and NaN stay what they are.
    :param old: the base that they have.
    :param new: the base to return them in.
    :param path: the argument, for the error.

    Raises InvalidValue with the path of a finite number that overflows in the new base.
    """
    if old == new:
        return logsumexp
    with np.errstate(over="ignore"):
        changed: PerQuery = logsumexp * logsumexp.dtype.type(_LOGARITHMS[old].ln_base / _LOGARITHMS[new].ln_base)
    overflowed = np.isinf(changed) & np.isfinite(logsumexp)
    if overflowed.any():
        index = tuple(int(i) for i in np.argwhere(overflowed)[0])
        raise InvalidValue(
            (*path, *index),
            expected=f"a number that {changed.dtype.name} can hold as a logarithm to base {new}",
            received=f"{logsumexp[index]!s} to base {old}",
            advice="Scale the scores down, or ask for the base that it has.",
        )
    return changed


def merge(partials: Sequence[Partial], *, log_base: LogBase = "e", layout: Layout | None = None) -> Partial:
    """Return attention over all keys of partials whose keys are disjoint; exact but for rounding.

    ::

        L = log Σ exp(Lᵢ)
        o = Σ exp(Lᵢ − L) · oᵢ

    A row without a visible key in any partial has output 0 and logsumexp −∞; a row that is NaN in one of them is NaN.

    :param partials: at least one, of equal shapes; each may have a `log_base` of its own.
    :param log_base: base of the logsumexp that is returned: "e", the default, or 2.
    :param layout: "bshd" for outputs (B, Lq, H, Dv), beside logsumexp (B, H, Lq), as `attend` returns them in that
        layout; default "bhsd", for (…, Lq, Dv) beside (…, Lq).  The merged output has the same order.

    Returns a partial in the widest dtype among them.

    Raises InvalidValue for no partials, for another base, and for a logsumexp that overflows in another base;
    UnknownName for another layout; ShapeMismatch for unequal shapes, and for outputs of another rank than 4 in "bshd".

    Rabe & Staats 2021, "Self-attention Does Not Need O(n²) Memory", section 2.
    """
    _check(partials, log_base, layout)
    exp, logarithm, _ = _LOGARITHMS[log_base]
    dtype = np.result_type(*(array for partial in partials for array in (partial.output, partial.logsumexp)))
    with np.errstate(all="ignore"):
        logarithms = np.stack([partial.logsumexp.astype(dtype, copy=False) for partial in partials])
        for index, partial in enumerate(partials):
            if partial.log_base != log_base:
                place = ("partials", index, "logsumexp")
                logarithms[index] = change_log_base(logarithms[index], partial.log_base, log_base, place)
        largest = np.max(logarithms, axis=0)
        # For a row without a visible key: −∞ − 0 is −∞, while −∞ − (−∞) would be NaN.
        shift = np.where(np.isneginf(largest), 0, largest).astype(dtype, copy=False)
        weights = exp(logarithms - shift)
        total = np.sum(weights, axis=0)
        weights /= np.where(total > 0, total, 1)
        output = np.zeros(partials[0].output.shape, dtype=dtype)
        for weight, partial in zip(weights, partials, strict=True):
            weight_column = _order_rows(weight, layout)[..., None]
            output += np.where(weight_column == 0, 0, weight_column * partial.output)
        nan_rows = ~(largest < np.inf)
        output[np.broadcast_to(_order_rows(nan_rows, layout), output.shape[:-1])] = np.nan
        logsumexp = np.where(nan_rows, largest, logarithm(total) + shift).astype(dtype, copy=False)
    return Partial(output, logsumexp, log_base)


def _order_rows(rows: NDArray[Any], layout: Layout | None) -> NDArray[Any]:
    """Return an array with the axes of logsumexp, (…, Lq), in the order of the rows of an output."""
    return rows.swapaxes(-1, -2) if layout == "bshd" else rows


def _check(partials: Sequence[Partial], log_base: LogBase, layout: Layout | None) -> None:
    if not partials:
        raise InvalidValue(
            ("partials",),
            expected="at least one partial",
            received="none",
            advice="Over no keys the output is zeros and the logsumexp −∞.",
        )
    _check_log_base(log_base, ("log_base",))
    if layout not in (None, *LAYOUTS):
        raise UnknownName(("layout",), expected="a layout", kind="layout", received=str(layout), known=LAYOUTS)
    shape = partials[0].output.shape
    if layout == "bshd" and len(shape) != 4:
        raise ShapeMismatch(
            ("partials", 0, "output"),
            expected='rank 4, (batch, length, heads, features), because of the layout "bshd"',
            received=f"shape {list(shape)}",
            advice="Leave out layout for outputs without an axis of heads, and for packed heads.",
        )
    leading = (shape[0], shape[2], shape[1]) if layout == "bshd" else shape[:-1]
    for index, partial in enumerate(partials):
        _check_log_base(partial.log_base, ("partials", index, "log_base"))
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
        same = received == leading if layout == "bshd" else fits and received[-1:] == leading[-1:]
        if received != partials[0].logsumexp.shape or not same:
            raise ShapeMismatch(
                ("partials", index, "logsumexp"),
                expected=f"one number for each row of outputs, shape {list(leading)}, the same in every partial",
                received=f"shape {list(received)}",
                advice=_advice_on_rows(received, shape, layout),
            )


def _advice_on_rows(received: tuple[int, ...], shape: tuple[int, ...], layout: Layout | None) -> str:
    """Return what to change about a logsumexp that does not fit the outputs, or about the layout.

    :param received: shape of the logsumexp.
    :param shape: shape of the outputs, as they were sent.
    :param layout: layout that was said.
    """
    if len(shape) == 4 and received == (shape[0], shape[2], shape[1]) and layout != "bshd":
        return 'Outputs look like (batch, length, heads, features): send the layout "bshd".'
    if received == shape[:-1] and layout == "bshd":
        return 'Outputs look like (batch, heads, length, features): leave out the layout "bshd".'
    return "Include logsumexp beside output in every part."


def _check_log_base(log_base: LogBase, path: ArgumentPath) -> None:
    if log_base not in _LOGARITHMS:
        raise InvalidValue(
            path,
            expected="'e' for natural logarithms, or 2",
            received=repr(log_base),
            advice="FlashInfer's logsumexp has base 2, that of PyTorch, JAX and FlashAttention base e.",
        )
