"""Bodies of JSON for the decoder that cuts out tensors, and what a decoder makes of a body."""

from collections.abc import Callable
from typing import Any

import numpy as np

from service.codecs.json import Extended
from service.codecs.json.decode import decode_cut
from service.errors import MalformedBody

DEPTH = 12

ODD_WORDS = """
0 -0 -0.0 1E5 1e-400 -1e-400 0.1e1 00 +1 .5 1. 1e400 -1e400 1e 1e+ - 0x1 01 -01 1.e5 0e9999999999999999999999 2e0001
9007199254740993 9223372036854775807 9223372036854775808 -9223372036854775808 -9223372036854775809
18446744073709551615 18446744073709551616 0.18446744073709551616 0.018446744073709551616 2.2250738585072011e-308
1.7976931348623158e308 1.7976931348623159e308
5e-324 2e-324 3e-324 01.5 -00.25 1.5.5 0.30000000000000004 NaN Infinity -Infinity null true false nullnull 1null null1
true1 1true -true -false falsefalse "NaN" "Infinity" "-Infinity" "nan" "" "x" [] {} [1] [[2]] {"a":1}
"""

ODD_NUMBERS = ODD_WORDS.split()


def outcome(read_body: Callable[[bytes, int], Any], body: bytes, max_depth: int = DEPTH) -> Any:
    """Return what a decoder makes of a body, so that equal means equal to the last bit, types and shapes included."""
    try:
        return described(read_body(body, max_depth))
    except MalformedBody as error:
        return str(error)


def cut_small(body: bytes, max_depth: int) -> Any:
    """Decode a body; tensors are cut out of it however short it is."""
    return decode_cut(body, max_depth, min_bytes=1)


def described(value: Any) -> Any:
    """Return a decoded value with the types, shapes and bits of all that is in it."""
    if isinstance(value, Extended):
        return "extended", described(value.numbers)
    if isinstance(value, np.ndarray):
        return str(value.dtype), value.shape, value.tobytes()
    if isinstance(value, dict):
        return {name: described(member) for name, member in value.items()}
    if isinstance(value, list):
        return [described(item) for item in value]
    return type(value).__name__, repr(value)
