"""Calls: the dataclasses that enter the core.  Treat all of them as immutable."""

from dataclasses import dataclass, fields
from math import prod
from operator import attrgetter
from typing import Any, Literal, get_args

from numpy import broadcast_shapes
from numpy.typing import NDArray

from attention_core.arrays import FloatArray, IntArray
from attention_core.dtypes import DType, widen
from attention_core.interfaces import FeatureSizes, Mask, Normalizer, Position, ScoreModel
from attention_core.score_modifier import ScoreModifier
from attention_core.score_tile import Tile

ResultField = Literal[
    "scores",
    "capped_scores",
    "modified",
    "logits",
    "weights",
    "mean_weights",
    "output",
    "logsumexp",
    "diagnostics",
    "ranking",
    "present",
]
"""Name of a field of the result."""

RESULT_FIELDS: tuple[ResultField, ...] = get_args(ResultField)

Layout = Literal["bhsd", "bshd"]
"""Order of the axes of query, key, value, past, present and output at rank 4: batch, heads, length, features, or batch,
length, heads, features."""

LAYOUTS: tuple[Layout, ...] = get_args(Layout)

GradientField = Literal[
    "output",
    "query",
    "key",
    "value",
    "past_key",
    "past_value",
    "bias",
    "score_model",
    "score_modifier",
    "normalizer",
]
"""Name of what `differentiate` returns: the output, or the gradient of an input or of a model's parameters."""

GRADIENT_FIELDS: tuple[GradientField, ...] = get_args(GradientField)

Offset = int | IntArray | Literal["bottom_right"]
"""Position of query 0 among the keys: one integer, one per batch row (B), or "bottom_right": the last query at the
last key."""


@dataclass(frozen=True, slots=True)
class Heads:
    """Numbers of heads that are packed into the last axis of rank-3 inputs (B, L, H·D), each at least 1."""

    query: int
    """Heads of query, Hq."""
    key_value: int
    """Heads of key and value, Hkv, which divides Hq."""


@dataclass(frozen=True, slots=True, eq=False)
class Positions:
    """Positions of queries and keys, which replace i + offset and j in `Causal`, `Window`, ALiBi and rotary."""

    query: IntArray | None = None
    """Integers, (Lq), or (B, Lq) for each batch row; default i + the length of the past."""
    key: IntArray | None = None
    """Integers, (Lk), or (B, Lk) for each batch row, past and new keys; default j."""


@dataclass(slots=True)
class AttentionCall:
    """The arguments of one `attend` call, unchecked; `resolve` checks them.  None stands for the default.

    Treat as immutable.  Not frozen, for the reason given at `ResolvedCall`.
    """

    query: FloatArray
    """(…, Lq, Dq), or packed (B, Lq, Hq·Dq)."""
    key: FloatArray
    """(…, Lk, Dk), or packed (B, Lk, Hkv·Dk)."""
    value: FloatArray | None = None
    """(…, Lk, Dv), or packed (B, Lk, Hkv·Dv); None for a call without output."""
    score_model: ScoreModel | None = None
    """a(q, k); default `ScaledDotProduct()`."""
    normalizer: Normalizer | None = None
    """Maps logits to weights; default `Softmax()`."""
    softcap: float | None = None
    """Bounds scores to (−softcap, softcap); > 0; default none."""
    mask: Mask | None = None
    """Which keys a query may see; default all."""
    offset: Offset | None = None
    """Position of query 0 among the keys; default the length of the past; None beside positions."""
    bias: FloatArray | None = None
    """Added to the scores, broadcast right-aligned to (…, Lq, Lk); default none."""
    position: Position | None = None
    """Rotary embeddings or ALiBi; default none."""
    heads: Heads | None = None
    """Numbers of packed heads; default: heads, if any, have an axis of their own."""
    past_key: FloatArray | None = None
    """Cached keys (…, P, Dk), before rotation; default none."""
    past_value: FloatArray | None = None
    """Cached values (…, P, Dv), together with past_key; default none."""
    dtype: str | None = None
    """Storage type by name; default the type that query, key and value share, else float64."""
    include: tuple[ResultField, ...] | None = None
    """Fields of the result; default scores and weights, and output when there is a value."""
    top_k: int | None = None
    """Maximum keys of each row in the ranking, ≥ 1; default every visible key."""
    positions: Positions | None = None
    """Positions of queries and keys, without an offset; default i + offset and j."""
    layout: Layout | None = None
    """Order of the axes of query, key, value, past, present and output; default "bhsd"; "bshd" needs rank 4."""
    score_modifier: ScoreModifier | None = None
    """Changes the scores after bias and ALiBi, before the mask; default none."""


