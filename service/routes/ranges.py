"""Range requests for files (RFC 9110, section 14)."""

import re
from collections.abc import Mapping

from service.errors import MalformedBody, RangeNotSatisfiable

UNIT = "bytes"

RANGE = re.compile(r"([0-9]{1,4000})-([0-9]{0,4000})|-([0-9]{1,4000})")
"""One range of a set: FIRST-LAST, FIRST-, or -COUNT for the last bytes.  Python reads integers up to 4300 digits."""


def checked_range(fields: Mapping[bytes, bytes], size: int, validators: tuple[str, str]) -> bool:
    """Return whether to serve a part of a file of `size` bytes.

    False where the file is to be served whole: without a range, for a range in another unit than bytes, and when
    If-Range names neither of the `validators`, the entity tag and the date of the file.  Raises MalformedBody when the
    range cannot be read, RangeNotSatisfiable when it begins behind the end.
    """
    text = fields.get(b"range", b"").decode("latin-1")
    unit, equals, ranges = text.partition("=")
    condition = fields.get(b"if-range")
    if unit.strip().lower() != UNIT or (condition is not None and condition.decode("latin-1") not in validators):
        return False
    starts = [_start_of(one.strip(), size) for one in ranges.split(",") if one.strip()]
    if not equals or None in starts or not starts:
        raise MalformedBody(
            f"expected Range: {UNIT}=FIRST-LAST, FIRST- or -COUNT, several of them separated by commas; received "
            f"{text[:40]!r}. Correct it, or leave it out for the whole file."
        )
    if any(start >= size for start in starts if start is not None):
        raise RangeNotSatisfiable(
            f"expected ranges that begin before byte {size}, the end of the file; received {text[:40]!r}. "
            "Ask for earlier bytes.",
            size,
        )
    return True


def _start_of(text: str, size: int) -> int | None:
    """Return the first byte of a range, `size` for an empty one; None for a text that is not a range."""
    found = RANGE.fullmatch(text)
    if found is None:
        return None
    first, last, count = found.groups()
    if count is not None:
        return max(size - int(count), 0)
    return None if last and int(last) < int(first) else int(first)
