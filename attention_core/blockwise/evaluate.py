"""Evaluate a call on the tiled path, in one or more threads."""

import numpy as np

from attention_core.arrays import FloatArray, PerQuery
from attention_core.blockwise.blocks import (
    LeadingBlock,
    count_tiles,
    leading_blocks,
    output_index,
    split_last_first,
)
from attention_core.blockwise.forward import OutputViews, evaluate_rows
from attention_core.blockwise.tasks import run_tasks
from attention_core.blockwise.work_monitor import WorkMonitor
from attention_core.blockwise.workers import Workers
from attention_core.call import ResolvedCall
from attention_core.field_shapes import output_shape
from attention_core.interfaces import ProgressCallback, ShouldStop
from attention_core.tile_sizes import TileSizes
from attention_core.tiles import RowScorer


def evaluate_tiled(
    call: ResolvedCall,
    sizes: TileSizes,
    workers: Workers,
    should_stop: ShouldStop | None,
    progress: ProgressCallback | None,
    scorer: RowScorer | None = None,
) -> tuple[dict[str, FloatArray], PerQuery]:
    """Return the included ones of output and logsumexp, in the compute type, and the maximum of every row.

    :param call: a call without matrices in its `include`.
    :param sizes: sizes of tiles; results depend on them by rounding only.
    :param workers: threads; results do not depend on their number.
    :param should_stop: called before every tile; None for never.
    :param progress: called after every tile; None for never.
    :param scorer: scores the rows of a normalizer that needs whole rows; None for the score model.

    The maximum is (…, Lq): −∞ for a row without a visible key, NaN or +∞ for a row with NaN or +∞ among its visible
    logits, else any finite number.

    Raises Stopped as soon as `should_stop` returns True.
    """
    dtype = call.dtype.compute
    maximum: PerQuery = np.empty(call.score_shape[:-1], dtype=dtype)
    fields: dict[str, FloatArray] = {}
    if "output" in call.include:
        fields["output"] = np.zeros(output_shape(call), dtype=dtype)
    if "logsumexp" in call.include:
        fields["logsumexp"] = np.empty(call.score_shape[:-1], dtype=dtype)
    output, logsumexp = fields.get("output"), fields.get("logsumexp")
    monitor = WorkMonitor(should_stop, progress, count_tiles(call, sizes))

    def run_task(task: tuple[LeadingBlock, slice]) -> None:
        block, rows = task
        index = (*block.leading, rows)
        views = OutputViews(
            output=None if output is None else output[output_index(call, block, rows)],
            maximum=maximum[index],
            logsumexp=None if logsumexp is None else logsumexp[index],
        )
        evaluate_rows(block, rows, sizes.columns, views, monitor, scorer)

    tasks = (
        (block, rows)
        for block in leading_blocks(call, sizes.matrices)
        for rows in split_last_first(slice(0, call.query_length), sizes.rows)
    )
    run_tasks(tasks, run_task, workers, monitor)
    return fields, maximum
