"""Hypothesis strategies for shapes that fit together: leading axes, heads grouped or packed, past and new keys."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

from hypothesis import strategies as st

Shape = tuple[int, ...]

THOUSANDTHS = 3000
"""Numbers reach from −3 to 3 in steps of a thousandth."""


@dataclass(frozen=True)
class Leading:
    """Leading axes of query, key and value as they are sent; the heads (query, key and value) that are packed."""

    query: Shape
    key: Shape
    value: Shape
    packed: tuple[int, int] | None = None

    @property
    def scores(self) -> Shape:
        """Leading axes of the scores."""
        if self.packed:
            return (*broadcast(self.query, self.key), self.packed[0])
        grouped = len(self.query) == len(self.key) == 2
        return broadcast(self.query, (self.key[0], self.query[1]) if grouped else self.key)


@dataclass(frozen=True)
class Layout:
    """What the parts of one request must agree on; shapes as they are sent, features of one head.

    `scores` is the shape (…, Lq, Lk), past keys included.
    """

    query: Shape
    key: Shape
    value: Shape
    past_key: Shape | None
    past_value: Shape | None
    packed: tuple[int, int] | None
    scores: Shape
    features: int
    key_features: int
    non_negative: bool

    @property
    def batch(self) -> int:
        """How many entries a list per batch row has."""
        return self.scores[0] if len(self.scores) > 2 else 1

    def numbers(self, *shape: int, scale: float = 1) -> st.SearchStrategy[Any]:
        """Nested lists of short decimals and integers, none of them negative where the normalizer takes none."""
        lowest = 0 if self.non_negative else -THOUSANDTHS
        number = st.integers(lowest, THOUSANDTHS).map(lambda n: scale * (n // 1000 if n % 1000 == 0 else n / 1000))
        return nested(number, shape)

    def numbers_per_head(self, *shape: int) -> st.SearchStrategy[Any]:
        """Numbers, sometimes with an axis of query heads before the others."""
        return self.per_head(self.numbers(), *shape)

    def per_head(self, element: st.SearchStrategy[Any], *shape: int) -> st.SearchStrategy[Any]:
        """Nested lists, sometimes with an axis of query heads before the others."""
        shared = nested(element, shape)
        return shared | nested(element, (self.scores[1], *shape)) if len(self.scores) == 4 else shared

    def per_batch(self, element: st.SearchStrategy[Any], length: int) -> st.SearchStrategy[Any]:
        """A list with one entry, or one list of a length, for each batch row."""
        return nested(element, (self.batch,)) | nested(element, (self.batch, length))

    def broadcastable(self, element: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        """An element, or nested lists, that broadcast to the scores' shape."""
        return shrunk(self.scores).flatmap(lambda shape: nested(element, shape))


def nested(element: st.SearchStrategy[Any], shape: Shape) -> st.SearchStrategy[Any]:
    """Nested lists of a shape; shape () is the element itself."""
    count = prod(shape)
    return st.lists(element, min_size=count, max_size=count).map(lambda flat: _folded(iter(flat), shape))


def _folded(leaves: Iterator[Any], shape: Shape) -> Any:
    return [_folded(leaves, shape[1:]) for _ in range(shape[0])] if shape else next(leaves)


@st.composite
def shrunk(draw: st.DrawFn, shape: Shape) -> Shape:
    """A shape that broadcasts, right-aligned, to this one: outer axes dropped, others cut to 1."""
    kept = shape[draw(st.integers(0, len(shape))) :]
    return tuple(draw(st.sampled_from((size, size, 1))) for size in kept)


def broadcast(left: Shape, right: Shape) -> Shape:
    """The shape that two shapes broadcast to, right-aligned; they are known to fit."""
    rank = max(len(left), len(right))
    padded = ((1,) * (rank - len(shape)) + shape for shape in (left, right))
    return tuple(max(sizes) for sizes in zip(*padded, strict=True))


@st.composite
def without_heads(draw: st.DrawFn) -> Leading:
    """Ranks 2 and 3: whatever broadcasts."""
    full = draw(st.lists(st.integers(1, 3), max_size=1).map(tuple))
    return Leading(*(draw(shrunk(full)) for _ in range(3)))


@st.composite
def with_heads(draw: st.DrawFn) -> Leading:
    """Rank 4: heads of query and key alike, or several query heads to a key head, or one side shared by all."""
    batch, key_heads, times = (draw(st.integers(1, most)) for most in (2, 2, 3))
    query_heads = key_heads * times
    some_batch = st.sampled_from((batch, batch, 1))
    shared = shrunk((query_heads,))
    values = shrunk((batch, query_heads))
    match draw(st.sampled_from(("grouped", "grouped", "shared keys", "shared queries"))):
        case "grouped":
            value = draw(st.sampled_from(((draw(some_batch), key_heads), ())))
            return Leading((draw(some_batch), query_heads), (draw(some_batch), key_heads), value)
        case "shared keys":
            return Leading((batch, query_heads), draw(shared), draw(values))
        case _:
            return Leading(draw(shared), (batch, query_heads), draw(values))


@st.composite
def packed_heads(draw: st.DrawFn) -> Leading:
    """Rank 3 with the heads packed into the last axis."""
    batch, key_heads, times = (draw(st.integers(1, most)) for most in (2, 2, 3))
    return Leading((batch,), (batch,), (batch,), packed=(key_heads * times, key_heads))


@st.composite
def layouts(draw: st.DrawFn, *, equal_features: bool, even_features: bool, non_negative: bool) -> Layout:
    """Shapes of ranks 2 to 4; some with a past."""
    leading = draw(without_heads() | with_heads() | packed_heads())
    size = st.sampled_from((2, 4) if even_features else (1, 2, 3))
    features, value_features = draw(size), draw(st.integers(1, 3))
    key_features = features if equal_features else draw(size)
    queries, keys, past = draw(st.integers(1, 3)), draw(st.integers(1, 4)), draw(st.sampled_from((0, 0, 1, 2)))
    query_heads, key_heads = leading.packed or (1, 1)
    of_past = (key_heads,) if leading.packed else ()
    return Layout(
        query=(*leading.query, queries, features * query_heads),
        key=(*leading.key, keys, key_features * key_heads),
        value=(*leading.value, keys, value_features * key_heads),
        past_key=(*leading.key, *of_past, past, key_features) if past else None,
        past_value=(*leading.value, *of_past, past, value_features) if past else None,
        packed=leading.packed,
        scores=(*leading.scores, queries, past + keys),
        features=features,
        key_features=key_features,
        non_negative=non_negative,
    )
