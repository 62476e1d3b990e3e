"""What a score model, a normalizer and a mask must offer, and what a caller may pass to watch the work."""

from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass
from enum import Enum
from math import fsum
from typing import Any, ClassVar, NamedTuple, Protocol, Self, runtime_checkable

import numpy as np

from attention_core.arrays import (
    BoolArray,
    FloatArray,
    IntArray,
    Key,
    Keys,
    Leading,
    Logits,
    PerQuery,
    Queries,
    Query,
    Row,
    RowMaximum,
    Scores,
    Side,
    Weights,
)

ShouldStop = Callable[[], bool]
"""Asked between tiles; True ends the work with :class:`~attention_core.errors.Stopped`."""

Progress = Callable[[int, int], None]
"""Told after every tile: how many are done, of how many."""


ELEMENTWISE = 16
"""Operations of a matrix product that take as long as one operation on every number of an array: its unit of cost."""


class Features(NamedTuple):
    """Sizes that parameters must fit: features of a query (Dq) and of a key (Dk), and query heads (Hq) if any.

    Scores have a head axis when their rank is 4.
    """

    query: int
    key: int
    heads: int | None = None


@dataclass(frozen=True, slots=True)
class Term:
    """One number and how it comes about: ``value`` is what `pattern` makes of `operands`, as "{} × {}" of 2 and 1.9.

    In a pattern ``{*, }`` stands for any number of operands, with a comma between them; ``{* + }`` for their sum.
    `name` says what the number is or where it comes from: a feature, a hidden unit, a scale.
    """

    name: str
    value: float
    pattern: str
    operands: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class ScoreTerms:
    """A score taken apart: ``score = factor · Σ terms``; the factor is None for a plain sum."""

    terms: tuple[Term, ...]
    factor: Term | None = None

    @property
    def sum(self) -> float:
        """Σ terms."""
        values = [term.value for term in self.terms]
        try:
            return fsum(values)
        except (OverflowError, ValueError):  # beyond float64 on the way, or +∞ beside −∞: what arithmetic makes of it
            return sum(values)

    @property
    def score(self) -> float:
        """The terms put together again."""
        return self.sum if self.factor is None else self.factor.value * self.sum


@dataclass(frozen=True, slots=True)
class ScoreGradient:
    """What a score model passes back: gradients of queries, keys and its own parameters by name.

    The first two carry the leading axes of the scores; summing broadcast axes is the caller's work.
    """

    queries: Queries
    keys: Keys
    parameters: Mapping[str, FloatArray]


@dataclass(frozen=True, slots=True)
class NormalizerGradient:
    """What a normalizer passes back: the gradient of the logits, and of its own parameters by name."""

    logits: Logits
    parameters: Mapping[str, FloatArray]


class ScoreModel(Protocol):
    """a(q, k): one object that holds its own parameters and evaluates any slice of queries and keys.

    The views belong together: what the dense and the tiled path compute, what is differentiated, explained and
    paid for is one formula, written in one file.
    """

    name: ClassVar[str]
    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    key_axis: ClassVar[int]
    """Along which axis of all that `for_keys` returns the keys stand: −1 or −2."""

    def bind(self, features: Features, dtype: np.dtype[Any]) -> Self:
        """Return the model with parameters checked against the features, defaults resolved and cast to `dtype`.

        Raises ShapeMismatch or InvalidValue with a path that begins with the parameter's name.
        """
        ...

    def scores(self, queries: Queries, keys: Keys) -> Scores:
        """Return a(q, k) for every pair; leading axes broadcast.  Only on a bound model, like all below."""
        ...

    def within(self, leading: Leading) -> Self:
        """Return the model for a block of the leading axes: of parameters with a head axis, the heads in it."""
        ...

    def for_queries(self, queries: Queries) -> Side:
        """Return what can be made of queries before they meet a key; it serves every tile in their rows."""
        ...

    def for_keys(self, keys: Keys) -> Side:
        """Return what can be made of keys before they meet a query; it serves every tile in their columns."""
        ...

    def pairs(self, queries: Side, keys: Side, out: Scores | None = None) -> Scores:
        """Return a(q, k) for every pair of what `for_queries` and `for_keys` returned, in `out` if it is given."""
        ...

    def query_bound(self, queries: Side) -> float:
        """Return the first of two numbers whose product no finite |a(q, k)| exceeds; ∞ or NaN when none is known."""
        ...

    def key_bound(self, keys: Side) -> float:
        """Return the second."""
        ...

    def gradient(self, queries: Queries, keys: Keys, score_gradient: Scores) -> ScoreGradient:
        """Return the chain rule through `scores` for the given gradient of the scores."""
        ...

    def terms(self, query: Query, key: Key, head: int) -> ScoreTerms:
        """Take one score apart into addends; `head` chooses among parameters that have a head axis."""
        ...

    def operations(self, queries: int, keys: int, features: Features) -> int:
        """Return the floating-point operations of a queries × keys tile; an elementary function counts as one."""
        ...

    def scratch(self, features: Features) -> int:
        """Return how many numbers are held per score while scoring, the score itself included."""
        ...


