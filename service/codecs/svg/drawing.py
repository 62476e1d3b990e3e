"""Which weights are drawn as a heat map, and what a result gives to it."""

from collections.abc import Sequence
from math import prod

from attention_heat_map.heat_map import MAX_PANELS, heat_map
from service.codecs.shown import Shown
from service.errors import TooLarge

MAX_SIDE = 256
MAX_CELLS = MAX_PANELS * 128 * 128


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


def draw(shown: Shown) -> bytes:
    """Return the SVG document of the shown part of a result."""
    return heat_map(
        shown.weights,
        shown.visible,
        title=shown.title,
        subtitle=shown.subtitle,
        notes=shown.notes,
        query_labels=shown.query_labels,
        key_labels=shown.key_labels,
    )
