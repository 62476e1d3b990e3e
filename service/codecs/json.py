"""JSON documents whose number arrays are NumPy arrays.

Decoding turns every list that is a complete, rectangular array of numbers (or of booleans) into an array and leaves
every other list as it is: a schema that wants an array there can then say exactly what is wrong with it, and one that
wants strings finds its strings.  No number is looked at on its own.
"""

import json
from collections.abc import Mapping
from itertools import chain
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from service.errors import MalformedBody

Document = dict[str, Any]

NUMBERS: frozenset[type] = frozenset((int, float))
BOOLEANS: frozenset[type] = frozenset((bool,))


def decode(body: bytes, max_depth: int) -> Any:
    """Return the JSON value with arrays in place of number lists.

    Raises MalformedBody when the bytes are not strict JSON or are nested deeper than `max_depth`.
    """
    return _with_arrays(_parse(body), max_depth)


def encode(document: Mapping[str, Any]) -> bytes:
    """Return strict JSON; in arrays −∞ becomes null, NaN "NaN" and +∞ "Infinity".

    Numbers are the shortest that read back to the same value in the array's own type.
    """
    return orjson.dumps(writable(document), option=orjson.OPT_SERIALIZE_NUMPY)


def _parse(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        return _parse_overflowing(body, error)


def _parse_overflowing(body: bytes, error: orjson.JSONDecodeError) -> Any:
    """Parse JSON whose only oddity is a number beyond float64, which is well-formed and only too large.

    It reads as infinity, so that the schema can point to the element.  Writing the document back proves that nothing
    else was wrong with it (lone surrogates, nesting).
    """
    try:
        document = json.loads(body.decode(), parse_constant=_refuse, parse_int=_integer)
        orjson.dumps(document, option=orjson.OPT_NON_STR_KEYS)
    except (ValueError, TypeError, RecursionError):
        detail = f"expected strict JSON; received something else: {error}."
        raise MalformedBody(f"{detail} NaN and Infinity are not JSON; check commas, quotes and brackets.") from None
    return document


def _refuse(constant: str) -> float:
    raise ValueError(constant)


def _integer(digits: str) -> int | float:
    # Beyond 64 bits a number is a float, infinite beyond float64; Python refuses to read very long integers at all.
    return int(digits) if len(digits) < 19 else float(digits)


def _with_arrays(value: Any, levels: int) -> Any:
    """Replace number lists by arrays; `levels` is how many more levels of nesting are allowed."""
    if isinstance(value, dict):
        _require_levels(levels)
        return {name: _with_arrays(member, levels - 1) for name, member in value.items()}
    if isinstance(value, list):
        array = as_array(value)
        _require_levels(levels, _list_depth(value) if array is None else array.ndim)
        if array is not None:
            return array
        return [_with_arrays(item, levels - 1) if isinstance(item, dict) else item for item in value]
    return value


def _require_levels(levels: int, needed: int = 1) -> None:
    if needed > levels:
        raise MalformedBody("expected fewer levels of nesting; received JSON nested deeper than the limit. Flatten it.")


def _list_depth(nested: list[Any]) -> int:
    """Return how deep lists nest in lists."""
    depth = 0
    level = [nested]
    while level:
        depth += 1
        level = [item for parent in level for item in parent if isinstance(item, list)]
    return depth


def as_array(nested: list[Any]) -> NDArray[Any] | None:
    """Return the array of float64, int64 or bool that the nested lists spell out, or None if they do not.

    None: ragged or empty anywhere, anything but numbers (or but booleans), or a number beyond float64.
    """
    shape = [len(nested)]
    level = nested
    while (types := set(map(type, level))) == {list}:
        lengths = set(map(len, level))
        if len(lengths) != 1 or len(shape) == 64:
            return None
        shape.append(lengths.pop())
        level = list(chain.from_iterable(level))
    if not level:
        return None
    if types == BOOLEANS:
        return np.array(level, dtype=np.bool_).reshape(shape)
    if not types <= NUMBERS:
        return None
    return _number_array(level, types, shape)


def _number_array(level: list[Any], types: set[type], shape: list[int]) -> NDArray[Any] | None:
    if types == {int}:
        try:
            return np.array(level, dtype=np.int64).reshape(shape)
        except OverflowError:
            pass
    try:
        array = np.array(level, dtype=np.float64).reshape(shape)
    except OverflowError:
        return None
    return array if np.isfinite(array).all() else None


def number(value: float | None) -> Any:
    """Return a number that stands alone in a document as it is written in an array; None stays."""
    return None if value is None else plain(np.asarray(value))


def writable(value: Any) -> Any:
    """Return a document in which whatever JSON has no number for is spelled out; lists are taken as they are."""
    if isinstance(value, np.ndarray):
        return _writable_array(value)
    if isinstance(value, Mapping):
        return {name: writable(member) for name, member in value.items()}
    return value


def _writable_array(array: NDArray[Any]) -> Any:
    if array.dtype.kind == "f" and not np.isfinite(array).all() and not (array < np.inf).all():
        # orjson writes every non-finite number as null, which is right for −∞ alone.
        return plain(array)
    return np.ascontiguousarray(array)


def plain(array: NDArray[Any]) -> Any:
    """Return nested lists in which −∞ is null, NaN "NaN" and +∞ "Infinity"."""
    if np.isfinite(array).all():
        return array.tolist()
    mixed = array.astype(object)
    mixed[np.isneginf(array)] = None
    mixed[np.isnan(array)] = "NaN"
    mixed[np.isposinf(array)] = "Infinity"
    return mixed.tolist()
