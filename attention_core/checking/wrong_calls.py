"""Mistakes in what is computed: the scale, the soft cap, the bias, which heads belong together."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from attention_core.arrays import FloatArray, Logits, RowMaximum, Weights
from attention_core.checking.attempts import Given, Way
from attention_core.tiles import row_maximum


def scale_missing(given: Given) -> Iterator[Way]:
    """q·k itself."""
    yield from _with_scale(given, lambda scale: 1.0 + 0.0 * scale)


def scale_doubled(given: Given) -> Iterator[Way]:
    """Applied twice, as when both the queries and the scores are scaled; or times two."""
    yield from _with_scale(given, lambda scale: scale * scale)
    yield from _with_scale(given, lambda scale: 2.0 * scale)


def _with_scale(given: Given, change: Callable[[Any], Any]) -> Iterator[Way]:
    model: Any = given.call.score_model
    if hasattr(model, "scale"):
        yield replace(given.call, score_model=replace(model, scale=change(model.scale)))


def heads_tiled(given: Given) -> Iterator[Way]:
    """Query head h uses key head h modulo their number, instead of h divided by the size of a group."""
    call = given.call
    sent = given.sent
    shared = sent.heads.key_value if sent.heads is not None else sent.key.shape[1] if sent.key.ndim == 4 else 0
    if call.features.heads is None or not 1 < shared < call.features.heads:
        return
    heads = np.arange(call.features.heads)
    order = heads % shared * (call.features.heads // shared)
    grouped = call.value is not None and call.value.ndim == 4 and call.value.shape[1] == call.features.heads
    yield replace(
        call,
        key=call.key[:, order],
        value=call.value[:, order] if grouped and call.value is not None else call.value,
    )


@dataclass(frozen=True, slots=True)
class _CapThenNormalize:
    """A normalizer that caps what is already masked, so that hidden keys come back with a logit of −softcap."""

    softcap: float
    normalizer: Any
    name: ClassVar[str] = "wrong"
    passes_non_finite: ClassVar[bool] = False
    is_distribution: ClassVar[bool] = False

    def _capped(self, logits: Logits) -> Logits:
        return self.softcap * np.tanh(logits / self.softcap)

    def weights(self, logits: Logits, maximum: RowMaximum) -> Weights:
        """Cap, then normalise."""
        capped = self._capped(logits)
        weights: Weights = self.normalizer.weights(capped, row_maximum(capped))
        return weights

    def logsumexp(self, logits: Logits, maximum: RowMaximum) -> FloatArray:
        """Cap, then sum."""
        capped = self._capped(logits)
        result: FloatArray = self.normalizer.logsumexp(capped, row_maximum(capped))
        return result


def softcap_after_mask(given: Given) -> Iterator[Way]:
    """The cap comes after bias and mask, which turns −∞ into −softcap."""
    cap = given.call.softcap
    if cap is not None:
        wrong: Any = _CapThenNormalize(cap, given.call.normalizer)
        yield replace(given.call, softcap=None, normalizer=wrong)


def softcap_missing(given: Given) -> Iterator[Way]:
    """Scores are not capped at all."""
    if given.call.softcap is not None:
        yield replace(given.call, softcap=None)


def bias_missing(given: Given) -> Iterator[Way]:
    """Nothing is added."""
    if given.call.bias is not None:
        yield replace(given.call, bias=None)
