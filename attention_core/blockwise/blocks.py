"""A block of the leading axes: the call within it, and what all rows there share of the keys."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import product
from math import isfinite, prod

import numpy as np

from attention_core.arrays import FloatArray, Leading, Side
from attention_core.call import ResolvedCall
from attention_core.cost import KEPT_KEYS, TileSizes
from attention_core.heads import within
from attention_core.interfaces import Coverage, Rows, Stream, Tile
from attention_core.scores.features import largest_of

PACKED_QUERIES = 8192
"""From so many queries on it pays to make columns of the keys that lie one after the other in memory."""

STEP = 128
"""A tile that a mask cuts is looked at in steps of so many keys."""


@dataclass(frozen=True, slots=True)
class Span:
    """Keys that some rows may see, and those among them that the mask hides from some of the rows, if any."""

    keys: slice
    cut: slice | None = None


@dataclass(frozen=True, slots=True)
class Columns:
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

    def __init__(self, call: ResolvedCall, leading: Leading, sizes: TileSizes) -> None:
        self.leading = leading
        self.call = within(call, leading)
        self.sizes = sizes
        self.stream: Callable[[Rows], Stream] | None = getattr(self.call.normalizer, "stream", None)
        self._kept: dict[int, Columns] = {}
        self.keeps = self.call.key.size <= KEPT_KEYS
        self.adds = self.call.bias is not None or _adds(self.call)

    @property
    def tiles_per_row(self) -> int:
        """How many tiles a row has, visible or not."""
        return len(range(0, self.call.key_length, self.sizes.columns))

    def rows(self) -> Iterator[slice]:
        """The rows of tiles, last first: under a causal mask the longest come first and the shortest fill the end."""
        length, size = self.call.query_length, self.sizes.rows
        for start in reversed(range(0, length, size)):
            yield slice(start, min(start + size, length))

    def visible(self, rows: slice) -> list[Span]:
        """The spans of keys that some of the rows may see, no wider than a tile."""
        length, size = self.call.key_length, self.sizes.columns
        tiles = [slice(start, min(start + size, length)) for start in range(0, length, size)]
        if self.call.mask is None:
            return [Span(keys) for keys in tiles]
        return [span for keys in tiles if (span := self._trimmed(rows, keys)) is not None]

    def _trimmed(self, rows: slice, keys: slice) -> Span | None:
        """Cut invisible ends off a tile, and find what is cut in the rest; None if nothing is left."""
        coverage = self._coverage(rows, keys)
        if coverage is Coverage.FULL:
            return Span(keys)
        if coverage is Coverage.EMPTY:
            return None
        steps = [slice(start, min(start + STEP, keys.stop)) for start in range(keys.start, keys.stop, STEP)]
        found = [(step, self._coverage(rows, step)) for step in steps]
        seen = [step for step, coverage in found if coverage is not Coverage.EMPTY]
        if not seen:
            return None
        first, last = seen[0].start, seen[-1].stop
        cut = [step for step, coverage in found if coverage is not Coverage.FULL and first <= step.start < last]
        return Span(slice(first, last), slice(cut[0].start, cut[-1].stop) if cut else None)

    def _coverage(self, rows: slice, keys: slice) -> Coverage:
        mask = self.call.mask
        return Coverage.FULL if mask is None else mask.coverage(Tile(rows, keys, self.call.offset))

    def columns(self, span: Span) -> Columns:
        """Return the keys of a span; those of whole tiles are kept for the rows to come.

        Two threads may make the same ones at the same time, which costs a little work and changes nothing.
        """
        if not self.keeps:
            return self._make(span, self._side(span.keys))
        keys = span.keys
        start = keys.start - keys.start % self.sizes.columns
        whole = slice(start, min(start + self.sizes.columns, self.call.key_length))
        kept = self._kept.get(start)
        if kept is None:
            side = self._side(whole)
            if self.call.query_length >= PACKED_QUERIES:
                side = tuple(np.ascontiguousarray(array) for array in side)
            kept = self._kept.setdefault(start, self._make(Span(whole), side))
        if keys == whole:
            return kept if span.cut is None else replace(kept, span=span)
        # What holds for the whole tile holds for a part of it.
        part = slice(keys.start - start, keys.stop - start)
        values = None if kept.values is None else kept.values[..., part, :]
        cut = (..., part) if self.call.score_model.key_axis == -1 else (..., part, slice(None))
        return replace(kept, span=span, side=tuple(array[cut] for array in kept.side), values=values)

    def _side(self, keys: slice) -> Side:
        return self.call.score_model.for_keys(self.call.key[..., keys, :])

    def _make(self, span: Span, side: Side) -> Columns:
        values = None if self.call.value is None else self.call.value[..., span.keys, :]
        largest = 0.0 if values is None or not values.size else max(float(values.max()), -float(values.min()))
        broken = not isfinite(largest)
        if broken and values is not None:
            # What some rows may not see has no say in how they are evaluated.
            largest = largest_of(values)
        return Columns(span, side, self.call.score_model.key_bound(side), values, largest, broken)


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


def tile_count(call: ResolvedCall, sizes: TileSizes) -> int:
    """Return how many tiles a call has, visible or not."""
    blocks = sum(1 for _ in leading_blocks(call, sizes.matrices)) if prod(call.scores[:-2]) else 0
    rows = len(range(0, call.query_length, sizes.rows))
    return blocks * rows * len(range(0, call.key_length, sizes.columns))


def first_position(block: Block, rows: slice) -> tuple[int, ...]:
    """Return where the first row of some stands in the whole."""
    return (*(cut.start for cut in block.leading), rows.start)
