"""The order of axes in which a call was sent: checks, views in the order that is computed in, and shapes in errors."""

import re

from attention_core.arrays import FloatArray
from attention_core.call import LAYOUTS, AttentionCall, Layout
from attention_core.errors import InvalidValue, ShapeMismatch, UnknownName
from attention_core.heads import require_rank_four
from attention_core.shapes import Shape

VECTORS = ("query", "key", "value", "past_key", "past_value")
"""Arguments whose axes have an order at rank 4."""

HEADS_THIRD = (
    " Read as (batch, length, heads, features) everything fits: send {layout=bshd}, or transpose axes 1 and 2, since "
    "rank 4 is (batch, heads, length, features) here."
)
HEADS_SECOND = " Read as (batch, heads, length, features) everything fits: leave out {layout}."

SHAPE = re.compile(r"\{([a-z_]+)\.shape\}")
"""Stands in errors for the shape in which an argument was sent: the arrays that are checked may have another order of
axes, unpacked heads and the past in front."""


def name_sent_shapes(error: ShapeMismatch, call: AttentionCall) -> None:
    """Put the shapes in which arguments were sent into an error about them, in the place of `SHAPE`.

    :param error: raised by a check of this call.
    :param call: the call as it was given.
    """
    error.expected, error.received = (
        SHAPE.sub(lambda match: _describe_sent(call, match[1]), text) for text in (error.expected, error.received)
    )


def _describe_sent(call: AttentionCall, name: str) -> str:
    """Return the shape in which an argument was sent, with the names of its axes where heads have a place in them."""
    shape = getattr(call, name).shape
    packed = call.heads is not None and len(shape) == 3
    return f"shape {list(shape)}{', (batch, length, heads · features)' if packed else name_axes(shape, call.layout)}"


def name_axes(shape: Shape, layout: Layout | None) -> str:
    """Return the names of the axes of vectors, or of an output, with a comma before them; empty but for rank 4."""
    if len(shape) != 4:
        return ""
    return ", (batch, length, heads, features)" if layout == "bshd" else ", (batch, heads, length, features)"


def has_rank_four(call: AttentionCall) -> bool:
    """Return whether all vectors of a call have rank 4."""
    return all(array.ndim == 4 for name in VECTORS if (array := getattr(call, name)) is not None)


def check_layout(call: AttentionCall) -> None:
    """Raise an error for an unknown layout, and for bshd beside packed heads or with vectors of another rank."""
    if call.layout not in LAYOUTS:
        raise UnknownName(("layout",), expected="a layout", kind="layout", received=str(call.layout), known=LAYOUTS)
    if call.layout == "bhsd":
        return
    if call.heads is not None:
        raise InvalidValue(
            ("layout",),
            expected="no layout but bhsd beside {heads}, which are packed into the last axis of (B, L, H·D)",
            received="'bshd', (B, L, H, D), whose heads have an axis of their own",
            advice="Leave out {layout} where the heads are packed, and {heads} where they are not.",
        )
    for name in VECTORS:
        array = getattr(call, name)
        if array is not None:
            require_rank_four(array, name)


def put_heads_second(call: AttentionCall, array: FloatArray) -> FloatArray:
    """Return vectors as (B, H, L, D): a view of (B, L, H, D) in the layout bshd, else the array itself."""
    return array.swapaxes(1, 2) if call.layout == "bshd" else array
