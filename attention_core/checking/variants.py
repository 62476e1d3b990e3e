"""Variants of mistakes: other calls, and changes of right results."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from attention_core.arrays import BoolArray, FloatArray
from attention_core.call import AttentionCall, ResolvedCall
from attention_core.checking.comparison import Comparison
from attention_core.checking.precision import WrittenPrecision
from attention_core.dense import evaluate_query_block
from attention_core.heads import repeat_kv_heads
from attention_core.interfaces import ShouldStop
from attention_core.layouts import VECTORS
from attention_core.resolve import resolve

Fields = Mapping[str, FloatArray]
"""Fields by name in float64; output has its heads unpacked."""

Evaluate = Callable[[ResolvedCall, slice], tuple[Fields, FloatArray]]
"""Returns the fields of some queries, and the largest logit of each of their rows."""


def slice_rows(name: str, field: FloatArray, rows: slice) -> FloatArray:
    """Return some queries of a field."""
    return field[..., rows] if name == "logsumexp" else field[..., rows, :]


@dataclass(frozen=True, slots=True)
class CheckContext:
    """The call in float64, as sent and resolved, and the candidate."""

    sent: AttentionCall
    call: ResolvedCall
    candidate: Fields
    comparison: Comparison
    precisions: Mapping[str, WrittenPrecision]
    """Precision in which each field of the candidate is written."""
    should_stop: ShouldStop | None = None

    def changed(self, **changes: Any) -> "ChangedCall":
        """Return the variant that differs from the resolved call in some fields."""
        return ChangedCall(replace(self.call, **changes))

    @property
    def precision(self) -> WrittenPrecision:
        """Precision in which the whole candidate is written."""
        return WrittenPrecision.joined(self.precisions.values())

    @property
    def has_nan(self) -> bool:
        """Whether the candidate has a NaN."""
        return any(bool(np.isnan(field).any()) for field in self.candidate.values())


@dataclass(frozen=True, slots=True)
class Reference:
    """The right results: the fields of the candidate, and which rows see no key, (…, Lq)."""

    call: ResolvedCall
    fields: Fields
    empty_rows: BoolArray


def resolve_repeated(sent: AttentionCall) -> ResolvedCall:
    """Resolve a call, with a key and value head for each query head, as mistakes expect."""
    return repeat_kv_heads(resolve(sent))


def put_heads_second(sent: AttentionCall) -> AttentionCall:
    """Return a call of the layout bshd as the same one of the layout bhsd: mistakes are made in that alone."""
    vectors: dict[str, Any] = {name: array for name in VECTORS if (array := getattr(sent, name)) is not None}
    return replace(sent, **{name: array.swapaxes(1, 2) for name, array in vectors.items()}, layout=None)


def evaluate_included(call: ResolvedCall, rows: slice) -> tuple[Fields, FloatArray]:
    """Evaluate some queries, with the included fields."""
    return evaluate_query_block(call, rows, set(call.include))


@dataclass(frozen=True, slots=True)
class FittedNumber:
    """A parameter that was fitted to the candidate, and what it should be."""

    found: float
    expected: float


@dataclass(frozen=True, slots=True)
class ChangedCall:
    """Another call, or the same one evaluated otherwise; any block of queries can be evaluated on its own.

    With a fitted `number` one number of the candidate agrees by construction.  `choices` is the decimal logarithm of
    the number of ways among which the candidate's own was chosen.
    """

    call: ResolvedCall
    evaluate: Evaluate = evaluate_included
    number: FittedNumber | None = None
    choices: float = 0.0

    @property
    def made(self) -> "ChangedFields":
        """How much of the agreement with a candidate is by construction."""
        return ChangedFields({}, choices=self.choices, fitted=0 if self.number is None else 1)


@dataclass(frozen=True, slots=True)
class ChangedFields:
    """Whole fields with a mistake, and how much of their agreement with the candidate is by construction.

    `choices` is the decimal logarithm of the number of results among which the candidate's own was chosen, `fitted`
    counts fitted parameters, and `limits` bounds the evidence of each number of a field, in decimal digits.
    """

    fields: Fields
    choices: float = 0.0
    fitted: int = 0
    limits: Fields | None = None


@dataclass(frozen=True, slots=True)
class ResultChange:
    """A change of the whole right results, in one or several ways."""

    change: Callable[[Reference], Iterator[ChangedFields]]


Variant = ChangedCall | ResultChange

Mistake = Callable[[CheckContext], Iterator[Variant]]
"""Yields the variants of a mistake for one call; none where the mistake cannot be made."""
