"""Accumulation of gradients from several threads, in an order that does not depend on their number."""

import threading
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from attention_core.arrays import FloatArray, LeadingSlices
from attention_core.call import ResolvedCall
from attention_core.field_shapes import output_shape
from attention_core.heads import input_slices
from attention_core.reductions import sum_to_shape
from attention_core.score_tile import Tile, slice_tile
from attention_core.shapes import slice_leading

Parameters = dict[str, FloatArray]

FAILURE_POLL_SECONDS = 0.05
"""Time between two looks at whether another thread has failed, while a thread waits for it."""


class PartialGradients(NamedTuple):
    """Gradients that a tile of a block contributes; broadcast axes of the vectors are not summed yet."""

    tile: Tile
    query: FloatArray
    """(…, q, Dq)."""
    key: FloatArray
    """(…, k, Dk)."""
    value: FloatArray
    """(…, k, Dv)."""
    bias: FloatArray | None
    """In the shape of the tile's part of the bias; None for a call without bias."""
    score_model: Mapping[str, FloatArray]
    """Gradients of the score model's parameters by name."""
    normalizer: Mapping[str, FloatArray]
    """Gradients of the normalizer's parameters by name."""
    score_modifier: Mapping[str, FloatArray]
    """Gradients of the score modifier's parameters by name."""


class GradientAccumulator:
    """Results of a whole call: partial gradients summed in the order of their index, from any thread.

    `query`, `key`, `value` and `bias` have the shapes that these have in the resolved call; `score_model`, `normalizer`
    and `score_modifier` hold the gradients of parameters by name.  `output`, (…, Lq, Dv), and `maximum`, the largest
    logit of each row, (…, Lq), are to be filled from outside.
    """

    def __init__(self, call: ResolvedCall) -> None:
        """Start with zeros for a call; raise InvalidValue for a normalizer without a slope (hardmax)."""
        self._call = call
        self.output: FloatArray = np.empty(output_shape(call), call.dtype.compute)
        self.maximum: FloatArray = np.empty(call.score_shape[:-1], call.dtype.compute)
        self.query: FloatArray = np.zeros_like(call.query)
        self.key: FloatArray = np.zeros_like(call.key)
        self.value: FloatArray = np.zeros_like(call.value)
        self.bias: FloatArray | None = None if call.bias is None else np.zeros_like(call.bias)
        self.score_model, self.normalizer, self.score_modifier = zero_parameter_gradients(call)
        self._added = threading.Condition()
        self._pending: dict[int, tuple[LeadingSlices, PartialGradients]] = {}
        self._next_index = 0

    def accumulate_in_order(self, index: int, leading: LeadingSlices, partial: PartialGradients) -> None:
        """Add partial gradients once all with a lower index are added; until then keep them, without blocking.

        :param index: 0, 1, 2, …, each once.
        :param leading: block of the leading axes that they belong to.
        :param partial: the gradients of one tile of the block.
        """
        with self._added:
            self._pending[index] = leading, partial
            while (due := self._pending.pop(self._next_index, None)) is not None:
                self._add(*due)
                self._next_index += 1
            self._added.notify_all()

    def wait_for_room(self, index: int, max_ahead: int, has_failed: Callable[[], bool]) -> None:
        """Wait until the partial gradients of all but `max_ahead` lower indices are added, so that few are kept.

        Indices are taken in their order, so that the thread with the lowest never waits.

        :param index: of the partial gradients that the calling thread is about to make.
        :param max_ahead: lower indices that may still be missing.
        :param has_failed: returns whether another thread has failed, which ends the wait.
        """
        with self._added:
            while index - self._next_index > max_ahead and not has_failed():
                self._added.wait(FAILURE_POLL_SECONDS)

    def _add(self, leading: LeadingSlices, partial: PartialGradients) -> None:
        query_slices, key_slices, value_slices = input_slices(self._call, leading)
        rows, columns = partial.tile.rows, partial.tile.columns
        _add_summed(slice_leading(self.query, query_slices)[..., rows, :], partial.query)
        _add_summed(slice_leading(self.key, key_slices)[..., columns, :], partial.key)
        _add_summed(slice_leading(self.value, value_slices)[..., columns, :], partial.value)
        if self.bias is not None and partial.bias is not None:
            _add_summed(slice_tile(slice_leading(self.bias, leading), partial.tile), partial.bias)
        for totals, gradients in (
            (self.score_model, partial.score_model),
            (self.normalizer, partial.normalizer),
            (self.score_modifier, partial.score_modifier),
        ):
            for name, gradient in gradients.items():
                total = totals[name]
                # The whole parameter, if it has no head axis or the block has all heads; else the block's heads.
                part = total if total.shape == np.shape(gradient) else total[leading[1]]
                part += gradient


def _add_summed(target: FloatArray, gradient: FloatArray) -> None:
    """Add a gradient to a view, summed over the view's broadcast axes."""
    target += sum_to_shape(gradient, target.shape)


def zero_parameter_gradients(call: ResolvedCall) -> tuple[Parameters, Parameters, Parameters]:
    """Return zero gradients of the parameters of score model, normalizer and score modifier.

    Their names and shapes are those of a backward pass of no pairs.

    Raises InvalidValue for a normalizer without a slope (hardmax).
    """
    leading = call.score_shape[:-2]
    dtype = call.dtype.compute
    no_pairs = np.zeros((*leading, 0, 0), dtype=dtype)
    queries, keys = (np.zeros((*leading, 0, size), dtype=dtype) for size in call.features[:2])
    score_model = call.score_model.backward(queries, keys, no_pairs).parameters
    normalizer = call.normalizer.backward(no_pairs, no_pairs, no_pairs).parameters
    nothing = call.tile(slice(0, 0), slice(0, 0))
    modifier = {} if call.score_modifier is None else call.score_modifier.backward(no_pairs, nothing, no_pairs)[1]
    return _zeros_like(score_model), _zeros_like(normalizer), _zeros_like(modifier)


def _zeros_like(gradients: Mapping[str, FloatArray]) -> Parameters:
    return {name: np.zeros_like(gradient) for name, gradient in gradients.items()}
