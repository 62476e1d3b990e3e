"""Tensors whose shapes fit each other, in float32."""

from typing import Any

import numpy as np

GENERATOR = np.random.default_rng(5)


def numbers(*shape: int, dtype: Any = np.float32) -> np.ndarray:
    return GENERATOR.normal(size=shape).astype(dtype)


QUERY, KEY, VALUE = numbers(2, 4), numbers(3, 4), numbers(3, 5)
BASE = {"query": QUERY, "key": KEY, "value": VALUE}


def under(prefix: str, tensors: dict[str, np.ndarray] = BASE) -> dict[str, np.ndarray]:
    return {f"{prefix}.{name}": array for name, array in tensors.items()}


ALLOWED = np.array([[True, False, True], [True, True, True]])
