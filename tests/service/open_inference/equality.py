"""Answers of two protocols, held against each other."""

from typing import Any

import numpy as np
from hypothesis import settings

from tests.sampling import draws
from tests.service.open_inference.inference import FIELDS
from tests.service.strategies import Request

DRAWN = settings(max_examples=draws(12))

BITS = {8: np.uint64, 4: np.uint32, 2: np.uint16}


def without_what_json_alone_has(request: Request) -> Request:
    """Return a request of /v1 without the fields that /v2 has not."""
    asked = {name: value for name, value in request.items() if name not in ("labels", "top_k", "decimals")}
    if asked.get("include") is not None:
        asked["include"] = [field for field in asked["include"] if FIELDS[field]] or None
    return asked


def assert_bits(received: np.ndarray, nested: Any, name: str) -> None:
    """Fail unless an array has the bits of nested lists of JSON; any NaN equals any other."""
    expected = np.array([], received.dtype).reshape(received.shape) if not received.size else numbers(nested, received)
    assert received.shape == expected.shape, name
    kind = BITS[received.dtype.itemsize]
    nan = np.isnan(received) & np.isnan(expected)
    assert (nan | (received.view(kind) == expected.view(kind))).all(), (name, received, expected)


def numbers(nested: Any, like: np.ndarray) -> np.ndarray:
    """Return nested lists of JSON as an array of the dtype of another; null is -inf."""
    spelt = np.array(nested, dtype=object)
    flat = [-np.inf if item is None else float(item) for item in spelt.ravel()]
    return np.array(flat, np.float64).astype(like.dtype).reshape(spelt.shape)
