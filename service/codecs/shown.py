"""The part of a result that pictures and tables show."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attention_core.call import ResolvedCall, ResultField
from attention_core.results import AttentionResult
from service.codecs.result import as_used

OVER_HEADS = "mean over heads · 各头平均"
"""What a subtitle says of weights that are averaged over the heads."""


def needed_fields(call: ResolvedCall) -> frozenset[ResultField]:
    """Return the fields that a result must include to be shown; a key is visible where its logit is not −∞.

    Weights averaged over the heads are shown in place of those of every head, if the call includes them.
    """
    return frozenset(("mean_weights" if "mean_weights" in call.include else "weights", "logits"))


def shown_shape(call: ResolvedCall) -> tuple[int, ...]:
    """Return the shape of the weights that are shown, (…, Lq, Lk)."""
    shape = call.score_shape
    return (shape[0], *shape[2:]) if "mean_weights" in call.include else shape


@dataclass(frozen=True, slots=True)
class Shown:
    """Weights (…, Lq, Lk), of every head or their mean, visible pairs of the same shape, output (…, Lq, Dv) or None,
    labels and texts.
    """

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
    """Return the part of a result that is shown; the result includes what `needed_fields` returns.

    A key is visible to the mean of the heads where one of them sees it.
    """
    score_model, normalizer = as_used(result.score_model), as_used(result.normalizer)
    parameters = [*_parameters(score_model), *_parameters(normalizer), result.dtype]
    visible = ~np.isneginf(result.logits)
    is_mean = "mean_weights" in result.arrays
    return Shown(
        weights=result.mean_weights if is_mean else result.weights,
        visible=np.logical_or.reduce(visible, axis=1) if is_mean else visible,
        output=result.arrays.get("output"),
        query_labels=query_labels,
        key_labels=key_labels,
        title=f"{score_model['name']} · {normalizer['name']}",
        subtitle=" · ".join([*parameters, OVER_HEADS] if is_mean else parameters),
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
