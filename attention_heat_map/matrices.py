"""The matrices side by side and below each other, each with its labels."""

from collections.abc import Callable, Sequence

from attention_heat_map.cells import Panel
from attention_heat_map.elements import FAINT, Box, at, group, text, text_width
from attention_heat_map.labels import shorten
from attention_heat_map.layout import LABEL_COLUMNS, LABEL_SIZE, Axis, panels_across

QUERIES, KEYS = "query 查询 ↓", "key 键 →"
CAPTION_SIZE = 11.0
TITLE_HEIGHT = 26.0
SPACE_ABOVE = 6.0
BETWEEN = 24.0
LABEL_GAP = 8.0


def draw_matrices(
    panels: Sequence[Panel],
    indices: Sequence[tuple[int, ...]],
    leading: Sequence[int],
    rows: Axis,
    columns: Axis,
    draw: Callable[[Panel, Axis, Axis], str],
) -> Box:
    """Draw the panel of each leading index; `draw` draws its cells."""
    left = max(rows.widest, text_width(QUERIES, CAPTION_SIZE)) + LABEL_GAP
    top = columns.height + 26 + (TITLE_HEIGHT if leading else 0)
    width = left + columns.length + max(columns.overhang, 8.0)
    height = top + rows.length
    across = max(panels_across(leading, len(panels)), 1)
    labels = at(left, top, _row_labels(rows), _column_labels(columns), _captions(columns))
    drawn = []
    for place, (index, panel) in enumerate(zip(indices, panels, strict=True)):
        heading = text(_panel_title(index), left, 12, font_weight="bold") if leading else ""
        matrix = at(left, top, draw(panel, rows, columns))
        x, y = place % across * (width + BETWEEN), place // across * (height + BETWEEN) + SPACE_ABOVE
        drawn.append(group(heading, labels, matrix, **{"class": "panel"}, transform=f"translate({x:g} {y:g})"))
    down = -(-len(panels) // across)
    return Box("".join(drawn), across * (width + BETWEEN) - BETWEEN, down * (height + BETWEEN) + SPACE_ABOVE)


def _captions(columns: Axis) -> str:
    """Label the axes."""
    queries = text(QUERIES, -LABEL_GAP, -6, text_anchor="end", font_size=CAPTION_SIZE, fill=FAINT)
    return queries + text(KEYS, 0, -columns.height - 12, font_size=CAPTION_SIZE, fill=FAINT)


def _row_labels(axis: Axis) -> str:
    labels = (_label(axis.labels[index], 0, (index + 0.5) * axis.cell) for index in axis.shown)
    return group(*labels, transform=f"translate({-LABEL_GAP:g} {LABEL_SIZE * 0.36:g})", text_anchor="end")


def _column_labels(axis: Axis) -> str:
    if not axis.slanted:
        labels = (_label(axis.labels[index], (index + 0.5) * axis.cell, -6) for index in axis.shown)
        return group(*labels, text_anchor="middle")
    return "".join(
        group(
            _label(axis.labels[index], 0, 0),
            transform=f"translate({(index + 0.5) * axis.cell + 4:g} -6) rotate(-45)",
        )
        for index in axis.shown
    )


def _label(label: str, x: float, y: float) -> str:
    return text(shorten(label, LABEL_COLUMNS), x, y, full=label)


def _panel_title(index: tuple[int, ...]) -> str:
    if len(index) == 1:
        return f"batch 批 {index[0]}"
    if len(index) == 2:
        return f"batch 批 {index[0]} · head 头 {index[1]}"
    return f"{list(index)}"
