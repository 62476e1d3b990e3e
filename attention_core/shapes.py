"""Shape checks with errors in the caller's terms, and slices of arrays that broadcast over the scores."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from attention_core.arrays import FloatArray, IntArray, LeadingSlices
from attention_core.errors import ArgumentPath, InvalidValue, ShapeMismatch

Shape = tuple[int, ...]

Side = Literal["query", "key"]
"""Whether something is counted along the queries or along the keys, past and new."""


def infer_score_shape(query: FloatArray, key: FloatArray) -> Shape:
    """Return (…, Lq, Lk): the broadcast leading axes of query and key, then the numbers of queries and keys.

    :param query: (…, Lq, Dq).
    :param key: (…, Lk, Dk), with as many heads as query at rank 4.

    Raises ShapeMismatch for a rank below 2, no features, or leading axes that do not broadcast.
    """
    for array, name in ((query, "query"), (key, "key")):
        require_matrix(array, name)
    return (*broadcast_leading(query.shape, key, "key", "query"), query.shape[-2], key.shape[-2])


def require_matrix(array: FloatArray, name: str) -> None:
    """Raise ShapeMismatch unless the array has rank 2 or more and, but for value, at least one feature.

    :param array: query, key or value.
    :param name: "query", "key" or "value".
    """
    if array.ndim < 2:
        raise ShapeMismatch(
            (name,),
            expected=f"rank 2 or more: (…, {name} vectors, features)",
            received=f"{{{name}.shape}}",
            advice=f"Wrap a single {name} vector in one more list.",
        )
    if array.shape[-1] == 0 and name != "value":
        raise ShapeMismatch(
            (name,),
            expected="at least one feature on the last axis",
            received=f"{{{name}.shape}}",
            advice="A vector without features has no score; send at least one number per vector.",
        )


def require_equal_features(query: int, key: int, score_model: str) -> None:
    """Raise ShapeMismatch unless queries and keys have the same number of features.

    :param query: features of a query.
    :param key: features of a key.
    :param score_model: name of the model that needs it, for the error.
    """
    if query != key:
        raise ShapeMismatch(
            ("key",),
            expected=f"{query} features per key, as many as a query has: {score_model} pairs them one to one",
            received=f"{key}",
            advice="Send keys with as many features, or choose additive or bilinear, which take two sizes.",
        )


def check_value(value: FloatArray, key: FloatArray, score_shape: Shape) -> None:
    """Raise ShapeMismatch unless value has one vector per key and leading axes that broadcast with those of the scores.

    :param value: (…, Lk, Dv), with as many heads as query at rank 4.
    :param key: (…, Lk, Dk).
    :param score_shape: (…, Lq, Lk).
    """
    require_matrix(value, "value")
    require_value_per_key(value, key)
    broadcast_leading(score_shape, value, "value", "the scores")


def require_value_per_key(value: FloatArray, key: FloatArray) -> None:
    """Raise ShapeMismatch unless there are as many values as keys.

    :param value: (…, Lk, Dv).
    :param key: (…, Lk, Dk).
    """
    if value.shape[-2] != key.shape[-2]:
        raise ShapeMismatch(
            ("value",),
            expected=f"one value vector per key: {key.shape[-2]}, since key has {{key.shape}}",
            received=f"{value.shape[-2]}, since value has {{value.shape}}",
            advice="Send as many value vectors as key vectors.",
        )


def check_past(past: NDArray[Any], new: NDArray[Any], name: str, other: str, *, heads_third: bool = False) -> None:
    """Raise ShapeMismatch unless the shapes of past and new differ in the length (axis −2) only.

    :param past: cached keys or values.
    :param new: key or value, heads unpacked.
    :param name: argument's name of `past`, which the error blames.
    :param other: argument's name of `new`.
    :param heads_third: whether the caller's order is (B, L, H, D), for the error; the arrays are (B, H, L, D).
    """
    fits = past.ndim == new.ndim and past.shape[:-2] == new.shape[:-2] and past.shape[-1] == new.shape[-1]
    if not fits:
        sizes = [*map(str, new.shape[:-2]), "past length", str(new.shape[-1])]
        if heads_third:
            sizes[1], sizes[2] = sizes[2], sizes[1]
        raise ShapeMismatch(
            (name,),
            expected=f"the shape of {other} but for the length: [{', '.join(sizes)}]",
            received=f"{{{name}.shape}}",
            advice="Send what an earlier answer returned as present; heads have an axis of their own there.",
        )


def broadcast_leading(left: Shape, right: FloatArray, name: str, other: str) -> Shape:
    """Return the broadcast leading axes of two arrays.

    :param left: shape of rank 2 or more.
    :param right: rank 2 or more.
    :param name: name of `right`, which the error blames.
    :param other: what `left` is the shape of.

    Raises ShapeMismatch.
    """
    if len(left) == right.ndim == 2:
        return ()
    try:
        return np.broadcast_shapes(left[:-2], right.shape[:-2])
    except ValueError:
        expected = f"leading axes that broadcast with those of {other}, {list(left[:-2])}"
        received, advice = f"{list(right.shape[:-2])}", "Each leading axis must be equal or 1."
        if len(left) == right.ndim == 4 and left[1] == right.shape[1]:
            expected, received = f"the number of batch rows of {other}, {left[0]}, or 1", f"{right.shape[0]}"
            advice = "Axis 0 counts batch rows."
        raise ShapeMismatch(
            (name,), expected=expected, received=f"{received}, since {name} has {{{name}.shape}}", advice=advice
        ) from None


def check_broadcastable(array: NDArray[Any], score_shape: Shape, path: ArgumentPath) -> None:
    """Raise ShapeMismatch unless the array broadcasts, right-aligned, to the score shape without enlarging it.

    :param array: bias or mask, any rank.
    :param score_shape: (…, Lq, Lk).
    :param path: the argument, for the error.
    """
    fits = array.ndim <= len(score_shape) and all(
        size in (1, target) for size, target in zip(array.shape[::-1], score_shape[::-1], strict=False)
    )
    if not fits:
        raise ShapeMismatch(
            path,
            expected=f"a shape that broadcasts, right-aligned, to the scores' {describe_scores(score_shape)}",
            received=f"shape {list(array.shape)}",
            advice=_advice_on_broadcasting(array.shape, score_shape, path),
        )


def describe_scores(score_shape: Shape) -> str:
    """Return the shape of the scores with the names of its axes, where these have one."""
    axes = {2: ", (queries, keys)", 3: ", (batch, queries, keys)", 4: ", (batch, heads, queries, keys)"}
    return f"shape {list(score_shape)}{axes.get(len(score_shape), '')}"


def _advice_on_broadcasting(shape: Shape, score_shape: Shape, path: ArgumentPath) -> str:
    """Return what to change about a mask or bias that does not broadcast to the scores."""
    batch, ones, lengths = score_shape[:1], (1,) * max(len(score_shape) - 3, 0), score_shape[-2:]
    if len(score_shape) > 2 and shape == batch + lengths[1:]:
        sent = [*batch, *ones, 1, *lengths[1:]]
        keys = "Booleans of the keys of each batch row go to {mask.key_allowed}; here" if "allowed" in path else "Here"
        return f"{keys} (B, Lk) is sent as shape {sent}."
    if len(score_shape) > 3 and shape == batch + lengths:
        return f"What differs by batch row alone, (B, Lq, Lk), is sent as shape {[*batch, *ones, *lengths]}."
    return "The last axis counts keys and the one before it queries; each axis must be equal or 1."


def as_integers(numbers: NDArray[Any], path: ArgumentPath) -> IntArray:
    """Return the numbers as integers; floats without a fraction count as integers.

    :param numbers: array of any shape and dtype.
    :param path: the argument, for the error.

    Raises InvalidValue for a fraction, NaN, ±∞ and other dtypes, with the path of the first one.
    """
    array = np.asarray(numbers)
    if array.dtype.kind in "iu":
        return array
    with np.errstate(invalid="ignore"):
        whole = array.astype(np.int64) if array.dtype.kind == "f" else np.zeros(array.shape, np.int64)
    wrong = np.asarray(whole != array)
    if array.dtype.kind != "f" or wrong.any():
        where = tuple(int(i) for i in np.argwhere(wrong)[0]) if array.dtype.kind == "f" else ()
        raise InvalidValue(
            (*path, *where),
            expected="integers",
            received=str(array[where]) if where else str(array.dtype),
            advice="Send numbers without a fraction.",
        )
    return whole


def slice_leading(array: NDArray[Any], leading: LeadingSlices) -> NDArray[Any]:
    """Return a view of a block's part of an array; axes of length 1 stay, and so do leading axes that only it has.

    :param array: rank 2 or more; broadcasts to the scores, but for its last two axes.
    :param leading: one slice for each leading axis of the scores.
    """
    axes = array.shape[:-2]
    aligned = (slice(None),) * max(len(axes) - len(leading), 0) + leading[max(len(leading) - len(axes), 0) :]
    return array[tuple(slice(None) if size == 1 else block for size, block in zip(axes, aligned, strict=True))]


def shape_per_batch_row(
    numbers: NDArray[Any], score_shape: Shape, path: ArgumentPath, *, per_query: bool = False
) -> NDArray[Any]:
    """Return (B) as (B, 1, …, 1, 1), or (B, Lq) as (B, 1, …, Lq, 1), which broadcast to the scores.

    :param numbers: one number per batch row, or one for each of its queries.
    :param score_shape: (…, Lq, Lk); B is axis 0 from rank 3 on, and 1 at rank 2.
    :param path: the argument, for the error.
    :param per_query: whether numbers may be (B, Lq).

    Raises ShapeMismatch.
    """
    batch, queries = _batch_rows(score_shape), score_shape[-2]
    if numbers.shape != (batch,) and not (per_query and numbers.shape == (batch, queries)):
        also = f", or shape {[batch, queries]}, one for each of its queries" if per_query else ""
        raise ShapeMismatch(
            path,
            expected=f"shape {[batch]}, one number for each batch row{also}",
            received=f"shape {list(numbers.shape)}",
            advice=_count_batch_rows(score_shape),
        )
    return _lift_rows(numbers[:, None] if numbers.ndim == 1 else numbers, score_shape)


def shape_shared_or_per_row(
    numbers: NDArray[Any], score_shape: Shape, side: Side, path: ArgumentPath, advice: str
) -> NDArray[Any]:
    """Return (L) as (L, 1), or (B, L) as (B, 1, …, L, 1), which broadcast to the scores.

    :param numbers: one element for each query or key, shared by all batch rows or not.
    :param score_shape: (…, Lq, Lk); B is axis 0 from rank 3 on, and 1 at rank 2.
    :param side: whether L is Lq or Lk.
    :param path: the argument, for the error.
    :param advice: what the error advises.

    Raises ShapeMismatch.
    """
    batch, length = _batch_rows(score_shape), score_shape[-2 if side == "query" else -1]
    if numbers.shape == (length,):
        return numbers[:, None]
    if numbers.shape == (batch, length):
        return _lift_rows(numbers, score_shape)
    raise ShapeMismatch(
        path,
        expected=f"shape {[length]}, one element for each {side}, or {[batch, length]}, a list for each batch row",
        received=f"shape {list(numbers.shape)}",
        advice=f"{advice} {_count_batch_rows(score_shape)}",
    )


def _batch_rows(score_shape: Shape) -> int:
    """Return the number of batch rows: axis 0 from rank 3 on, and 1 at rank 2."""
    return score_shape[0] if len(score_shape) > 2 else 1


def _count_batch_rows(score_shape: Shape) -> str:
    """Return where errors count batch rows."""
    counted = "axis 0 counts batch rows" if len(score_shape) > 2 else "rank 2 is one batch row"
    return f"The scores have {describe_scores(score_shape)}: {counted}."


def _lift_rows(column: NDArray[Any], score_shape: Shape) -> NDArray[Any]:
    """Return (B, L) as (B, 1, …, L, 1), or as (L, 1) at rank 2, where B is 1."""
    between = (1,) * max(len(score_shape) - 3, 0)
    shaped = column.reshape(len(column), *between, column.shape[1], 1)
    return shaped if len(score_shape) > 2 else shaped[0]


def search_rows(numbers: IntArray, sought: IntArray, side: Literal["left", "right"]) -> IntArray | None:
    """Return where sought numbers belong among those of each row, as `numpy.searchsorted` does, (…, q, 1).

    :param numbers: (…, 1, k).
    :param sought: (…, q, 1); leading axes broadcast.
    :param side: "left" for the index of the first number that is not less, "right" for that of the first greater one.

    Returns None unless every row ascends.
    """
    if (numbers[..., 1:] < numbers[..., :-1]).any():
        return None
    leading = np.broadcast_shapes(sought.shape[:-2], numbers.shape[:-2])
    rows = np.broadcast_to(numbers, (*leading, *numbers.shape[-2:]))
    sought = np.broadcast_to(sought, (*leading, *sought.shape[-2:]))
    found = np.empty(sought.shape, np.int64)
    for index in np.ndindex(*leading):
        found[index] = np.searchsorted(rows[index][0], sought[index], side=side)
    return found
