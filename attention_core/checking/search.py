"""Search for the usual mistakes that reproduce a candidate.

Most mistakes are ruled out by a single query, one at which the candidate is far from right.  Only variants that
reproduce a few queries are evaluated for all of them, at most `MAX_VERIFIED` of them, so that the search costs about as
much as a few evaluations.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from itertools import chain
from math import inf, log10

import numpy as np

from attention_core.arrays import BoolArray
from attention_core.call import ResolvedCall
from attention_core.checking.comparison import Comparison
from attention_core.checking.empty_rows import accept_usual_empty_rows
from attention_core.checking.evidence import (
    MIN_DIGITS,
    MIN_DIGITS_BESIDE,
    Evidence,
    limited,
    number_digits,
    without_the_implied,
    without_the_saturated,
)
from attention_core.checking.fits import Cause, Fit, farthest_rows, first_level_within, spread_rows
from attention_core.checking.precision import half_step
from attention_core.checking.variants import (
    ChangedCall,
    ChangedFields,
    CheckContext,
    Fields,
    Mistake,
    Reference,
    Variant,
    slice_rows,
)
from attention_core.dense import query_blocks
from attention_core.errors import CallError, Stopped

MAX_VARIANTS = 120
"""Maximum number of variants of all mistakes for one call."""

MAX_VERIFIED = 6
"""Maximum number of variants that are evaluated for all queries."""

MAX_EQUAL_RATIO = 2.0
"""Largest ratio of the largest errors of two mistakes that fit equally."""

EXACT_ERROR = 0.01
"""Largest error of float64 arithmetic, in units of the closest tolerance."""

MIN_EXACT_PLACES = 3
"""Minimum decimals, or digits, of the rounding of a number that a mistake gives exactly."""

Evaluated = tuple[Fields, BoolArray, ResolvedCall]
"""Fields of some queries, which of their rows see no key, and the call that gives them."""

EvaluateRows = Callable[[slice], Evaluated | None]
"""Evaluates a mistake for some queries; returns None where the mistake cannot be computed."""


def computable_variants(mistake: Mistake, context: CheckContext) -> Iterator[Variant]:
    """Yield the variants of one mistake, up to the first that cannot be computed."""
    with suppress(CallError):
        yield from mistake(context)


class Search:
    """The search for what reproduces one candidate, at several levels of closeness at once."""

    def __init__(
        self, context: CheckContext, reference: Reference, levels: list[Comparison], first_informative_level: int = 0
    ) -> None:
        """Evaluate the sampled queries.

        :param context: the call and the candidate.
        :param reference: the right results.
        :param levels: levels of closeness, each wider than the one before.
        :param first_informative_level: index of the first level that is as wide as the candidate's rounding.
        """
        self._context = context
        self._reference = reference
        self._levels = levels
        self._first_level = first_informative_level
        self._rows, self._reference_level = self._compare_reference()
        self._n_tried = 0
        self._n_verified = 0

    def causes(self, mistakes: Mapping[str, Mistake], general: Mapping[str, Mistake]) -> tuple[Cause, ...]:
        """Return the mistakes that reproduce the candidate more closely than the reference, all that fit equally.

        :param mistakes: tried first.
        :param general: mistakes with a fitted number, tried unless another fits as closely as the candidate's rounding
            allows, and returned only if they fit more closely.

        Raises Stopped if the work should stop.
        """
        if self._reference_level == self._first_level:
            return ()
        found = self._find_fits(mistakes)
        best = self._equal_fits(found)
        if not best or best[0].excess[best[0].level] > self._rounding_excess(best[0].level):
            both = self._equal_fits([*found, *self._find_fits(general)])
            if not any(fit in found for fit in both):
                best = both
        causes = (replace(fit.cause, exact=fit.excess[0] <= EXACT_ERROR) for fit in best)
        return tuple({cause.name: cause for cause in causes}.values())

    def _find_fits(self, mistakes: Mapping[str, Mistake]) -> list[Fit]:
        """Return the variants of these mistakes that reproduce the candidate, in the order of the mistakes."""
        fits = [
            fit
            for name, mistake in mistakes.items()
            for variant in computable_variants(mistake, self._context)
            for fit in self._fits(name, variant)
        ]
        order = {name: place for place, name in enumerate(mistakes)}
        return sorted(
            self._confirmed(fits, MIN_DIGITS + log10(max(1, self._n_tried))), key=lambda fit: order[fit.cause.name]
        )

    def _level(self, excess: tuple[float, ...]) -> int:
        """Return the level at which an error counts; the number of levels if it is beyond all tolerances."""
        return max(self._first_level, first_level_within(excess))

    def is_reproduced_by(self, variant: ChangedCall) -> bool:
        """Return whether another call gives the candidate; raise Stopped if the work should stop."""
        # The sampled queries first: they rule most calls out.
        blocks = chain((slice(row, row + 1) for row in self._rows), query_blocks(variant.call))
        return all(first_level_within(self._excess_of(variant, rows)) < len(self._levels) for rows in blocks)

    def _compare_reference(self) -> tuple[list[int], int]:
        """Return queries that distinguish mistakes, the most wrong first, and the level at which the reference fits."""
        length = self._reference.call.query_length
        everywhere = slice(0, length)
        excess = self._excess(
            (self._reference.fields, np.zeros((1, 1), dtype=np.bool_), self._reference.call), everywhere
        )
        far = np.zeros(length)
        for name, received in self._context.candidate.items():
            errors, sizes = self._levels[0].errors(name, self._reference.fields[name], received)
            tolerance = self._levels[0].tolerance
            ratios = errors / (tolerance.absolute + tolerance.relative * sizes)
            by_query = ratios if name == "logsumexp" else ratios.max(axis=-1, initial=0)
            far = np.maximum(far, by_query.reshape(-1, length).max(axis=0, initial=0))
        wrong, sees = far > 1, ~self._reference.empty_rows.reshape(-1, length).all(axis=0)
        chosen = [farthest_rows(far, wrong & sees), spread_rows(wrong), spread_rows(np.ones_like(wrong))]
        return list(dict.fromkeys(int(row) for rows in chosen for row in rows)), self._level(excess)

    def _fits(self, name: str, variant: Variant) -> Iterator[Fit]:
        """Yield the fit of one variant, unless the sampled queries rule it out."""
        if isinstance(variant, ChangedCall):
            evaluate = self._evaluation(variant)
            excess = self._sample_excess(evaluate)
            if excess is not None:
                everything = len(self._rows) == variant.call.query_length
                digits = self._digits(evaluate, excess, variant.made)
                yield Fit(
                    Cause(name, variant.number), excess, self._level(excess), digits, None if everything else variant
                )
            return
        everywhere = slice(0, self._reference.call.query_length)
        for made in variant.change(self._reference):
            evaluate = self._slicing(made)
            if self._sample_excess(evaluate) is not None:
                whole = self._excess((made.fields, self._reference.empty_rows, self._reference.call), everywhere)
                if self._level(whole) < self._reference_level:
                    yield Fit(Cause(name), whole, self._level(whole), self._digits(evaluate, whole, made), None)

    def _evaluation(self, variant: ChangedCall) -> EvaluateRows:
        def evaluate(rows: slice) -> Evaluated | None:
            self._check_cancelled()
            try:
                fields, maximum = variant.evaluate(variant.call, rows)
            except CallError:
                # The normalizer has no weights for the logits of the mistake, such as negative ones for proportions.
                return None
            return fields, np.isneginf(maximum), variant.call

        return evaluate

    def _slicing(self, made: ChangedFields) -> EvaluateRows:
        def evaluate(rows: slice) -> Evaluated:
            self._check_cancelled()
            fields = {name: slice_rows(name, made.fields[name], rows) for name in self._context.candidate}
            return fields, self._reference.empty_rows[..., rows], self._reference.call

        return evaluate

    def _check_cancelled(self) -> None:
        should_stop = self._context.should_stop
        if should_stop is not None and should_stop():
            raise Stopped("stopped between two mistakes")

    def _sample_excess(self, evaluate: EvaluateRows) -> tuple[float, ...] | None:
        """Return how closely the sampled queries are reproduced; None if not more closely than by the reference."""
        excess: tuple[float, ...] = (0.0,) * len(self._levels)
        for number, row in enumerate(self._rows):
            rows = slice(row, row + 1)
            evaluated = evaluate(rows)
            if evaluated is None:
                return None
            if number == 0:
                self._n_tried += self._differs(evaluated[0], rows)
            excess = tuple(map(max, excess, self._excess(evaluated, rows)))
            if self._level(excess) >= self._reference_level:
                return None
        return excess

    def _differs(self, fields: Fields, rows: slice) -> bool:
        """Return whether a mistake makes any difference to some queries."""
        return any(
            bool((fields[name] != slice_rows(name, self._reference.fields[name], rows)).any())
            for name in self._context.candidate
        )

    def _excess(self, evaluated: Evaluated, rows: slice) -> tuple[float, ...]:
        """Return the largest error of some queries at each level, in tolerances.

        Rows that see no key because of the mistake may be NaN, or the mean over all keys, as in kernels.
        """
        fields, empty, call = evaluated
        errors = []
        for name, array in self._context.candidate.items():
            received = slice_rows(name, array, rows)
            expected = accept_usual_empty_rows(name, fields[name], received, empty, (call, self._levels[-1]))
            errors.append(self._levels[0].errors(name, expected, received))
        excess = [inf] * len(self._levels)
        for level in reversed(range(len(self._levels))):
            tolerance = self._levels[level].tolerance
            excess[level] = max(
                float(np.max(error / (tolerance.absolute + tolerance.relative * size), initial=0))
                for error, size in errors
            )
            if excess[level] > 1:
                break
        return tuple(excess)

    def _excess_of(self, variant: ChangedCall, rows: slice) -> tuple[float, ...]:
        evaluated = self._evaluation(variant)(rows)
        return (inf,) * len(self._levels) if evaluated is None else self._excess(evaluated, rows)

    def _digits(self, evaluate: EvaluateRows, excess: tuple[float, ...], made: ChangedFields) -> float:
        """Return the evidence of the sampled queries that the variant, not the reference, gives the candidate."""
        level = self._level(excess)
        # A number that a mistake gives exactly, such as the weight 1 of the only visible key, may not be rounded.
        least_places = MIN_EXACT_PLACES if excess[0] <= EXACT_ERROR else 0
        evidence = Evidence()
        for row in self._rows:
            rows = slice(row, row + 1)
            evaluated = evaluate(rows)
            if evaluated is None:
                return 0.0
            for name in self._context.candidate:
                self._add_evidence(evidence, name, evaluated, rows, (level, excess[level], least_places, made.limits))
        return evidence.digits(choices=made.choices, fitted=made.fitted)

    def _add_evidence(
        self,
        evidence: Evidence,
        name: str,
        evaluated: Evaluated,
        rows: slice,
        agreement: tuple[int, float, int, Fields | None],
    ) -> None:
        """Add the evidence of one field of some queries.

        :param evidence: added to.
        :param name: the field.
        :param evaluated: results of the variant for these queries.
        :param rows: the queries.
        :param agreement: the level, the largest error there in tolerances, the minimum places of roundings, and limits
            of the evidence.
        """
        level, excess, least_places, limits = agreement
        comparison = self._levels[level]
        made = comparison.representable(name, evaluated[0][name])
        reference = comparison.representable(name, slice_rows(name, self._reference.fields[name], rows))
        received = slice_rows(name, self._context.candidate[name], rows)
        errors, sizes = comparison.errors(name, made, received)
        largest = max(excess, EXACT_ERROR) * (comparison.tolerance.absolute + comparison.tolerance.relative * sizes)
        own = np.abs(sizes) * half_step(comparison.own_dtype(name))
        uncertainty = np.maximum(np.maximum(largest, own), self._context.precision.half_unit(received, least_places))
        digits = number_digits(made, reference, uncertainty, errors <= (1 + EXACT_ERROR) * largest)
        digits = limited(digits, None if limits is None or name not in limits else slice_rows(name, limits[name], rows))
        if name == "logsumexp":
            evidence.add(name, digits)
        elif name == "weights":
            digits = without_the_saturated(digits, made, received, uncertainty)
            evidence.add(name, without_the_implied(digits, made, reference, largest))
        else:
            # An output is a mixture of values, with no more freedom than its weights have.
            freedom = max(1, self._reference.call.key_length - 1) if name == "output" else None
            evidence.add(name, digits, most=freedom)

    def _confirmed(self, fits: list[Fit], needed: float) -> list[Fit]:
        """Return the fits that reproduce all queries, closest first, if one of them has the evidence that is needed.

        Others that fit at the same level need little of it: they cannot be distinguished from that one.
        """
        found: list[Fit] = []
        level = len(self._levels)
        for fit in sorted(fits, key=lambda fit: (fit.digits < needed, fit.level, -fit.digits)):
            if fit.digits < MIN_DIGITS_BESIDE or fit.level > level or (not found and fit.digits < needed):
                continue
            whole = self._verify(fit)
            if whole.level < self._reference_level and whole.level <= level and (found or whole.digits >= needed):
                found.append(whole)
                level = min(level, whole.level) if whole.digits >= needed else level
        return [fit for fit in found if fit.level <= level]

    def _verify(self, fit: Fit) -> Fit:
        """Return the fit of a variant to all queries; no fit after `MAX_VERIFIED` variants."""
        if fit.variant is None:
            return fit
        if self._n_verified == MAX_VERIFIED:
            return replace(fit, level=len(self._levels))
        self._n_verified += 1
        excess = fit.excess
        for rows in query_blocks(fit.variant.call):
            excess = tuple(map(max, excess, self._excess_of(fit.variant, rows)))
            if self._level(excess) >= self._reference_level:
                return replace(fit, level=len(self._levels))
        digits = (
            fit.digits
            if excess == fit.excess
            else self._digits(self._evaluation(fit.variant), excess, fit.variant.made)
        )
        return replace(fit, excess=excess, level=self._level(excess), digits=digits, variant=None)

    def _equal_fits(self, fits: list[Fit]) -> list[Fit]:
        """Return those that fit as closely as the closest does, within the candidate's rounding."""
        if not fits:
            return []
        level = min(fit.level for fit in fits)
        least = min(fit.excess[level] for fit in fits)
        return [
            fit
            for fit in fits
            if fit.excess[level] <= min(1.0, max(MAX_EQUAL_RATIO * least, self._rounding_excess(level)))
        ]

    def _rounding_excess(self, level: int) -> float:
        """Return the largest rounding error of the candidate's numbers, in tolerances of a level."""
        comparison, found = self._levels[level], EXACT_ERROR
        tolerance = comparison.tolerance
        for name, received in self._context.candidate.items():
            sizes = np.where(np.isfinite(received), np.abs(received), 0)
            own = np.maximum(sizes * half_step(comparison.own_dtype(name)), self._context.precision.half_unit(sizes))
            found = max(found, float(np.max(own / (tolerance.absolute + tolerance.relative * sizes), initial=0)))
        return found
