"""From a call to its output and logsumexp, tile by tile, in as many threads as there are."""

from collections.abc import Iterator

import numpy as np

from attention_core.arrays import FloatArray, PerQuery
from attention_core.blockwise.blocks import Block, Spans, leading_blocks, part_of_output, row_slices, tile_count
from attention_core.blockwise.rows import Wanted, evaluate_rows
from attention_core.blockwise.tasks import share_tasks
from attention_core.blockwise.watch import Watch
from attention_core.blockwise.workers import Workers
from attention_core.blockwise.workspace import Workspace
from attention_core.call import ResolvedCall
from attention_core.cost import TileSizes, output_shape
from attention_core.interfaces import Progress, ShouldStop

Task = tuple[Block, slice]


def evaluate_tiled(
    call: ResolvedCall,
    sizes: TileSizes,
    workers: Workers,
    should_stop: ShouldStop | None,
    progress: Progress | None,
) -> tuple[dict[str, FloatArray], PerQuery]:
    """Return output and logsumexp as far as asked for, in the compute type, and the largest logit of every row.

    Raises Stopped as soon as `should_stop` answers True, which it is asked before every tile.
    """
    results = _Results(call)
    watch = Watch(should_stop, progress, tile_count(call, sizes))

    def do(task: Task, space: Workspace) -> None:
        evaluate_rows(*task, results.wanted(*task), space, watch)

    share_tasks(call, _cut(call, sizes), do, workers, watch)
    return results.fields, results.maximum


def _cut(call: ResolvedCall, sizes: TileSizes) -> Iterator[Task]:
    """Every block's rows, one block after the other, so that its keys are made and let go of once."""
    blocks = leading_blocks(call, sizes.matrices)
    leading = next(blocks, None)
    spans: Spans = {}
    while leading is not None:
        following = next(blocks, None)
        block = Block(call, leading, sizes, spans)
        for rows in row_slices(call, sizes.rows, last=following is None):
            yield block, rows
        leading = following


class _Results:
    """The arrays asked for, filled from many sides."""

    def __init__(self, call: ResolvedCall) -> None:
        dtype = call.dtype.compute
        self._call = call
        self.maximum: PerQuery = np.empty(call.scores[:-1], dtype=dtype)
        self.fields: dict[str, FloatArray] = {}
        if "output" in call.include:
            self.fields["output"] = np.empty(output_shape(call), dtype=dtype)
        if "logsumexp" in call.include:
            self.fields["logsumexp"] = np.empty(call.scores[:-1], dtype=dtype)

    def wanted(self, block: Block, rows: slice) -> Wanted:
        """Return the part of the arrays that the rows of a block fill."""
        own = (*block.leading, rows)
        output, logsumexp = self.fields.get("output"), self.fields.get("logsumexp")
        return Wanted(
            output=None if output is None else output[part_of_output(self._call, block, rows)],
            maximum=self.maximum[own],
            logsumexp=None if logsumexp is None else logsumexp[own],
        )
