"""Shapes that a request announces: bounded before anything is made of them."""

from math import prod
from typing import Any

from service.errors import MalformedBody
from service.schemas.tensors import describe

LARGEST_RANK = 32

LARGEST_EMPTY = 1 << 20
"""What the axes of an empty tensor that are not empty may come to: there are no bytes to bound them."""


def require_shape(sizes: Any, place: str) -> tuple[int, ...]:
    """Return the shape that stands at `place`; raises MalformedBody unless it is one."""
    if not isinstance(sizes, list) or not all(type(size) is int and size >= 0 for size in sizes):
        raise MalformedBody(
            f"{place}: expected a list of integers, none of them negative; received {describe(sizes)}"
            f"{f' such as {str(sizes[:4])[:80]}' if isinstance(sizes, list) else ''}. Send the size of each axis."
        )
    if len(sizes) > LARGEST_RANK:
        raise MalformedBody(
            f"{place}: expected at most {LARGEST_RANK} axes; received {len(sizes)}. Merge leading axes."
        )
    if 0 in sizes and prod(filter(None, sizes)) > LARGEST_EMPTY:
        raise MalformedBody(
            f"{place}: expected the other axes of an empty tensor to come to at most {LARGEST_EMPTY}; received "
            f"{sizes}. Choose smaller ones."
        )
    return tuple(sizes)
