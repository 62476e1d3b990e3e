"""A block of the leading axes: the call within it, and what all rows there share of the keys."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from itertools import pairwise, product
from math import isfinite, prod
from typing import NamedTuple

import numpy as np

from attention_core.arrays import FloatArray, Leading, Side
from attention_core.call import ResolvedCall
from attention_core.cost import KEPT_KEYS, LEAST_ROWS, TileSizes
from attention_core.heads import within
from attention_core.interfaces import Coverage, Rows, Stream, Tile
from attention_core.scores.features import farthest, largest_of

PACKED_QUERIES = 8192
"""From so many queries on it pays to make columns of the keys that lie one after the other in memory."""

SHORTER = 2
"""So many of a call's last tiles are halved."""

STEP = 128
"""A tile that a mask cuts is looked at in steps of so many keys."""


class Cut(NamedTuple):
    """Rows and keys among which the mask hides some pairs, and outside of which it hides none."""

    rows: slice
    keys: slice


class Span(NamedTuple):
    """Keys that some rows may see, and where in them the mask hides anything."""

    rows: slice
    """From the first to the last of those asked about that sees one of the keys, or all of them."""
    keys: slice
    cut: Cut | None = None


Spans = dict[tuple[int, int, int], list[Span]]
"""What rows see: by the first of them, the one after the last, and how many of them are looked at at a time."""


class Columns(NamedTuple):
    """Some keys and their values, as every row that meets them needs them."""

    span: Span
    side: Side
    bound: float
    values: FloatArray | None
    largest_value: float
    """The largest finite magnitude in the values."""
    broken: bool
    """Whether a value is not finite, so that it matters who can see it."""


