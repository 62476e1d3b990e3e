"""The door: which panels are drawn, what stands around them, and how large the whole is."""

from collections.abc import Sequence
from itertools import islice
from math import prod

import numpy as np
from numpy.typing import NDArray

from service.codecs.labels import printable, shorten
from service.codecs.svg.cells import Panel
from service.codecs.svg.elements import FAINT, FONTS, INK, Block, at, element, escaped, text, text_width
from service.codecs.svg.layout import LABEL_SIZE, Axis, cell_sizes, column_axis, row_axis
from service.codecs.svg.legend import definitions, draw_legend
from service.codecs.svg.matrices import draw_matrices
from service.errors import TooLarge

MOST_PANELS = 16
LONGEST_SIDE = 256
MOST_CELLS = MOST_PANELS * 128 * 128

MOST_NOTES = 4
MOST_DESCRIBED_ROWS = 8
MARGIN = 24.0
SMALLEST_WIDTH = 320.0
LEGEND_WIDTH = 440.0
LINE_COLUMNS = 96
TITLE_SIZE, LINE_SIZE = 17.0, 12.0


def require_drawable(shape: Sequence[int]) -> None:
    """Raise TooLarge when weights of this shape, (…, Lq, Lk), would be no picture that anyone can read."""
    *leading, queries, keys = shape
    panels = min(prod(leading), MOST_PANELS)
    if max(queries, keys) > LONGEST_SIDE:
        raise TooLarge(
            f"expected at most {LONGEST_SIDE} queries and {LONGEST_SIDE} keys in a picture; received {queries} queries "
            f"and {keys} keys. Ask for application/json, or send fewer."
        )
    cells = panels * queries * keys
    if cells > MOST_CELLS:
        raise TooLarge(
            f"expected at most {MOST_CELLS} cells in a picture; received {panels} panels of {queries} × {keys}, "
            f"{cells} cells. Ask for application/json, or send fewer leading indices."
        )


def heat_map(
    weights: NDArray[np.floating],
    visible: NDArray[np.bool_],
    *,
    query_labels: Sequence[str] | None,
    key_labels: Sequence[str] | None,
    title: str,
    subtitle: str,
    notes: Sequence[str],
) -> bytes:
    """Return an SVG document of the first panels of the weights, (…, Lq, Lk); where not `visible`, cells are hatched.

    The scale is fixed, 0 to 1.  What lies beyond is drawn in the colour of the end and marked.
    """
    *leading, queries, keys = weights.shape
    indices = list(islice(np.ndindex(*leading), MOST_PANELS)) if weights.size else []
    panels = [Panel(weights[index].astype(np.float64), visible[index]) for index in indices]
    width, height = cell_sizes(queries, keys, len(panels))
    rows, columns = row_axis(query_labels, queries, height), column_axis(key_labels, keys, width)
    matrices = draw_matrices(panels, indices, leading, rows, columns)
    legend = draw_legend(panels, max(matrices.width, LEGEND_WIDTH))
    heading = [*_line(title, TITLE_SIZE, INK), *_line(subtitle, LINE_SIZE, FAINT)]
    footing = [block for note in _footnotes(notes, len(panels), prod(leading)) for block in _line(note, LINE_SIZE, INK)]
    description = _description(panels, rows, columns)
    return _document(f"Attention weights 注意力权重: {title}", description, [*heading, matrices, legend, *footing])


def _document(title: str, description: str, blocks: Sequence[Block]) -> bytes:
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


def _line(line: str, size: float, ink: str) -> list[Block]:
    """Return a line of text, cut if it is very long, or nothing if there is none."""
    full = printable(line)
    shown = shorten(full, LINE_COLUMNS)
    markup = text(shown, 0, size * 0.8, full=full, font_size=size, fill=ink)
    return [Block(markup, text_width(shown, size), size * 1.75)] if shown else []


def _footnotes(notes: Sequence[str], drawn: int, total: int) -> list[str]:
    """Say which panels are missing, then what is odd about the result."""
    if not drawn:
        return ["no cells to draw · 没有可绘制的单元格", *notes[:MOST_NOTES]]
    missing = [f"{drawn} of {total} panels · 共 {total} 幅，这里是前 {drawn} 幅"] if drawn < total else []
    left = len(notes) - MOST_NOTES
    more = [f"… {left} more notes · 另有 {left} 条说明"] if left > 0 else []
    return [*missing, *notes[:MOST_NOTES], *more]


def _description(panels: Sequence[Panel], rows: Axis, columns: Axis) -> str:
    """Say in words what the picture shows: its size, and where the first queries look."""
    size = f"{len(panels)} × {len(rows.labels)} × {len(columns.labels)}"
    said = f"Heat map: panels × queries × keys = {size}. Rows are queries, columns are keys. 行是查询，列是键。"
    largest = [sentence for panel in panels[:1] for sentence in _largest_weights(panel, rows, columns)]
    return f"{said} Largest weights 最大权重: {'; '.join(largest)}." if largest else said


def _largest_weights(panel: Panel, rows: Axis, columns: Axis) -> list[str]:
    """Say for the first queries which key they attend to most."""
    comparable = np.where(panel.visible & ~np.isnan(panel.weights), panel.weights, -np.inf)[:MOST_DESCRIBED_ROWS]
    return [
        f"{rows.labels[row]} → {columns.labels[key]} {comparable[row, key]:.4g}"
        for row, key in enumerate(comparable.argmax(axis=-1).tolist())
        if comparable[row, key] > -np.inf
    ]
