"""Mistakes after the scores: another base, another axis, dropout, rows or axes in another place."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np

from attention_core.arrays import FloatArray, Logits
from attention_core.call import ResolvedCall
from attention_core.checking.attempts import Ending, Fields, Given, Right, Way, Wrong, evaluate_rows
from attention_core.cost import BLOCK_NUMBERS
from attention_core.interfaces import Normalizer, Tile
from attention_core.normalizers import Softmax
from attention_core.scores.features import PerHead
from attention_core.tiles import mix, normalize, row_maximum, score_tile

MOST_ROWS = 2048
"""Rows in another order are looked for among so many wrong ones at most."""

DIRECTIONS = 4
"""Rows are told apart by so many numbers each."""


def logsumexp_to_base_two(given: Given) -> Iterator[Way]:
    """log2 of the denominator, as kernels keep it that compute with exp2."""
    if "logsumexp" in given.candidate:
        yield Ending(lambda right: iter([{**right.fields, "logsumexp": right.fields["logsumexp"] / np.log(2)}]))


def logsumexp_without_maximum(given: Given) -> Iterator[Way]:
    """The logarithm of Σ exp(z − max), without the maximum that was taken off; a sink may be the largest of all."""
    if "logsumexp" in given.candidate and isinstance(given.call.normalizer, Softmax):
        yield Wrong(given.call, partial(_unshifted, given.call.normalizer, None))
        if given.call.normalizer.sink is not None:
            yield Wrong(given.call, partial(_unshifted, given.call.normalizer, given.call.normalizer.sink))


def _unshifted(softmax: Softmax, sink: PerHead | None, call: ResolvedCall, rows: slice) -> tuple[Fields, FloatArray]:
    fields, maximum = evaluate_rows(call, rows)
    taken = maximum / softmax.temperature
    if sink is not None:
        taken = np.maximum(taken, sink[:, None] if isinstance(sink, np.ndarray) else sink)
    taken = np.where(np.isneginf(taken), 0, taken)
    return {**fields, "logsumexp": fields["logsumexp"] - taken}, maximum


def softmax_over_the_wrong_axis(given: Given) -> Iterator[Way]:
    """Weights sum to 1 over the queries of each key, or over the heads, or over the batch."""
    call, told = given.call, [given.candidate[name] for name in ("weights", "output") if name in given.candidate]
    small = call.scores_per_query * call.query_length <= BLOCK_NUMBERS
    if small and any(bool(np.isfinite(field).any()) for field in told):
        yield Ending(lambda right: _over_other_axes(right, given))


def _over_other_axes(right: Right, given: Given) -> Iterator[Fields]:
    call, normalizer = right.call, right.call.normalizer
    whole = Tile(slice(0, call.query_length), slice(0, call.key_length), call.offset)
    logits = np.broadcast_to(score_tile(call, whole).logits, call.scores)
    sink = normalizer.sink if isinstance(normalizer, Softmax) else None
    for axis in range(-2, -logits.ndim - 1, -1):
        if axis == -2 or not isinstance(sink, np.ndarray):
            yield from _over(axis, logits, right, given, normalizer)
        if sink is not None and isinstance(normalizer, Softmax):
            yield from _over(axis, logits, right, given, replace(normalizer, sink=None))


def _over(axis: int, logits: Logits, right: Right, given: Given, normalizer: Normalizer) -> Iterator[Fields]:
    call, turned = right.call, logits.swapaxes(axis, -1)
    maximum = row_maximum(turned)
    weights = normalize(normalizer, turned, maximum)
    if given.has_nan:
        # A key that no query sees is 0/0 there.
        weights = np.where(np.isneginf(maximum), np.nan, weights)
    weights = weights.swapaxes(axis, -1)
    output = {} if call.value is None else {"output": mix(weights, call.value, logits)}
    fields = {**right.fields, "weights": weights, **output}
    yield fields
    if axis == -2 and isinstance(normalizer, Softmax) and call.query_length == call.key_length:
        yield {**fields, "logsumexp": normalizer.logsumexp(turned, maximum)}


def dropout(given: Given) -> Iterator[Way]:
    """Some weights are 0, and all others larger by one factor, as in training."""
    if "weights" in given.candidate:
        yield Ending(lambda right: _dropped(right, given.candidate["weights"]))


def _dropped(right: Right, received: FloatArray) -> Iterator[Fields]:
    expected = right.fields["weights"]
    kept = (received != 0) & (expected != 0)
    lost = (received == 0) & (expected != 0)
    if not kept.any() or not lost.any():
        return
    largest = np.argmax(np.where(kept, expected, 0))
    factor = received.flat[largest] / expected.flat[largest]
    if factor > 1:
        weights = np.where(kept, expected * factor, 0)
        output = {} if right.call.value is None else {"output": mix(weights, right.call.value, expected)}
        yield {**right.fields, "weights": weights, **output}


def transposed(given: Given) -> Iterator[Way]:
    """Two axes of one length have changed places in some of the fields."""
    yield Ending(lambda right: _swapped(right, given, -1, -2))
    yield Ending(lambda right: _swapped(right, given, -2, -3))


def _swapped(right: Right, given: Given, one: int, other: int) -> Iterator[Fields]:
    changed = dict(right.fields)
    for name, received in given.candidate.items():
        expected = right.fields[name]
        if expected.ndim >= -other and expected.shape[one] == expected.shape[other]:
            turned = expected.swapaxes(one, other)
            wrong = [~given.comparison.equal(name, side, received) for side in (expected, turned)]
            changed[name] = turned if np.sum(wrong[1]) < np.sum(wrong[0]) else expected
    yield changed


def rows_in_another_order(given: Given) -> Iterator[Way]:
    """Every row is right, but in the place of another query, head or batch row."""
    yield Ending(lambda right: _reordered(right, given))


def _reordered(right: Right, given: Given) -> Iterator[Fields]:
    """Put each right row where the candidate has it, unless the nearest are not all different ones."""
    changed = dict(right.fields)
    for name, received in given.candidate.items():
        expected = right.fields[name]
        wrong = ~given.comparison.equal(name, expected, received)
        rows = wrong if name == "logsumexp" else wrong.any(axis=-1)
        if rows.sum() > MOST_ROWS:
            return
        order = _order(expected[rows], received[rows])
        changed[name] = expected.copy()
        changed[name][rows] = expected[rows][order]
    yield changed


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
