"""The part of a result that pictures and tables show."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attention_core.call import AttentionResult, ResultField
from service.codecs.result import as_used

NEEDED: frozenset[ResultField] = frozenset(("weights", "logits"))
"""Fields that a result must include to be shown; a key is visible where its logit is not −∞."""


@dataclass(frozen=True, slots=True)
class Shown:
    """Weights (…, Lq, Lk), visible pairs of the same shape, output (…, Lq, Dv) or None, labels and texts."""

    weights: NDArray[np.floating]
    visible: NDArray[np.bool_]
    output: NDArray[np.floating] | None
    query_labels: Sequence[str] | None
    key_labels: Sequence[str] | None
    title: str
    subtitle: str
    notes: Sequence[str]


def show(
    result: AttentionResult, query_labels: Sequence[str] | None = None, key_labels: Sequence[str] | None = None
) -> Shown:
    """Return the part of a result that is shown; the result includes the fields `NEEDED`."""
    score_model, normalizer = as_used(result.score_model), as_used(result.normalizer)
    parameters = [*_parameters(score_model), *_parameters(normalizer), result.dtype]
    return Shown(
        weights=result.weights,
        visible=~np.isneginf(result.logits),
        output=result.arrays.get("output"),
        query_labels=query_labels,
        key_labels=key_labels,
        title=f"{score_model['name']} · {normalizer['name']}",
        subtitle=" · ".join(parameters),
        notes=result.notes,
    )


MAX_SHOWN_TEXT = 80
"""Maximum characters of a formula that a picture or a table shows."""


def _parameters(model: Mapping[str, Any]) -> list[str]:
    """Return the name and the value of each parameter, and of each named value of a formula."""
    written = []
    for name, value in model.items():
        if isinstance(value, dict) and not isinstance(value.get("shape"), list):
            written += _parameters(value)
        elif name != "name" or not isinstance(value, str):
            written.append(f"{name} {_written(value)}")
    return written


def _written(value: Any) -> str:
    if isinstance(value, str):
        return value if len(value) <= MAX_SHOWN_TEXT else f"{value[:MAX_SHOWN_TEXT]}…"
    if isinstance(value, dict):
        return " × ".join(map(str, value["shape"]))
    return f"{value:.6g}"
