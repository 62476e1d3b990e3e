"""Mistakes in rows without a visible key: 0/0, or a large negative number that cancels out."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np

from attention_core.arrays import BoolArray, FloatArray
from attention_core.call import ResolvedCall
from attention_core.checking.comparison import Comparison
from attention_core.checking.variants import ChangedFields, CheckContext, Reference, ResultChange, Variant
from attention_core.dense import evaluate_dense

LARGE_NEGATIVE = -1000.0
"""Upper bound of the logsumexp of a row whose hidden logits are a number in place of −∞, such as −1e4 or −1e9."""

PLAUSIBLE_DIGITS = 0.5
"""Maximum digits of evidence of each number in a row that sees no key and is yet a mixture of keys."""

Wrongness = tuple[ResolvedCall, Comparison]
"""The call that a mistake evaluates, and the comparison of its results."""

MAX_SUM_ERROR = 0.02
"""Maximum distance from 1 of the sum of a row's weights, for the row to count as a distribution."""


def nan_rows(context: CheckContext) -> Iterator[Variant]:
    """0/0 in a row without a visible key."""
    if context.has_nan:
        yield _as_received(
            context, lambda name, received, reference: nan_in_empty_rows(name, received, reference.empty_rows)
        )


def mixed_rows(context: CheckContext) -> Iterator[Variant]:
    """A large negative number in place of −∞, which cancels out in a row that has no other logit.

    Such rows are the mean of all keys, or the row without masks, or some other mixture of keys.
    """
    yield ResultChange(_mean_of_keys)
    yield ResultChange(partial(_without_masks, context))
    yield _as_received(
        context,
        lambda name, received, reference: mixtures_in_empty_rows(name, received, reference.empty_rows, reference.call),
        PLAUSIBLE_DIGITS,
    )


def _as_received(
    context: CheckContext, find: Callable[[str, FloatArray, Reference], BoolArray], most: float = np.inf
) -> ResultChange:
    """Return the change that copies those rows without a visible key that show the mistake from the candidate.

    :param context: the call and the candidate.
    :param find: returns which elements of a field show the mistake.
    :param most: maximum digits of evidence of each number.
    """

    def changed(reference: Reference) -> Iterator[ChangedFields]:
        if reference.empty_rows.any():
            fields = {
                name: np.where(find(name, received, reference), received, reference.fields[name])
                for name, received in context.candidate.items()
            }
            limits = {name: np.full(array.shape, most) for name, array in fields.items() if name != "logsumexp"}
            yield ChangedFields(fields, limits=limits)

    return ResultChange(changed)


def _mean_of_keys(reference: Reference) -> Iterator[ChangedFields]:
    fields = dict(reference.fields)
    if "logsumexp" in fields or not reference.empty_rows.any():
        return
    if "weights" in fields:
        fields["weights"] = np.where(reference.empty_rows[..., None], 1 / reference.call.key_length, fields["weights"])
    if reference.call.value is not None and "output" in fields:
        mean = reference.call.value.mean(axis=-2, keepdims=True)
        fields["output"] = np.where(reference.empty_rows[..., None], mean, fields["output"])
    yield ChangedFields(fields)


def _without_masks(context: CheckContext, reference: Reference) -> Iterator[ChangedFields]:
    shared = (
        mixtures_in_empty_rows(name, field, reference.empty_rows, reference.call)
        for name, field in context.candidate.items()
    )
    if "logsumexp" not in reference.fields and any(bool(rows.any()) for rows in shared):
        bias = (
            None if reference.call.bias is None else np.where(np.isneginf(reference.call.bias), 0, reference.call.bias)
        )
        without = evaluate_dense(replace(reference.call, mask=None, bias=bias), context.should_stop, None)[0]
        yield ChangedFields(
            {
                name: np.where(_rows(name, reference.empty_rows), without[name], field)
                for name, field in reference.fields.items()
            }
        )


def accept_usual_empty_rows(
    name: str, expected: FloatArray, received: FloatArray, empty: BoolArray, wrong: Wrongness
) -> FloatArray:
    """Return the expected field, with the received numbers in rows without a visible key if they are usual there."""
    if not empty.any() or name == "scores":
        return expected
    usual = nan_in_empty_rows(name, received, empty) | _uniform_in(name, received, empty, wrong)
    return np.where(usual, received, expected)


def nan_in_empty_rows(name: str, received: FloatArray, empty: BoolArray) -> BoolArray:
    """Return which elements are NaN in a row without a visible key."""
    return np.isnan(received) & _rows(name, empty)


def mixtures_in_empty_rows(name: str, received: FloatArray, empty: BoolArray, call: ResolvedCall) -> BoolArray:
    """Return which rows without a visible key are yet a mixture of keys, in weights, output or logsumexp."""
    rows = _rows(name, empty)
    if name == "logsumexp":
        return rows & (received < LARGE_NEGATIVE)
    if name == "weights":
        total = received.sum(axis=-1, keepdims=True)
        return rows & (received >= 0).all(axis=-1, keepdims=True) & (np.abs(total - 1) < MAX_SUM_ERROR)
    if name == "output" and call.value is not None:
        lowest, highest = call.value.min(axis=-2, keepdims=True), call.value.max(axis=-2, keepdims=True)
        slack = MAX_SUM_ERROR * (highest - lowest)
        inside = (received >= lowest - slack) & (received <= highest + slack)
        return rows & inside.all(axis=-1, keepdims=True)
    return np.zeros_like(rows)


def _uniform_in(name: str, received: FloatArray, empty: BoolArray, wrong: Wrongness) -> BoolArray:
    """Return which elements are the mean over all keys in a row without a visible key."""
    rows, (call, comparison) = _rows(name, empty), wrong
    if name == "logsumexp":
        return rows & (received < LARGE_NEGATIVE)
    if name == "weights":
        return rows & comparison.equal(name, np.full_like(received, 1 / call.key_length), received)
    if call.value is None:
        return np.zeros_like(rows)
    mean = np.broadcast_to(call.value.mean(axis=-2, keepdims=True), received.shape)
    return rows & comparison.equal(name, mean, received)


def _rows(name: str, empty: BoolArray) -> BoolArray:
    if name == "scores":
        return np.zeros((1, 1), dtype=np.bool_)
    return empty if name == "logsumexp" else empty[..., None]