class Normalizer(Protocol):
    """Logits to weights, along the last axis."""

    name: ClassVar[str]
    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    passes_non_finite: ClassVar[bool]
    """Whether NaN and +∞ stay where they are; otherwise one of them makes its whole row NaN."""

    is_distribution: ClassVar[bool]
    """Whether weights are shares of a whole, so that their entropy means something."""

    def bind(self, heads: int | None, dtype: np.dtype[Any]) -> Self:
        """Return the normalizer with its parameters checked and cast; `heads` is Hq if the scores have a head axis.

        Raises ShapeMismatch or InvalidValue with a path that begins with the parameter's name.
        """
        ...

    def within(self, leading: Leading) -> Self:
        """Return the normalizer for a block of the leading axes: of parameters with a head axis, the heads in it."""
        ...

    def weights(self, logits: Logits, maximum: RowMaximum) -> Weights:
        """Return the weights of rows that have a visible key and whose visible logits are all below +∞.

        −∞ marks a key that is not there.  `maximum` is the largest logit of each row.  Rows outside this domain are
        decided by the caller, once for all normalizers, so what is returned for them does not matter.
        """
        ...

    def gradient(self, logits: Logits, weights: Weights, weight_gradient: Weights) -> NormalizerGradient:
        """Return the chain rule through `weights`, whose result is passed in to save computing it again.

        The gradient of the weights may be overwritten.
        """
        ...

    def parts(self, logits: Row, weights: Row, key: int, head: int) -> tuple[Term, ...]:
        """Tell how a visible key's weight comes about, in a row as `weights` takes them; `head` chooses its sink.

        In this order, each only if it is used: maximum, exponential, denominator, threshold, and always weight.
        """
        ...

    def scratch(self) -> int:
        """Numbers held per logit while weights are made, logits and weights included."""
        ...

    def operations_per_logit(self) -> int:
        """Return how many floating-point operations a logit costs."""
        ...


@runtime_checkable
class LogSumExp(Protocol):
    """A normalizer with a denominator whose logarithm can be asked for: softmax."""

    def logsumexp(self, logits: Logits, maximum: RowMaximum) -> PerQuery:
        """Return the natural logarithm of each row's denominator; `maximum` is −∞ for a row without a visible key."""
        ...


Require = Callable[[Logits, tuple[int, ...]], None]
"""What a normalizer that has no weights for some finite logits (proportional) offers as `require`.

Raises InvalidValue for the first visible logit without a weight; the second argument is where logits[0, …, 0] stands.
"""


class Rows(NamedTuple):
    """Rows that are about to be streamed, and what is known of them before any logit is."""

    shape: tuple[int, ...]
    """(…, q)."""
    place: tuple[int, ...]
    """The index of the first of them in the whole."""
    dtype: np.dtype[Any]
    keys: int
    """How many keys each may meet."""
    bound: float
    """No finite |logit| of a visible key exceeds it; ∞ or NaN when nothing is known."""
    largest_value: float
    """Nor a finite magnitude in the values that they mix; ∞ or NaN likewise."""
    logsumexp: bool = True
    """Whether the logarithm of the denominator is wanted at the end."""


class RowEnds(NamedTuple):
    """What is known of rows when all their tiles have passed; shapes (…, q, 1), logsumexp (…, q)."""

    maximum: RowMaximum
    """The largest logit, −∞ for a row without a visible key, NaN or +∞ for a poisoned one; else any finite number."""
    divisor: RowMaximum | None
    """What the mixed values are to be divided by, never 0; None for 1."""
    factor: RowMaximum | None = None
    """What they are to be multiplied by before; None for 1."""
    logsumexp: PerQuery | None = None


