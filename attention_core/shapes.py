"""Do the pieces fit?  Every question about shapes is answered here, in the words of the person who sent them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from attention_core.arrays import FloatArray, IntArray, Leading
from attention_core.errors import InvalidValue, Path, ShapeMismatch
from attention_core.interfaces import Tile

Shape = tuple[int, ...]


def scores_shape(query: FloatArray, key: FloatArray) -> Shape:
    """Return (…, Lq, Lk): the broadcast leading axes of query and key, then the number of queries and of keys."""
    for array, name in ((query, "query"), (key, "key")):
        require_matrix(array, name)
    return (*broadcast_leading(query, key, "key", "query"), query.shape[-2], key.shape[-2])


def require_matrix(array: FloatArray, name: str) -> None:
    """Raise ShapeMismatch unless the array has two axes or more and at least one feature."""
    if array.ndim < 2:
        raise ShapeMismatch(
            (name,),
            expected=f"rank 2 or more: (…, {name} vectors, features)",
            received=f"shape {list(array.shape)}",
            advice=f"Wrap a single {name} vector in one more list.",
        )
    if array.shape[-1] == 0 and name != "value":
        raise ShapeMismatch(
            (name,),
            expected="at least one feature on the last axis",
            received=f"shape {list(array.shape)}",
            advice="A vector without features has no score; send at least one number per vector.",
        )


def check_value(value: FloatArray, key: FloatArray, scores: Shape) -> None:
    """Raise ShapeMismatch unless there is one value per key and the leading axes broadcast."""
    require_matrix(value, "value")
    if value.shape[-2] != key.shape[-2]:
        raise ShapeMismatch(
            ("value",),
            expected=f"one value vector per key: {key.shape[-2]}, since key has shape {list(key.shape)}",
            received=f"{value.shape[-2]}, since value has shape {list(value.shape)}",
            advice="Send as many value vectors as key vectors.",
        )
    if value.shape[:-2] in ((), scores[:-2]):
        return
    try:
        np.broadcast_shapes(scores[:-2], value.shape[:-2])
    except ValueError:
        raise ShapeMismatch(
            ("value",),
            expected=f"leading axes that broadcast with those of the scores, {list(scores[:-2])}",
            received=f"{list(value.shape[:-2])}, since value has shape {list(value.shape)}",
            advice="Each leading axis must be equal or 1.",
        ) from None


def check_past(past: NDArray[Any], new: NDArray[Any], name: str, other: str) -> None:
    """Raise ShapeMismatch unless the past differs from the new in its length only."""
    fits = past.ndim == new.ndim and past.shape[:-2] == new.shape[:-2] and past.shape[-1] == new.shape[-1]
    if not fits:
        raise ShapeMismatch(
            (name,),
            expected=f"the shape of {other} but for the length: {[*new.shape[:-2], 'past length', new.shape[-1]]}",
            received=f"shape {list(past.shape)}",
            advice="Send what an earlier answer returned as present; heads have an axis of their own there.",
        )


def broadcast_leading(left: FloatArray, right: FloatArray, name: str, other: str) -> Shape:
    """Return the broadcast leading axes of two arrays; the error names the second argument's field."""
    if left.ndim == right.ndim == 2:
        return ()
    try:
        return np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    except ValueError:
        raise ShapeMismatch(
            (name,),
            expected=f"leading axes that broadcast with those of {other}, {list(left.shape[:-2])}",
            received=f"{list(right.shape[:-2])}, since {name} has shape {list(right.shape)}",
            advice="Each leading axis must be equal or 1.",
        ) from None


def check_broadcastable(array: NDArray[Any], scores: Shape, path: Path) -> None:
    """Raise ShapeMismatch unless the array broadcasts, right-aligned, to the scores' shape and does not enlarge it."""
    fits = array.ndim <= len(scores) and all(
        size in (1, target) for size, target in zip(array.shape[::-1], scores[::-1], strict=False)
    )
    if not fits:
        raise ShapeMismatch(
            path,
            expected=f"a shape that broadcasts, right-aligned, to the scores' shape {list(scores)}",
            received=f"shape {list(array.shape)}",
            advice="The last axis counts keys and the one before it queries; each axis must be equal or 1.",
        )


def integers(numbers: NDArray[Any], path: Path) -> IntArray:
    """Return integers that may have come as floats; raise InvalidValue for a fraction."""
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


def cut(array: NDArray[Any], tile: Tile) -> NDArray[Any]:
    """Cut a tile out of an array of rank 2 or more that broadcasts over the scores; axes of length 1 stay."""
    rows = tile.rows if array.shape[-2] > 1 else slice(None)
    columns = tile.columns if array.shape[-1] > 1 else slice(None)
    return array[..., rows, columns]


def part(array: NDArray[Any], leading: Leading) -> NDArray[Any]:
    """Cut a block of the leading axes out of an array of rank 2 or more that broadcasts over the scores.

    Axes of length 1 stay, and so do those that only the array has.
    """
    own = array.shape[:-2]
    aligned = (slice(None),) * max(len(own) - len(leading), 0) + leading[max(len(leading) - len(own), 0) :]
    return array[tuple(slice(None) if size == 1 else cut for size, cut in zip(own, aligned, strict=True))]
