"""What goes in and what comes out: both frozen."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Literal

from attention_core.arrays import FloatArray, IntArray
from attention_core.dtypes import DType
from attention_core.interfaces import Features, Mask, Normalizer, ScoreModel

Field = Literal["scores", "logits", "weights", "output", "logsumexp"]
"""What can be asked for."""

FIELDS: tuple[Field, ...] = ("scores", "logits", "weights", "output", "logsumexp")


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionCall:
    """Everything `attend` was given, as it was given; None is the default described there."""

    query: FloatArray
    key: FloatArray
    value: FloatArray | None = None
    score_model: ScoreModel | None = None
    normalizer: Normalizer | None = None
    mask: Mask | None = None
    offset: int | None = None
    bias: FloatArray | None = None
    dtype: str | None = None
    include: tuple[Field, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedCall:
    """A call after every check: arrays in the compute type, models bound, defaults decided.

    Shapes: query (…, Lq, Dq), key (…, Lk, Dk), value (…, Lk, Dv); `scores` is the shape (…, Lq, Lk).
    """

    query: FloatArray
    key: FloatArray
    value: FloatArray | None
    score_model: ScoreModel
    normalizer: Normalizer
    mask: Mask | None
    offset: IntArray
    bias: FloatArray | None
    dtype: DType
    include: frozenset[Field]
    features: Features
    scores: tuple[int, ...]

    @property
    def scores_per_query(self) -> int:
        """How many scores one query position has, leading axes included."""
        return prod(self.scores[:-2]) * self.scores[-1]

    @property
    def query_length(self) -> int:
        """Lq."""
        return self.scores[-2]

    @property
    def key_length(self) -> int:
        """Lk."""
        return self.scores[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionResult:
    """What was asked for, in the storage type; a field that was not asked for is not in `arrays`.

    ``result.weights`` and so on read from `arrays`.
    """

    arrays: Mapping[Field, FloatArray]
    score_model: ScoreModel
    normalizer: Normalizer
    dtype: str
    notes: tuple[str, ...] = field(default=())

    def _asked(self, name: Field) -> FloatArray:
        if name not in self.arrays:
            raise AttributeError(f"{name} was not asked for; add it to include=({', '.join(self.arrays)}, {name})")
        return self.arrays[name]

    @property
    def scores(self) -> FloatArray:
        """Raw scores a(q, k), (…, Lq, Lk)."""
        return self._asked("scores")

    @property
    def logits(self) -> FloatArray:
        """Scores after bias and mask, −∞ where a key is not visible, (…, Lq, Lk)."""
        return self._asked("logits")

    @property
    def weights(self) -> FloatArray:
        """Normalized logits, (…, Lq, Lk)."""
        return self._asked("weights")

    @property
    def output(self) -> FloatArray:
        """Weights · value, (…, Lq, Dv)."""
        return self._asked("output")

    @property
    def logsumexp(self) -> FloatArray:
        """Natural logarithm of the softmax denominator, (…, Lq)."""
        return self._asked("logsumexp")


__all__ = ["FIELDS", "AttentionCall", "AttentionResult", "Field", "ResolvedCall"]
