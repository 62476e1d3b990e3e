"""Rows without a visible key, and what kernels make of them: 0/0, or a large negative number that cancels out."""

from collections.abc import Callable, Iterator

import numpy as np

from attention_core.arrays import BoolArray, FloatArray
from attention_core.call import ResolvedCall
from attention_core.checking.attempts import Ending, Fields, Given, Right, Way
from attention_core.checking.comparison import Comparison

LARGE_NEGATIVE = -1000.0
"""A logsumexp below it comes from a number that stands in for −∞, such as −1e4, −65504 or −1e9."""

Wrongness = tuple[ResolvedCall, Comparison]
"""The call that a mistake evaluates, and how what it gives is compared."""

ABOUT_ONE = 0.02
"""How far from 1 the sum of a row's weights may be for the row to count as shares."""


def nan_rows(given: Given) -> Iterator[Way]:
    """0/0 in a row without a visible key."""
    if given.has_nan:
        yield _as_received(given, lambda name, received, right: nan_in(name, received, right.empty_rows))


def shared_rows(given: Given) -> Iterator[Way]:
    """A large negative number in place of −∞, which cancels out where it is all there is."""
    yield _as_received(given, lambda name, received, right: shared_in(name, received, right.empty_rows, right.call))


def _as_received(given: Given, find: Callable[[str, FloatArray, Right], BoolArray]) -> Ending:
    """Let those rows without a visible key be as they came that show the mistake."""

    def changed(right: Right) -> Iterator[Fields]:
        if right.empty_rows.any():
            yield {
                name: np.where(find(name, received, right), received, right.fields[name])
                for name, received in given.candidate.items()
            }

    return Ending(changed)


def forgiven(name: str, expected: FloatArray, received: FloatArray, empty: BoolArray, wrong: Wrongness) -> FloatArray:
    """Return what is expected, but in rows without a visible key what was received, if that is a usual way out."""
    if not empty.any() or name == "scores":
        return expected
    usual = nan_in(name, received, empty) | _uniform_in(name, received, empty, wrong)
    return np.where(usual, received, expected)


def nan_in(name: str, received: FloatArray, empty: BoolArray) -> BoolArray:
    """Return which elements are NaN in a row that sees nothing."""
    return np.isnan(received) & _rows(name, empty)


def shared_in(name: str, received: FloatArray, empty: BoolArray, call: ResolvedCall) -> BoolArray:
    """Return which rows see nothing and are yet a mixture of keys: every one's weight, values, or logsumexp."""
    rows = _rows(name, empty)
    if name == "logsumexp":
        return rows & (received < LARGE_NEGATIVE)
    if name == "weights":
        total = received.sum(axis=-1, keepdims=True)
        return rows & (received >= 0).all(axis=-1, keepdims=True) & (np.abs(total - 1) < ABOUT_ONE)
    if name == "output" and call.value is not None:
        lowest, highest = call.value.min(axis=-2, keepdims=True), call.value.max(axis=-2, keepdims=True)
        slack = ABOUT_ONE * (highest - lowest)
        inside = (received >= lowest - slack) & (received <= highest + slack)
        return rows & inside.all(axis=-1, keepdims=True)
    return np.zeros_like(rows)


def _uniform_in(name: str, received: FloatArray, empty: BoolArray, wrong: Wrongness) -> BoolArray:
    """Return which elements are the mean over all keys in a row that sees nothing."""
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
