"""Softmax attention in NumPy, as the documentation of libraries that need a GPU defines it; arrays are (B, H, L, D)."""

from typing import NamedTuple

import numpy as np


class Attended(NamedTuple):
    """Output (B, H, Lq, D), weights (B, H, Lq, Lk) and natural logsumexp (B, H, Lq)."""

    output: np.ndarray
    weights: np.ndarray
    logsumexp: np.ndarray


def attended(arrays, *, visible=None, bias=0.0, scale=None, soft_cap=None) -> Attended:
    """Return attention; `visible` is true where a query may see a key, `bias` is added behind the soft cap."""
    query, key, value = (arrays[name] for name in ("query", "key", "value"))
    key, value = (np.repeat(x, query.shape[1] // x.shape[1], axis=1) for x in (key, value))
    scores = np.einsum("bhid,bhjd->bhij", query, key) * (query.shape[-1] ** -0.5 if scale is None else scale)
    if soft_cap is not None:
        scores = soft_cap * np.tanh(scores / soft_cap)
    scores = scores + bias
    if visible is not None:
        scores = np.where(visible, scores, -np.inf)
    exponentials = np.exp(scores - scores.max(axis=-1, keepdims=True))
    total = exponentials.sum(axis=-1, keepdims=True)
    weights = exponentials / total
    return Attended(weights @ value, weights, (np.log(total) + scores.max(axis=-1, keepdims=True))[..., 0])


def distances(queries: int, keys: int, shift: int = 0) -> np.ndarray:
    """Return the position of each key minus that of each query, (queries, keys), with query 0 at key `shift`."""
    return np.arange(keys) - (np.arange(queries)[:, None] + shift)


def turned_by_rotary(vectors, positions, *, base=10_000.0, interleaved=False):
    """Return vectors (…, L, D) turned by rotary embedding; pairs are (m, m + D/2), or (2m, 2m + 1) if interleaved."""
    features = vectors.shape[-1]
    angles = positions[:, None] * base ** (-np.arange(0, features, 2) / features)
    if interleaved:
        first, second = slice(0, features, 2), slice(1, features, 2)
    else:
        first, second = slice(0, features // 2), slice(features // 2, features)
    turned = np.empty_like(vectors)
    turned[..., first] = vectors[..., first] * np.cos(angles) - vectors[..., second] * np.sin(angles)
    turned[..., second] = vectors[..., second] * np.cos(angles) + vectors[..., first] * np.sin(angles)
    return turned
