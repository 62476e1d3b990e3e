"""What score models, normalizers, masks and positions are, and the types that pass between them and their callers.

Shapes: ``…`` are leading axes, q and k the numbers of queries and keys of a tile; see `attention_core.arrays`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any, ClassVar, NamedTuple, Protocol, Self

import numpy as np

from attention_core.arrays import (
    BoolArray,
    FloatArray,
    IntArray,
    Key,
    Keys,
    LeadingSlices,
    Logits,
    Projection,
    Queries,
    Query,
    Row,
    RowMaximum,
    Scores,
    Weights,
)
from attention_core.descriptions import Described, takes_two_sizes
from attention_core.expressions import Expression, ScoreTerms
from attention_core.parameters import bind_parameters, has_head_tensors, slice_parameters
from attention_core.score_tile import Coverage, Tile
from attention_core.shapes import require_equal_features

ShouldStop = Callable[[], bool]
"""Called between tiles, from one thread at a time; True ends the call with `attention_core.errors.Stopped`."""

ProgressCallback = Callable[[int, int], None]
"""Called after each tile, from one thread at a time, with the numbers of tiles done and in total."""


ELEMENTWISE_COST = 16
"""Cost of one elementwise operation on one number, in floating-point operations of a matrix product of equal time."""

SHORT_SUM_COST = 40
"""Cost of starting the sum over one pair's features, in elementwise operations."""


class FeatureSizes(NamedTuple):
    """Sizes that the parameters of a model must fit."""

    query: int
    """Features of a query, Dq."""
    key: int
    """Features of a key, Dk."""
    n_heads: int | None = None
    """Query heads, Hq; None unless the scores have rank 4, where axis 1 counts heads."""


@dataclass(frozen=True, slots=True)
class ScoreGradient:
    """Gradients that `ScoreModel.backward` returns."""

    queries: Queries
    """∂queries, (…, q, Dq) with the leading axes of the scores; the caller sums broadcast axes."""
    keys: Keys
    """∂keys, (…, k, Dk) with the leading axes of the scores; the caller sums broadcast axes."""
    parameters: Mapping[str, FloatArray] = field(default_factory=dict)
    """Gradients of the model's parameters by name, each in the shape of its parameter."""


@dataclass(frozen=True, slots=True)
class NormalizerGradient:
    """Gradients that `Normalizer.backward` returns."""

    logits: Logits
    """∂logits, (…, q, k)."""
    parameters: Mapping[str, FloatArray] = field(default_factory=dict)
    """Gradients of the normalizer's parameters by name, each in the shape of its parameter."""


