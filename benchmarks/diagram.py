"""Diagrams with lines over two logarithmic axes, as SVG.

A picture has a ground of its own and follows the reader's choice of light or dark.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import ceil, floor, log2, log10
from xml.sax.saxutils import escape

from benchmarks.figures import Row

WIDTH, HEIGHT = 860, 400
PANEL_HEIGHT, PANEL_TOP = 250, 90

GROUND = """
svg { color-scheme: light dark }
.ground { fill: #ffffff } text { fill: #1f2328 } .grid { stroke: #d1d9e0 } .line { fill: none; stroke-width: 2 }
"""
DARK_GROUND = ".ground { fill: #0d1117 } text { fill: #e6edf3 } .grid { stroke: #30363d }\n"


@dataclass(frozen=True)
class Series:
    """One line: its name in the figures, its words and their place in the legend, its colours by day and night."""

    name: str
    words: str
    left: int
    light: str
    dark: str
    dashed: bool = False

    @property
    def key(self) -> str:
        """The name as a class of SVG."""
        return self.name.replace(" ", "-")


@dataclass(frozen=True)
class Panel:
    """One diagram: which number, in which unit, where."""

    title: str
    field: str
    unit: float
    left: int
    width: int = 330


@dataclass(frozen=True)
class Picture:
    """Some diagrams with the same lines, over the field `across`."""

    title: str
    series: tuple[Series, ...]
    panels: tuple[Panel, ...]
    across: str
    across_words: str
    short: Callable[[int], str]

    def draw(self, rows: list[Row]) -> str:
        """Return the whole picture."""
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" '
            'role="img" aria-labelledby="title" font-size="13" '
            "font-family=\"system-ui, 'Noto Sans CJK SC', 'PingFang SC', 'Microsoft YaHei', sans-serif\">",
            f'<title id="title">{self.title}</title>',
            f"<style>{self._style()}</style>",
            f'<rect class="ground" width="{WIDTH}" height="{HEIGHT}" rx="6"/>',
            *self._legend(),
        ]
        for panel in self.panels:
            parts += self._panel(panel, rows)
        return "\n".join([*parts, "</svg>", ""])

    def _style(self) -> str:
        lines, dots, dark_lines, dark_dots = ([] for _ in range(4))
        for one in self.series:
            dashes = "; stroke-dasharray: 6 4" if one.dashed else ""
            lines.append(f".{one.key} {{ stroke: {one.light}{dashes} }}")
            dots.append(f".{one.key}-dot {{ fill: {one.light} }}")
            dark_lines.append(f".{one.key} {{ stroke: {one.dark} }}")
            dark_dots.append(f".{one.key}-dot {{ fill: {one.dark} }}")
        light, dark = (f"{' '.join(a)}\n{' '.join(b)}\n" for a, b in ((lines, dots), (dark_lines, dark_dots)))
        return f"{GROUND}{light}@media (prefers-color-scheme: dark) {{\n{DARK_GROUND}{dark}}}\n"

    def _legend(self) -> Iterable[str]:
        for one in self.series:
            yield f'<path class="line {one.key}" d="M{one.left} 26h28"/>'
            yield f'<circle class="{one.key}-dot" cx="{one.left + 14}" cy="26" r="3"/>'
            yield text(one.left + 36, 30, one.words)

    def _panel(self, panel: Panel, rows: list[Row]) -> Iterable[str]:
        """Draw one diagram, of the rows that have its number."""
        rows = [row for row in rows if row.get(panel.field)]
        places = sorted({row[self.across] for row in rows})
        numbers = [row[panel.field] / panel.unit for row in rows]
        low, high = floor(log10(min(numbers))), ceil(log10(max(numbers)))

        def across(place: int) -> float:
            first, last = log2(places[0]), log2(places[-1])
            return panel.left + panel.width * (log2(place) - first) / (last - first)

        def down(number: float) -> float:
            return PANEL_TOP + PANEL_HEIGHT * (high - log10(number)) / (high - low)

        yield text(panel.left, PANEL_TOP - 22, panel.title, weight="600")
        for power in range(low, high + 1):
            height = down(10.0**power)
            yield f'<path class="grid" d="M{panel.left} {height:.1f}h{panel.width}"/>'
            yield text(panel.left - 8, height + 4, f"{10.0**power:,.10g}", anchor="end")
        bottom = PANEL_TOP + PANEL_HEIGHT
        for place in places:
            yield text(across(place), bottom + 20, self.short(place), anchor="middle")
        yield text(panel.left + panel.width / 2, bottom + 44, self.across_words, anchor="middle")
        for one in self.series:
            found = sorted((row[self.across], row[panel.field]) for row in rows if row["series"] == one.name)
            points = [(across(place), down(number / panel.unit)) for place, number in found]
            line = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
            yield from [f'<path class="line {one.key}" d="M{line}"/>'] if line else []
            yield from (f'<circle class="{one.key}-dot" cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in points)


def text(x: float, y: float, words: str, anchor: str = "start", weight: str = "400") -> str:
    """Return some words at a place."""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="{weight}">{escape(words)}</text>'
