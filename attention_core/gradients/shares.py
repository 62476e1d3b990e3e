"""Gradients that several threads add to, in an order that does not depend on how many there are."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from attention_core.arrays import FloatArray, Leading
from attention_core.call import ResolvedCall
from attention_core.heads import within
from attention_core.interfaces import Tile
from attention_core.reductions import sum_to
from attention_core.shapes import cut

Parameters = dict[str, FloatArray]


@dataclass(slots=True)
class Share:
    """What some rows of a block contribute: each gradient has the shape of the block's part of what it belongs to."""

    rows: slice
    query: FloatArray
    """(…, q, Dq), of these rows."""
    key: FloatArray
    value: FloatArray
    bias: FloatArray | None
    score_model: Parameters = field(default_factory=dict)
    normalizer: Parameters = field(default_factory=dict)

    @classmethod
    def of(cls, call: ResolvedCall, rows: slice) -> "Share":
        """Return nothing yet, for rows of a block's call."""
        return cls(
            rows,
            np.zeros_like(call.query[..., rows, :]),
            np.zeros_like(call.key),
            np.zeros_like(call.value),
            None if call.bias is None else np.zeros_like(cut(call.bias, _whole_rows(call, rows))),
        )

    def add_query(self, gradient: FloatArray, rows: slice) -> None:
        """Add to some of the rows; broadcast axes are summed, here as below."""
        own = self.query[..., rows.start - self.rows.start : rows.stop - self.rows.start, :]
        own += sum_to(gradient, own.shape)

    def add_key(self, gradient: FloatArray, columns: slice) -> None:
        """Add to some of the keys."""
        own = self.key[..., columns, :]
        own += sum_to(gradient, own.shape)

    def add_value(self, gradient: FloatArray, columns: slice) -> None:
        """Add to some of the values."""
        own = self.value[..., columns, :]
        own += sum_to(gradient, own.shape)

    def add_bias(self, gradient: FloatArray, tile: Tile) -> None:
        """Add to what the bias adds to a tile."""
        if self.bias is not None:
            rows = slice(tile.rows.start - self.rows.start, tile.rows.stop - self.rows.start)
            own = cut(self.bias, tile._replace(rows=rows))
            own += sum_to(gradient, own.shape)


def add_parameters(own: Parameters, found: Mapping[str, FloatArray]) -> None:
    """Add what was found of each parameter to what there is."""
    for name, gradient in found.items():
        own[name] = own[name] + gradient if name in own else gradient


class Totals:
    """The gradients of a whole call, summed share by share in their order, whoever comes first."""

    def __init__(self, call: ResolvedCall) -> None:
        """Raise InvalidValue for a normalizer without a slope."""
        self.value: FloatArray = np.zeros_like(call.value)
        self.call = replace(
            call,
            query=np.zeros_like(call.query),
            key=np.zeros_like(call.key),
            value=self.value,
            bias=None if call.bias is None else np.zeros_like(call.bias),
        )
        self.score_model, self.normalizer = _parameters(call)
        self._lock = threading.Lock()
        self._arrived: dict[int, tuple[Leading, Share]] = {}
        self._added = 0

    def deliver(self, index: int, leading: Leading, share: Share) -> None:
        """Take a share of a block; those that come before it are waited for, not by the thread that brings it."""
        with self._lock:
            self._arrived[index] = leading, share
            while (due := self._arrived.pop(self._added, None)) is not None:
                self._add(*due)
                self._added += 1

    def _add(self, leading: Leading, share: Share) -> None:
        own = within(self.call, leading)
        own.query[..., share.rows, :] += share.query
        own.key += share.key
        if own.value is not None:
            own.value += share.value
        if own.bias is not None and share.bias is not None:
            bias = cut(own.bias, _whole_rows(self.call, share.rows))
            bias += share.bias
        for totals, found in ((self.score_model, share.score_model), (self.normalizer, share.normalizer)):
            for name, gradient in found.items():
                total = totals[name]
                # Either it has no head axis, or these are all heads, or some of them.
                part = total if total.shape == np.shape(gradient) else total[leading[1]]
                part += gradient


def _whole_rows(call: ResolvedCall, rows: slice) -> Tile:
    return Tile(rows, slice(0, call.key_length), call.offset)


def _parameters(call: ResolvedCall) -> tuple[Parameters, Parameters]:
    """Return zeros in the shapes of what score model and normalizer tell: what no query and no key contribute."""
    leading = call.scores[:-2]
    dtype = call.dtype.compute
    nothing = np.zeros((*leading, 0, 0), dtype=dtype)
    queries, keys = (np.zeros((*leading, 0, size), dtype=dtype) for size in call.features[:2])
    by_model = call.score_model.gradient(queries, keys, nothing).parameters
    by_normalizer = call.normalizer.gradient(nothing, nothing, nothing).parameters
    by_both = ({name: np.zeros_like(zero) for name, zero in found.items()} for found in (by_model, by_normalizer))
    first, second = by_both
    return first, second