class ScoreModel(Described, ABC):
    """A score function a(q, k) with its parameters: a frozen dataclass whose fields are the parameters.

    A model writes `name`, `description`, its parameters, `backward`, and one of `compute_scores` and `score_pairs`:
    each is by default computed by the other.  It overrides other methods where it knows better: projections of queries
    are computed once for all tiles of a row, terms explain a score.  All methods but `bind` need a bound model.  They
    describe one formula and must agree: forward, tiled forward, backward, explanation and cost.
    """

    __slots__ = ()

    keeps_keys: ClassVar[bool] = False
    """Whether `pair_function`, if there is one, returns the keys as they are, and computes nothing else of them."""

    def bind(self, features: FeatureSizes, dtype: np.dtype[Any]) -> Self:
        """Return the model with parameters checked, defaults resolved and everything cast to `dtype`.

        :param features: sizes that the parameters must fit.
        :param dtype: compute type, float32 or float64.

        Raises ShapeMismatch or InvalidValue with a path that begins with the parameter's name; ShapeMismatch for "key"
        if queries and keys differ in their features and no parameter has the axis Dk.
        """
        if not takes_two_sizes(type(self)):
            require_equal_features(features.query, features.key, self.name)
        sizes = {"D": features.query, "Dq": features.query, "Dk": features.key, **self.free_sizes()}
        return bind_parameters(self, features.n_heads, dtype, sizes)

    def free_sizes(self) -> dict[str, int]:
        """Return the sizes of axes that the parameters decide, such as the hidden units U; by default none."""
        return {}

    def slice_leading(self, leading: LeadingSlices) -> Self:
        """Return the model for a block of the leading axes: parameters with a head axis keep the heads of the block."""
        return slice_parameters(self, leading)

    def has_head_tensors(self) -> bool:
        """Return whether a vector or matrix among the parameters has one part for each query head."""
        return has_head_tensors(self)

    def compute_scores(self, queries: Queries, keys: Keys) -> Scores:
        """Return a(q, k) of every pair, (…, q, k), by default from `score_pairs`; leading axes broadcast."""
        return self.score_pairs(self.project_queries(queries), self.project_keys(keys))

    def project_queries(self, queries: Queries) -> Projection:
        """Return arrays computed from queries alone; by default the queries, (…, q, Dq)."""
        return (queries,)

    def project_keys(self, keys: Keys) -> Projection:
        """Return arrays computed from keys alone; by default the keys, transposed: (…, Dk, k)."""
        return (keys.swapaxes(-1, -2),)

    def score_pairs(self, queries: Projection, keys: Projection, out: Scores | None = None) -> Scores:
        """Return a(q, k) of every pair of projections, (…, q, k), by default from `compute_scores`.

        :param queries: what `project_queries` returned.
        :param keys: what `project_keys` returned.
        :param out: array for the scores; None for a new one.
        """
        scores = self.compute_scores(queries[0], keys[0].swapaxes(-1, -2))
        if out is None:
            return scores
        out[...] = scores
        return out

    @abstractmethod
    def backward(self, queries: Queries, keys: Keys, score_gradient: Scores) -> ScoreGradient:
        """Return the gradients of queries, keys and parameters.

        :param queries: (…, q, Dq), finite.
        :param keys: (…, k, Dk), finite.
        :param score_gradient: gradient of the loss with respect to the scores, (…, q, k).
        """

    def explain_score(self, query: Query, key: Key, head: int) -> ScoreTerms:
        """Return one score as a sum of named terms, by default of one.

        :param query: (Dq).
        :param key: (Dk).
        :param head: index into parameters that have a head axis.
        """
        block = (slice(None), slice(head, head + 1))
        score = float(self.slice_leading(block).compute_scores(query[None, None], key[None, None])[0, 0, 0])
        return ScoreTerms((Expression("score 0", score, "{}", (score,)),))

    def explain_steps(self, query: Query, key: Key, head: int) -> tuple[Expression, ...]:
        """Return steps that lead to the terms of a score, by default none.

        :param query: (Dq).
        :param key: (Dk).
        :param head: index into parameters that have a head axis.
        """
        return ()

    def count_operations(self, n_queries: int, n_keys: int, features: FeatureSizes) -> int:
        """Return the cost of scoring `n_queries` × `n_keys` pairs, in floating-point operations of a matrix product.

        An elementwise operation counts as `ELEMENTWISE_COST`.  By default two for each feature of each pair, and a sum
        for each pair.
        """
        return ELEMENTWISE_COST * n_queries * n_keys * (2 * features.query + SHORT_SUM_COST)

    def projected_numbers(self, n_queries: int, n_keys: int) -> int:
        """Return how many numbers `project_queries` and `project_keys` hold for one matrix of scores, by default 0.

        Worth overriding where they are many more than those of the vectors themselves.

        :param n_queries: number of queries.
        :param n_keys: number of keys.
        """
        return 0

    def scratch_per_score(self, features: FeatureSizes) -> int:
        """Return how many numbers scoring holds at once for each score, the score itself included.

        By default 2·D + 1: two arrays with a number for each feature of each pair, and the score.
        """
        return 2 * features.query + 1