class Stream(Protocol):
    """Rows whose logits arrive tile by tile, each seen once."""

    def weigh(self, logits: Logits, first_key: int, rows: slice) -> RowMaximum | None:
        """Turn the logits of some keys into weights in place, up to the divisor that comes at the end.

        `rows` says which of the rows they are of.  Returns the factor for everything that was mixed for these from
        earlier tiles, or None for 1.
        """
        ...

    def ends(self) -> RowEnds:
        """Return what all tiles together say."""
        ...


@runtime_checkable
class Streaming(Protocol):
    """A normalizer that needs to see each tile of a row once; the others need whole rows."""

    def stream(self, rows: Rows) -> Stream:
        """Return the state before the first tile."""
        ...


class Coverage(Enum):
    """How much of a tile a mask leaves visible."""

    EMPTY = "no key visible to any query"
    FULL = "every key visible to every query"
    MIXED = "some"


class Tile(NamedTuple):
    """A rectangle of the score matrix, and where its queries stand among the keys.

    `offset` is the position of query 0 among the keys: one integer, or one per batch row (and, with a length for each
    query, per query), shaped to broadcast against the scores.
    """

    rows: slice
    columns: slice
    offset: IntArray

    @property
    def query_positions(self) -> IntArray:
        """Positions of the queries among the keys, (…, q, 1)."""
        offset = self.offset[..., self.rows, :] if self.offset.ndim > 1 and self.offset.shape[-2] > 1 else self.offset
        return np.arange(self.rows.start, self.rows.stop)[:, None] + offset

    @property
    def query_span(self) -> tuple[int, int]:
        """The first and the last position of the queries; only where offsets differ by query are all of them made."""
        if self.offset.ndim > 1 and self.offset.shape[-2] > 1:
            positions = self.query_positions
            return int(positions.min()), int(positions.max())
        if self.offset.size == 1:
            offset = int(self.offset.item())
            return self.rows.start + offset, self.rows.stop - 1 + offset
        return self.rows.start + int(self.offset.min()), self.rows.stop - 1 + int(self.offset.max())

    @property
    def is_empty(self) -> bool:
        """Whether there is no pair in it."""
        return self.rows.start >= self.rows.stop or self.columns.start >= self.columns.stop or not self.offset.size

    @property
    def key_positions(self) -> IntArray:
        """Positions of the keys, (k,)."""
        return np.arange(self.columns.start, self.columns.stop)


class Mask(Protocol):
    """A predicate over positions: which keys may a query see?  Masks combine with ``&``."""

    def bind(self, scores: tuple[int, ...]) -> Self:
        """Return the mask with its arrays checked against the scores' shape and shaped to broadcast against it."""
        ...

    def within(self, leading: Leading) -> Self:
        """Return the bound mask for a block of the leading axes."""
        ...

    def coverage(self, tile: Tile) -> Coverage:
        """Return whether a tile is wholly hidden, wholly visible or mixed; MIXED is always a correct answer."""
        ...

    def visible(self, tile: Tile) -> BoolArray:
        """Return which pairs of the tile are visible, broadcastable against (…, q, k)."""
        ...

    def __and__(self, other: "Mask") -> "Mask":
        """Return the mask that allows what both allow."""
        ...


class Position(Protocol):
    """What positions do to attention: turn the vectors before they are scored, or add to the scores."""

    name: ClassVar[str]

    def bind(self, features: Features) -> Self:
        """Return it with parameters checked and defaults resolved."""
        ...

    def within(self, leading: Leading) -> Self:
        """Return it for a block of the leading axes: of parameters with a head axis, the heads in it."""
        ...

    def turn(self, vectors: FloatArray, positions: IntArray) -> FloatArray:
        """Return queries or keys (…, L, D) as they are scored; positions broadcast against (…, L)."""
        ...

    def added(self, tile: Tile) -> FloatArray | None:
        """Return what is added to the scores of a tile, in float64, or None for nothing."""
        ...

    def part(self, query_position: int, key_position: int, head: int) -> Term | None:
        """Take apart what is added to one score, or return None for nothing; `head` chooses among the slopes."""
        ...
