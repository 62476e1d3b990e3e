"""Blocks of the leading axes, and the rows and columns of their tiles."""

from collections.abc import Iterator, Sequence
from itertools import product
from typing import NamedTuple

from attention_core.arrays import LeadingSlices
from attention_core.call import ResolvedCall
from attention_core.heads import slice_call
from attention_core.score_tile import Coverage, Tile
from attention_core.tile_sizes import TileSizes


class LeadingBlock(NamedTuple):
    """A block of the leading axes: its slices, and the call restricted to it."""

    leading: LeadingSlices
    call: ResolvedCall

    def coverage(self, tile: Tile) -> Coverage:
        """Return how much of a tile of the block the mask leaves visible."""
        return Coverage.FULL if self.call.mask is None else self.call.mask.coverage(tile)


def leading_blocks(call: ResolvedCall, matrices: int) -> Iterator[LeadingBlock]:
    """Yield the blocks of a call; the heads of a block share one key and value head.

    :param call: the whole call.
    :param matrices: maximum score matrices of a block, ≥ 1.
    """
    for leading in _slices_of_blocks(call, matrices):
        yield LeadingBlock(leading, slice_call(call, leading))


def _slices_of_blocks(call: ResolvedCall, matrices: int) -> Iterator[LeadingSlices]:
    remaining, sizes = matrices, []
    for axis, length in reversed(list(enumerate(call.score_shape[:-2]))):
        size = min(length, remaining) or 1
        if call.queries_per_kv_head > 1 and axis == 1:
            size = max(divisor for divisor in range(1, size + 1) if call.queries_per_kv_head % divisor == 0)
        sizes.append(size)
        remaining //= size
    ranges = [
        list(split_slice(slice(0, length), size))
        for length, size in zip(call.score_shape[:-2], reversed(sizes), strict=True)
    ]
    return product(*ranges)


def split_slice(whole: slice, size: int) -> Iterator[slice]:
    """Yield consecutive slices of that size; the last may be shorter."""
    for start in range(whole.start, whole.stop, size):
        yield slice(start, min(start + size, whole.stop))


def join_slices(slices: Sequence[slice]) -> slice:
    """Return the slice from the start of the first to the end of the last; an empty one for none."""
    return slice(slices[0].start, slices[-1].stop) if slices else slice(0, 0)


def split_last_first(rows: slice, size: int) -> list[slice]:
    """Return slices of at most `size` rows, last rows first: under a causal mask these see most keys."""
    return list(split_slice(rows, size))[::-1]


def count_tiles(call: ResolvedCall, sizes: TileSizes) -> int:
    """Return the number of tiles of a call, empty ones included.

    :param call: the whole call.
    :param sizes: sizes of its tiles.
    """
    # Without leading axes there is one block, and with an empty one there is none.
    blocks = sum(1 for _ in _slices_of_blocks(call, sizes.matrices))
    return blocks * -(-call.query_length // sizes.rows) * -(-call.key_length // sizes.columns)


def output_index(call: ResolvedCall, block: LeadingBlock, rows: slice) -> tuple[slice, ...]:
    """Return the index of a block's rows in the output; leading axes that only the values have are whole.

    :param call: the whole call.
    :param block: block of the leading axes.
    :param rows: queries of the block.
    """
    whole = (slice(None),) * (len(call.output_leading_shape) - len(call.score_shape[:-2]))
    leading = zip(call.score_shape[:-2], block.leading, strict=True)
    return (*whole, *(slice(None) if size == 1 else slices for size, slices in leading), rows)


def first_row_index(block: LeadingBlock, rows: slice) -> tuple[int, ...]:
    """Return the index of the first of some rows in the whole matrix, (…, q)."""
    return (*(slices.start for slices in block.leading), rows.start)
