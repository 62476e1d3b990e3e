"""Shapes of keys and values that belong together: those that an attention request takes, with some query."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attention_core import AttentionCall, CallError, resolve
from attention_core.call import Layout
from attention_core.shapes import Shape
from service.schemas.parse import call_errors


def require_fitting(key: NDArray[Any], value: NDArray[Any] | None, layout: Layout | None) -> None:
    """Raise InvalidRequest unless /v1/attention takes keys and values of these shapes together.

    :param key: (…, Lk, Dk), or (B, Lk, H, Dk) in the layout "bshd".
    :param value: (…, Lk, Dv), or (B, Lk, H, Dv); None for none.
    :param layout: order of the axes at rank 4.
    """
    errors: list[CallError] = []
    for query in _query_shapes(key, value, layout):
        call = AttentionCall(
            query=_placeholder(query),
            key=_placeholder(key.shape),
            value=None if value is None else _placeholder(value.shape),
            layout=layout,
            include=(),
        )
        try:
            resolve(call)
        except CallError as error:
            errors.append(error)
        else:
            return
    with call_errors():
        raise errors[0]


def _query_shapes(key: NDArray[Any], value: NDArray[Any] | None, layout: Layout | None) -> Iterator[Shape]:
    """Yield shapes of queries, of which one fits if any does."""
    features = max(key.shape[-1], 1)
    if layout == "bshd":
        yield (1, 1, key.shape[2] if key.ndim == 4 else 1, features)
        return
    yield (1, features)
    if key.ndim == 4 and value is not None and value.ndim not in (2, 4):
        # The heads of such values are those of the queries, several of which share a head of the keys.
        yield (1, value.shape[-3], 1, features)


def _placeholder(shape: Shape) -> NDArray[np.float64]:
    """Return an array of a shape that takes no memory."""
    return np.broadcast_to(np.zeros(()), shape)
