"""Diagrams with lines over logarithmic axes, as SVG.

A picture has a ground of its own and follows the reader's choice of light or dark.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import ceil, floor, log2, log10
from xml.sax.saxutils import escape

from benchmarks.figures import Row

WIDTH, HEIGHT = 860, 412
PANEL_HEIGHT, PANEL_TOP = 250, 90
MAX_LINES = 6
"""Grid lines of a linear axis, besides that of 0."""

STYLE = """
svg { color-scheme: light dark } .line { fill: none; stroke-width: 2 } .grid { stroke: light-dark(#d1d9e0, #30363d) }
.ground { fill: light-dark(#ffffff, #0d1117) } text { fill: light-dark(#1f2328, #e6edf3) }
"""


@dataclass(frozen=True)
class Series:
    """One line: its name in the figures, its words and their place in the legend, its colours by day and night."""

    name: str
    words: str
    left: int
    light: str
    dark: str
    dashed: bool = False

    def line(self, path: str) -> str:
        """Return a line in the colour by day and by night."""
        dashes = "; stroke-dasharray: 6 4" if self.dashed else ""
        return f'<path class="line" style="stroke: light-dark({self.light}, {self.dark}){dashes}" d="M{path}"/>'

    def dot(self, x: float, y: float) -> str:
        """Return a dot in the same colour."""
        return f'<circle style="fill: light-dark({self.light}, {self.dark})" cx="{x:.1f}" cy="{y:.1f}" r="3"/>'


@dataclass(frozen=True)
class Panel:
    """One diagram: which number, in which unit, where."""

    title: str
    field: str
    unit: float
    left: int
    width: int = 330
    linear: bool = False
    """Whether numbers stand on a linear axis from 0."""

    def grid(self, numbers: list[float]) -> list[float]:
        """Return the numbers that have a line, the first and the last at the ends of the axis."""
        if not self.linear:
            return [10.0**power for power in range(floor(log10(min(numbers))), ceil(log10(max(numbers))) + 1)]
        power = 10.0 ** floor(log10(max(numbers)))
        step = next(step for step in (power / 5, power / 2, power, 2 * power) if max(numbers) <= MAX_LINES * step)
        return [step * line for line in range(ceil(max(numbers) / step) + 1)]


@dataclass(frozen=True)
class Picture:
    """Some diagrams with the same lines, over the field `across`."""

    title: str
    series: tuple[Series, ...]
    panels: tuple[Panel, ...]
    across: str
    across_words: str
    short: Callable[[int], str]

    def draw(self, rows: list[Row], note: str) -> str:
        """Return the whole picture, with a note in small letters."""
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" '
            'role="img" aria-labelledby="title" font-size="13" '
            "font-family=\"system-ui, 'Noto Sans CJK SC', 'PingFang SC', 'Microsoft YaHei', sans-serif\">",
            f'<title id="title">{self.title}</title>',
            f"<style>{STYLE}</style>",
            f'<rect class="ground" width="{WIDTH}" height="{HEIGHT}" rx="6"/>',
            *self._legend(),
            text(WIDTH - 12, HEIGHT - 6, note, anchor="end", size=10),
        ]
        for panel in self.panels:
            parts += self._panel(panel, rows)
        return "\n".join([*parts, "</svg>", ""])

    def _legend(self) -> Iterable[str]:
        for one in self.series:
            yield from (one.line(f"{one.left} 26h28"), one.dot(one.left + 14, 26), text(one.left + 36, 30, one.words))

    def _panel(self, panel: Panel, rows: list[Row]) -> Iterable[str]:
        """Draw one diagram, of the rows that have its number."""
        rows = [row for row in rows if row.get(panel.field)]
        places = sorted({row[self.across] for row in rows})
        grid = panel.grid([row[panel.field] / panel.unit for row in rows])
        low, high = (grid[0], grid[-1]) if panel.linear else (log10(grid[0]), log10(grid[-1]))

        def across(place: int) -> float:
            first, last = log2(places[0]), log2(places[-1])
            return panel.left + panel.width * (log2(place) - first) / (last - first)

        def down(number: float) -> float:
            return PANEL_TOP + PANEL_HEIGHT * (high - (number if panel.linear else log10(number))) / (high - low)

        yield text(panel.left, PANEL_TOP - 22, panel.title, weight="600")
        for number in grid:
            height = down(number)
            yield f'<path class="grid" d="M{panel.left} {height:.1f}h{panel.width}"/>'
            yield text(panel.left - 8, height + 4, f"{number:,.10g}", anchor="end")
        bottom = PANEL_TOP + PANEL_HEIGHT
        for place in places:
            yield text(across(place), bottom + 20, self.short(place), anchor="middle")
        yield text(panel.left + panel.width / 2, bottom + 44, self.across_words, anchor="middle")
        for one in self.series:
            found = sorted((row[self.across], row[panel.field]) for row in rows if row["series"] == one.name)
            points = [(across(place), down(number / panel.unit)) for place, number in found]
            yield from [one.line("L".join(f"{x:.1f} {y:.1f}" for x, y in points))] if points else []
            yield from (one.dot(x, y) for x, y in points)


def text(x: float, y: float, words: str, anchor: str = "start", weight: str = "400", size: int = 13) -> str:
    """Return some words at a place."""
    style = f'text-anchor="{anchor}" font-weight="{weight}" font-size="{size}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{escape(words)}</text>'
