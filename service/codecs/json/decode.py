"""From bytes to a document.

Every list that is a complete, rectangular array of numbers (or of booleans) becomes an array, and every other list
stays as it is: a schema that wants an array there can then say exactly what is wrong with it, and one that wants
strings finds its strings.  No number is looked at on its own.
"""

import json
from math import isinf
from typing import Any

import orjson

from service.codecs.json.arrays import Extended, Overflowing, as_array
from service.codecs.json.cut import SHORTEST, cut_arrays
from service.codecs.json.native import Array, count
from service.errors import MalformedBody

WORTH_CUTTING = 4096
"""From so many bytes on, arrays are read where they stand; below, lists of Python numbers are made as soon."""

MOST_PLAIN = 2_000_000
"""At most so many values are read by way of Python objects: a tenth of a gigabyte."""


def decode(body: bytes, max_depth: int) -> Any:
    """Return the JSON value with arrays in place of number lists.

    Raises MalformedBody when the bytes are not strict JSON or are nested deeper than `max_depth`.
    """
    return decode_plain(body, max_depth) if len(body) < WORTH_CUTTING else decode_cut(body, max_depth)


def decode_cut(body: bytes, max_depth: int, shortest: int = SHORTEST) -> Any:
    """Return what `decode` returns, reading arrays of so many bytes or more where they stand."""
    rest, arrays = cut_arrays(body, shortest)
    _require_few(rest, "so many elsewhere, or in an array that holds something else or is not rectangular")
    try:
        document = _with_arrays(orjson.loads(rest), max_depth, arrays)
    except orjson.JSONDecodeError as error:
        # The plain way says what is wrong with the whole, and reads numbers beyond float64.
        _require_few(body, f"something else: {error.msg}")
        return decode_plain(body, max_depth)
    if arrays:
        # One is left over where a name comes twice, or deep in a list that is no array.
        _require_few(body, "a name twice, or an array in a list that is not rectangular")
        return decode_plain(body, max_depth)
    return document


def _require_few(text: bytes, received: str) -> None:
    """Keep from making a Python object of each of very many values: a body could hold thirty times its size in them."""
    if count(text, b",") > MOST_PLAIN:
        raise MalformedBody(
            f"expected strict JSON with at most {MOST_PLAIN} values beside arrays of numbers; received {received}. "
            "Check the arrays of numbers, and names, commas and brackets around them."
        )


def decode_plain(body: bytes, max_depth: int) -> Any:
    """Return what `decode` returns, by way of Python lists."""
    return _with_arrays(_parse(body), max_depth, {})


def _parse(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        return _parse_overflowing(body, error)


def _parse_overflowing(body: bytes, error: orjson.JSONDecodeError) -> Any:
    """Parse JSON whose only oddity is a number beyond float64, which is well-formed and only too large.

    It keeps a type of its own, so that the schema can point to the element.  Writing the document back proves that
    nothing else was wrong with it (lone surrogates, nesting).
    """
    try:
        document = json.loads(body.decode(), parse_constant=_refuse, parse_int=_integer, parse_float=_float)
        orjson.dumps(document, default=float)
    except (ValueError, TypeError, RecursionError):
        detail = f"expected strict JSON; received something else: {error}."
        raise MalformedBody(f"{detail} NaN and Infinity are not JSON; check commas, quotes and brackets.") from None
    return document


def _refuse(constant: str) -> float:
    raise ValueError(constant)


def _integer(digits: str) -> int | float:
    # Beyond 64 bits a number is a float, infinite beyond float64; Python refuses to read very long integers at all.
    return int(digits) if len(digits) < 19 else _float(digits)


def _float(digits: str) -> float:
    number = float(digits)
    return Overflowing(number) if isinf(number) else number


def _with_arrays(value: Any, levels: int, cut: dict[str, Array]) -> Any:
    """Replace number lists by arrays, and what stands for a cut array by that array, which leaves `cut`.

    `levels` is how many more levels of nesting are allowed.
    """
    if isinstance(value, dict):
        _require_levels(levels)
        return {name: _with_arrays(member, levels - 1, cut) for name, member in value.items()}
    if isinstance(value, list):
        array = _cut_array(value, cut) if cut else None
        if array is None:
            array = as_array(value)
        if array is None:
            _require_levels(levels, _list_depth(value))
            return [_with_arrays(item, levels - 1, cut) if isinstance(item, dict) else item for item in value]
        _require_levels(levels, array.numbers.ndim if isinstance(array, Extended) else array.ndim)
        return array
    return value


def _cut_array(value: list[Any], cut: dict[str, Array]) -> Array | None:
    name = value[0] if len(value) == 1 else None
    return cut.pop(name, None) if isinstance(name, str) else None


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
