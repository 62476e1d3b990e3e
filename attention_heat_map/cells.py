"""The cells of one panel: colour, hatching, marks and numbers."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attention_heat_map.elements import element, group, text, text_width, title
from attention_heat_map.labels import writings
from attention_heat_map.layout import Axis
from attention_heat_map.viridis import DARK, LIGHT, VIRIDIS, colour_indices, foreground

Flags = NDArray[np.bool_]
Codes = NDArray[np.intp]

MASKED, NOT_A_NUMBER = len(VIRIDIS), len(VIRIDIS) + 1
"""Codes that follow those of the colours."""

FILLS = (*VIRIDIS, "url(#attention-masked)", "url(#attention-nan)")
KINDS = {MASKED: "masked", NOT_A_NUMBER: "nan"}

WARNING = "#b3261e"
NUMBER_SIZE = 13.0
SMALLEST_NUMBER_SIZE = 8.5


@dataclass(frozen=True, slots=True)
class Panel:
    """One matrix of weights and which of them the queries may see, (Lq, Lk)."""

    weights: NDArray[np.float64]
    visible: Flags

    @property
    def above(self) -> Flags:
        """Where a weight is beyond the upper end of the scale."""
        return self.visible & (self.weights > 1)

    @property
    def below(self) -> Flags:
        """Where a weight is beyond the lower end of the scale."""
        return self.visible & (self.weights < 0)

    @property
    def not_numbers(self) -> Flags:
        """Where a weight is NaN."""
        return self.visible & np.isnan(self.weights)

    @property
    def empty_rows(self) -> Flags:
        """Which queries see no key at all."""
        return np.count_nonzero(self.visible, axis=-1) == 0

    @property
    def codes(self) -> Codes:
        """Fill of each cell, as an index of `FILLS`."""
        codes = colour_indices(self.weights)
        codes[self.not_numbers] = NOT_A_NUMBER
        codes[~self.visible] = MASKED
        return codes


def draw_cells(panel: Panel, rows: Axis, columns: Axis) -> str:
    """Draw each cell as a rectangle with its number, if there is room, and a title."""
    rectangles, numbers = [], []
    fits = number_format(columns.cell, rows.cell)
    for (row, column), code in np.ndenumerate(panel.codes):
        weight = float(panel.weights[row, column])
        place = {"x": column * columns.cell, "y": row * rows.cell, "width": columns.cell, "height": rows.cell}
        said = "masked · 已遮住" if code == MASKED else said_in_full(weight)
        told = title(f"{columns.labels[column]} ← {rows.labels[row]}: {said}")
        kind = KINDS.get(int(code), "weight")
        rectangles.append(element("rect", told, **{"class": kind}, **place, fill=FILLS[code]))
        if code != MASKED:
            numbers.append(_number(fits(weight), place, int(code)))
    roomy = min(rows.cell, columns.cell) >= 10
    look = {"stroke": LIGHT} if roomy else {"shape_rendering": "crispEdges"}
    inside = group(*numbers, text_anchor="middle", pointer_events="none")
    return group(*rectangles, **look) + _marks(panel, rows, columns) + inside


def draw_merged_cells(panel: Panel, rows: Axis, columns: Axis) -> str:
    """Draw all cells of one colour as one path: a large matrix stays a small file."""
    paths: dict[int, list[str]] = {}
    height, width = rows.cell, columns.cell
    for row, start, length, code in _runs(panel.codes):
        stretch = f"M{start * width:g} {row * height:g}h{length * width:g}v{height:g}h{-length * width:g}z"
        paths.setdefault(code, []).append(stretch)
    drawn = [
        element("path", **{"class": KINDS.get(code, "weight")}, fill=FILLS[code], d="".join(paths[code]))
        for code in sorted(paths)
    ]
    return group(*drawn, shape_rendering="crispEdges") + _marks(panel, rows, columns)


def said_in_full(weight: float) -> str:
    """Return a weight to four digits, however small it is; zero has no sign."""
    return f"{weight + 0.0:.4g}" if np.isfinite(weight) else next(writings(weight))


def number_format(width: float, height: float) -> Callable[[float], str]:
    """Return the function that writes a weight in a cell of this size, as an empty string when it does not fit."""
    room = width - 4

    def fits(written: str) -> bool:
        return text_width(written, number_size(width, height)) <= room

    def write(weight: float) -> str:
        return next(filter(fits, writings(weight)), "")

    return write if number_size(width, height) >= SMALLEST_NUMBER_SIZE else lambda _: ""


def number_size(width: float, height: float) -> float:
    """Return the font size of numbers, so that two decimals fit."""
    return min(NUMBER_SIZE, (width - 4) / text_width("0.00", 1), height * 0.6)


def _number(written: str, place: dict[str, float], code: int) -> str:
    if not written:
        return ""
    size = number_size(place["width"], place["height"])
    x, y = place["x"] + place["width"] / 2, place["y"] + place["height"] / 2 + size * 0.36
    if code == NOT_A_NUMBER:
        return text(written, x, y, fill=WARNING, font_size=size, stroke=LIGHT, stroke_width=4, paint_order="stroke")
    return text(written, x, y, fill=foreground(VIRIDIS[code]), font_size=size)


def _runs(codes: Codes) -> list[tuple[int, int, int, int]]:
    """Return row, first column, length and code of each stretch of equal cells."""
    starts = np.ones(codes.shape, dtype=np.bool_)
    starts[:, 1:] = codes[:, 1:] != codes[:, :-1]
    first = np.flatnonzero(starts)
    lengths = np.diff(first, append=codes.size)
    row, column = np.divmod(first, codes.shape[1])
    return list(zip(row.tolist(), column.tolist(), lengths.tolist(), codes.ravel()[first].tolist(), strict=True))


def _marks(panel: Panel, rows: Axis, columns: Axis) -> str:
    """Mark weights beyond the colour scale, and queries without a visible key."""
    return (
        _corners("above", panel.above, rows, columns)
        + _corners("below", panel.below, rows, columns)
        + _empty_rows(panel.empty_rows, rows, columns)
    )


def _corners(kind: str, flags: Flags, rows: Axis, columns: Axis) -> str:
    """Draw a triangle in a corner: one that points up in the upper right, or one that points down in the lower left."""
    size = min(9.0, rows.cell / 2, columns.cell / 2)
    inset = 3.0 if min(rows.cell, columns.cell) >= 20 else 0.0
    if kind == "above":
        x, y, turned, fill = columns.cell - inset, inset + size, -size, DARK
    else:
        x, y, turned, fill = inset, rows.cell - inset - size, size, LIGHT
    path = "".join(
        f"M{column * columns.cell + x:g} {row * rows.cell + y:g}h{turned:g}l{-turned / 2:g} {turned:g}z"
        for row, column in np.argwhere(flags).tolist()
    )
    return element("path", **{"class": kind}, fill=fill, d=path) if path else ""


def _empty_rows(flags: Flags, rows: Axis, columns: Axis) -> str:
    """Draw a bar beside each row without a visible key."""
    bars = "".join(f"M{columns.length + 5:g} {row * rows.cell:g}v{rows.cell:g}" for row in np.flatnonzero(flags))
    return element("path", **{"class": "empty"}, stroke=WARNING, stroke_width=4, d=bars) if bars else ""
