"""Number arrays read where they stand in the bytes, and a short document of what is left.

The values of members such as ``"query": [[…]]`` are cut out without a Python number in between; what is left, with a
small list in place of each, is for an ordinary parser.  Nothing is decided here that the ordinary parser would decide
otherwise: whatever is not plainly one whole array stays where it is.
"""

import secrets

from service.codecs.json.native import Array, read_arrays

SHORTEST = 64
"""From so many bytes on an array is worth cutting."""


def cut_arrays(body: bytes, shortest: int = SHORTEST) -> tuple[bytes, dict[str, Array]]:
    """Return the document without its number arrays of so many bytes or more, and these by what stands in their place.

    In the place of an array stands a list of one string that nobody could have guessed.
    """
    arrays: dict[str, Array] = {}
    unguessable = secrets.token_hex(8)
    pieces = []
    kept = 0
    for start, end, array in read_arrays(body, shortest):
        name = f"{unguessable}{len(arrays)}"
        arrays[name] = array
        pieces += [body[kept:start], b'["%b"]' % name.encode()]
        kept = end
    return (b"".join([*pieces, body[kept:]]) if arrays else body), arrays
