"""Tables in Markdown, and how numbers stand in them."""

import statistics
from collections.abc import Callable, Iterable, Sequence

from benchmarks.figures import Row


def markdown(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table."""
    lines = ["| " + " | ".join(headers) + " |", "|---" * len(headers) + "|"]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def pivot(rows: list[Row], header: str, cell: Callable[[Row], str]) -> str:
    """Return a table with a line for each `length` and a column for each `series`."""
    series = list(dict.fromkeys(row["series"] for row in rows))
    found = {(row["series"], row["length"]): cell(row) for row in rows}
    lengths = sorted({row["length"] for row in rows})
    lines = ([str(length), *(found.get((one, length), "") for one in series)] for length in lengths)
    return markdown([header, *series], lines)


def quartiles(ratios: Iterable[float]) -> list[float]:
    """Return the lower quartile, the median and the upper quartile."""
    return statistics.quantiles(ratios, n=4, method="inclusive")


def milliseconds(seconds: float) -> str:
    """Return a time."""
    return f"{seconds * 1e3:.3g} ms" if seconds < 1 else f"{seconds * 1e3:.0f} ms"


def rate(per_second: float) -> str:
    """Return a number of answers per second."""
    return f"{per_second:.0f}/s" if per_second >= 100 else f"{per_second:.3g}/s"


def mebibytes(size: float) -> str:
    """Return a size."""
    return f"{size / 2**20:.1f} MiB"


def spread(quartiles: Sequence[float]) -> str:
    """Return a median with its quartiles."""
    low, middle, high = quartiles
    return f"{middle:.3g} ({low:.3g} to {high:.3g})"


def judged(number: float, target: float | None, *, at_least: bool = False) -> str:
    """Return a target, and whether a number meets it; nothing without a target."""
    if target is None:
        return ""
    met = number >= target if at_least else number <= target
    return f"{'≥' if at_least else '≤'} {target:g}: {'met' if met else '**missed**'}"
