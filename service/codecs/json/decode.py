"""Decode JSON into a document with arrays.

Every list that is a complete, rectangular array of numbers, or of booleans, becomes an array.  Every other list stays a
list, in which a schema finds its strings, or the element that keeps it from being an array.
"""

import json
from math import isinf
from typing import Any

import orjson

from service.codecs.json import native
from service.codecs.json.arrays import Overflowing, as_array
from service.codecs.json.cut import MIN_CUT_BYTES, cut_arrays
from service.codecs.json.names import require_distinct
from service.codecs.json.native import Array, RefusedArray, count_structure
from service.errors import MalformedBody, TooLarge

MIN_CUT_BODY_BYTES = 4096
"""Minimum bytes of a body whose arrays compiled code reads; shorter ones are as fast by way of Python lists."""

MAX_PLAIN_VALUES = 2_000_000
"""Maximum values beside arrays of numbers in a body: each becomes a Python object of 50 to 100 bytes."""

SHOWN_BYTES = 24
"""Bytes of a body that a message shows."""


def decode(body: bytes, max_depth: int) -> Any:
    """Return the JSON value with arrays in place of number lists.

    Raises MalformedBody when the bytes are not strict JSON, are nested deeper than `max_depth`, or have a name twice in
    an object; TooLarge when very many values are in no array of numbers.
    """
    return decode_plain(body, max_depth) if len(body) < MIN_CUT_BODY_BYTES else decode_cut(body, max_depth)


def decode_cut(body: bytes, max_depth: int, min_bytes: int = MIN_CUT_BYTES) -> Any:
    """Return what `decode` returns, reading arrays of `min_bytes` or more where they stand."""
    rest, arrays, refused = cut_arrays(body, min_bytes)
    if _too_many(rest):
        # Cut short arrays as well: many of them together may be most of the values.
        rest, arrays, refused = cut_arrays(body, 1)
        if _too_many(rest):
            raise _too_many_values(rest, body, refused)
    try:
        return _assembled(orjson.loads(rest), rest, max_depth, arrays)
    except orjson.JSONDecodeError as error:
        # The whole body is parsed again, for a better error, and since numbers beyond float64 are read there.
        if _too_many(body):
            raise _malformed(error.msg, max_depth) from None
        return decode_plain(body, max_depth)


def _too_many(text: bytes) -> bool:
    """Return whether a text holds more values than may become Python objects, which take 30 times its bytes."""
    return len(text) > MAX_PLAIN_VALUES and count_structure(text).values > MAX_PLAIN_VALUES


def _too_many_values(rest: bytes, body: bytes, refused: RefusedArray | None) -> TooLarge:
    """Return the error of a text with too many values in no array; it shows where the longest refused array breaks."""
    received = count_structure(rest).values
    if not native.AVAILABLE:
        return TooLarge(
            f"expected at most {MAX_PLAIN_VALUES} values in JSON, since this server has no compiled code to read "
            f"arrays with; received {received}. Send long tensors as safetensors or in the binary form of /v2."
        )
    where = ""
    if refused is not None:
        shown = body[refused.at : refused.at + SHOWN_BYTES].decode(errors="replace")
        fault = f"where {shown!r} stands" if shown else "where the text ends"
        where = (
            f" The list at byte {refused.start} is no rectangular array of numbers, or of booleans, from byte "
            f"{refused.at} on, {fault}: correct it."
        )
    return TooLarge(
        f"expected at most {MAX_PLAIN_VALUES} values in JSON beside arrays of numbers; received "
        f"{received}.{where} Send numbers as arrays, and less of anything else."
    )


def decode_plain(body: bytes, max_depth: int) -> Any:
    """Return what `decode` returns, by way of Python lists."""
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        parsed = _parse_overflowing(body, max_depth, error)
    return _assembled(parsed, body, max_depth, {})


