"""Parameters of score models, normalizers and positions: checked as described, for all query heads or for each."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from attention_core.arrays import FloatArray, LeadingSlices
from attention_core.descriptions import AXES, Described, Parameter, parameters_of
from attention_core.dtypes import describe_range, to_compute_dtype
from attention_core.errors import InvalidValue, ShapeMismatch
from attention_core.reductions import sum_to_shape
from attention_core.shapes import Shape

PerHead = float | FloatArray
"""A number, or one for each query head: shape (Hq,)."""

Model = TypeVar("Model", bound=Described)


def bind_parameters(
    model: Model, n_heads: int | None, dtype: np.dtype[Any], sizes: Mapping[str, int] | None = None
) -> Model:
    """Return a model with its parameters checked against their descriptions and cast.

    :param model: an instance of a described dataclass; defaults stay as they are.
    :param n_heads: query heads, Hq; None unless the scores have a head axis.
    :param dtype: compute type.
    :param sizes: size of each axis of tensor parameters, by name.

    Raises ShapeMismatch or InvalidValue with a path that begins with the parameter's name.
    """
    bound: dict[str, Any] = {}
    for name, one in parameters_of(type(model)).items():
        value = getattr(model, name)
        # A default is within its bounds in every type; most parameters have theirs.
        if value is one.default or one.kind != "number":
            continue
        if one.axes:
            bound[name] = _bind_tensor(value, one, sizes or {}, n_heads, dtype)
        elif (number := bind_number(value, one, n_heads, dtype)) is not value:
            bound[name] = number
    return replace(model, **bound) if bound else model


def slice_parameters(model: Model, leading: LeadingSlices) -> Model:
    """Return a model for a block of the leading axes: parameters with a head axis keep the heads of the block."""
    sliced = {
        name: value[leading[1]]
        for name, one in parameters_of(type(model)).items()
        if isinstance(value := getattr(model, name), np.ndarray) and value.ndim > one.rank
    }
    return replace(model, **sliced) if sliced else model


def has_head_tensors(model: Described) -> bool:
    """Return whether a tensor parameter of a described model has one part for each query head."""
    return any(
        one.rank and np.ndim(getattr(model, name)) > one.rank for name, one in parameters_of(type(model)).items()
    )


def select_parameters(model: Described, head: int) -> dict[str, Any]:
    """Return the parameters that one query head uses, by name; those that are None are left out."""
    selected = {}
    for name, one in parameters_of(type(model)).items():
        value = getattr(model, name)
        if value is not None:
            selected[name] = value[head] if isinstance(value, np.ndarray) and value.ndim > one.rank else value
    return selected


def bind_number(value: PerHead, one: Parameter, n_heads: int | None, dtype: np.dtype[Any]) -> PerHead:
    """Return a number as a float, or one for each query head in the compute type, (Hq).

    :param value: a number, or (Hq).
    :param one: the parameter, with the bounds that hold in the compute type too.
    :param n_heads: query heads; None unless the scores have a head axis.
    :param dtype: compute type.

    Raises ShapeMismatch for another number of heads, InvalidValue for a number that is not finite or out of bounds.
    """
    # Most numbers are far from the limits of every type, so that the checks of one in NumPy, 14 µs, are needless.
    if isinstance(value, float) and (value == 0 or 1e-30 < abs(value) < 1e30) and one.accepts(value):
        return value
    numbers = np.asarray(value, dtype=np.float64)
    if numbers.ndim and (numbers.shape != (n_heads,) or not one.per_head):
        per_head = "" if n_heads is None or not one.per_head else f", or {n_heads}: one for each query head"
        raise ShapeMismatch(
            (one.name,),
            expected=f"a number{per_head}",
            received=f"shape {list(numbers.shape)}",
            advice="Send one number; a list needs scores of rank 4 (batch, heads, queries, keys).",
        )
    with np.errstate(over="ignore", under="ignore"):
        # A number that underflows to 0 in the compute type would be a division by zero there.
        rounded = numbers.astype(dtype)
        vanished = (rounded == 0) & (one.above == 0)
        wrong = ~np.isfinite(numbers) | (numbers <= one.above) | (numbers < one.minimum) | vanished
    if np.any(wrong):
        where = tuple(int(i) for i in np.argwhere(wrong)[0])
        in_range = f", {describe_range(dtype)}" if one.accepts(float(numbers[where])) else ""
        raise InvalidValue(
            (one.name, *where),
            expected=one.expected + in_range,
            received=f"{numbers[where]!s}",
            advice=one.advice,
        )
    bound = to_compute_dtype(numbers, dtype, (one.name,))
    return float(numbers) if numbers.ndim == 0 else bound


def _bind_tensor(
    array: FloatArray, one: Parameter, sizes: Mapping[str, int], n_heads: int | None, dtype: np.dtype[Any]
) -> FloatArray:
    """Return a tensor parameter in the compute type, of the shape of its axes or with a leading head axis."""
    expected = tuple(size_of_axis(axis, sizes) for axis in one.axes)
    bound = to_compute_dtype(np.asarray(array), dtype, (one.name,))
    per_head = (n_heads, *expected)
    if bound.shape != expected and (n_heads is None or bound.shape != per_head):
        also = "" if n_heads is None else f", or {list(per_head)} with one for each query head"
        raise ShapeMismatch(
            (one.name,),
            expected=f"shape {list(expected)} = {_meaning(one, sizes)}{also}",
            received=f"shape {list(bound.shape)}",
            advice=_advice_on_tensor(bound.shape, expected),
        )
    return bound


def size_of_axis(axis: str, sizes: Mapping[str, int]) -> int:
    """Return the size of an axis: of D in "D", three times that in "3·D".

    :param axis: as in `Parameter.axes`.
    :param sizes: size of each axis, by name.
    """
    factor, _, name = axis.rpartition("·")
    return int(factor or 1) * sizes[name]


def _meaning(one: Parameter, sizes: Mapping[str, int]) -> str:
    """Return what the axes count, and the sizes of those that the parameters decide."""
    names = [axis.rpartition("·") for axis in one.axes]
    counted = ", ".join(
        f"{factor}{' · ' if factor else ''}{AXES.get(name, 'entries')} {name}" for factor, _, name in names
    )
    note = f": {one.en}" if any(factor for factor, _, _ in names) else ""
    decided = "".join(f", with {name} = {size}" for name, size in sizes.items() if name not in ("D", "Dq", "Dk"))
    return f"[{counted}{note}]{decided}"


def _advice_on_tensor(received: Shape, expected: Shape) -> str:
    """Say what to change about a tensor parameter, of which the axes may fit in another order or without some of 1."""
    if len(expected) == 2 and received[-2:] == expected[::-1] and len(received) in (2, 3):
        return "Transpose it: hidden units, or features of a query, come first."
    if tuple(size for size in received if size != 1) == expected:
        return f"Send it as shape {list(expected)}; a head axis needs scores of rank 4."
    return "Parameters must fit the feature sizes of query and key; a head axis needs scores of rank 4."


def broadcast_over_pairs(value: PerHead) -> PerHead:
    """Return the value shaped to broadcast over scores: a number as it is, (Hq) as (Hq, 1, 1)."""
    return value[:, None, None] if isinstance(value, np.ndarray) else value


def sum_scalar_gradient(per_pair: FloatArray, value: PerHead) -> FloatArray:
    """Return the gradient of a scalar parameter, in its shape.

    :param per_pair: what each pair contributes, (…, q, k), or a part of it that broadcasts.
    :param value: the parameter, a number or (Hq).
    """
    shape = value.shape if isinstance(value, np.ndarray) else ()
    return sum_to_shape(per_pair.sum(axis=(-2, -1)), shape)
