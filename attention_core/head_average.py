"""Weights averaged over the query heads, (B, Lq, Lk).

Where nothing else needs the weights, they are computed for some matrices at a time, so that those of all heads are
never in memory together.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from attention_core.arrays import FloatArray, Weights
from attention_core.blockwise import Workers
from attention_core.blockwise.blocks import LeadingBlock, leading_blocks, output_index
from attention_core.call import ResolvedCall, ResultField
from attention_core.execution_path import averages_in_blocks
from attention_core.field_shapes import output_shape
from attention_core.interfaces import ProgressCallback, ShouldStop
from attention_core.tile_sizes import count_block_matrices

Fields = Mapping[str, FloatArray]

EvaluateFields = Callable[
    [ResolvedCall, Workers | None, ShouldStop | None, ProgressCallback | None], tuple[Fields, FloatArray | None]
]
"""Returns the arrays that the included fields of a call need, and the maximum of every row or None if all are finite:
`attention_core.attend.evaluate_fields`."""


def mean_over_heads(weights: Weights) -> FloatArray:
    """Return the mean of weights, (B, H, Lq, Lk), over H, (B, Lq, Lk); zeros without heads.

    Heads are added one by one, so that the result does not depend on how many of them are in memory together.
    """
    total: FloatArray = np.zeros((weights.shape[0], *weights.shape[2:]), weights.dtype)
    _add_heads(weights, total)
    total /= max(1, weights.shape[1])
    return total


def evaluate_with_mean(
    evaluate_fields: EvaluateFields,
    call: ResolvedCall,
    workers: Workers | None,
    should_stop: ShouldStop | None,
    progress: ProgressCallback | None,
) -> tuple[Fields, FloatArray | None]:
    """Return the arrays of a call, mean_weights among them, and the maximum of every row, as `evaluate_fields` does.

    :param evaluate_fields: evaluates a call without mean_weights.
    :param call: a call that includes mean_weights.
    :param workers: threads that share the work; None for the calling thread alone.
    :param should_stop: called between tiles; None for never.
    :param progress: called after each tile or block with the numbers done and in total; None for never.

    Raises what `evaluate_fields` raises.
    """
    if not averages_in_blocks(call):
        fields, maximum = evaluate_fields(call, workers, should_stop, progress)
        return {**fields, "mean_weights": mean_over_heads(fields["weights"])}, maximum
    blocks = _blocks(call)
    result = _WholeArrays(call)
    # The progress of a block would count to the number of its own tiles.
    for number, block in enumerate(blocks):
        result.add(block, *evaluate_fields(block.call, workers, should_stop, None))
        if progress is not None:
            progress(number + 1, len(blocks))
    return result.finish()


def _blocks(call: ResolvedCall) -> list[LeadingBlock]:
    """Return the blocks of a call whose weights are in memory together, heads of one batch row in their order."""
    wanted: frozenset[ResultField] = (call.include & {"output", "logsumexp"}) | {"weights"}
    return [
        LeadingBlock(block.leading, replace(block.call, include=wanted, present=None))
        for block in leading_blocks(call, count_block_matrices(call))
    ]


def _add_heads(weights: Weights, total: FloatArray) -> None:
    """Add the weights of each head, (B, H, Lq, Lk), to a total, (B, Lq, Lk)."""
    with np.errstate(all="ignore"):
        for head in range(weights.shape[1]):
            total += weights[:, head]


class _WholeArrays:
    """The arrays of a call, which its blocks fill."""

    def __init__(self, call: ResolvedCall) -> None:
        self._call = call
        dtype, shape = call.dtype.compute, call.score_shape
        self._mean: FloatArray = np.zeros((shape[0], *shape[2:]), dtype)
        self._maximum: FloatArray | None = None
        self._fields: dict[str, FloatArray] = {}
        if "output" in call.include:
            self._fields["output"] = np.empty(output_shape(call), dtype)
        if "logsumexp" in call.include:
            self._fields["logsumexp"] = np.empty(shape[:-1], dtype)

    def add(self, block: LeadingBlock, fields: Fields, maximum: FloatArray | None) -> None:
        """Add the weights of a block, and copy its other arrays to their places."""
        call = self._call
        _add_heads(fields["weights"], self._mean[block.leading[0]])
        if "output" in self._fields:
            self._fields["output"][output_index(call, block, slice(0, call.query_length))] = fields["output"]
        if "logsumexp" in self._fields:
            self._fields["logsumexp"][block.leading] = fields["logsumexp"]
        if maximum is not None:
            if self._maximum is None:
                self._maximum = np.zeros(call.score_shape[:-1], call.dtype.compute)
            self._maximum[block.leading] = maximum

    def finish(self) -> tuple[Fields, FloatArray | None]:
        """Return all arrays, and the maximum of every row or None if all are finite."""
        self._mean /= self._call.score_shape[1]
        return {**self._fields, "mean_weights": self._mean}, self._maximum
