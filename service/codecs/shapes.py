"""Shapes that a request declares, checked before any memory is allocated for them."""

from math import prod
from typing import Any

from service.errors import MalformedBody
from service.schemas.tensors import MAX_AXES, describe

MAX_EMPTY_ELEMENTS = 1 << 20
"""Maximum product of the other axes of a tensor with an empty axis, whose bytes do not bound it."""


def require_shape(sizes: Any, place: str) -> tuple[int, ...]:
    """Return the shape that stands at `place`; raises MalformedBody unless it is one."""
    if not isinstance(sizes, list) or not all(type(size) is int and size >= 0 for size in sizes):
        raise MalformedBody(
            f"{place}: expected a list of integers, none of them negative; received {describe(sizes)}"
            f"{f' such as {str(sizes[:4])[:80]}' if isinstance(sizes, list) else ''}. Send the size of each axis."
        )
    if len(sizes) > MAX_AXES:
        raise MalformedBody(f"{place}: expected at most {MAX_AXES} axes; received {len(sizes)}. Merge leading axes.")
    if 0 in sizes and prod(filter(None, sizes)) > MAX_EMPTY_ELEMENTS:
        raise MalformedBody(
            f"{place}: expected the other axes of an empty tensor to come to at most {MAX_EMPTY_ELEMENTS}; received "
            f"{sizes}. Choose smaller ones."
        )
    return tuple(sizes)
