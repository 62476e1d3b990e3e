"""Texts of pictures and terminals: labels escaped, measured and shortened; weights in the digits that fit."""

import unicodedata
from collections.abc import Iterator
from math import isfinite

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
ELLIPSIS = "…"
ZERO_WIDTH_JOINER = "\N{ZERO WIDTH JOINER}"

REORDERING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that reverse the direction of the text that follows them."""

NONCHARACTERS = frozenset("\ufffe\uffff")


def printable(text: str) -> str:
    """Return the text on one line, without characters that XML forbids or a terminal obeys."""
    return "".join(map(_printable, text))


def _printable(character: str) -> str:
    if character in "\t\n\r\u2028\u2029":
        return " "
    forbidden = character in REORDERING or character in NONCHARACTERS or unicodedata.category(character) in ("Cc", "Cs")
    return REPLACEMENT if forbidden else character


def column_counts(text: str) -> list[int]:
    """Return the columns of each character: 2 for wide ones such as 团, 0 for those that combine with another."""
    counts: list[int] = []
    previous = ""
    for character in text:
        joins = previous == ZERO_WIDTH_JOINER or unicodedata.category(character) in ("Mn", "Me", "Cf")
        wide = unicodedata.east_asian_width(character) in ("W", "F")
        counts.append(0 if joins else 2 if wide else 1)
        previous = character
    return counts


def columns(text: str) -> int:
    """Return the columns that a text takes in a terminal."""
    return sum(column_counts(text))


def shorten(text: str, max_columns: int) -> str:
    """Return the text if it takes at most `max_columns` columns, else its beginning and an ellipsis."""
    counts = column_counts(text)
    if sum(counts) <= max_columns:
        return text
    kept, taken = 0, 0
    while taken + counts[kept] <= max_columns - 1:
        taken += counts[kept]
        kept += 1
    return text[:kept] + ELLIPSIS


def writings(weight: float) -> Iterator[str]:
    """Yield spellings of a weight, each shorter than the last: with four decimals, with two, in fewer digits."""
    if weight in (0, 1) or not isfinite(weight):
        yield f"{abs(weight):.0f}".replace("nan", "NaN").replace("inf", "∞" if weight > 0 else "-∞")
        return
    fixed = (".4f", ".2f") if abs(weight) < 1000 else (".6g",)
    for form in (*fixed, ".3g", ".1e", ".0e"):
        written = f"{weight:{form}}".replace("e+0", "e").replace("e+", "e").replace("e-0", "e-")
        if not (weight < 0 and float(written) == 0):
            yield written
