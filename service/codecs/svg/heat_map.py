"""The heat map: its panels, heading, legend and notes, and its size."""

from collections.abc import Sequence
from itertools import islice
from math import prod

import numpy as np

from service.codecs.labels import printable, shorten
from service.codecs.shown import Shown
from service.codecs.svg.cells import Panel, said_in_full
from service.codecs.svg.elements import FAINT, FONTS, INK, Box, at, element, escaped, text, text_width
from service.codecs.svg.layout import LABEL_SIZE, Axis, cell_sizes, column_axis, row_axis
from service.codecs.svg.legend import definitions, draw_legend
from service.codecs.svg.matrices import draw_matrices
from service.errors import TooLarge

MAX_PANELS = 16
MAX_SIDE = 256
MAX_CELLS = MAX_PANELS * 128 * 128

MAX_NOTES = 4
MAX_DESCRIBED_ROWS = 8
MARGIN = 24.0
SMALLEST_WIDTH = 320.0
LEGEND_WIDTH = 440.0
LINE_COLUMNS = 96
TITLE_SIZE, LINE_SIZE = 17.0, 12.0


def require_drawable(shape: Sequence[int]) -> None:
    """Raise TooLarge when weights of this shape, (…, Lq, Lk), have too many cells for a readable picture."""
    *leading, queries, keys = shape
    panels = min(prod(leading), MAX_PANELS)
    if max(queries, keys) > MAX_SIDE:
        raise TooLarge(
            f"expected at most {MAX_SIDE} queries and {MAX_SIDE} keys in a picture; received {queries} queries "
            f"and {keys} keys. Ask for application/json, or send fewer."
        )
    cells = panels * queries * keys
    if cells > MAX_CELLS:
        raise TooLarge(
            f"expected at most {MAX_CELLS} cells in a picture; received {panels} panels of {queries} × {keys}, "
            f"{cells} cells. Ask for application/json, or send fewer leading indices."
        )


def heat_map(shown: Shown) -> bytes:
    """Return an SVG document of the first panels of the weights, (…, Lq, Lk); cells that are not visible are hatched.

    The colour scale is fixed, 0 to 1; weights beyond it have the colour of its end and a mark.
    """
    *leading, queries, keys = shown.weights.shape
    indices = list(islice(np.ndindex(*leading), MAX_PANELS)) if shown.weights.size else []
    panels = [Panel(shown.weights[index].astype(np.float64), shown.visible[index]) for index in indices]
    width, height = cell_sizes(queries, keys, len(panels))
    rows, columns = row_axis(shown.query_labels, queries, height), column_axis(shown.key_labels, keys, width)
    matrices = draw_matrices(panels, indices, leading, rows, columns)
    legend = draw_legend(panels, max(matrices.width, LEGEND_WIDTH))
    heading = [*_line(shown.title, TITLE_SIZE, INK), *_line(shown.subtitle, LINE_SIZE, FAINT)]
    footnotes = _footnotes(shown.notes, len(panels), prod(leading))
    footing = [box for note in footnotes for box in _line(note, LINE_SIZE, INK)]
    description = _description(panels, rows, columns)
    return _document(
        f"Attention weights 注意力权重: {shown.title}", description, [*heading, matrices, legend, *footing]
    )


def _document(title: str, description: str, blocks: Sequence[Box]) -> bytes:
    """Set the blocks one below the other on a white page."""
    drawn, y = [], MARGIN
    for block in blocks:
        drawn.append(at(MARGIN, y, block.markup))
        y += block.height
    width = round(max(SMALLEST_WIDTH, *(block.width for block in blocks)) + 2 * MARGIN)
    height = round(y + MARGIN)
    root = element(
        "svg",
        element("title", escaped(title), id="attention-title"),
        element("desc", escaped(description), id="attention-description"),
        definitions(),
        element("rect", width=width, height=height, fill="#ffffff"),
        *drawn,
        xmlns="http://www.w3.org/2000/svg",
        width=width,
        height=height,
        viewBox=f"0 0 {width} {height}",
        role="img",
        aria_labelledby="attention-title",
        aria_describedby="attention-description",
        font_family=FONTS,
        font_size=LABEL_SIZE,
        fill=INK,
    )
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{root}\n'.encode()


def _line(line: str, size: float, ink: str) -> list[Box]:
    """Return a line of text, cut if it is very long, or nothing if there is none."""
    full = printable(line)
    shown = shorten(full, LINE_COLUMNS)
    markup = text(shown, 0, size * 0.8, full=full, font_size=size, fill=ink)
    return [Box(markup, text_width(shown, size), size * 1.75)] if shown else []


def _footnotes(notes: Sequence[str], drawn: int, total: int) -> list[str]:
    """Return lines on panels that are not drawn, then the notes of the result."""
    if not drawn:
        return ["no cells to draw · 没有可绘制的单元格", *notes[:MAX_NOTES]]
    missing = [f"{drawn} of {total} panels · 共 {total} 幅，这里是前 {drawn} 幅"] if drawn < total else []
    left = len(notes) - MAX_NOTES
    more = [f"… {left} more notes · 另有 {left} 条说明"] if left > 0 else []
    return [*missing, *notes[:MAX_NOTES], *more]


def _description(panels: Sequence[Panel], rows: Axis, columns: Axis) -> str:
    """Return the picture in words: its size, and the key with the largest weight for the first queries."""
    size = f"{len(panels)} × {len(rows.labels)} × {len(columns.labels)}"
    said = f"Heat map: panels × queries × keys = {size}. Rows are queries, columns are keys. 行是查询，列是键。"
    largest = [sentence for panel in panels[:1] for sentence in _largest_weights(panel, rows, columns)]
    return f"{said} Largest weights 最大权重: {'; '.join(largest)}." if largest else said


def _largest_weights(panel: Panel, rows: Axis, columns: Axis) -> list[str]:
    """Return the key with the largest weight for each of the first queries."""
    comparable = np.where(panel.visible & ~np.isnan(panel.weights), panel.weights, -np.inf)[:MAX_DESCRIBED_ROWS]
    return [
        f"{rows.labels[row]} → {columns.labels[key]} {said_in_full(float(comparable[row, key]))}"
        for row, key in enumerate(comparable.argmax(axis=-1).tolist())
        if comparable[row, key] > -np.inf
    ]
