"""Number arrays read where they stand in the bytes, and a short document of what is left.

The values of members such as ``"query": [[…]]`` are cut out and read by simdjson, which makes no Python number; what
is left, with a small list in place of each, is for an ordinary parser.  Nothing is decided here that the ordinary
parser would decide otherwise: whatever is not plainly one whole array stays where it is.
"""

import re
import secrets
from collections.abc import Iterator

from service.codecs.json.read import READABLE, SPACE, Array, read_array

MOST_ARRAYS = 1000
"""So many arrays are cut; a document with more has small ones."""

SHORTEST = 256
"""From so many bytes on an array is worth cutting."""

STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
SPELLED = rb'"(?:NaN|Infinity)"'
MEMBER_ARRAY = re.compile(SPACE + rb":" + SPACE + rb"(?=\[)")
"""What stands between the name of a member and its value, if that is an array."""

UNTIL_LONG_ARRAY = rb'(?:(?!%b(?:\[[^"{}]{%%d}|\[[^"{}]*+%b))[^"]*+%b)*+' % (MEMBER_ARRAY.pattern, SPELLED, STRING)
ELEMENTS = re.compile(rb'[^"{}]*+(?:%b[^"{}]*+)*+' % SPELLED)


def cut_arrays(body: bytes, shortest: int = SHORTEST) -> tuple[bytes, dict[str, Array]]:
    """Return the document without its number arrays of so many bytes or more, and these by what stands in their place.

    In the place of an array stands a list of one string that nobody could have guessed.
    """
    arrays: dict[str, Array] = {}
    if not READABLE:
        return body, arrays
    unguessable = secrets.token_hex(8)
    pieces = []
    kept = 0
    for start, end in _spans(body, shortest):
        array = read_array(body[start:end])
        if array is not None:
            name = f"{unguessable}{len(arrays)}"
            arrays[name] = array
            pieces += [body[kept:start], b'["%b"]' % name.encode()]
            kept = end
    return b"".join([*pieces, body[kept:]]), arrays


def _spans(body: bytes, shortest: int) -> Iterator[tuple[int, int]]:
    """Find where the values of members that may be long arrays start and end."""
    until_long_array = re.compile(UNTIL_LONG_ARRAY % (shortest - 1), re.DOTALL)
    place = 0
    for _ in range(MOST_ARRAYS):
        # Names and strings are stepped over whole, so a bracket found after them is no part of a text.
        matched = until_long_array.match(body, place)
        between = matched and MEMBER_ARRAY.match(body, matched.end())
        if not between:
            return
        start = between.end()
        place = _end_of_array(body, start)
        if place <= start:
            return
        yield start, place


def _end_of_array(body: bytes, start: int) -> int:
    """Return where the array that starts here ends if the document is right, which reading the array will tell."""
    stop = body.find(b'"', start)
    if stop < 0:
        stop = len(body)
    elif body.startswith((b'"NaN"', b'"Infinity"'), stop):
        elements = ELEMENTS.match(body, start)
        stop = elements.end() if elements else start
    # After the array comes the next name, or the end of the object.
    brace = body.find(b"}", start, stop)
    return body.rfind(b"]", start, stop if brace < 0 else brace) + 1
