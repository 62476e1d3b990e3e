"""What it takes to make a mistake on purpose."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from attention_core.arrays import BoolArray, FloatArray
from attention_core.call import AttentionCall, ResolvedCall

Fields = Mapping[str, FloatArray]


@dataclass(frozen=True, slots=True)
class Right:
    """What a call gives: the fields asked for, and which rows see no key, (…, Lq)."""

    call: ResolvedCall
    fields: dict[str, FloatArray]
    empty_rows: BoolArray


def _as_it_is(right: Right) -> Fields:
    return right.fields


@dataclass(frozen=True, slots=True)
class Attempt:
    """One way to make a mistake: evaluate `call` (None: the right one), `then` change what it gives."""

    mistake: str
    call: ResolvedCall | None = None
    then: Callable[[Right], Fields | None] = _as_it_is


@dataclass(frozen=True, slots=True)
class Given:
    """What there is to make mistakes with: the call as sent, resolved in float64, and the candidate."""

    sent: AttentionCall
    call: ResolvedCall
    candidate: Fields


Way = ResolvedCall | Callable[[Right], Fields | None]
"""Another call, or another ending of the right one."""

Mistake = Callable[[Given], Iterator[Way]]
"""Every way in which one call can be got wrong in this manner; none where it does not apply."""
