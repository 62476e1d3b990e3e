"""The tables over HTTP, as Markdown, from the figures that are kept."""

from typing import Any

from benchmarks.over_http.overload import verdict
from benchmarks.over_http.rows import BESIDE_ECHO, ROWS


def over_http(document: dict[str, Any]) -> str:
    """The service beside its peers."""
    lines = [
        "| request | peer | ours | peer | processor time of each answer | pairs | ours / peer (quartiles) | target |",
        "|---|---|---|---|---|---|---|---|",
    ]
    rows = document["rows"]
    found = [(rows[row.name], _cells) for row in ROWS if row.name in rows]
    if BESIDE_ECHO in rows:
        found.append((rows[BESIDE_ECHO], _cells_beside_echo))
    lines += [f"| {row['request']} | {row['peer']} | " + " | ".join(cells(row)) + " |" for row, cells in found]
    return "\n".join(lines)


def _cells(row: dict[str, Any]) -> list[str]:
    if "missing" in row:
        return ["", "not measured", "", "", row["missing"], _target(row["target"])]
    verdict = _target(row["target"])
    if row["target"] is not None:
        verdict += ": met" if row["ratio"][1] >= row["target"] else ": **missed**"
    processor = " and ".join(_milliseconds(seconds) for seconds in row["processor_seconds"])
    return [_rate(row["ours"]), _rate(row["other"]), processor, str(row["pairs"]), spread(row["ratio"]), verdict]


def _cells_beside_echo(row: dict[str, Any]) -> list[str]:
    if "missing" in row:
        return ["", "not measured", "", "", row["missing"], ""]
    ours = f"{row['whole_seconds'] * 1e3:.0f} ms, echo {row['echo_seconds'] * 1e3:.0f} ms"
    verdict = "met" if row["ratio"][1] <= row["target"] else "**missed**"
    return [
        ours,
        f"{row['core_seconds'] * 1e3:.0f} ms",
        "",
        str(row["pairs"]),
        f"(ours − echo) / peer {spread(row['ratio'])}",
        f"≤ {row['target']:g}: {verdict}",
    ]


def _target(target: float | None) -> str:
    return "" if target is None else f"≥ {target:g}"


def _rate(rate: float) -> str:
    """Answers per second."""
    return f"{rate:.0f}/s" if rate >= 100 else f"{rate:.3g}/s"


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1e3:.3g} ms"


def spread(quartiles: list[float]) -> str:
    """A median with its quartiles."""
    low, middle, high = quartiles
    return f"{middle:.3g} ({low:.3g} to {high:.3g})"


def payloads(document: dict[str, Any]) -> str:
    """The numbers behind the picture."""
    rows = list(document["rows"].values())
    series = list(dict.fromkeys(row["series"] for row in rows))
    found = {(row["series"], row["length"]): row for row in rows}
    lines = ["| queries = keys | tensors | " + " | ".join(series) + " |", "|---" * (len(series) + 2) + "|"]
    for length in sorted({row["length"] for row in rows}):
        size = next(row["bytes"] for row in rows if row["length"] == length)
        cells = [_milliseconds(found[one, length]["seconds"]) if (one, length) in found else "" for one in series]
        lines.append(f"| {length} | {size / 2**10:.0f} KiB | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def shares(document: dict[str, Any]) -> str:
    """What each layer takes of a small request."""
    lines = ["| server | layer | µs | share |", "|---|---|---|---|"]
    for row in document["rows"].values():
        share = row["seconds"] / row["whole"]
        lines.append(f"| {row['series']} | {row['layer']} | {row['seconds'] * 1e6:.1f} | {share:.0%} |")
    wholes = {row["series"]: row["whole"] for row in document["rows"].values()}
    lines += [f"| {series} | all | {whole * 1e6:.1f} | |" for series, whole in wholes.items()]
    return "\n".join(lines)


def overload(document: dict[str, Any]) -> str:
    """What becomes of requests under each load, and how much of the best throughput is left under the largest."""
    lines = [
        "| load | offered | outcome | each second | median | 99 % | failed | generator |",
        "|---|---|---|---|---|---|---|---|",
    ]
    rows = list(document["rows"].values())
    for row in sorted(rows, key=lambda row: (row["percent"], row["series"])):
        cells = [
            f"{row['percent']} %",
            _rate(row["offered_per_second"]),
            row["series"],
            _rate(row["per_second"]),
            _milliseconds(row["p50"]),
            _milliseconds(row["p99"]),
            str(row["failed"]),
            f"{row['generator']:.0%}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", f"{verdict(rows).capitalize()}."])
