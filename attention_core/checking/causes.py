"""Explain a wrong candidate: right numbers that are rounded, usual mistakes, or a coarser type."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from attention_core.checking.comparison import DEFAULT_TOLERANCES, Comparison, first_informative_level
from attention_core.checking.fits import Cause
from attention_core.checking.mistakes import FITTED_MISTAKES, MISTAKES
from attention_core.checking.precision import Rounding, half_unit
from attention_core.checking.search import Search
from attention_core.checking.variants import ChangedCall, CheckContext, Reference, resolve_repeated
from attention_core.dtypes import DTYPES
from attention_core.errors import CallError
from attention_core.reference import to_float64_reference


@dataclass(frozen=True, slots=True)
class MismatchExplanation:
    """Why a candidate is wrong; empty if nothing explains it."""

    roundings: Mapping[str, Rounding] = field(default_factory=dict)
    """Fields that are right but rounded, each with its decimals or digits: those outside the tolerance, or all."""
    causes: tuple[Cause, ...] = ()
    """The mistakes that reproduce it, more than one if they fit equally."""
    candidate_rounding: Rounding | None = None
    """To what the candidate is rounded, if the mistakes give it only to that."""
    coarser: str | None = None
    """The finest type below the call's own in which it would pass."""


def explain_mismatch(context: CheckContext, reference: Reference, failed: Collection[str]) -> MismatchExplanation:
    """Return the explanation of a candidate.

    :param context: the call and the candidate.
    :param reference: the right results.
    :param failed: fields of the candidate outside the tolerance, at least one.

    Raises Stopped if the work should stop.
    """
    roundings = find_roundings(context, reference, failed)
    if roundings.keys() >= set(failed):
        return MismatchExplanation(roundings=roundings)
    levels = context.comparison.levels(context.precision)
    search = Search(
        replace(context, comparison=levels[0]), reference, levels, first_informative_level(levels, context.precision)
    )
    general = {name: MISTAKES[name] for name in FITTED_MISTAKES}
    causes = search.causes(
        {name: mistake for name, mistake in MISTAKES.items() if name not in FITTED_MISTAKES}, general
    )
    if not causes:
        return MismatchExplanation(roundings=roundings, coarser=coarser_type(context, reference))
    rounding = None if any(cause.exact for cause in causes) else next(iter(context.precision.informative), None)
    return MismatchExplanation(roundings=roundings, causes=causes, candidate_rounding=rounding)


def find_roundings(context: CheckContext, reference: Reference, failed: Collection[str]) -> dict[str, Rounding]:
    """Return the rounding of each failed field that is right but rounded, or of every field if all share one.

    One rounding of the whole candidate comes first: a field of few numbers may end in zeros by chance.
    """
    for rounding in context.precision.informative:
        if all(_is_rounded(context, reference, name, rounding) for name in context.candidate):
            return dict.fromkeys(context.candidate, rounding)
    found: dict[str, Rounding] = {}
    for name in failed:
        for rounding in context.precisions[name].informative:
            if _is_rounded(context, reference, name, rounding):
                found.setdefault(name, rounding)
    return found


def _is_rounded(context: CheckContext, reference: Reference, name: str, rounding: Rounding) -> bool:
    """Return whether all numbers of a field are the right ones, rounded."""
    expected, received = context.comparison.representable(name, reference.fields[name]), context.candidate[name]
    same = (received == expected) | (np.isnan(received) & np.isnan(expected))
    return bool(np.all(same | (np.abs(received - expected) <= half_unit(rounding, received))))


def coarser_type(context: CheckContext, reference: Reference) -> str | None:
    """Return the finest type, below the call's own, in which the candidate may have been computed."""
    names = list(DEFAULT_TOLERANCES)
    for name in names[names.index(context.comparison.dtype.name) + 1 :]:
        comparison = Comparison(DTYPES[name], DEFAULT_TOLERANCES[name])
        try:
            call = resolve_repeated(to_float64_reference(replace(context.sent, dtype=name)))
        except CallError:
            # It cannot hold the inputs.
            continue
        if Search(context, reference, [comparison]).is_reproduced_by(ChangedCall(call)):
            return name
    return None
