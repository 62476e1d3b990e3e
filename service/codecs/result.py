"""A result of the core as a document with arrays, ready for any codec."""

from collections.abc import Callable, Sequence
from dataclasses import fields
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attention_core.call import AttentionResult, Diagnostics, Ranking
from attention_core.interfaces import Normalizer, ScoreModel
from service.codecs.decimals import shortest
from service.codecs.json import plain

ARRAYS = ("scores", "capped_scores", "logits", "weights", "output", "logsumexp")
PRESENT = ("present_key", "present_value")

Array = NDArray[Any]
Readable = Callable[[Array], Any]
"""Makes the numbers of an array as short as they may be."""


def result_document(
    result: AttentionResult, key_labels: Sequence[str] | None = None, decimals: int | None = None
) -> dict[str, Any]:
    """Return the response, members in the order of the contract."""

    def readable(array: Array) -> Array:
        return shortest(array, result.dtype) if decimals is None else rounded(array, decimals)

    def readable_in_compute_type(array: Array) -> Array:
        return array if decimals is None else rounded(array, decimals)

    document: dict[str, Any] = {}
    for name in ARRAYS:
        if name in result.arrays:
            stays = name == "logsumexp"
            document[name] = (readable_in_compute_type if stays else readable)(result.arrays[name])
    document["score_model"] = as_used(result.score_model)
    document["normalizer"] = as_used(result.normalizer)
    document["dtype"] = result.dtype
    if result.diagnostics is not None:
        document["diagnostics"] = diagnostics_document(result.diagnostics, readable_in_compute_type)
    if result.ranking is not None:
        document["ranking"] = ranking_document(result.ranking, key_labels, readable)
    document |= {name: readable(result.arrays[name]) for name in PRESENT if name in result.arrays}
    document["notes"] = list(result.notes)
    return document


def as_used(model: ScoreModel | Normalizer) -> dict[str, Any]:
    """Return name and parameters: scalars resolved, tensors as their shape, absent ones left out."""
    used: dict[str, Any] = {"name": model.name}
    for name in _parameters(type(model)):
        value = getattr(model, name)
        if value is not None:
            used[name] = {"shape": list(value.shape)} if isinstance(value, np.ndarray) else value
    return used


@cache
def _parameters(model: type[ScoreModel] | type[Normalizer]) -> tuple[str, ...]:
    return tuple(field.name for field in fields(model))


def diagnostics_document(diagnostics: Diagnostics, readable: Readable) -> dict[str, Any]:
    """Return the diagnostics; a row without a top key has null there."""
    document: dict[str, Any] = {}
    for field in fields(diagnostics):
        array = getattr(diagnostics, field.name)
        document[field.name] = None if array is None else readable(array)
    top = diagnostics.top_key.astype(object)
    top[diagnostics.top_key < 0] = None
    document["top_key"] = top.tolist()
    return document


def ranking_document(ranking: Ranking, labels: Sequence[str] | None, readable: Readable) -> Any:
    """Return the ranked keys of each row, nested like the leading axes and Lq."""
    scores, weights = (plain(readable(array)) for array in (ranking.scores, ranking.weights))
    return _ranked(ranking.keys.tolist(), scores, weights, ranking.counts.tolist(), labels)


def _ranked(keys: Any, scores: Any, weights: Any, counts: Any, labels: Sequence[str] | None) -> Any:
    if isinstance(counts, list):
        rows = zip(keys, scores, weights, counts, strict=True)
        return [_ranked(*row, labels) for row in rows]
    named = zip(keys[:counts], scores, weights, strict=False)
    return [
        {"key": key} | ({} if labels is None else {"label": labels[key]}) | {"score": score, "weight": weight}
        for key, score, weight in named
    ]


def rounded(array: Array, decimals: int) -> Array:
    """Round every finite number to so many decimals, correctly, as Python's `round` does.

    10^decimals is a float64, and so is the nearest integer to number · 10^decimals below 2^52; their quotient, rounded
    once, is the float64 nearest to the decimal.  Only where the product lies so near to a half that its own rounding
    may have moved it across, or is larger, is the number rounded by itself.
    """
    numbers = array.astype(np.float64)
    power = 10.0**decimals
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = numbers * power
        size = np.abs(scaled)
        near_half = np.abs(size - np.floor(size) - 0.5) <= size * 2.0**-50
        nearest = np.rint(scaled) / power
    alone = np.isfinite(numbers) & (near_half | (size >= 2.0**52))
    nearest[alone] = [round(number, decimals) for number in numbers[alone].tolist()]
    return np.where(np.isfinite(numbers), nearest, numbers)
