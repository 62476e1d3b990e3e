"""Mistakes after the scores: another base, another axis, dropout, rows or axes in another place."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from math import lgamma, log, log10

import numpy as np

from attention_core.arrays import FloatArray, Logits
from attention_core.call import ResolvedCall
from attention_core.checking.variants import (
    ChangedCall,
    ChangedFields,
    CheckContext,
    Fields,
    Reference,
    ResultChange,
    Variant,
    evaluate_included,
)
from attention_core.interfaces import Normalizer
from attention_core.memory import MAX_QUERY_BLOCK_NUMBERS
from attention_core.normalizers import Softmax
from attention_core.parameters import PerHead
from attention_core.tiles import apply_weights, normalize, row_maximum, score_tile

MAX_REORDERED_ROWS = 2048
"""Maximum wrong rows among which rows in another order are searched for."""

DIRECTIONS = 4
"""Number of random projections by which rows are compared."""


def logsumexp_to_base_two(context: CheckContext) -> Iterator[Variant]:
    """log2 of the denominator, as in kernels that compute with exp2."""
    if "logsumexp" in context.candidate:
        yield ResultChange(_to_base_two)


def _to_base_two(reference: Reference) -> Iterator[ChangedFields]:
    yield ChangedFields({**reference.fields, "logsumexp": reference.fields["logsumexp"] / np.log(2)})


def logsumexp_without_maximum(context: CheckContext) -> Iterator[Variant]:
    """The logarithm of Σ exp(z − max), without the maximum that was subtracted; a sink may be the largest of all."""
    if "logsumexp" in context.candidate and isinstance(context.call.normalizer, Softmax):
        yield ChangedCall(context.call, partial(_unshifted, context.call.normalizer, None))
        if context.call.normalizer.sink is not None:
            yield ChangedCall(context.call, partial(_unshifted, context.call.normalizer, context.call.normalizer.sink))


def _unshifted(softmax: Softmax, sink: PerHead | None, call: ResolvedCall, rows: slice) -> tuple[Fields, FloatArray]:
    fields, maximum = evaluate_included(call, rows)
    shift = maximum / softmax.temperature
    if sink is not None:
        shift = np.maximum(shift, sink[:, None] if isinstance(sink, np.ndarray) else sink)
    shift = np.where(np.isneginf(shift), 0, shift)
    return {**fields, "logsumexp": fields["logsumexp"] - shift}, maximum


def softmax_over_the_wrong_axis(context: CheckContext) -> Iterator[Variant]:
    """Weights sum to 1 over the queries of each key, or over the heads, or over the batch."""
    call = context.call
    fields = [context.candidate[name] for name in ("weights", "output") if name in context.candidate]
    small = call.scores_per_query * call.query_length <= MAX_QUERY_BLOCK_NUMBERS
    if small and any(bool(np.isfinite(field).any()) for field in fields):
        yield ResultChange(lambda reference: _over_other_axes(reference, context))


def _over_other_axes(reference: Reference, context: CheckContext) -> Iterator[ChangedFields]:
    call, normalizer = reference.call, reference.call.normalizer
    whole = call.tile(slice(0, call.query_length))
    logits = np.broadcast_to(score_tile(call, whole).logits, call.score_shape)
    sink = normalizer.sink if isinstance(normalizer, Softmax) else None
    for axis in range(-2, -logits.ndim - 1, -1):
        if axis == -2 or not isinstance(sink, np.ndarray):
            yield from _over(axis, logits, reference, context, normalizer)
        if sink is not None and isinstance(normalizer, Softmax):
            yield from _over(axis, logits, reference, context, replace(normalizer, sink=None))


def _over(
    axis: int, logits: Logits, reference: Reference, context: CheckContext, normalizer: Normalizer
) -> Iterator[ChangedFields]:
    call, turned = reference.call, logits.swapaxes(axis, -1)
    maximum = row_maximum(turned)
    weights = normalize(normalizer, turned, maximum)
    if context.has_nan:
        # A key that no query sees is 0/0 there.
        weights = np.where(np.isneginf(maximum), np.nan, weights)
    weights = weights.swapaxes(axis, -1)
    output = {} if call.value is None else {"output": apply_weights(weights, call.value, logits)}
    fields = {**reference.fields, "weights": weights, **output}
    yield ChangedFields(fields)
    if axis == -2 and isinstance(normalizer, Softmax) and call.query_length == call.key_length:
        yield ChangedFields({**fields, "logsumexp": normalizer.compute_logsumexp(turned, maximum)})


def dropout(context: CheckContext) -> Iterator[Variant]:
    """Some weights are 0, and all others larger by one factor, as in training."""
    if "weights" in context.candidate:
        yield ResultChange(lambda reference: _dropped(reference, context.candidate["weights"]))


def _dropped(reference: Reference, received: FloatArray) -> Iterator[ChangedFields]:
    expected = reference.fields["weights"]
    kept = (received != 0) & (expected != 0)
    lost = (received == 0) & (expected != 0)
    if not kept.any() or not lost.any():
        return
    largest = np.argmax(np.where(kept, expected, 0))
    factor = received.flat[largest] / expected.flat[largest]
    if factor > 1:
        weights = np.where(kept, expected * factor, 0)
        output = (
            {} if reference.call.value is None else {"output": apply_weights(weights, reference.call.value, expected)}
        )
        # Which weights are dropped, and by what factor the others grow, is taken from the candidate.
        limits = {
            "weights": np.where(lost, 0, np.inf),
            **{name: np.zeros(field.shape) for name, field in output.items()},
        }
        yield ChangedFields({**reference.fields, "weights": weights, **output}, fitted=1, limits=limits)


def transposed(context: CheckContext) -> Iterator[Variant]:
    """Two axes of one length have changed places in some of the fields."""
    yield ResultChange(lambda reference: _swapped(reference, context, -1, -2))
    yield ResultChange(lambda reference: _swapped(reference, context, -2, -3))


def _swapped(reference: Reference, context: CheckContext, one: int, other: int) -> Iterator[ChangedFields]:
    changed = dict(reference.fields)
    for name, received in context.candidate.items():
        expected = reference.fields[name]
        if expected.ndim >= -other and expected.shape[one] == expected.shape[other]:
            turned = expected.swapaxes(one, other)
            away = [np.sum(context.comparison.errors(name, side, received)[0]) for side in (expected, turned)]
            changed[name] = turned if away[1] < away[0] else expected
    yield ChangedFields(changed, choices=len(context.candidate) * log10(2))


def rows_in_another_order(context: CheckContext) -> Iterator[Variant]:
    """Every row is right, but in the place of another query, head or batch row."""
    yield ResultChange(lambda reference: _reordered(reference, context))


def _reordered(reference: Reference, context: CheckContext) -> Iterator[ChangedFields]:
    """Put each right row where the candidate has it, unless the nearest are not all different ones."""
    changed, choices = dict(reference.fields), 0.0
    for name, received in context.candidate.items():
        expected = reference.fields[name]
        wrong = ~context.comparison.equal(name, expected, received)
        rows = wrong if name == "logsumexp" else wrong.any(axis=-1)
        if rows.sum() > MAX_REORDERED_ROWS:
            return
        order = _order(expected[rows], received[rows])
        choices = max(choices, lgamma(len(order) + 1) / log(10))
        changed[name] = expected.copy()
        changed[name][rows] = expected[rows][order]
    yield ChangedFields(changed, choices=choices)


def _order(expected: FloatArray, received: FloatArray) -> list[int]:
    """Return which of the expected rows is nearest to each received one, each taken once."""
    width = int(np.prod(expected.shape[1:]))
    directions = np.random.default_rng(0).standard_normal((width, DIRECTIONS))
    numbers, sought = (np.nan_to_num(side.reshape(len(side), width)) @ directions for side in (expected, received))
    free = np.ones(len(numbers), dtype=np.bool_)
    order = []
    for row in sought:
        nearest = int(np.argmin(np.where(free, np.abs(numbers - row).sum(axis=-1), np.inf)))
        free[nearest] = False
        order.append(nearest)
    return order
