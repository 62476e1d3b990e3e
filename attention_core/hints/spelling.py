"""Compare names by their spelling."""

import re
from collections.abc import Iterable

MIN_LENGTH = 3
"""Minimum letters of a name that is compared."""

MAX_SHORT_LENGTH = 4
"""Maximum letters of a short name."""

MAX_SHORT_EDITS, MAX_EDITS = 1, 2
"""Maximum edits between a short name, or a longer one, and its misspelling: two edits are half of a short name."""

_WORD_STARTS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_SEPARATORS = re.compile(r"[-\s.]+")


def snake_case(name: str) -> str:
    """Return a name in lower case with underscores: ``keyLengths`` and ``Key-Lengths`` are ``key_lengths``."""
    return _SEPARATORS.sub("_", _WORD_STARTS.sub("_", name).strip()).lower()


def fold(name: str) -> str:
    """Return a name in lower case without separators, so that names that differ in nothing else are equal."""
    return snake_case(name).replace("_", "")


def distance(left: str, right: str) -> int:
    """Return the Damerau-Levenshtein distance: insertions, deletions, substitutions, swaps of neighbours.

    In the form that edits no part of a name twice (optimal string alignment).
    """
    before: list[int] = []
    last = list(range(len(right) + 1))
    for i, letter in enumerate(left, start=1):
        row = [i]
        for j, other in enumerate(right, start=1):
            edits = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (letter != other))
            if i > 1 and j > 1 and letter == right[j - 2] and left[i - 2] == other:
                edits = min(edits, before[j - 2] + 1)
            row.append(edits)
        before, last = last, row
    return last[-1]


def nearest(received: str, known: Iterable[str], limit: int = MAX_EDITS) -> list[str]:
    """Return the known names that a misspelling is nearest to, several when they are equally near; none when none is.

    A misspelling begins with the same letter and has the same digits: "task" is none of "mask", nor "float24" of
    "float64".

    :param limit: maximum edits; at most `MAX_SHORT_EDITS` for short names.
    """
    received = snake_case(received)
    found: dict[str, int] = {name: edits for name in known if (edits := _edits(received, name, limit)) is not None}
    return sorted(name for name, edits in found.items() if edits == min(found.values()))


def _edits(received: str, name: str, limit: int) -> int | None:
    """Return the distance if it may be that of a misspelling."""
    shorter, longer = sorted((len(received), len(name)))
    limit = min(limit, MAX_SHORT_EDITS if shorter <= MAX_SHORT_LENGTH else MAX_EDITS)
    if shorter < MIN_LENGTH or longer - shorter > limit or received[0] != name[0] or _digits(received) != _digits(name):
        return None
    edits = distance(received, name)
    return edits if edits <= limit else None


def _digits(name: str) -> list[str]:
    return [letter for letter in name if letter.isdigit()]