def _parse_overflowing(body: bytes, max_depth: int, error: orjson.JSONDecodeError) -> Any:
    """Parse JSON whose only oddity is a number beyond float64, which is well-formed and only too large.

    It keeps a type of its own, so that the schema can point to the element.  Writing the document back proves that
    nothing else was wrong with it (lone surrogates, nesting).
    """
    try:
        document = json.loads(body.decode(), parse_constant=_refuse, parse_int=_integer, parse_float=_float)
        orjson.dumps(document, default=float)
    except RecursionError:
        raise _nested_too_deep(max_depth) from None
    except (ValueError, TypeError) as fault:
        raise _malformed(str(fault) if _is_too_deep(str(fault)) else str(error), max_depth) from None
    return document


def _malformed(fault: str, max_depth: int) -> MalformedBody:
    """Return the error of a text that is not strict JSON; `fault` is the message of the parser."""
    if _is_too_deep(fault):
        return _nested_too_deep(max_depth)
    return MalformedBody(
        f"expected strict JSON; received something else: {fault}. NaN and Infinity are not JSON; check commas, quotes "
        "and brackets."
    )


TOO_DEEP = ("depth limit exceeded", "Recursion limit reached")
"""Messages of orjson for text nested more than 1024 levels deep, and for documents nested more than 254."""


def _is_too_deep(fault: str) -> bool:
    return any(words in fault for words in TOO_DEEP)


def _nested_too_deep(max_depth: int) -> MalformedBody:
    return MalformedBody(
        f"expected at most {max_depth} levels of nesting; received JSON nested deeper than the limit. Flatten it."
    )


def _refuse(constant: str) -> float:
    raise ValueError(constant)


def _integer(digits: str) -> int | float:
    # Beyond 64 bits a number is a float, infinite beyond float64; Python refuses to read very long integers at all.
    return int(digits) if len(digits) < 19 else _float(digits)


def _float(digits: str) -> float:
    number = float(digits)
    return Overflowing(number) if isinf(number) else number


def _assembled(parsed: Any, text: bytes, max_depth: int, cut: dict[str, Array]) -> Any:
    """Return the parsed document with arrays in place of number lists; raises DuplicateName."""
    assembler = _Assembler(max_depth, cut)
    document = assembler.assemble(parsed, max_depth)
    require_distinct(text, assembler.members)
    return document


class _Assembler:
    """Puts arrays in place of number lists, and of the placeholders of `cut` arrays; counts members of objects.

    Objects and lists are changed in place.  `levels` is always how many more levels of nesting are allowed.
    """

    __slots__ = ("_cut", "_max_depth", "members")

    def __init__(self, max_depth: int, cut: dict[str, Array]) -> None:
        self._max_depth = max_depth
        self._cut = cut
        self.members = 0

    def assemble(self, value: Any, levels: int) -> Any:
        """Return a value with arrays; raises MalformedBody where it is nested too deep."""
        if type(value) is list:
            return self._list(value, levels)
        if type(value) is dict:
            self._object(value, levels)
        return value

    def _object(self, value: dict[str, Any], levels: int) -> None:
        self._require(levels)
        self.members += len(value)
        for name, member in value.items():
            if type(member) is list:
                value[name] = self._list(member, levels - 1)
            elif type(member) is dict:
                self._object(member, levels - 1)

    def _list(self, value: list[Any], levels: int) -> Any:
        array = self._cut_array(value) if self._cut else None
        if array is None:
            array = as_array(value)
        if array is None:
            return self._other_list(value, levels)
        if array.ndim > levels:
            raise _nested_too_deep(self._max_depth)
        return array

    def _cut_array(self, value: list[Any]) -> Array | None:
        name = value[0] if len(value) == 1 else None
        return self._cut.get(name) if isinstance(name, str) else None

    def _other_list(self, value: list[Any], levels: int) -> list[Any]:
        """Put arrays into the objects in a list that is no array, however deep in lists of lists these are."""
        level = [value]
        while level:
            self._require(levels)
            levels -= 1
            deeper = []
            for parent in level:
                for item in parent:
                    if type(item) is dict:
                        self._object(item, levels)
                    elif type(item) is list:
                        deeper.append(item)
            level = deeper
        return value

    def _require(self, levels: int) -> None:
        if levels < 1:
            raise _nested_too_deep(self._max_depth)