class Block:
    """One block of the leading axes."""

    def __init__(self, call: ResolvedCall, leading: Leading, sizes: TileSizes, spans: Spans) -> None:
        """Blocks that see the same share `spans`, which the first of them that asks fills."""
        self.leading = leading
        self.call = within(call, leading)
        same = self.call.mask is call.mask and self.call.offset is call.offset
        self._seen = spans if same else {}
        self.sizes = sizes
        self.stream: Callable[[Rows], Stream] | None = getattr(self.call.normalizer, "stream", None)
        self._kept: dict[int, Future[Columns]] = {}
        self.keeps = self.call.key.size <= KEPT_KEYS
        self.adds = self.call.bias is not None or _adds(self.call)

    def tiles_until(self, key: int) -> int:
        """How many tiles a row has up to a key, visible or not."""
        return -(-key // self.sizes.columns)

    def visible(self, rows: slice) -> list[Span]:
        """The spans of keys that some of the rows may see, all rows with each, no wider than a tile."""
        return self._spans(rows, rows.stop - rows.start)

    def stairs(self, rows: slice) -> list[Span]:
        """The same, each with the rows that see some of it: of a tile that a mask cuts, no more than its stairs."""
        return self._spans(rows, STEP)

    def _spans(self, rows: slice, height: int) -> list[Span]:
        """What rows see, looked at so many of them at a time."""
        tiles = cut_into(slice(0, self.call.key_length), self.sizes.columns)
        if self.call.mask is None:
            return [Span(rows, keys) for keys in tiles]
        place = rows.start, rows.stop, height
        spans = self._seen.get(place)
        if spans is None:
            spans = self._seen[place] = [span for keys in tiles for span in self._steps(rows, height, keys)]
        return spans

    def _steps(self, rows: slice, height: int, keys: slice) -> list[Span]:
        """Cut a tile into steps where other rows see the next keys."""
        coverage = self._coverage(rows, keys)
        if coverage is Coverage.FULL:
            return [Span(rows, keys)]
        if coverage is Coverage.EMPTY:
            return []
        spans: list[Span] = []
        for step in cut_into(keys, STEP):
            found = [(some, self._coverage(some, step)) for some in cut_into(rows, height)]
            seen = [some for some, coverage in found if coverage is not Coverage.EMPTY]
            if not seen:
                continue
            first, last = seen[0].start, seen[-1].stop
            cut = [some for some, coverage in found if coverage is not Coverage.FULL and first <= some.start < last]
            span = Span(slice(first, last), step, Cut(slice(cut[0].start, cut[-1].stop), step) if cut else None)
            if spans and (spans[-1].rows, spans[-1].keys.stop) == (span.rows, step.start):
                span = _joined(spans.pop(), span)
            spans.append(span)
        return spans

    def _coverage(self, rows: slice, keys: slice) -> Coverage:
        mask = self.call.mask
        return Coverage.FULL if mask is None else mask.coverage(Tile(rows, keys, self.call.offset))

    def met(self, spans: Iterable[Span]) -> Iterable[Columns]:
        """Return the keys of spans: at hand if they are kept, else each made when its turn comes.

        Those of whole tiles are kept for the rows to come.  Of threads that begin at the same time each makes some, and
        waits for what the others make.
        """
        if not self.keeps:
            return (self._make(span, self._side(span.keys)) for span in spans)
        places = [(span, self._whole(span.keys.start)) for span in spans]
        for _, whole in places:
            mine: Future[Columns] = Future()
            if self._kept.setdefault(whole.start, mine) is mine:
                try:
                    mine.set_result(self._keep(whole))
                except BaseException as error:  # noqa: BLE001 — raised below, and where another thread waits for it
                    mine.set_exception(error)
        return [self._part(self._kept[whole.start].result(), span, whole) for span, whole in places]

    def _whole(self, key: int) -> slice:
        """Return the keys of the tile that a key is in."""
        start = key - key % self.sizes.columns
        return slice(start, min(start + self.sizes.columns, self.call.key_length))

    def _keep(self, whole: slice) -> Columns:
        """Make the keys of a tile for many rows."""
        side = self._side(whole)
        if self.call.query_length >= PACKED_QUERIES:
            side = tuple(np.ascontiguousarray(array) for array in side)
        return self._make(Span(slice(0, self.call.query_length), whole), side)

    def _part(self, kept: Columns, span: Span, whole: slice) -> Columns:
        """Cut a span out of the tile that it is in."""
        keys, start = span.keys, whole.start
        if keys == whole:
            return kept._replace(span=span)
        # What holds for the whole tile holds for a part of it.
        part = slice(keys.start - start, keys.stop - start)
        values = None if kept.values is None else kept.values[..., part, :]
        cut = (..., part) if self.call.score_model.key_axis == -1 else (..., part, slice(None))
        return kept._replace(span=span, side=tuple(array[cut] for array in kept.side), values=values)

    def _side(self, keys: slice) -> Side:
        return self.call.score_model.for_keys(self.call.key[..., keys, :])

    def _make(self, span: Span, side: Side) -> Columns:
        values = None if self.call.value is None else self.call.value[..., span.keys, :]
        largest = 0.0 if values is None else farthest(values)
        broken = not isfinite(largest)
        if broken and values is not None:
            # What some rows may not see has no say in how they are evaluated.
            largest = largest_of(values)
        return Columns(span, side, self.call.score_model.key_bound(side), values, largest, broken)


def cut_into(whole: slice, size: int) -> Iterator[slice]:
    """Cut a slice into some of that size, but for the last."""
    for start in range(whole.start, whole.stop, size):
        yield slice(start, min(start + size, whole.stop))


def _joined(one: Span, two: Span) -> Span:
    """Return two spans of the same rows, one after the other, as one."""
    cuts = [span.cut for span in (one, two) if span.cut is not None]
    cut = None
    if cuts:
        rows = slice(min(part.rows.start for part in cuts), max(part.rows.stop for part in cuts))
        cut = Cut(rows, slice(cuts[0].keys.start, cuts[-1].keys.stop))
    return Span(one.rows, slice(one.keys.start, two.keys.stop), cut)


def _adds(call: ResolvedCall) -> bool:
    """Whether positions add to scores, as far as a tile of nothing tells."""
    nothing = Tile(slice(0, 0), slice(0, 0), call.offset)
    return call.position is not None and call.position.added(nothing) is not None


def leading_blocks(call: ResolvedCall, matrices: int) -> Iterator[Leading]:
    """Cut the leading axes of the scores into blocks of so many matrices, none beyond a group of heads."""
    left, sizes = matrices, []
    for axis, length in reversed(list(enumerate(call.scores[:-2]))):
        size = min(length, left) or 1
        if call.group > 1 and axis == 1:
            size = max(divisor for divisor in range(1, size + 1) if call.group % divisor == 0)
        sizes.append(size)
        left //= size
    ranges = [
        [slice(start, min(start + size, length)) for start in range(0, length, size)]
        for length, size in zip(call.scores[:-2], reversed(sizes), strict=True)
    ]
    yield from product(*ranges)


def row_slices(call: ResolvedCall, size: int, *, last: bool) -> list[slice]:
    """Return the rows of a block's tiles, last first: under a causal mask the longest come first.

    The shortest then fill the end.  Where all are equally long, those of the last block end with shorter ones, so that
    no thread is left alone with much.
    """
    length = call.query_length
    starts = [*range(0, length, size), length]
    if last and call.mask is None and size >= 2 * LEAST_ROWS:
        halves = (start + size // 2 for start in starts[:SHORTER])
        starts = sorted({*starts, *(half for half in halves if half < length)})
    return [slice(start, stop) for start, stop in pairwise(starts)][::-1]


def tile_count(call: ResolvedCall, sizes: TileSizes) -> int:
    """Return how many tiles a call has, visible or not."""
    blocks = sum(1 for _ in leading_blocks(call, sizes.matrices)) if prod(call.scores[:-2]) else 0
    usual, last = (len(row_slices(call, sizes.rows, last=last)) for last in (False, True))
    rows = (blocks - 1) * usual + last if blocks else 0
    return rows * len(range(0, call.key_length, sizes.columns))


def part_of_output(call: ResolvedCall, block: Block, rows: slice) -> tuple[slice, ...]:
    """Return where the rows of a block stand in the output; axes that only the values have are whole in each."""
    whole = (slice(None),) * (len(call.output_leading) - len(call.scores[:-2]))
    cuts = (slice(None) if size == 1 else cut for size, cut in zip(call.scores[:-2], block.leading, strict=True))
    return (*whole, *cuts, rows)


def first_position(block: Block, rows: slice) -> tuple[int, ...]:
    """Return where the first row of some stands in the whole."""
    return (*(cut.start for cut in block.leading), rows.start)
