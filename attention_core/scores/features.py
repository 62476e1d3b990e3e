"""What several score models ask of feature sizes and of parameters."""

from collections.abc import Iterator
from math import isfinite, prod, sqrt
from typing import Any

import numpy as np

from attention_core.arrays import FloatArray, Key, Leading, Query
from attention_core.buffers import take_rows_as_they_lie
from attention_core.dtypes import in_compute_type
from attention_core.errors import InvalidValue, ShapeMismatch
from attention_core.interfaces import Features, Term
from attention_core.reductions import sum_to
from attention_core.shapes import Shape

BLOCK_NUMBERS = 1 << 18
"""So many numbers stay in the cache while pairs that need much room are scored a few at a time.

With fewer, two threads would more often wait for each other between two steps.
"""

KEYS_AT_ONCE = 512
"""So many keys are paired with a query at once where a pair needs much room."""

SEVERAL = 8
"""From so many queries on it pays to turn keys into columns first."""

PerHead = float | FloatArray
"""A number, or one for each query head: shape (Hq,)."""


def require_equal(features: Features, score_model: str) -> None:
    """Raise ShapeMismatch unless queries and keys have the same number of features."""
    if features.query != features.key:
        raise ShapeMismatch(
            ("key",),
            expected=f"{features.query} features per key, as many as a query has: {score_model} pairs them one to one",
            received=f"{features.key}",
            advice="Send keys with as many features, or choose additive or bilinear, which take two sizes.",
        )


def bind_tensor(
    array: FloatArray, expected: Shape, meaning: str, name: str, features: Features, dtype: np.dtype[Any]
) -> FloatArray:
    """Return a tensor parameter in the compute type; raise ShapeMismatch unless it is `expected`, per head or not."""
    bound = in_compute_type(np.asarray(array), dtype, (name,))
    per_head = (features.heads, *expected)
    if bound.shape != expected and (features.heads is None or bound.shape != per_head):
        also = "" if features.heads is None else f", or {list(per_head)} with one for each query head"
        raise ShapeMismatch(
            (name,),
            expected=f"shape {list(expected)} = {meaning}{also}",
            received=f"shape {list(bound.shape)}",
            advice="Parameters must fit the feature sizes of query and key; a head axis needs scores of rank 4.",
        )
    return bound


def bind_number(value: PerHead, name: str, features: Features, dtype: np.dtype[Any], *, positive: bool) -> PerHead:
    """Return a scalar parameter, or one per head cast; raise unless finite, and positive if it must be."""
    numbers = np.asarray(value, dtype=np.float64)
    if numbers.ndim and numbers.shape != (features.heads,):
        raise ShapeMismatch(
            (name,),
            expected="a number"
            if features.heads is None
            else f"a number, or {features.heads}: one for each query head",
            received=f"shape {list(numbers.shape)}",
            advice="Send one number; a list needs scores of rank 4 (batch, heads, queries, keys).",
        )
    with np.errstate(over="ignore", under="ignore"):
        # A number so small that it is 0 in the compute type is none to divide by.
        wrong = ~np.isfinite(numbers) | ((numbers.astype(dtype) <= 0) if positive else False)
    if np.any(wrong):
        where = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise InvalidValue(
            (name, *where),
            expected="a finite number greater than 0" if positive else "a finite number",
            received=f"{numbers[where]!s}",
            advice="Choose another, or leave it out for the default.",
        )
    bound = in_compute_type(numbers, dtype, (name,))
    return float(numbers) if numbers.ndim == 0 else bound


def over_pairs(value: PerHead) -> PerHead:
    """Shape a number per head to broadcast over (…, Hq, q, k)."""
    return value[:, None, None] if isinstance(value, np.ndarray) else value


def number_gradient(per_pair: FloatArray, value: PerHead) -> FloatArray:
    """Sum what each pair contributes to the gradient of a scalar, or of one per head."""
    shape = value.shape if isinstance(value, np.ndarray) else ()
    return sum_to(per_pair.sum(axis=(-2, -1)), shape)


def at_head(value: PerHead, head: int) -> float:
    """Return the number that one query head uses."""
    return float(value[head]) if isinstance(value, np.ndarray) else value


