"""Layout: sizes of cells, labels that fit, and the margins that they need."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, sqrt

from attention_heat_map.elements import text_width
from attention_heat_map.labels import printable, shorten

LABEL_SIZE = 12.0
LABEL_COLUMNS = 22
"""Longer labels are cut: eleven Chinese characters, or twice as many Latin ones."""

SMALLEST_CELL = 4
WIDEST_CELL = {1: 96, 4: 72, 16: 64}
TALLEST_CELL = {1: 64, 4: 48, 16: 40}
PANEL_SIZE = {1: 900, 4: 600, 16: 400}
"""In pixels, by the maximum number of panels; minimum cell sizes make a panel of a large matrix larger."""

ROUND_STEPS = (1, 2, 5, 10, 20, 50, 100)
DIAGONAL = sqrt(0.5)


@dataclass(frozen=True, slots=True)
class Axis:
    """The labels along one side of every panel."""

    labels: tuple[str, ...]
    cell: float
    step: int
    slanted: bool

    @property
    def length(self) -> float:
        """Pixels from the first cell to the last."""
        return len(self.labels) * self.cell

    @property
    def shown(self) -> range:
        """Which labels are drawn."""
        return range(0, len(self.labels), self.step)

    @property
    def widest(self) -> float:
        """Width of the widest label that is drawn."""
        return max((label_width(self.labels[index]) for index in self.shown), default=0.0)

    @property
    def height(self) -> float:
        """Height of the labels above the matrix, in pixels."""
        return (self.widest + LABEL_SIZE) * DIAGONAL if self.slanted else LABEL_SIZE

    @property
    def overhang(self) -> float:
        """Pixels that slanted labels reach beyond the last cell."""
        ends = (
            (index + 0.5) * self.cell + (label_width(self.labels[index]) + LABEL_SIZE) * DIAGONAL
            for index in self.shown
        )
        return max(0.0, max(ends, default=0.0) - self.length) if self.slanted else 0.0


def cell_sizes(rows: int, columns: int, panels: int) -> tuple[int, int]:
    """Return width and height of a cell: large enough to read in a small matrix, small enough to see a large one."""
    size, widest, tallest = (_by_panels(table, panels) for table in (PANEL_SIZE, WIDEST_CELL, TALLEST_CELL))
    width = min(max(size // max(columns, 1), SMALLEST_CELL), widest)
    height = min(max(size // max(rows, 1), SMALLEST_CELL), tallest)
    return min(width, 4 * height), min(height, 4 * width)


def row_axis(labels: Sequence[str] | None, count: int, cell: float) -> Axis:
    """Return the labels to the left of the rows, one below the other."""
    step = ceil((LABEL_SIZE + 2) / cell)
    if labels is None:
        return Axis(_indices(count), cell, _round_step(step), slanted=False)
    return Axis(tuple(map(printable, labels)), cell, step, slanted=False)


def column_axis(labels: Sequence[str] | None, count: int, cell: float) -> Axis:
    """Return the labels above the columns: side by side, slanted when they would touch; indices are never slanted."""
    if labels is None:
        widest = label_width(str(count - 1)) + 6
        return Axis(_indices(count), cell, _round_step(ceil(widest / cell)), slanted=False)
    names = tuple(map(printable, labels))
    if max(map(label_width, names), default=0.0) + 6 <= cell:
        return Axis(names, cell, 1, slanted=False)
    return Axis(names, cell, ceil((LABEL_SIZE + 3) / DIAGONAL / cell), slanted=True)


def label_width(label: str) -> float:
    """Return the width of a label as drawn, in pixels."""
    return text_width(shorten(label, LABEL_COLUMNS), LABEL_SIZE)


def panels_across(leading: Sequence[int], count: int) -> int:
    """Return the number of panels in a row: the last leading axis, or an equal part of it."""
    last = leading[-1] if leading else 1
    return min(count, last if last <= 4 else 3 if last % 4 and last % 3 == 0 else 4)


def _by_panels(table: dict[int, int], panels: int) -> int:
    return next((value for most, value in table.items() if panels <= most), min(table.values()))


def _indices(count: int) -> tuple[str, ...]:
    return tuple(map(str, range(count)))


def _round_step(step: int) -> int:
    return next(rounded for rounded in ROUND_STEPS if rounded >= step)
