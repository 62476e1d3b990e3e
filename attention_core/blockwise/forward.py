"""Evaluate some rows against all keys they see: one tile at a time, or whole rows where the normalizer needs them."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from attention_core.arrays import FloatArray, Logits, PerQuery
from attention_core.blockwise.blocks import LeadingBlock, first_row_index, join_slices, split_slice
from attention_core.blockwise.work_monitor import WorkMonitor
from attention_core.capabilities import SupportsOnline, supports_online
from attention_core.online_normalization import OnlineRows
from attention_core.reductions import all_finite
from attention_core.score_tile import Coverage
from attention_core.tiles import (
    RowScorer,
    apply_mask_in_place,
    apply_weights,
    normalize,
    row_maximum,
    score_rows,
    write_logits,
)


class OutputViews(NamedTuple):
    """Views of the results that the rows of a block fill; None for a field that is not included."""

    output: FloatArray | None
    """(…, q, Dv), 0 before."""
    maximum: PerQuery
    """(…, q)."""
    logsumexp: PerQuery | None
    """(…, q)."""


def evaluate_rows(
    block: LeadingBlock,
    rows: slice,
    columns: int,
    output_views: OutputViews,
    monitor: WorkMonitor,
    scorer: RowScorer | None = None,
) -> None:
    """Fill the views of some rows: online where the normalizer supports it, else from whole rows.

    :param block: block of the leading axes.
    :param rows: queries of the block.
    :param columns: maximum keys of a tile.
    :param output_views: filled by this function.
    :param monitor: checked for cancellation before each tile, advanced after it.
    :param scorer: scores whole rows; None for the score model.

    Raises Stopped.
    """
    normalizer = block.call.normalizer
    if supports_online(normalizer):
        _evaluate_online(normalizer, block, rows, columns, output_views, monitor)
    else:
        _evaluate_whole_rows(block, rows, columns, output_views, monitor, scorer)


def _evaluate_online(
    normalizer: SupportsOnline,
    block: LeadingBlock,
    rows: slice,
    columns: int,
    output_views: OutputViews,
    monitor: WorkMonitor,
) -> None:
    """Evaluate rows one tile at a time: Dao et al. 2022, "FlashAttention", algorithm 1."""
    call, output = block.call, output_views.output
    online = normalizer.start_online(
        OnlineRows(output_views.maximum.shape, first_row_index(block, rows), call.dtype.compute, call.key_length)
    )
    for keys, logits in _iterate_logits(block, rows, columns, monitor):
        values = None if output is None or call.value is None else call.value[..., keys, :]
        # `update` overwrites the logits, which say what values that are not finite may reach.
        logits_before = logits if values is None or all_finite(values) else logits.copy()
        rescale = online.update(logits, keys.start)
        if output is not None and values is not None:
            if rescale is not None:
                output *= rescale
            output += apply_weights(logits, values, logits_before)
    state = online.finalize()
    output_views.maximum[...] = state.maximum[..., 0]
    if output_views.logsumexp is not None:
        output_views.logsumexp[...] = state.logsumexp
    if output is not None:
        if state.rescale is not None:
            output *= state.rescale
        if state.divisor is not None:
            output /= state.divisor
        if not call.normalizer.propagates_non_finite:
            np.copyto(output, np.nan, where=~(state.maximum < np.inf))


def _evaluate_whole_rows(
    block: LeadingBlock,
    rows: slice,
    columns: int,
    output_views: OutputViews,
    monitor: WorkMonitor,
    scorer: RowScorer | None,
) -> None:
    """Evaluate rows from all their logits at once, from the first visible tile to the last."""
    call = block.call
    if scorer is None:
        logits, visible = _collect_logits(block, rows, columns, monitor)
    else:
        logits, visible = _score_whole_rows(scorer, block, rows, columns, monitor)
    logits = logits[..., visible]
    maximum = row_maximum(logits)
    if scorer is not None and not all_finite(maximum) and not (maximum < np.inf).all():
        # Rows with NaN or +∞ among their visible logits are the score model's.
        by_model, _ = _collect_logits(block, rows, columns, WorkMonitor(None, None, 0))
        logits = np.where(maximum < np.inf, logits, by_model[..., visible])
        maximum = row_maximum(logits)
    output_views.maximum[...] = maximum[..., 0]
    if output_views.output is not None and call.value is not None:
        first_index = (*first_row_index(block, rows), visible.start)
        weights = normalize(call.normalizer, logits, maximum, first_index)
        output_views.output[...] = apply_weights(weights, call.value[..., visible, :], logits)


def _collect_logits(block: LeadingBlock, rows: slice, columns: int, monitor: WorkMonitor) -> tuple[Logits, slice]:
    """Return the logits of whole rows, (…, q, Lk), and the keys from the first visible tile to the last."""
    call = block.call
    logits = np.full(
        (*call.score_shape[:-2], rows.stop - rows.start, call.key_length), -np.inf, dtype=call.dtype.compute
    )
    seen: list[slice] = []
    for keys, of_tile in _iterate_logits(block, rows, columns, monitor):
        logits[..., keys] = of_tile
        seen.append(keys)
    return logits, join_slices(seen)


def _score_whole_rows(
    scorer: RowScorer, block: LeadingBlock, rows: slice, columns: int, monitor: WorkMonitor
) -> tuple[Logits, slice]:
    """Return what `_collect_logits` does, by a scorer."""
    tiles = [block.call.tile(rows, keys) for keys in split_slice(slice(0, block.call.key_length), columns)]
    seen = [tile.columns for tile in tiles if block.coverage(tile) is not Coverage.EMPTY]
    monitor.check_cancelled()
    whole = block.call.tile(rows)
    logits = score_rows(scorer, block.call, block.leading, whole, {"logits"})["logits"]
    monitor.advance(len(tiles))
    return logits, join_slices(seen)


def _iterate_logits(
    block: LeadingBlock, rows: slice, columns: int, monitor: WorkMonitor
) -> Iterator[tuple[slice, Logits]]:
    """Yield the keys and the logits, (…, q, k), of each tile with a visible pair; the next tile overwrites the logits.

    Raises Stopped before a tile, and reports each one after it, empty ones included.
    """
    call = block.call
    queries = call.score_model.project_queries(call.query[..., rows, :])
    buffer = np.empty((*call.score_shape[:-2], rows.stop - rows.start, columns), dtype=call.dtype.compute)
    for keys in split_slice(slice(0, call.key_length), columns):
        tile = call.tile(rows, keys)
        coverage = block.coverage(tile)
        if coverage is not Coverage.EMPTY:
            monitor.check_cancelled()
            logits = buffer[..., : keys.stop - keys.start]
            write_logits(call, tile, queries, call.score_model.project_keys(call.key[..., keys, :]), logits)
            if coverage is Coverage.PARTIAL:
                apply_mask_in_place(call, tile, logits)
            yield keys, logits
        monitor.advance(1)
