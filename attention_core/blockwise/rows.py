"""Some rows against all keys that they may see: tile by tile, or whole where the normalizer needs them whole."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from attention_core.arrays import FloatArray, Logits, PerQuery, RowMaximum, Side
from attention_core.blockwise.blocks import Block, Columns, first_position
from attention_core.blockwise.watch import Watch
from attention_core.blockwise.workspace import Workspace
from attention_core.interfaces import RowEnds, Rows, Stream, Tile
from attention_core.tiles import hide_in_place, logits_in_place, mix, normalize, row_maximum


class Wanted(NamedTuple):
    """Where the rows of a block belong in the results: views to be filled, None for what is not asked for."""

    output: FloatArray | None
    """(…, q, Dv)."""
    maximum: PerQuery
    logsumexp: PerQuery | None


def evaluate_rows(block: Block, rows: slice, wanted: Wanted, space: Workspace, watch: Watch) -> None:
    """Evaluate rows in the way that their normalizer allows."""
    if block.stream is None:
        _whole_rows(block, rows, wanted, space, watch)
    else:
        _stream_rows(block.stream, block, rows, wanted, space, watch)


def _stream_rows(
    begin: Callable[[Rows], Stream], block: Block, rows: slice, wanted: Wanted, space: Workspace, watch: Watch
) -> None:
    """Evaluate rows for a normalizer that sees each tile once."""
    call = block.call
    queries, spans = _queries(block, rows), block.stairs(rows)
    length = rows.stop - rows.start
    shape = (*call.scores[:-2], length)
    met = block.met(spans)
    stream = begin(_known(block, rows, shape, queries, met, logsumexp=wanted.logsumexp is not None))
    mixed = _Mixed(wanted.output, space)
    told = 0
    for columns in met:
        watch.ask()
        span = columns.span
        own = slice(span.rows.start - rows.start, span.rows.stop - rows.start)
        some = queries if own.stop - own.start == length else _of_rows(queries, own, length)
        logits = space.array("logits", (*shape[:-1], own.stop - own.start, span.keys.stop - span.keys.start))
        _score(block, some, columns, logits)
        seen = logits.copy() if mixed.needs_logits(columns) else None
        factor = stream.weigh(logits, span.keys.start, own)
        mixed.add(logits, factor, columns, seen, own)
        told = _tell(block, span.keys.stop, watch, told)
    _tell(block, call.key_length, watch, told)
    ends = stream.ends()
    mixed.end(ends, poisons=not call.normalizer.passes_non_finite)
    wanted.maximum[...] = ends.maximum[..., 0]
    if wanted.logsumexp is not None:
        wanted.logsumexp[...] = ends.logsumexp


class _Mixed:
    """The sum of weights · values over the tiles that have passed, right where the output is wanted."""

    def __init__(self, output: FloatArray | None, space: Workspace) -> None:
        self._output, self._space = output, space
        self._empty = True

    def needs_logits(self, columns: Columns) -> bool:
        """Whether it matters who can see the values."""
        return self._output is not None and columns.broken

    def add(
        self, weights: FloatArray, factor: RowMaximum | None, columns: Columns, seen: FloatArray | None, rows: slice
    ) -> None:
        """Mix one tile into some of the rows; `seen` is its logits if they are needed."""
        if self._output is None or columns.values is None:
            return
        output, values = self._output[..., rows, :], columns.values
        if self._empty and output.shape != self._output.shape:
            self._output[...] = 0
            self._empty = False
        if factor is not None and not self._empty:
            output *= factor
        target = output if self._empty else self._space.array("product", output.shape)
        if seen is None:
            product = np.matmul(weights, values, out=target)
        else:
            product = target
            product[...] = mix(weights, values, seen)
        if not self._empty:
            output += product
        self._empty = False

    def end(self, ends: RowEnds, *, poisons: bool) -> None:
        """Bring the sum to the scale of the weights; a poisoned row is NaN if the normalizer says so."""
        output = self._output
        if output is None:
            return
        if self._empty:
            output[...] = 0
        if ends.factor is not None:
            output *= ends.factor
        if ends.divisor is not None:
            output /= ends.divisor
        if poisons and not (sound := ends.maximum < np.inf).all():
            np.copyto(output, np.nan, where=~sound)


def _whole_rows(block: Block, rows: slice, wanted: Wanted, space: Workspace, watch: Watch) -> None:
    """Evaluate rows for a normalizer that needs all logits of a row at once, from its first visible key to its last."""
    call = block.call
    queries, spans = _queries(block, rows), block.visible(rows)
    first, last = (spans[0].keys.start, spans[-1].keys.stop) if spans else (0, 0)
    logits = space.array("logits", (*call.scores[:-2], rows.stop - rows.start, last - first))
    done, told = first, 0
    for columns in block.met(spans):
        watch.ask()
        start, stop = columns.span.keys.start, columns.span.keys.stop
        logits[..., done - first : start - first] = -np.inf
        _score(block, queries, columns, logits[..., start - first : stop - first])
        done, told = stop, _tell(block, stop, watch, told)
    _tell(block, call.key_length, watch, told)
    maximum = row_maximum(logits)
    wanted.maximum[...] = maximum[..., 0]
    if wanted.output is not None and call.value is not None:
        weights = normalize(call.normalizer, logits, maximum)
        wanted.output[...] = mix(weights, call.value[..., first:last, :], logits)


def _tell(block: Block, key: int, watch: Watch, told: int) -> int:
    """Tell of the tiles up to a key that have not been told of; return how many have been now."""
    done = block.tiles_until(key)
    watch.tell(done - told)
    return done


def _queries(block: Block, rows: slice) -> Side:
    """What the score model makes of the rows' queries, one after the other in memory."""
    side = block.call.score_model.for_queries(block.call.query[..., rows, :])
    return tuple(np.ascontiguousarray(array) for array in side)


def _of_rows(side: Side, rows: slice, length: int) -> Side:
    """Return what was made of some of so many queries; what was not made of each stays."""
    return tuple(array[..., rows, :] if array.ndim > 1 and array.shape[-2] == length else array for array in side)


def _score(block: Block, queries: Side, columns: Columns, logits: Logits) -> None:
    """Put the logits of a tile where they are wanted; what no mask cuts asks no mask."""
    call, (rows, keys, cut) = block.call, columns.span
    logits_in_place(call, Tile(rows, keys, call.offset), queries, columns.side, logits)
    if cut is not None:
        own = slice(cut.rows.start - rows.start, cut.rows.stop - rows.start)
        part = logits[..., own, cut.keys.start - keys.start : cut.keys.stop - keys.start]
        hide_in_place(call, Tile(cut.rows, cut.keys, call.offset), part)


def _known(
    block: Block, rows: slice, shape: tuple[int, ...], queries: Side, met: Iterable[Columns], *, logsumexp: bool
) -> Rows:
    """Gather what bounds the logits and the values of rows, if it is at hand."""
    call = block.call
    bound = largest = np.inf
    if isinstance(met, list) and not block.adds:
        bound = call.score_model.query_bound(queries) * max((one.bound for one in met), default=0.0)
        largest = max((one.largest_value for one in met), default=0.0)
        if call.softcap is not None and bound > call.softcap:
            bound = 1.01 * call.softcap
    return Rows(shape, first_position(block, rows), call.dtype.compute, call.key_length, bound, largest, logsumexp)
