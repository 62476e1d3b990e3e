"""Mistakes in what is computed: the scale, the soft cap, the bias."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from math import sqrt
from typing import Any

import numpy as np

from attention_core.arrays import FloatArray
from attention_core.call import ResolvedCall
from attention_core.checking.attempts import Fields, Given, Way, Wrong
from attention_core.checking.empty_rows import LARGE_NEGATIVE
from attention_core.dense import evaluate_block
from attention_core.positions import Alibi
from attention_core.scores import ScaledDotProduct


def scale_missing(given: Given) -> Iterator[Way]:
    """q·k itself."""
    yield from _with_scale(given, lambda scale: 1.0 + 0.0 * scale)


def scale_doubled(given: Given) -> Iterator[Way]:
    """Applied twice, as when both the queries and the scores are scaled; or times two."""
    yield from _with_scale(given, lambda scale: scale * scale)
    yield from _with_scale(given, lambda scale: 2.0 * scale)


def scale_inverted(given: Given) -> Iterator[Way]:
    """Divided by the scale: times √D."""
    if np.all(getattr(given.call.score_model, "scale", 0.0)):
        yield from _with_scale(given, lambda scale: 1.0 / scale)


def scale_of_model(given: Given) -> Iterator[Way]:
    """1/√(H·D): all heads' features counted instead of one head's."""
    if isinstance(given.call.score_model, ScaledDotProduct) and given.call.features.heads:
        features = given.call.features.query * given.call.features.heads
        yield from _with_scale(given, lambda scale: 1.0 / sqrt(features) + 0.0 * scale)


def scale_ignored(given: Given) -> Iterator[Way]:
    """1/√D though another scale was asked for."""
    if isinstance(given.call.score_model, ScaledDotProduct):
        yield from _with_scale(given, lambda scale: 1.0 / sqrt(given.call.features.query) + 0.0 * scale)


def _with_scale(given: Given, change: Callable[[Any], Any]) -> Iterator[Way]:
    model: Any = given.call.score_model
    if hasattr(model, "scale") and not np.array_equal(change(model.scale), model.scale):
        yield Wrong(replace(given.call, score_model=replace(model, scale=change(model.scale))))


def softcap_missing(given: Given) -> Iterator[Way]:
    """Scores are not capped at all."""
    if given.call.softcap is not None:
        yield Wrong(replace(given.call, softcap=None))


def softcap_before_scale(given: Given) -> Iterator[Way]:
    """scale · softcap · tanh(q·k / softcap)."""
    model: Any = given.call.score_model
    if given.call.softcap is not None and isinstance(model, ScaledDotProduct):
        scale = _per_pair(model.scale)
        if np.all(scale):
            cap: Any = np.abs(scale) * given.call.softcap
            yield Wrong(replace(given.call, softcap=cap))


def bias_missing(given: Given) -> Iterator[Way]:
    """Nothing is added."""
    if given.call.bias is not None:
        yield Wrong(replace(given.call, bias=None))


def bias_scaled(given: Given) -> Iterator[Way]:
    """(q·k + bias) · scale; or ALiBi in place of the bias, or both."""
    model: Any = given.call.score_model
    if not isinstance(model, ScaledDotProduct) or not np.all(np.asarray(model.scale) > 0):
        return
    bias, position = given.call.bias, given.call.position
    scaled: dict[str, Any] = {}
    if bias is not None:
        scaled["bias"] = bias * _per_pair(model.scale)
    if isinstance(position, Alibi):
        scaled["position"] = replace(position, slopes=np.asarray(position.slopes) * model.scale)
    for name, value in scaled.items():
        yield Wrong(replace(given.call, **{name: value}))
    if len(scaled) > 1:
        yield Wrong(replace(given.call, **scaled))


def _per_pair(scale: Any) -> Any:
    """A number, or one per head shaped to broadcast over (…, Hq, q, k)."""
    return scale[:, None, None] if isinstance(scale, np.ndarray) else scale


def scores_not_raw(given: Given) -> Iterator[Way]:
    """What is called scores has the cap, the bias or the mask in it already."""
    if "scores" in given.candidate:
        for name in ("capped_scores", "logits"):
            yield Wrong(given.call, partial(_with_later, given, name))


def _with_later(given: Given, name: str, call: ResolvedCall, rows: slice) -> tuple[Fields, FloatArray]:
    """Put a later step in the place of the scores; hidden ones may be any large negative number."""
    fields, maximum = evaluate_block(call, rows, {*call.include, name})
    later, received = fields[name], given.candidate["scores"][..., rows, :]
    return fields | {"scores": np.where(np.isneginf(later) & (received < LARGE_NEGATIVE), received, later)}, maximum
