"""What goes in and what comes out: nobody changes either."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Literal

from numpy import broadcast_shapes

from attention_core.arrays import FloatArray, IntArray
from attention_core.dtypes import DType
from attention_core.interfaces import Features, Mask, Normalizer, Position, ScoreModel

Field = Literal[
    "scores",
    "capped_scores",
    "logits",
    "weights",
    "output",
    "logsumexp",
    "diagnostics",
    "ranking",
    "present",
]
"""What can be asked for."""

FIELDS: tuple[Field, ...] = (
    "scores",
    "capped_scores",
    "logits",
    "weights",
    "output",
    "logsumexp",
    "diagnostics",
    "ranking",
    "present",
)

Offset = int | IntArray | Literal["bottom_right"]
"""Position of query 0 among the keys: one for all, one per batch row (B), or aligned at the lower right corner."""


@dataclass(frozen=True, slots=True)
class Heads:
    """How many heads are packed into the last axis of rank-3 inputs (B, L, H·D)."""

    query: int
    key_value: int


@dataclass(slots=True)
class AttentionCall:
    """Everything `attend` was given, as it was given; None is the default described there.

    Nobody changes one, but it is not frozen, for the sake of small calls; see `ResolvedCall`.
    """

    query: FloatArray
    key: FloatArray
    value: FloatArray | None = None
    score_model: ScoreModel | None = None
    normalizer: Normalizer | None = None
    softcap: float | None = None
    mask: Mask | None = None
    offset: Offset | None = None
    bias: FloatArray | None = None
    position: Position | None = None
    heads: Heads | None = None
    past_key: FloatArray | None = None
    past_value: FloatArray | None = None
    dtype: str | None = None
    include: tuple[Field, ...] | None = None
    top_k: int | None = None


@dataclass(slots=True)
class ResolvedCall:
    """A call after every check: arrays in the compute type, heads unpacked and grouped, models bound, defaults decided.

    Nobody changes one, but it is not frozen: setting its fields would take as long as a small product of matrices.

    Shapes: query (…, Lq, Dq), key (…, Lk, Dk), value (…, Lk, Dv), past and new keys together, turned if positions turn
    them; `scores` is the shape (…, Lq, Lk).  Each key and value head serves `group` query heads, one after the other;
    `heads.repeat_heads` makes as many of them as there are query heads.
    """

    query: FloatArray
    key: FloatArray
    value: FloatArray | None
    score_model: ScoreModel
    normalizer: Normalizer
    softcap: float | None
    mask: Mask | None
    offset: IntArray
    bias: FloatArray | None
    position: Position | None
    packed: bool
    present: tuple[FloatArray, FloatArray] | None
    dtype: DType
    include: frozenset[Field]
    top_k: int | None
    group: int
    features: Features
    scores: tuple[int, ...]

    def with_vectors(self, query: FloatArray, key: FloatArray, value: FloatArray | None) -> "ResolvedCall":
        """Return the same call of other numbers: arrays of the same shapes in the compute type, none of them turned."""
        # Every field in its order, without its name: `replace` takes as long as a small product of matrices.
        # fmt: off
        return ResolvedCall(
            query, key, value, self.score_model, self.normalizer, self.softcap, self.mask, self.offset, self.bias,
            self.position, self.packed, self.present, self.dtype, self.include, self.top_k, self.group, self.features,
            self.scores,
        )
        # fmt: on

    @property
    def scores_per_query(self) -> int:
        """How many scores one query position has, leading axes included."""
        return prod(self.scores[:-2]) * self.scores[-1]

    @property
    def output_leading(self) -> tuple[int, ...]:
        """Leading axes of the output: those of the scores and of the values together."""
        leading = self.scores[:-2]
        if self.value is None:
            return leading
        if self.value.ndim == 2:
            return leading
        shared = self.group > 1 and self.value.ndim == 4
        return broadcast_shapes(leading, (self.value.shape[0], 1) if shared else self.value.shape[:-2])

    @property
    def query_length(self) -> int:
        """Lq."""
        return self.scores[-2]

    @property
    def key_length(self) -> int:
        """Lk."""
        return self.scores[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostics:
    """How attention is spread, in the compute type: per query row (…, Lq), and per key (…, Lk).

    `entropy` is −Σ w ln w in nats, `effective_keys` e^entropy, `softmax_sensitivity` Σ w(1 − w), the trace of the
    softmax Jacobian: near 0 the softmax is saturated and its gradient vanishes.  All three are None where weights are
    no distribution (sigmoid, relu, none).  `top_key` is −1 for a row without a visible key, and for a NaN row.
    `received_weight` is each key's column sum.
    """

    entropy: FloatArray | None
    effective_keys: FloatArray | None
    max_weight: FloatArray
    top_key: IntArray
    softmax_sensitivity: FloatArray | None
    received_weight: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """The visible keys of each query row, weight descending, ties by key, at most top_k.

    Shapes: keys, scores and weights (…, Lq, top_k or Lk), of which the first `counts` (…, Lq) are meant.
    """

    keys: IntArray
    scores: FloatArray
    weights: FloatArray
    counts: IntArray


@dataclass(slots=True)
class AttentionResult:
    """What was asked for, in the storage type; a field that was not asked for is not in `arrays`.

    ``result.weights`` and so on read from `arrays`.  Nobody changes one, but it is not frozen; see `ResolvedCall`.
    """

    arrays: Mapping[str, FloatArray]
    score_model: ScoreModel
    normalizer: Normalizer
    dtype: str
    notes: tuple[str, ...] = ()
    diagnostics: Diagnostics | None = None
    ranking: Ranking | None = None

    def _asked(self, name: str) -> FloatArray:
        if name not in self.arrays:
            field = "present" if name.startswith("present") else name
            raise AttributeError(f"{name} was not asked for; add {field} to include")
        return self.arrays[name]

    @property
    def scores(self) -> FloatArray:
        """Raw scores a(q, k), (…, Lq, Lk)."""
        return self._asked("scores")

    @property
    def capped_scores(self) -> FloatArray:
        """Scores after the soft cap, (…, Lq, Lk)."""
        return self._asked("capped_scores")

    @property
    def logits(self) -> FloatArray:
        """Capped scores after bias and mask, −∞ where a key is not visible, (…, Lq, Lk)."""
        return self._asked("logits")

    @property
    def weights(self) -> FloatArray:
        """Normalized logits, (…, Lq, Lk)."""
        return self._asked("weights")

    @property
    def output(self) -> FloatArray:
        """Weights · value, (…, Lq, Dv), or packed (B, Lq, Hq·Dv)."""
        return self._asked("output")

    @property
    def logsumexp(self) -> FloatArray:
        """Natural logarithm of the softmax denominator, sink included, (…, Lq), in the compute type."""
        return self._asked("logsumexp")

    @property
    def present_key(self) -> FloatArray:
        """Past and new keys, as they were sent: (…, Lk, Dk)."""
        return self._asked("present_key")

    @property
    def present_value(self) -> FloatArray:
        """Past and new values: (…, Lk, Dv)."""
        return self._asked("present_value")


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionGradients:
    """The output, and how what is made of it changes with each thing that was sent: gradients in the shapes sent.

    Vectors come in the storage type; bias and parameters in the compute type, by the parameters' names.  None where
    nothing was sent.
    """

    output: FloatArray
    query: FloatArray
    key: FloatArray
    value: FloatArray
    past_key: FloatArray | None
    past_value: FloatArray | None
    bias: FloatArray | None
    score_model: Mapping[str, FloatArray]
    normalizer: Mapping[str, FloatArray]


__all__ = [
    "FIELDS",
    "AttentionCall",
    "AttentionGradients",
    "AttentionResult",
    "Diagnostics",
    "Field",
    "Heads",
    "Offset",
    "Ranking",
    "ResolvedCall",
]