def tensor_at_head(array: FloatArray, rank: int, head: int) -> FloatArray:
    """Return the tensor of one query head: the array itself unless it has an axis more than `rank`."""
    return array[head] if array.ndim > rank else array


def heads_within(value: PerHead, rank: int, leading: Leading) -> PerHead:
    """Return a parameter for a block of the leading axes: its heads, if it has an axis more than `rank`."""
    return value[leading[1]] if isinstance(value, np.ndarray) and value.ndim > rank else value


def tensor_within(array: FloatArray, rank: int, leading: Leading) -> FloatArray:
    """Do the same for a parameter that is an array always."""
    return array[leading[1]] if array.ndim > rank else array


def largest_norm(vectors: FloatArray, axis: int) -> float:
    """Return the largest norm of the finite vectors along an axis, and a little more for rounding; ∞ beyond the type.

    What a vector that is not finite scores is no finite number, so that no bound need hold for it.
    """
    # Nothing as large as the vectors is made in between.
    sums = np.einsum("...ij,...ij->...i" if axis == -1 else "...ij,...ij->...j", vectors, vectors)
    largest = np.maximum.reduce(sums, axis=None, initial=0)
    if not isfinite(largest):
        largest = np.max(sums, initial=0, where=np.isfinite(vectors).all(axis=axis))
    return sqrt(largest) * 1.01


def farthest(numbers: FloatArray) -> float:
    """Return the largest magnitude, 0 for none; NaN or ∞ if there is one."""
    highest = np.maximum.reduce(numbers, axis=None, initial=0)
    return max(float(highest), -float(np.minimum.reduce(numbers, axis=None, initial=0)))


def largest_of(value: PerHead) -> float:
    """Return the largest magnitude among the finite ones of a number, or of an array of them; 0 for none."""
    magnitudes = np.abs(value)
    return float(np.max(magnitudes, initial=0, where=np.isfinite(magnitudes)))


def pair_blocks(leading: Shape, queries: int, keys: int, per_pair: int) -> Iterator[tuple[slice, slice]]:
    """Cut queries × keys into blocks for which about BLOCK_NUMBERS numbers are held, `per_pair` for each pair."""
    pairs = max(1, BLOCK_NUMBERS // max(1, prod(leading) * per_pair))
    width = min(keys, max(pairs, 1), KEYS_AT_ONCE)
    height = max(1, pairs // max(1, width))
    for row in range(0, queries, height):
        for column in range(0, keys, max(1, width)):
            yield slice(row, min(row + height, queries)), slice(column, min(column + width, keys))


def units_of_pairs(
    combine: np.ufunc, queries: FloatArray, keys: FloatArray
) -> Iterator[tuple[slice, slice, FloatArray]]:
    """Yield rows, columns and combine(q, k) for each unit of each of their pairs, a few pairs at a time.

    Shapes: queries (…, Lq, U), keys (…, U, Lk); what is yielded is (…, q, U, k).  It is the caller's to change, and is
    overwritten by what comes next.
    """
    leading = np.broadcast_shapes(queries.shape[:-2], keys.shape[:-2])
    units, length = keys.shape[-2:]
    # The longer axis comes last in memory, where steps are made.
    as_columns = length > units and queries.shape[-2] >= SEVERAL
    if as_columns:
        keys = np.ascontiguousarray(keys)
    room = np.empty(0, dtype=keys.dtype)
    for rows, columns in pair_blocks(leading, queries.shape[-2], length, units):
        height, width = rows.stop - rows.start, columns.stop - columns.start
        shape = (*leading, height, units, width) if as_columns else (*leading, height, width, units)
        room = room if room.size >= prod(shape) else np.empty(prod(shape), dtype=keys.dtype)
        block = room[: prod(shape)].reshape(shape)
        out = block if as_columns else block.swapaxes(-1, -2)
        with np.errstate():
            take_rows_as_they_lie(block.shape[-1])
            combine(queries[..., rows, :, None], keys[..., None, :, columns], out=out)
        yield rows, columns, out


def products(query: Query, key: Key) -> tuple[Term, ...]:
    """Return one product per feature."""
    pairs = [(float(q), float(k)) for q, k in zip(query, key, strict=True)]
    return tuple(Term(f"feature {m}", q * k, "{} × {}", (q, k)) for m, (q, k) in enumerate(pairs))
