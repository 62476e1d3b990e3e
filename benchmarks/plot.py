"""Draw `results/long-sequences.svg` from `results/lengths.json`: time and memory against length, both axes logarithmic.

    python -m benchmarks.plot

The picture has a ground of its own and follows the reader's choice of light or dark.
"""

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil, floor, log2, log10
from pathlib import Path
from xml.sax.saxutils import escape

from benchmarks.figures import Row, load

PICTURE = Path(__file__).parent / "results" / "long-sequences.svg"

WIDTH, HEIGHT = 860, 400
PANEL_WIDTH, PANEL_HEIGHT = 330, 250
PANEL_TOP, PANEL_LEFTS = 90, (80, 500)

LEGEND = {
    "all": "scores, weights and output 分数、权重和输出",
    "output": "output only 仅输出",
    "PyTorch": "PyTorch",
}
LEGEND_LEFTS = {"all": 80, "output": 440, "PyTorch": 620}

STYLE = """
svg { color-scheme: light dark }
.ground { fill: #ffffff } text { fill: #1f2328 } .grid { stroke: #d1d9e0 } .line { fill: none; stroke-width: 2 }
.all { stroke: #b35900 } .output { stroke: #0969da } .PyTorch { stroke: #57606a; stroke-dasharray: 6 4 }
.all-dot { fill: #b35900 } .output-dot { fill: #0969da } .PyTorch-dot { fill: #57606a }
@media (prefers-color-scheme: dark) {
.ground { fill: #0d1117 } text { fill: #e6edf3 } .grid { stroke: #30363d }
.all { stroke: #f0883e } .output { stroke: #58a6ff } .PyTorch { stroke: #9198a1 }
.all-dot { fill: #f0883e } .output-dot { fill: #58a6ff } .PyTorch-dot { fill: #9198a1 }
}
"""


@dataclass(frozen=True)
class Panel:
    """One diagram: which number, in which unit, where."""

    title: str
    field: str
    unit: float
    left: int

    def points(self, rows: Iterable[Row], series: str) -> list[tuple[int, float]]:
        """Length and number, shortest first."""
        return sorted((row["length"], row[self.field] / self.unit) for row in rows if row["series"] == series)


PANELS = (
    Panel("time, ms 时间（毫秒）", "seconds", 1e-3, PANEL_LEFTS[0]),
    Panel("memory beside inputs, MiB 输入之外的内存（MiB）", "bytes", 2**20, PANEL_LEFTS[1]),
)


def main() -> int:
    """Write the picture."""
    PICTURE.write_text(picture(list(load("lengths")["rows"].values())))
    return 0


def picture(rows: list[Row]) -> str:
    """Return the whole picture."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'role="img" aria-labelledby="title" font-size="13" '
        "font-family=\"system-ui, 'Noto Sans CJK SC', 'PingFang SC', 'Microsoft YaHei', sans-serif\">",
        '<title id="title">Time and memory against length 时间和内存随长度的变化</title>',
        f"<style>{STYLE}</style>",
        f'<rect class="ground" width="{WIDTH}" height="{HEIGHT}" rx="6"/>',
        *legend(),
    ]
    for panel in PANELS:
        parts += draw(panel, rows)
    return "\n".join([*parts, "</svg>", ""])


def legend() -> Iterable[str]:
    """Name the series."""
    for series, words in LEGEND.items():
        left = LEGEND_LEFTS[series]
        yield f'<path class="line {series}" d="M{left} 26h28"/>'
        yield f'<circle class="{series}-dot" cx="{left + 14}" cy="26" r="3"/>'
        yield text(left + 36, 30, words)


def draw(panel: Panel, rows: list[Row]) -> Iterable[str]:
    """Draw one diagram."""
    lengths = sorted({row["length"] for row in rows})
    numbers = [row[panel.field] / panel.unit for row in rows]
    low, high = floor(log10(min(numbers))), ceil(log10(max(numbers)))

    def across(length: int) -> float:
        first, last = log2(lengths[0]), log2(lengths[-1])
        return panel.left + PANEL_WIDTH * (log2(length) - first) / (last - first)

    def down(number: float) -> float:
        return PANEL_TOP + PANEL_HEIGHT * (high - log10(number)) / (high - low)

    yield text(panel.left, PANEL_TOP - 22, panel.title, weight="600")
    for power in range(low, high + 1):
        height = down(10.0**power)
        yield f'<path class="grid" d="M{panel.left} {height:.1f}h{PANEL_WIDTH}"/>'
        yield text(panel.left - 8, height + 4, f"{10.0**power:,.10g}", anchor="end")
    for length in lengths:
        yield text(across(length), PANEL_TOP + PANEL_HEIGHT + 20, short(length), anchor="middle")
    yield text(
        panel.left + PANEL_WIDTH / 2, PANEL_TOP + PANEL_HEIGHT + 44, "queries = keys 查询数 = 键数", anchor="middle"
    )
    for series in LEGEND:
        places = [(across(length), down(number)) for length, number in panel.points(rows, series)]
        line = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
        yield f'<path class="line {series}" d="M{line}"/>'
        yield from (f'<circle class="{series}-dot" cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in places)


def short(length: int) -> str:
    """Return 512, 1k, 32k."""
    return f"{length // 1024}k" if length >= 1024 else str(length)


def text(x: float, y: float, words: str, anchor: str = "start", weight: str = "400") -> str:
    """Return some words at a place."""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="{weight}">{escape(words)}</text>'


if __name__ == "__main__":
    sys.exit(main())
