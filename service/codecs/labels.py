"""What pictures and terminals show: labels made harmless, measured and cut to size; numbers as short as needed."""

import unicodedata
from collections.abc import Iterator
from math import isfinite

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
ELLIPSIS = "…"
ZERO_WIDTH_JOINER = "\N{ZERO WIDTH JOINER}"

REORDERING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that turn around the text that follows them, which need not be their own."""

NONCHARACTERS = frozenset("\ufffe\uffff")


def printable(text: str) -> str:
    """Return the text on one line, without what XML forbids and without what would command a terminal."""
    return "".join(map(_printable, text))


def _printable(character: str) -> str:
    if character in "\t\n\r\u2028\u2029":
        return " "
    forbidden = character in REORDERING or character in NONCHARACTERS or unicodedata.category(character) in ("Cc", "Cs")
    return REPLACEMENT if forbidden else character


def column_counts(text: str) -> list[int]:
    """Return for each character how many columns it takes: 2 for wide ones such as 团, 0 for what joins another."""
    counts: list[int] = []
    previous = ""
    for character in text:
        joins = previous == ZERO_WIDTH_JOINER or unicodedata.category(character) in ("Mn", "Me", "Cf")
        wide = unicodedata.east_asian_width(character) in ("W", "F")
        counts.append(0 if joins else 2 if wide else 1)
        previous = character
    return counts


def columns(text: str) -> int:
    """Return how many columns a text takes in a terminal."""
    return sum(column_counts(text))


def shorten(text: str, most: int) -> str:
    """Return the text if it takes at most so many columns, else its beginning and an ellipsis."""
    counts = column_counts(text)
    if sum(counts) <= most:
        return text
    kept, taken = 0, 0
    while taken + counts[kept] <= most - 1:
        taken += counts[kept]
        kept += 1
    return text[:kept] + ELLIPSIS


def writings(weight: float) -> Iterator[str]:
    """Yield ways to write a weight, in ever less room: with four decimals, with two, in fewer digits."""
    if weight in (0, 1) or not isfinite(weight):
        yield f"{abs(weight):.0f}".replace("nan", "NaN").replace("inf", "∞" if weight > 0 else "-∞")
        return
    fixed = (".4f", ".2f") if abs(weight) < 1000 else (".6g",)
    for form in (*fixed, ".3g", ".1e", ".0e"):
        written = f"{weight:{form}}".replace("e+0", "e").replace("e+", "e").replace("e-0", "e-")
        if not (weight < 0 and float(written) == 0):
            yield written
