"""Softmax attention in a few lines of NumPy: the same maths for every peer, and what every answer is held against."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]


def attention(query: Array, key: Array, value: Array) -> dict[str, Array]:
    """Scores, weights and output of softmax(q·kᵀ/√D)·v, in the type of the inputs."""
    scores = query @ key.swapaxes(-1, -2) / query.dtype.type(query.shape[-1] ** 0.5)
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights /= weights.sum(axis=-1, keepdims=True)
    return {"scores": scores, "weights": weights, "output": weights @ value}