@dataclass(slots=True)
class ResolvedCall:
    """A checked call: arrays in the compute type, heads unpacked, models bound, defaults resolved.

    Keys and values alone may be as they are stored, in two bytes a number, until `key` or `value` is read.

    Treat as immutable.  Not frozen: a call that is not frozen and gets its fields in order, without keywords,
    saves 3 µs (benchmarks/RESULTS.md, "The small call").
    """

    query: FloatArray
    """(…, Lq, Dq), rotated if positions rotate."""
    stored_key: NDArray[Any]
    """(…, Lk, Dk), past and new keys, rotated if positions rotate: in the compute type, or in ``dtype.stored``."""
    stored_value: NDArray[Any] | None
    """(…, Lk, Dv), past and new values: in the compute type, or in ``dtype.stored``."""
    score_model: ScoreModel
    """Bound to `features` and the compute type."""
    normalizer: Normalizer
    """Bound to the number of heads and the compute type."""
    softcap: float | None
    mask: Mask | None
    """Bound to `score_shape`."""
    offset: IntArray
    """Position of each query minus its index, shaped to broadcast against the scores: a number, or (…, 1 or Lq, 1)."""
    bias: FloatArray | None
    """Rank 2 or more, in the compute type."""
    position: Position | None
    """Bound to `features`."""
    has_packed_heads: bool
    """Whether the output is to be packed again, (B, Lq, Hq·Dv)."""
    present: tuple[FloatArray, FloatArray] | None
    """Past and new keys (…, Lk, Dk), not rotated, and values (…, Lk, Dv); None unless included."""
    dtype: DType
    """Storage type and compute type."""
    include: frozenset[ResultField]
    top_k: int | None
    queries_per_kv_head: int
    """Consecutive query heads that each key and value head serves; `heads.repeat_kv_heads` makes it 1."""
    features: FeatureSizes
    score_shape: tuple[int, ...]
    """(…, Lq, Lk)."""
    notes: tuple[str, ...] = ()
    """Sentences about the call that the result repeats, see `attention_core.notes.call_notes`."""
    key_positions: IntArray | None = None
    """Positions of all keys, (…, 1, Lk); None where key j has position j."""
    layout: Layout = "bhsd"
    """Order of the axes in which the inputs were sent, and present and output are returned; the arrays of a resolved
    call have "bhsd"."""
    score_modifier: ScoreModifier | None = None
    """Bound to `score_shape` and the compute type."""

    @property
    def key(self) -> FloatArray:
        """Keys in the compute type, (…, Lk, Dk), which replace those that take two bytes a number."""
        self.widen()
        return self.stored_key

    @property
    def value(self) -> FloatArray | None:
        """Values in the compute type, (…, Lk, Dv), which replace those that take two bytes a number; None for none."""
        self.widen()
        return self.stored_value

    def widen(self) -> None:
        """Replace keys and values that take two bytes a number by the same numbers in the compute type."""
        if self.stored_key.dtype != self.dtype.compute:
            self.stored_key = widen(self.stored_key)
        if self.stored_value is not None and self.stored_value.dtype != self.dtype.compute:
            self.stored_value = widen(self.stored_value)

    def tile(self, rows: slice, columns: slice | None = None) -> Tile:
        """Return a tile of the scores, with the positions of its queries and keys.

        :param rows: queries.
        :param columns: keys; default all.
        """
        if columns is None:
            columns = slice(0, self.score_shape[-1])
        return Tile(rows, columns, self.offset, self.key_positions)

    def replace_inputs(self, query: FloatArray, key: FloatArray, value: FloatArray | None) -> "ResolvedCall":
        """Return the same call with other inputs, which skips every check.

        :param query: same shape as that of the call as it was sent, axes in the order of `layout`, in the compute type,
            as `DType.load` returns it, not rotated.
        :param key: same as `query`, for keys.
        :param value: same as `query`, for values; None if the call has none.
        """
        if self.layout == "bshd":
            query, key = query.swapaxes(1, 2), key.swapaxes(1, 2)
            value = None if value is None else value.swapaxes(1, 2)
        return ResolvedCall(query, key, value, *_settings_of(self))

    def with_query(self, query: FloatArray) -> "ResolvedCall":
        """Return the same call with another query, which skips every check.

        :param query: as `replace_inputs` takes it.
        """
        if self.layout == "bshd":
            query = query.swapaxes(1, 2)
        return ResolvedCall(query, self.stored_key, self.stored_value, *_settings_of(self))

    @property
    def scores_per_query(self) -> int:
        """Number of scores of one query position, over all leading axes."""
        return prod(self.score_shape[:-2]) * self.score_shape[-1]

    @property
    def output_leading_shape(self) -> tuple[int, ...]:
        """Leading axes of the output: those of scores and value, broadcast against each other."""
        leading, value = self.score_shape[:-2], self.stored_value
        if value is None or value.ndim == 2:
            return leading
        shared = self.queries_per_kv_head > 1 and value.ndim == 4
        return broadcast_shapes(leading, (value.shape[0], 1) if shared else value.shape[:-2])

    @property
    def query_length(self) -> int:
        """Number of queries, Lq."""
        return self.score_shape[-2]

    @property
    def key_length(self) -> int:
        """Number of keys, past and new, Lk."""
        return self.score_shape[-1]


_settings_of = attrgetter(*[field.name for field in fields(ResolvedCall)][3:])
"""Return all fields of a call after query, key and value, in the order of their declaration."""


__all__ = [
    "GRADIENT_FIELDS",
    "LAYOUTS",
    "RESULT_FIELDS",
    "AttentionCall",
    "GradientField",
    "Heads",
    "Layout",
    "Offset",
    "Positions",
    "ResolvedCall",
    "ResultField",
]
