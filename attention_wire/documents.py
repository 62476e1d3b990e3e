"""Documents of /v1 as JSON: bare names, numbers that JSON cannot spell, and pointers to their members."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray


def expand_name(value: Any) -> Any:
    """Return the object that a bare name stands for, which has default parameters; anything else as it is.

    Such objects are distinguished by their name: a score model, a normalizer, a position.
    """
    return {"name": value} if isinstance(value, str) else value


def pointer(path: Iterable[str | int]) -> str:
    """Return the JSON Pointer (RFC 6901) of a path."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)


def plain(array: NDArray[Any], minus_infinity: str | None = None) -> Any:
    """Return nested lists in which −∞ is `minus_infinity`, NaN "NaN" and +∞ "Infinity"."""
    if np.isfinite(array).all():
        return array.tolist()
    mixed = array.astype(object)
    mixed[np.isneginf(array)] = minus_infinity
    mixed[np.isnan(array)] = "NaN"
    mixed[np.isposinf(array)] = "Infinity"
    return mixed.tolist()
