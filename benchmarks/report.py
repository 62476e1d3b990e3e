"""Put what `results` keeps into the tables of RESULTS.md, each between two comments that name it.

python -m benchmarks.report
"""

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import cost_model
from benchmarks.figures import load
from benchmarks.long_sequences import MEMORY, TIMES
from benchmarks.over_http.report import over_http, overload, payloads, shares

PAGE = Path(__file__).parent / "RESULTS.md"


def main() -> int:
    """Write every table whose figures are there."""
    page = PAGE.read_text()
    for name, table in TABLES.items():
        benchmark = name.removesuffix(" machine")
        try:
            document = load(benchmark)
        except FileNotFoundError:
            continue
        page = replaced(page, name, table(document))
    PAGE.write_text(page)
    return 0


def replaced(page: str, name: str, table: str) -> str:
    """Put a table between its two comments."""
    between = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
    if not between.search(page):
        raise ValueError(f"there is no place for {name}")
    return between.sub(lambda found: f"{found[1]}\n{table}\n\n{found[2]}", page)


def about_machine(document: dict[str, Any]) -> str:
    """Say on what the figures were measured, and how busy it was."""
    dates = sorted({row["date"] for row in document["rows"].values()})
    load_before = max(row["load_before"] for row in document["rows"].values())
    facts = [f"- {name}: {value}" for name, value in document["machine"].items()]
    return "\n".join([*facts, f"- measured: {dates[0]} to {dates[-1]}, load average at most {load_before}"])


def beside_peers(document: dict[str, Any]) -> str:
    """The core table."""
    lines = [
        "| work | ours | peer | pairs | ours / peer (quartiles) | target | causal / full (quartiles) | target |",
        "|---|---|---|---|---|---|---|---|",
    ]
    rows = document["rows"]
    for name, row in ((work.name, rows[work.name]) for work in (*TIMES, MEMORY) if work.name in rows):
        if row.get("unit") == "MiB":
            verdict = judged(row["ours"], row["target"], " MiB")
            cells = [f"{row['ours']:.1f} MiB", f"{row['peer']} {row['other']:.1f} MiB", "", "", verdict, "", ""]
        else:
            causal = "over_full" in row
            cells = [
                milliseconds(row["ours"]),
                f"{row['peer']} {milliseconds(row['other'])}",
                str(row["pairs"]),
                spread(row["ratio"]),
                judged(row["ratio"][1], row["target"]),
                spread(row["over_full"]) if causal else "",
                judged(row["over_full"][1], row["over_full_target"]) if causal else "",
            ]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def by_length(document: dict[str, Any]) -> str:
    """The numbers behind the picture."""
    rows = list(document["rows"].values())
    series = list(dict.fromkeys(row["series"] for row in rows))
    found = {(row["series"], row["length"]): row for row in rows}
    lines = ["| length | " + " | ".join(series) + " |", "|---" * (len(series) + 1) + "|"]
    for length in sorted({row["length"] for row in rows}):
        cells = [
            f"{milliseconds(row['seconds'])}, {row['bytes'] / 2**20:.1f} MiB"
            if (row := found.get((one, length)))
            else ""
            for one in series
        ]
        lines.append(f"| {length} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def predicted(document: dict[str, Any]) -> str:
    """How good predictions are."""
    return cost_model.report(document["rows"])


def judged(number: float, target: float, unit: str = "") -> str:
    """A target, and whether it is met."""
    return f"{target:g}{unit}: {'met' if number <= target else '**missed**'}"


def spread(quartiles: list[float]) -> str:
    """A median with its quartiles."""
    low, middle, high = quartiles
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


def milliseconds(seconds: float) -> str:
    """A time."""
    return f"{seconds * 1e3:.3g} ms" if seconds < 1 else f"{seconds * 1e3:.0f} ms"


TABLES: dict[str, Callable[[dict[str, Any]], str]] = {
    "long_sequences machine": about_machine,
    "long_sequences": beside_peers,
    "lengths": by_length,
    "cost_model": predicted,
    "over_http machine": about_machine,
    "over_http": over_http,
    "payloads": payloads,
    "shares": shares,
    "overload": overload,
}


if __name__ == "__main__":
    sys.exit(main())
