"""A result of the core as a document with arrays, ready for any codec."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from attention_core.call import RESULT_FIELDS
from attention_core.descriptions import parameters_of
from attention_core.formulas import PerHead
from attention_core.interfaces import Normalizer, ScoreModel
from attention_core.results import AttentionResult, Diagnostics, Ranking
from service.codecs.json import plain
from service.codecs.numbers import Decimal, Numbers
from service.schemas.fields import request_fields
from service.schemas.results import AttentionResponse

_NAMES = [one.path[0] for one in request_fields(AttentionResponse) if one.tensor is not None and len(one.path) == 1]
ARRAYS = tuple(name for name in _NAMES if name in RESULT_FIELDS)
PRESENT = tuple(name for name in _NAMES if name not in RESULT_FIELDS)
"""Arrays of an answer: those that `include` asks for by their own names, and those of the field present."""


def result_document(
    result: AttentionResult,
    numbers: Numbers,
    key_labels: Sequence[str] | None = None,
    decimals: int | None = None,
    memory: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the response, members in the order of the contract.

    A ranking is never an array, so its numbers are always decimals.
    """
    document: dict[str, Any] = {}
    for name in ARRAYS:
        if name in result.arrays:
            stays = name == "logsumexp"
            document[name] = (numbers.of_compute_type if stays else numbers.of_dtype)(result.arrays[name])
    document["score_model"] = as_used(result.score_model)
    document["normalizer"] = as_used(result.normalizer)
    document["dtype"] = result.dtype
    if result.diagnostics is not None:
        document["diagnostics"] = diagnostics_document(result.diagnostics, numbers)
    if result.ranking is not None:
        document["ranking"] = ranking_document(result.ranking, key_labels, Decimal(result.dtype, decimals))
    document |= {name: numbers.of_dtype(result.arrays[name]) for name in PRESENT if name in result.arrays}
    if memory is not None:
        document["memory"] = dict(memory)
    document["notes"] = list(result.notes)
    return document


def as_used(model: ScoreModel | Normalizer) -> dict[str, Any]:
    """Return name and parameters: scalars resolved, tensors as their shape, absent ones left out."""
    used: dict[str, Any] = {"name": model.name}
    for name in parameters_of(type(model)):
        value = getattr(model, name)
        if value is not None:
            used[name] = _shown(value)
    return used


def _shown(value: Any) -> Any:
    """Return a parameter: tensors as their shape, named values each by itself, and which of these differ by head."""
    if isinstance(value, PerHead):
        return {"shape": list(np.shape(value.values)), "per_head": True}
    if isinstance(value, np.ndarray):
        return {"shape": list(value.shape)}
    return {name: _shown(one) for name, one in value.items()} if isinstance(value, Mapping) else value


def diagnostics_document(diagnostics: Diagnostics, numbers: Numbers) -> dict[str, Any]:
    """Return the diagnostics; a row without a top key has none."""
    document: dict[str, Any] = {}
    for field in fields(diagnostics):
        array = getattr(diagnostics, field.name)
        if array is None:
            document[field.name] = None
        else:
            document[field.name] = (numbers.indices if field.name == "top_key" else numbers.of_compute_type)(array)
    return document


def ranking_document(ranking: Ranking, labels: Sequence[str] | None, numbers: Decimal) -> Any:
    """Return the ranked keys of each row, nested like the leading axes and Lq."""
    scores, weights = (plain(numbers.of_dtype(array)) for array in (ranking.scores, ranking.weights))
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
