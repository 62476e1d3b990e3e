"""The legend: the colour scale, and the marks that occur in the picture."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from attention_heat_map.cells import WARNING, Panel
from attention_heat_map.elements import FAINT, Box, at, element, text, text_width
from attention_heat_map.viridis import DARK, LIGHT, VIRIDIS

BAR_WIDTH, BAR_HEIGHT = 240.0, 12.0
TEXT_SIZE = 11.0
SWATCH = 18.0
LINE = 20.0
GAP = 18.0
SCALE_HEIGHT = 46.0
SPACE_BELOW = 8.0


def definitions() -> str:
    """Return the gradient of the scale, and the patterns of masked cells and of NaN."""
    stops = np.linspace(0, len(VIRIDIS) - 1, 18).astype(int).tolist()
    colours = [element("stop", offset=f"{place / 255:.4f}", stop_color=VIRIDIS[place]) for place in stops]
    ground = {"width": 6, "height": 6}
    lines = element("path", d="M-1.5 1.5l3 -3M0 6l6 -6M4.5 7.5l3 -3", stroke="#5f5f5f", stroke_width=1.2)
    crosses = element("path", d="M1 1l4 4M5 1l-4 4", stroke=WARNING, stroke_width=1.2)
    return element(
        "defs",
        element("linearGradient", *colours, id="attention-scale"),
        _pattern("attention-masked", element("rect", **ground, fill="#e9e9e9"), lines),
        _pattern("attention-nan", element("rect", **ground, fill=LIGHT), crosses),
    )


def _pattern(name: str, *content: str) -> str:
    return element("pattern", *content, id=name, width=6, height=6, patternUnits="userSpaceOnUse")


def draw_legend(panels: Sequence[Panel], room: float) -> Box:
    """Draw the scale and, in lines that fit the room, the marks that occur."""
    entries = [entry for entry in ENTRIES if any(entry.occurs(panel) for panel in panels)]
    drawn, x, y, widest = [_scale()], 0.0, SCALE_HEIGHT, BAR_WIDTH + TEXT_SIZE
    for entry in entries:
        width = SWATCH + 7 + text_width(entry.meaning, TEXT_SIZE)
        if x and x + width > room:
            x, y = 0.0, y + LINE
        label = text(entry.meaning, SWATCH + 7, TEXT_SIZE, font_size=TEXT_SIZE)
        swatch = element("rect", width=SWATCH, height=13, fill=entry.fill, stroke="#8a8a8a", stroke_width=0.5)
        drawn.append(at(x, y, swatch, element("path", **entry.mark) if entry.mark else "", label))
        x += width + GAP
        widest = max(widest, x - GAP)
    return Box("".join(drawn), widest, y + (LINE if entries else 0) + SPACE_BELOW)


def _scale() -> str:
    ticks = [
        text(written, BAR_WIDTH * place, 38, text_anchor="middle", font_size=TEXT_SIZE, fill=FAINT)
        for place, written in ((0, "0"), (0.25, "0.25"), (0.5, "0.5"), (0.75, "0.75"), (1, "1"))
    ]
    bar = element("rect", y=12, width=BAR_WIDTH, height=BAR_HEIGHT, fill="url(#attention-scale)")
    return text("weight · 权重", 0, 6, font_size=TEXT_SIZE) + bar + "".join(ticks)


@dataclass(frozen=True, slots=True)
class Entry:
    """One mark: whether it occurs in a panel, its fill and path, and its meaning."""

    occurs: Callable[[Panel], np.bool_]
    fill: str
    mark: Mapping[str, str | float] | None
    meaning: str


ENTRIES = (
    Entry(lambda panel: ~panel.visible.all(), "url(#attention-masked)", None, "masked · 已遮住"),
    Entry(
        lambda panel: panel.empty_rows.any(),
        "url(#attention-masked)",
        {"d": "M16 0v13", "stroke": WARNING, "stroke_width": 4},
        "no visible key in this row · 该行无可见的键",
    ),
    Entry(lambda panel: panel.above.any(), VIRIDIS[-1], {"d": "M15.5 10.5h-8l4 -8z", "fill": DARK}, "above 1 · 大于 1"),
    Entry(lambda panel: panel.below.any(), VIRIDIS[0], {"d": "M2.5 2.5h8l-4 8z", "fill": LIGHT}, "below 0 · 小于 0"),
    Entry(lambda panel: panel.not_numbers.any(), "url(#attention-nan)", None, "not a number · 非数值 (NaN)"),
)
