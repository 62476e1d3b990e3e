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

STRING_OR_ARRAY = re.compile(rb'"[^"\\]*(?:\\(?:.|\Z)[^"\\]*)*(?:"|\Z)|:%b\[' % SPACE, re.DOTALL)
"""Names and strings, which are stepped over whole so that no bracket in them counts; or where a member's list opens.

A string that never ends reaches to the end, so that it is read once.
"""

OTHER_STRING = re.compile(rb'"(?<!"NaN")(?<!"Infinity")(?!NaN"|Infinity")')
"""A quotation mark that neither begins nor ends a number that JSON has no digits for.

It begins with the mark itself, for which a long array is searched thirty times as fast as for what looks behind first.
"""


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
    """Find where the values of members that may be long arrays start and end; every byte is looked at a few times."""
    ends = _Ends(body)
    place = found = 0
    while found < MOST_ARRAYS and (token := STRING_OR_ARRAY.search(body, place)) is not None:
        place = token.end()
        if body.startswith(b'"', token.start()):
            continue
        start = place - 1
        end = ends.of(start)
        if end - start >= shortest:
            found += 1
            place = end
            yield start, end


class _Ends:
    """Where arrays end if the document is right, which reading them will tell; asked for in the order of the document.

    After an array comes the next name, or the end of the object: looked for once, however many lists open before it.
    """

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._brace = self._string = self._stop = self._last = -1

    def of(self, start: int) -> int:
        """Return the end of the array that starts here; 0 if it cannot be one."""
        body = self._body
        if self._brace < start:
            self._brace = body.find(b"}", start) % (len(body) + 1)
        if self._string < start:
            # The first mark of any kind is found far faster than an expression finds its first letter.
            mark = body.find(b'"', start)
            other = None if mark < 0 else OTHER_STRING.search(body, mark)
            self._string = len(body) if other is None else other.start()
        stop = min(self._brace, self._string)
        if stop != self._stop:
            self._stop, self._last = stop, body.rfind(b"]", start, stop)
        return self._last + 1 if self._last > start else 0
