"""A result as HTML for notebooks: the heat map of its weights, a table of its arrays, and its notes."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attention_heat_map.heat_map import heat_map
from attention_heat_map.labels import printable, shorten

Arrays = Mapping[str, NDArray[np.floating[Any]]]

MAX_SIDE = 40
"""Maximum queries, and maximum keys, that a notebook shows."""

MAX_PANELS = 4
MAX_DETAILED_CELLS = 1024
"""Maximum cells with numbers, so that an output takes less than 300 kB of the file of a notebook."""

MAX_NOTES = 8
MAX_COLUMNS = 200
"""Maximum columns of a note or a title, as a terminal counts them."""


def result_html(arrays: Arrays, *, title: str, notes: Sequence[str] = ()) -> str:
    """Return a result as an HTML fragment without scripts, styles of its own, or requests to other addresses.

    The picture is an image in the fragment: notebooks show it when they are not trusted, and two pictures on one page
    share no ids.

    :param arrays: fields of the result by name. Weights of every head are drawn, (…, Lq, Lk), or else their mean over
        the heads; where logits are among the fields, keys with −∞ are drawn as masked. Without weights there is no
        picture.
    :param title: the heading of the picture; escaped here, as all texts are.
    :param notes: sentences about the result.
    """
    name = next((name for name in ("weights", "mean_weights") if name in arrays), None)
    picture = _picture(arrays, name, title) if name else ""
    listed = "".join(f"<li>{_escaped(note)}</li>" for note in notes[:MAX_NOTES])
    left_out = len(notes) - MAX_NOTES
    more = f"<li>… {left_out} more notes</li>" if left_out > 0 else ""
    return f"<div>{picture}{_table(arrays, title)}{f'<ul>{listed}{more}</ul>' if listed else ''}</div>"


def _picture(arrays: Arrays, name: str, title: str) -> str:
    weights = arrays[name]
    *leading, queries, keys = weights.shape
    shown = (..., slice(MAX_SIDE), slice(MAX_SIDE))
    drawn = heat_map(
        weights[shown],
        _visible(arrays, weights.shape)[shown],
        title=title,
        subtitle=" · ".join([_size(name, leading, queries, keys), *_cut(queries, keys)]),
        max_panels=MAX_PANELS,
        max_detailed_cells=MAX_DETAILED_CELLS,
    )
    source = f"data:image/svg+xml;base64,{b64encode(drawn).decode()}"
    alternative = _escaped(f"Heat map of the attention weights: {_size(name, leading, queries, keys)}")
    return f'<img src="{source}" alt="{alternative}" style="max-width: 100%; height: auto">'


def _visible(arrays: Arrays, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return which pairs are visible: those whose logit is not −∞, to the mean of the heads where one head sees it."""
    logits = arrays.get("logits")
    if logits is None:
        return np.ones(shape, np.bool_)
    visible = ~np.isneginf(logits)
    return visible if visible.shape == shape else np.logical_or.reduce(visible, axis=1)


def _size(name: str, leading: Sequence[int], queries: int, keys: int) -> str:
    axes = [*map(str, leading), f"{queries} queries", f"{keys} keys"]
    return f"{name.replace('_', ' ')}, {' × '.join(axes)}"


def _cut(queries: int, keys: int) -> list[str]:
    """Return in words how many queries and keys the picture leaves out."""
    sides = ((queries, "queries"), (keys, "keys"))
    cut = [f"first {MAX_SIDE} of {length} {side}" for length, side in sides if length > MAX_SIDE]
    return [f"shown: {', '.join(cut)}"] if cut else []


def _table(arrays: Arrays, title: str) -> str:
    """Return a row with name, shape, number type and range of each array."""
    head = "".join(f'<th scope="col">{column}</th>' for column in ("field", "shape", "dtype", "least", "greatest"))
    rows = "".join(_row(name, array) for name, array in arrays.items())
    return f"<table><caption>{_escaped(title)}</caption><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _row(name: str, array: NDArray[np.floating[Any]]) -> str:
    numbers = array[np.isfinite(array)] if array.size else array.ravel()
    least, greatest = (f"{end(numbers):.4g}" if numbers.size else "" for end in (np.min, np.max))
    cells = (str(array.shape), str(array.dtype), least, greatest)
    return f'<tr><th scope="row">{_escaped(name)}</th>{"".join(f"<td>{_escaped(cell)}</td>" for cell in cells)}</tr>'


def _escaped(text: str) -> str:
    return escape(shorten(printable(text), MAX_COLUMNS))
