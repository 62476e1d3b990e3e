"""The batch row from which each batch row of a candidate has its weights or values, found from the candidate.

An order is an integer array (B): batch row b of the candidate has the weights, or the values, of row ``order[b]``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import log10

import numpy as np

from attention_core.arrays import FloatArray, IntArray
from attention_core.call import ResolvedCall
from attention_core.checking.variants import CheckContext, slice_rows
from attention_core.dense import evaluate_query_block
from attention_core.interfaces import ELEMENTWISE_COST

COMPARED_ROWS = 4
"""Maximum queries of each batch row that are compared, from the first to the last."""

DIRECTIONS = 4
"""Random projections by which outputs are compared, so that B² pairs of batch rows cost about as much as a few rows."""

MAX_BATCH_ROWS = 64
"""Maximum batch rows of which all B² pairs are compared; of larger batches only `common_orders` are."""

SIMPLER_BY = 2.0
"""Largest ratio of errors at which a rotation or a constant order is preferred to the nearest row of each row."""

SEARCHES = 3
"""Number of orders that are searched for in a candidate: of values, of weights in the output, of weights."""

OPERATIONS_PER_KEY = 2 * ELEMENTWISE_COST * COMPARED_ROWS * DIRECTIONS
"""Operations of one comparison for each key of each batch row and head."""

NUMBERS_PER_KEY = 4 * COMPARED_ROWS + 4 * DIRECTIONS
"""Numbers that are held for each key of each batch row and head: weights and projected values, with temporaries."""

Distances = Callable[[IntArray], FloatArray]
"""Sum of absolute errors of each batch row, (B), if the candidate were made by this order."""


@dataclass(frozen=True, slots=True)
class BatchOrder:
    """An order of batch rows that was found from a candidate."""

    rows: IntArray
    """(B)."""
    choices: float
    """Decimal logarithm of the number of orders among which it was chosen."""


def batch_size(call: ResolvedCall) -> int:
    """Return the number of batch rows: 1 for scores of rank 2."""
    return call.score_shape[0] if len(call.score_shape) > 2 else 1


def common_orders(batch: int) -> list[IntArray]:
    """Return the previous row for each row, the opposite row, and the first row for all."""
    rows = np.arange(batch)
    return _distinct([np.roll(rows, 1), rows[::-1], 0 * rows])


def simple_orders(batch: int) -> list[IntArray]:
    """Return `common_orders`, then all other rotations, then every other row for all."""
    rows = np.arange(batch)
    rotations = [np.roll(rows, shift) for shift in range(batch - 1, 0, -1)]
    return _distinct([*common_orders(batch), *rotations, *(np.full(batch, row) for row in rows)])


def _distinct(orders: list[IntArray]) -> list[IntArray]:
    """Return the orders without duplicates and without the right one."""
    found = {tuple(order.tolist()): order for order in orders}
    return [order for key, order in found.items() if key != tuple(range(len(order)))]


def find_order(batch: int, distances: Distances) -> BatchOrder | None:
    """Return the order that comes nearest to the candidate; None if each batch row is nearest to itself.

    A simple order is preferred to any other that is not much nearer: it is chosen among fewer.

    :param batch: number of batch rows, B.
    :param distances: the errors of an order.
    """
    if batch < 2:
        return None
    rows = np.arange(batch)
    if batch > MAX_BATCH_ROWS:
        orders = common_orders(batch)
        totals = [float(distances(order).sum()) for order in orders]
        return BatchOrder(orders[int(np.argmin(totals))], log10(len(orders)))
    errors = np.stack([distances(np.full(batch, row)) for row in rows])
    orders = simple_orders(batch)
    totals = [float(errors[order, rows].sum()) for order in orders]
    best = int(np.argmin(totals))
    nearest = np.argmin(errors, axis=0)
    if totals[best] <= SIMPLER_BY * float(errors[nearest, rows].sum()):
        return BatchOrder(orders[best], log10(1 + best))
    moved = int(np.count_nonzero(nearest != rows))
    return BatchOrder(nearest, moved * log10(batch)) if moved else None


def output_distances(context: CheckContext, *, reordered: str) -> Distances | None:
    """Return the errors of the candidate's output by order; None if the output has batch rows of the values alone.

    :param context: the call and the candidate, which has an output.
    :param reordered: "weights" or "value", the factor that the order moves.
    """
    call = context.call
    leading = call.output_leading_shape
    if call.value is None or len(leading) != len(call.score_shape) - 2:
        return None
    directions = np.random.default_rng(0).standard_normal((call.value.shape[-1], DIRECTIONS))
    projected = _finite(np.matmul(call.value, directions))
    values = np.broadcast_to(projected, (*leading, *projected.shape[-2:]))
    rows = _compared_rows(call)
    weights = _weights(call, rows)
    output = context.candidate["output"]
    received = _finite(np.concatenate([slice_rows("output", output, one) @ directions for one in rows], axis=-2))

    def distances(order: IntArray) -> FloatArray:
        moved = (weights[order], values) if reordered == "weights" else (weights, values[order])
        return _sum_by_batch_row(np.matmul(*moved) - received)

    return distances


def weight_distances(context: CheckContext) -> Distances:
    """Return the errors of the candidate's weights by order."""
    rows = _compared_rows(context.call)
    weights = _weights(context.call, rows)
    received = _finite(
        np.concatenate([slice_rows("weights", context.candidate["weights"], one) for one in rows], axis=-2)
    )
    return lambda order: _sum_by_batch_row(weights[order] - received)


def _compared_rows(call: ResolvedCall) -> list[slice]:
    """Return up to `COMPARED_ROWS` queries, each a slice."""
    length = call.query_length
    chosen = np.linspace(0, length - 1, min(length, COMPARED_ROWS)).astype(int).tolist()
    return [slice(row, row + 1) for row in dict.fromkeys(chosen)] or [slice(0, 0)]


def _weights(call: ResolvedCall, rows: list[slice]) -> FloatArray:
    """Return the right weights of some queries, (B, …, q, Lk)."""
    return _finite(np.concatenate([evaluate_query_block(call, one, {"weights"})[0]["weights"] for one in rows], -2))


def _finite(array: FloatArray) -> FloatArray:
    """Return the array with 0 in place of NaN and ±∞, which do not distinguish batch rows."""
    return np.where(np.isfinite(array), array, 0)


def _sum_by_batch_row(errors: FloatArray) -> FloatArray:
    """Return the sum of magnitudes of each batch row, (B)."""
    total: FloatArray = np.abs(errors).reshape(len(errors), -1).sum(axis=-1)
    return total
