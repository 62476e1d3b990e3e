"""The tables over HTTP, as Markdown, from the figures that are kept."""

from benchmarks.figures import Document
from benchmarks.figures import Row as Kept
from benchmarks.over_http.overload import verdict
from benchmarks.over_http.rows import ROWS, Row
from benchmarks.tables import judged, markdown, milliseconds, pivot, rate, spread


def over_http(document: Document) -> str:
    """Return the service beside its peers."""
    headers = ["request", "peer", "ours", "peer", "processor time of each answer", "pairs"]
    headers += ["ours / peer (quartiles)", "target"]
    kept = document["rows"]
    rows = (row for row in ROWS if row.name in kept)
    return markdown(headers, ([row.request, row.peer, *_cells(row, kept[row.name])] for row in rows))


def _cells(row: Row, kept: Kept) -> list[str]:
    if "missing" in kept:
        return ["", "not measured", "", "", kept["missing"], ""]
    processor = " and ".join(milliseconds(seconds) for seconds in kept["processor_seconds"])
    target = judged(kept["ratio"][1], row.target, at_least=True)
    return [rate(kept["ours"]), rate(kept["other"]), processor, str(kept["pairs"]), spread(kept["ratio"]), target]


def payloads(document: Document) -> str:
    """Return the numbers behind the picture."""
    rows = list(document["rows"].values())
    return pivot(rows, "queries = keys", lambda row: milliseconds(row["seconds"]))


def shares(document: Document) -> str:
    """Return what each layer takes of a small request."""
    lines = []
    for series, row in document["rows"].items():
        whole = sum(row["layers"].values())
        layers = [*row["layers"].items(), ("all", whole)]
        lines += [[series, layer, f"{seconds * 1e6:.1f}", f"{seconds / whole:.0%}"] for layer, seconds in layers]
    return markdown(["server", "layer", "µs", "share"], lines)


def overload(document: Document) -> str:
    """Return what becomes of requests under each load, and how much of the best throughput is left at the largest."""
    rows = sorted(document["rows"].values(), key=lambda row: (row["percent"], row["series"]))
    lines = (
        [
            f"{row['percent']} %",
            rate(row["offered_per_second"]),
            row["series"],
            rate(row["per_second"]),
            milliseconds(row["p50"]),
            milliseconds(row["p99"]),
            str(row["failed"]),
            f"{row['generator']:.0%}",
        ]
        for row in rows
    )
    headers = ["load", "offered", "outcome", "each second", "median", "99 %", "failed", "generator"]
    return f"{markdown(headers, lines)}\n\n{verdict(rows).capitalize()}."
