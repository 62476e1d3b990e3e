"""Put what `results` keeps into the tables of RESULTS.md, each between two comments that name it.

python -m benchmarks.report
"""

import re
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks import cost_model
from benchmarks.backend_process import OURS
from benchmarks.figures import Document, load
from benchmarks.on_ray import report as on_ray
from benchmarks.over_http.memories import report as memories
from benchmarks.over_http.report import over_http, overload, payloads, shares
from benchmarks.plot import against_length, throughput
from benchmarks.rows import ROWS, Peer, Row
from benchmarks.tables import judged, markdown, mebibytes, milliseconds, pivot, spread

PAGE = Path(__file__).parent / "RESULTS.md"


def main() -> int:
    """Write every table whose figures are there."""
    page = PAGE.read_text()
    for name in TABLES:
        page = replaced(page, name)
    PAGE.write_text(page)
    return 0


def replaced(page: str, name: str) -> str:
    """Put a table for each processor between the two comments that name it."""
    between = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
    if not between.search(page):
        raise ValueError(f"expected <!-- {name} --> and <!-- end --> in {PAGE.name}, found none")
    found = load(name.partition(",")[0])
    tables = [f"*{processor}*\n\n{TABLES[name](document)}" for processor, document in found.items()]
    text = "\n\n".join(tables) or "Not measured yet."
    return between.sub(lambda found: f"{found[1]}\n{text}\n\n{found[2]}", page)


def about_machine(document: Document) -> str:
    """Say on what the figures were measured, and how busy it was."""
    dates = sorted({row["date"] for row in document["rows"].values()})
    load_before = max(row["load_before"] for row in document["rows"].values())
    facts = [f"- {name}: {value}" for name, value in document["machine"].items()]
    return "\n".join([*facts, f"- measured: {dates[0]} to {dates[-1]}, load average at most {load_before}"])


def beside_peers(document: Document) -> str:
    """Return the rows of the core, each with its peers."""
    return _table_of(document, [row for row in ROWS if not row.work.formula])


def formulas(document: Document) -> str:
    """Return the rows of formulas, each beside its built-in model."""
    return _table_of(document, [row for row in ROWS if row.work.formula])


def _table_of(document: Document, chosen: list[Row]) -> str:
    rows = document["rows"]
    headers = ["work", "ours", "beside", "its time", "ours / its (quartiles)", "pairs", "target", "prize"]
    kept = ((row, rows[row.name]) for row in chosen if row.judged and row.name in rows)
    lines = [line for row, found in kept for line in lines_of(row, found)]
    return markdown(headers, lines) if lines else "Not measured yet."


def lines_of(row: Row, kept: Document) -> list[list[str]]:
    """Return a line for each peer, and one for memory."""
    ours, beside = milliseconds(kept["seconds"]), kept["beside"]
    left_out = f" ({kept['left_out']} left out)" if kept["left_out"] else ""
    peers = [peer for peer in row.peers if peer.name in beside]
    lines = [[row.name, ours, peer.name, *_cells(peer, beside[peer.name], left_out)] for peer in peers]
    if row.memory_target is not None:
        # The first peer's memory stands beside ours where that peer is installed.
        peer = row.peers[0].name
        working = {name: grown - held for name, (grown, held) in kept["bytes"].items()}
        other = mebibytes(working[peer]) if peer in working else "not measured"
        target = judged(working[OURS] / 2**20, row.memory_target)
        lines.append([f"{row.name}, memory", mebibytes(working[OURS]), peer, other, "", "", target, ""])
    return lines


def _cells(peer: Peer, beside: Document, left_out: str) -> list[str]:
    if "missing" in beside:
        return ["not measured", beside["missing"], "", "", ""]
    middle = beside["ratio"][1]
    prize = judged(middle, peer.prize)
    pairs = f"{beside['pairs']}{left_out}"
    return [milliseconds(beside["seconds"]), spread(beside["ratio"]), pairs, judged(middle, peer.target), prize]


def by_length(document: Document) -> str:
    """Return time and memory of one head."""
    points = against_length(document["rows"])
    return pivot(points, "length", lambda row: f"{milliseconds(row['seconds'])}, {mebibytes(row['bytes'])}")


def gigaflops(document: Document) -> str:
    """Return the throughput of eight heads."""
    return pivot(throughput(document["rows"]), "length", lambda row: f"{row['gflops']:.0f}")


def predicted(document: Document) -> str:
    """Return how good predictions are."""
    return cost_model.report(document["rows"])


TABLES: dict[str, Callable[[Document], str]] = {
    "core, machine": about_machine,
    "core": beside_peers,
    "core, formulas": formulas,
    "core, throughput": gigaflops,
    "core, lengths": by_length,
    "cost_model": predicted,
    "over_http, machine": about_machine,
    "over_http": over_http,
    "payloads": payloads,
    "shares": shares,
    "overload": overload,
    "memories, machine": about_machine,
    "memories": memories,
    "cluster, machine": about_machine,
    "cluster": on_ray.comparisons,
    "cluster, costs": on_ray.costs,
    "cluster, predictions": on_ray.predictions,
    "cluster, scaling": on_ray.scaling,
}
"""Tables by name; before a comma the name of their benchmark."""


if __name__ == "__main__":
    sys.exit(main())
