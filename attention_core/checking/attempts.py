"""What it takes to make a mistake on purpose."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from attention_core.arrays import BoolArray, FloatArray
from attention_core.call import AttentionCall, ResolvedCall
from attention_core.checking.comparison import Comparison
from attention_core.dense import evaluate_block
from attention_core.heads import repeat_heads
from attention_core.interfaces import ShouldStop
from attention_core.resolve import resolve

Fields = Mapping[str, FloatArray]
"""Fields by name in float64; output has its heads unpacked."""

Evaluate = Callable[[ResolvedCall, slice], tuple[Fields, FloatArray]]
"""Some queries' fields, and the largest logit of each of their rows."""


@dataclass(frozen=True, slots=True)
class Given:
    """What there is to make mistakes with: the call in float64, as sent and resolved, and the candidate."""

    sent: AttentionCall
    call: ResolvedCall
    candidate: Fields
    comparison: Comparison
    should_stop: ShouldStop | None = None

    @property
    def has_nan(self) -> bool:
        """Whether NaN came."""
        return any(bool(np.isnan(field).any()) for field in self.candidate.values())


@dataclass(frozen=True, slots=True)
class Right:
    """What the call gives: the fields asked for, and which rows see no key, (…, Lq)."""

    call: ResolvedCall
    fields: Fields
    empty_rows: BoolArray


def resolve_repeated(sent: AttentionCall) -> ResolvedCall:
    """Resolve a call and give each query head a key and value head of its own, as mistakes expect."""
    return repeat_heads(resolve(sent))


def evaluate_rows(call: ResolvedCall, rows: slice) -> tuple[Fields, FloatArray]:
    """Evaluate some queries as they should be."""
    return evaluate_block(call, rows, set(call.include))


@dataclass(frozen=True, slots=True)
class Wrong:
    """Another call, or the same one evaluated otherwise; any block of queries can be asked for on its own."""

    call: ResolvedCall
    evaluate: Evaluate = evaluate_rows


@dataclass(frozen=True, slots=True)
class Ending:
    """What becomes of right results, in one or several ways; it needs them whole."""

    change: Callable[[Right], Iterator[Fields]]


Way = Wrong | Ending

Mistake = Callable[[Given], Iterator[Way]]
"""Every way in which one call can be got wrong in this manner; none where it does not apply."""
