"""From a call to its output and logsumexp, tile by tile, in as many threads as there are."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from attention_core.arrays import FloatArray, PerQuery
from attention_core.blockwise.blocks import Block, Stairs, leading_blocks, row_slices, tile_count
from attention_core.blockwise.rows import Wanted, evaluate_rows
from attention_core.blockwise.watch import Watch
from attention_core.blockwise.workers import Stay, Workers
from attention_core.buffers import take_rows_as_they_lie
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
    tasks = _Tasks(_cut(call, sizes))

    def work(stay: Stay) -> None:
        try:
            # Each thread has its own idea of what to do about overflow, and of buffers.
            with workers.spaces.lend(call.dtype.compute) as space, np.errstate(all="ignore"):
                take_rows_as_they_lie(call.key_length)
                while stay() and (task := tasks.next()) is not None:
                    evaluate_rows(*task, results.wanted(*task), space, watch)
        except BaseException as error:  # noqa: BLE001 — of whatever kind, it is raised again where the call was made
            watch.fail(error)

    workers.share(work)
    watch.conclude()
    return results.fields, results.maximum


def _cut(call: ResolvedCall, sizes: TileSizes) -> Iterator[Task]:
    """Every block's rows, one block after the other, so that its keys are made and let go of once."""
    blocks = leading_blocks(call, sizes.matrices)
    leading = next(blocks, None)
    stairs: Stairs = {}
    while leading is not None:
        following = next(blocks, None)
        block = Block(call, leading, sizes, stairs)
        for rows in row_slices(call, sizes.rows, last=following is None):
            yield block, rows
        leading = following


@dataclass(slots=True)
class _Tasks:
    """Tasks for several threads."""

    left: Iterator[Task]
    lock: threading.Lock

    def __init__(self, tasks: Iterator[Task]) -> None:
        self.left, self.lock = tasks, threading.Lock()

    def next(self) -> Task | None:
        """Return a task that nobody else has, None when there is none left."""
        with self.lock:
            return next(self.left, None)


class _Results:
    """The arrays asked for, filled from many sides."""

    def __init__(self, call: ResolvedCall) -> None:
        dtype = call.dtype.compute
        self._scores, self._leading = call.scores[:-2], call.output_leading
        self.maximum: PerQuery = np.empty(call.scores[:-1], dtype=dtype)
        self.fields: dict[str, FloatArray] = {}
        if "output" in call.include:
            self.fields["output"] = np.empty(output_shape(call), dtype=dtype)
        if "logsumexp" in call.include:
            self.fields["logsumexp"] = np.empty(call.scores[:-1], dtype=dtype)

    def wanted(self, block: Block, rows: slice) -> Wanted:
        """Return the part of the arrays that the rows of a block fill."""
        own = (*block.leading, rows)
        # Axes that only the values have are whole in every block.
        whole = (slice(None),) * (len(self._leading) - len(self._scores))
        cuts = (slice(None) if size == 1 else cut for size, cut in zip(self._scores, block.leading, strict=True))
        output, logsumexp = self.fields.get("output"), self.fields.get("logsumexp")
        return Wanted(
            output=None if output is None else output[(*whole, *cuts, rows)],
            maximum=self.maximum[own],
            logsumexp=None if logsumexp is None else logsumexp[own],
        )
