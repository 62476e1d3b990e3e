"""Mistakes after the scores: another base, another axis, rows that see nothing, rows in another place."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from attention_core.arrays import FloatArray
from attention_core.call import ResolvedCall
from attention_core.checking.attempts import Fields, Given, Right, Way
from attention_core.cost import BLOCK_NUMBERS
from attention_core.heads import pack
from attention_core.interfaces import Tile
from attention_core.tiles import mix, normalize, row_maximum, score_tile

MOST_ROWS = 1024
"""Rows in another order are looked for among so many at most."""


def logsumexp_to_base_two(given: Given) -> Iterator[Way]:
    """log2 of the denominator, as kernels keep it that compute with exp2."""
    if "logsumexp" in given.candidate:
        yield lambda right: right.fields | {"logsumexp": right.fields["logsumexp"] / np.log(2)}


def softmax_over_the_wrong_axis(given: Given) -> Iterator[Way]:
    """Weights sum to 1 over the queries of each key."""
    if given.call.scores_per_query * given.call.query_length <= BLOCK_NUMBERS:
        yield _normalized_over_queries


def _normalized_over_queries(right: Right) -> Fields | None:
    call = right.call
    whole = Tile(slice(0, call.query_length), slice(0, call.key_length), call.offset)
    logits = score_tile(call, whole).logits
    turned = logits.swapaxes(-1, -2)
    weights = normalize(call.normalizer, turned, row_maximum(turned)).swapaxes(-1, -2)
    output = {} if call.value is None else {"output": mix(weights, call.value, logits)}
    return right.fields | {"weights": weights} | output


def empty_rows_nan(given: Given) -> Iterator[Way]:
    """0/0 in a row without a visible key."""
    if _hides(given.call):
        yield lambda right: _with_empty_rows(right, lambda _: np.nan)


def empty_rows_uniform(given: Given) -> Iterator[Way]:
    """A large negative number in place of −∞, which cancels out where it is all there is."""
    if _hides(given.call):
        yield lambda right: _with_empty_rows(right, lambda name: _uniform(right.call, name))


def _hides(call: ResolvedCall) -> bool:
    return call.mask is not None or call.bias is not None


def _uniform(call: ResolvedCall, name: str) -> Any:
    """What weights and output are when every key weighs the same."""
    if name == "weights":
        return 1 / call.key_length
    return np.nan if call.value is None else call.value.mean(axis=-2, keepdims=True)


def _with_empty_rows(right: Right, replacement: Callable[[str], Any]) -> Fields | None:
    if not right.empty_rows.any():
        return None
    changed = {
        name: np.where(right.empty_rows[..., None], replacement(name), right.fields[name])
        for name in ("weights", "output")
        if name in right.fields
    }
    return right.fields | changed if changed else None


def rows_in_another_order(given: Given) -> Iterator[Way]:
    """Every row is right, but in the place of another."""
    if 1 < given.call.query_length <= MOST_ROWS:
        yield lambda right: _reordered(right, given.candidate)


def _reordered(right: Right, candidate: Fields) -> Fields | None:
    """Put each right row where the candidate has it, if the nearest rows are all different ones."""
    name, received = next(iter(candidate.items()))
    expected = right.fields[name]
    if name == "output" and right.call.packed:
        expected = pack(expected)
    right_rows, rows = (_rows(name, side) for side in (expected, received))
    order = [int(np.argmin(np.abs(right_rows - row).sum(axis=-1))) for row in rows]
    if sorted(order) != list(range(len(order))):
        return None
    return {
        field: np.take(array, order, axis=-1 if field == "logsumexp" else -2) for field, array in right.fields.items()
    }


def _rows(name: str, field: FloatArray) -> FloatArray:
    """Everything that belongs to one query as one row: (Lq, …)."""
    first = np.moveaxis(field, -1 if name == "logsumexp" else -2, 0)
    return first.reshape(len(first), -1)
