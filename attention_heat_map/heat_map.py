"""The heat map: its panels, heading, legend and notes, and its size."""

from collections.abc import Sequence
from itertools import islice
from math import prod

import numpy as np
from numpy.typing import NDArray

from attention_heat_map.cells import Panel, draw_cells, draw_merged_cells, said_in_full
from attention_heat_map.elements import FAINT, FONTS, INK, Box, at, element, escaped, text, text_width
from attention_heat_map.labels import printable, shorten
from attention_heat_map.layout import LABEL_SIZE, Axis, cell_sizes, column_axis, row_axis
from attention_heat_map.legend import definitions, draw_legend
from attention_heat_map.matrices import draw_matrices

MAX_PANELS = 16
"""Maximum panels of a picture."""

MAX_DETAILED_CELLS = 64 * 64
"""Maximum cells that are drawn one by one; more are merged by colour, without numbers and titles."""

MAX_NOTES = 4
MAX_DESCRIBED_ROWS = 8
MARGIN = 24.0
SMALLEST_WIDTH = 320.0
LEGEND_WIDTH = 440.0
LINE_COLUMNS = 96
TITLE_SIZE, LINE_SIZE = 17.0, 12.0


def heat_map(
    weights: NDArray[np.floating],
    visible: NDArray[np.bool_],
    *,
    title: str,
    subtitle: str = "",
    notes: Sequence[str] = (),
    query_labels: Sequence[str] | None = None,
    key_labels: Sequence[str] | None = None,
    max_panels: int = MAX_PANELS,
    max_detailed_cells: int = MAX_DETAILED_CELLS,
) -> bytes:
    """Return an SVG document of the first panels of the weights; cells that are not visible are hatched.

    The colour scale is fixed, 0 to 1; weights beyond it have the colour of its end and a mark.

    :param weights: (…, Lq, Lk), one panel for each leading index.
    :param visible: which pairs are visible, of the same shape.
    :param title: the heading.
    :param subtitle: a line below it.
    :param notes: sentences below the picture, of which the first 4 are shown.
    :param query_labels: one for each query; by default their indices.
    :param key_labels: the same for the keys.
    :param max_panels: panels that are drawn; a footnote counts the others.
    :param max_detailed_cells: cells of all panels up to which each has its number and its tooltip; more are merged by
        colour.
    """
    *leading, queries, keys = weights.shape
    indices = list(islice(np.ndindex(*leading), max_panels)) if weights.size else []
    panels = [Panel(weights[index].astype(np.float64), visible[index]) for index in indices]
    width, height = cell_sizes(queries, keys, len(panels))
    rows, columns = row_axis(query_labels, queries, height), column_axis(key_labels, keys, width)
    is_detailed = sum(panel.codes.size for panel in panels) <= max_detailed_cells
    draw = draw_cells if is_detailed else draw_merged_cells
    matrices = draw_matrices(panels, indices, leading, rows, columns, draw)
    legend = draw_legend(panels, max(matrices.width, LEGEND_WIDTH))
    heading = [*_line(title, TITLE_SIZE, INK), *_line(subtitle, LINE_SIZE, FAINT)]
    footnotes = _footnotes(notes, len(panels), prod(leading))
    footing = [box for note in footnotes for box in _line(note, LINE_SIZE, INK)]
    description = _description(panels, rows, columns)
    return _document(f"Attention weights 注意力权重: {title}", description, [*heading, matrices, legend, *footing])


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