class Normalizer(Described, ABC):
    """A map from logits to weights along the last axis: a frozen dataclass whose fields are its parameters.

    A normalizer writes `name`, `description`, its parameters, `compute_weights` and `backward`.  It overrides other
    methods where it knows better.  Optional capabilities are the protocols of `attention_core.capabilities`, which a
    normalizer has as soon as it has their methods.
    """

    __slots__ = ()

    propagates_non_finite: ClassVar[bool] = False
    """Whether NaN and +∞ stay where they are; otherwise either makes its whole row NaN."""

    is_distribution: ClassVar[bool] = False
    """Whether the weights of a row are non-negative and sum to at most 1, so that they have an entropy."""

    def bind(self, n_heads: int | None, dtype: np.dtype[Any]) -> Self:
        """Return the normalizer with parameters checked and cast to `dtype`.

        :param n_heads: Hq; None unless the scores have a head axis.
        :param dtype: compute type, float32 or float64.

        Raises ShapeMismatch or InvalidValue with a path that begins with the parameter's name.
        """
        return bind_parameters(self, n_heads, dtype)

    def slice_leading(self, leading: LeadingSlices) -> Self:
        """Return the normalizer for a block of the leading axes: parameters with a head axis keep its heads."""
        return slice_parameters(self, leading)

    def reach(self) -> float:
        """Return the distance below the largest logit of a row from which on all weights are 0; inf for none."""
        return inf

    @abstractmethod
    def compute_weights(self, logits: Logits, maximum: RowMaximum) -> Weights:
        """Return the weights of each row, (…, q, k).

        Defined for rows with a visible key whose visible logits are all below +∞; the caller overwrites other rows
        (`attention_core.tiles.normalize`).

        :param logits: (…, q, k); −∞ marks a hidden key.
        :param maximum: largest logit of each row, (…, q, 1).
        """

    @abstractmethod
    def backward(self, logits: Logits, weights: Weights, weight_gradient: Weights) -> NormalizerGradient:
        """Return the gradients of logits and parameters.

        :param logits: (…, q, k).
        :param weights: what `compute_weights` returned for them.
        :param weight_gradient: gradient of the loss with respect to the weights, (…, q, k); may be overwritten.

        Raises InvalidValue for a normalizer without a slope (hardmax).
        """

    def explain_weight(self, logits: Row, weights: Row, key: int, head: int) -> tuple[Expression, ...]:
        """Return the steps from a visible key's logit to its weight; by default the weight alone.

        In this order, each only if the normalizer uses it: maximum, exponential, denominator, threshold; last the
        weight.

        :param logits: one row, (k), as `compute_weights` accepts it.
        :param weights: its weights, (k).
        :param key: index of a visible key.
        :param head: index into parameters that have a head axis.
        """
        weight = float(weights[key])
        return (Expression("weight", weight, "{}", (weight,)),)

    @property
    def operations_per_logit(self) -> int:
        """Cost of normalizing one logit, in elementwise operations (`ELEMENTWISE_COST`).

        By default 30: about twelve passes over new memory, one of them an exponential.
        """
        return 30

    @property
    def scratch_per_logit(self) -> int:
        """Numbers that `compute_weights` holds at once for each logit, logit and weight included; by default 4."""
        return 4


class Mask(Protocol):
    """A predicate over positions that says which keys a query may see.  Masks combine with ``&``."""

    def bind(self, score_shape: tuple[int, ...]) -> Self:
        """Return the mask with its arrays checked and shaped to broadcast against the scores.

        :param score_shape: (…, Lq, Lk).

        Raises ShapeMismatch or InvalidValue with a path that begins with "mask".
        """
        ...

    def slice_leading(self, leading: LeadingSlices) -> Self:
        """Return the bound mask for a block of the leading axes; the mask itself if it is the same there."""
        ...

    def coverage(self, tile: Tile) -> Coverage:
        """Return whether the mask hides all, none or some pairs of a tile; PARTIAL is always a correct answer."""
        ...

    def visible(self, tile: Tile) -> BoolArray:
        """Return which pairs of a tile are visible, broadcastable to (…, q, k)."""
        ...

    def __and__(self, other: "Mask") -> "Mask":
        """Return the mask that shows the pairs that both show."""
        ...


class Position(Described):
    """A positional encoding, which rotates queries and keys before they are scored, or adds a bias to the scores.

    A frozen dataclass whose fields are its parameters.  It writes `name`, `description`, its parameters, and `rotate`,
    or `score_bias` and `explain_bias`.
    """

    __slots__ = ()

    def bind(self, features: FeatureSizes) -> Self:
        """Return the encoding with parameters checked and defaults resolved.

        Raises ShapeMismatch or InvalidValue with a path that begins with the parameter's name.
        """
        return bind_parameters(self, features.n_heads, np.dtype(np.float64))

    def slice_leading(self, leading: LeadingSlices) -> Self:
        """Return the encoding for a block of the leading axes: parameters with a head axis keep its heads."""
        return slice_parameters(self, leading)

    def rotate(self, vectors: FloatArray, positions: IntArray) -> FloatArray:
        """Return queries or keys as they are to be scored; by default unchanged.

        :param vectors: (…, L, D).
        :param positions: integers that broadcast to (…, L).
        """
        return vectors

    def score_bias(self, tile: Tile) -> FloatArray | None:
        """Return the bias of a tile's scores, in float64, broadcastable to (…, q, k); None for none."""
        return None

    def explain_bias(self, query_position: int, key_position: int, head: int) -> Expression | None:
        """Return the bias of one score with its formula; None for none.

        :param query_position: position of the query, offset included.
        :param key_position: position of the key.
        :param head: index into parameters that have a head axis.
        """
        return None
