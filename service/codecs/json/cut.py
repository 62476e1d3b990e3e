"""Number arrays read by compiled code from the bytes of a document, and a short document of the rest.

The values of members such as ``"query": [[…]]`` are cut out without creating Python numbers; the rest, with a small
list in the place of each, goes to the ordinary parser.  Only a whole, rectangular array is cut: the ordinary parser
would have read the same.
"""

import secrets

from service.codecs.json.native import Array, RefusedArray, read_arrays

MIN_CUT_BYTES = 64
"""Minimum bytes of an array that is cut; shorter ones are as fast by way of Python numbers."""


def cut_arrays(body: bytes, min_bytes: int = MIN_CUT_BYTES) -> tuple[bytes, dict[str, Array], RefusedArray | None]:
    """Return the document without its number arrays of `min_bytes` or more, and these by their placeholders.

    In the place of an array stands a list of one random string, which no client can guess.  The refused array with the
    most elements before its fault is returned as well.
    """
    arrays: dict[str, Array] = {}
    unguessable = secrets.token_hex(8)
    pieces = []
    kept = 0
    found, refused = read_arrays(body, min_bytes)
    for start, end, array in found:
        name = f"{unguessable}{len(arrays)}"
        arrays[name] = array
        pieces += [body[kept:start], b'["%b"]' % name.encode()]
        kept = end
    return (b"".join([*pieces, body[kept:]]) if arrays else body), arrays, refused
