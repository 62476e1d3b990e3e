"""Fit the factor of the scores that comes nearest to a candidate."""

from dataclasses import dataclass, replace

import numpy as np

from attention_core.arrays import FloatArray, Logits
from attention_core.call import ResolvedCall
from attention_core.capabilities import supports_logsumexp
from attention_core.checking.variants import CheckContext, Fields, slice_rows
from attention_core.dense import evaluate_query_block
from attention_core.heads import slice_call
from attention_core.score_tile import Tile
from attention_core.tiles import apply_weights, normalize, row_maximum, score_tile

START_FACTORS = np.exp2(np.arange(-40, 41) / 4)
"""Factors that are tried first: from 1/1024 to 1024."""

ZOOM_STEPS = np.linspace(-1, 1, 65)
"""Steps of the search on either side of the nearest factor so far."""

ZOOM_ROUNDS = 8
"""Number of times that steps become 32 times as small: from a quarter of a power of two to the last bits of float64."""

MAX_KEYS = 1 << 12
"""Maximum keys of a row that is searched: each factor is tried on a whole row."""

COMPARED_ROWS = 16
"""Number of queries that are compared; the one that is farthest from right is fitted."""

TRIED_FACTORS = len(START_FACTORS) + ZOOM_ROUNDS * len(ZOOM_STEPS) + 2 + COMPARED_ROWS
"""Number of rows that are evaluated for one fit."""

NUMBERS_PER_KEY = 8 * len(START_FACTORS)
"""Numbers held for each key while all factors are tried at once: scores, logits, weights and temporaries."""

MAX_SIGNIFICANT_DIGITS = 17
"""Significant digits that identify every float64."""


def fit_factor(context: CheckContext, scale: float) -> float | None:
    """Return scale · factor, to as few digits as the candidate allows; None where no factor makes a difference.

    One query of the first batch row and head is fitted, the one that is farthest from right.
    """
    call = context.call
    if not call.query_length or not 1 < call.key_length <= MAX_KEYS:
        return None
    first = tuple(slice(0, 1) for _ in call.score_shape[:-2])
    one = slice_call(call, first)
    if one.value is not None:
        # Leading axes that only the value has.
        own = max(0, one.value.ndim - len(call.score_shape))
        one = replace(one, stored_value=one.value[(slice(0, 1),) * own])
    received = {name: _first(field, name, first) for name, field in context.candidate.items()}
    row = _farthest_row(one, received)
    if row is None:
        return None
    family = _Family.of(
        one, {name: slice_rows(name, field, slice(row, row + 1)) for name, field in received.items()}, row
    )
    factor = float(START_FACTORS[np.argmin(family.losses(START_FACTORS))])
    step = np.log(2) / 4
    for _ in range(ZOOM_ROUNDS):
        near = factor * np.exp(step * ZOOM_STEPS)
        factor = float(near[np.argmin(family.losses(near))])
        step *= 2 / (len(ZOOM_STEPS) - 1)
    uncertainty = family.uncertainty(factor, context)
    return None if uncertainty is None else _shortest(scale * factor, abs(scale) * uncertainty)


@dataclass(frozen=True, slots=True)
class _Family:
    """Results of one query as a function of the factor of its scores."""

    call: ResolvedCall
    received: Fields
    scores: FloatArray
    added: FloatArray
    """Bias of the capped scores; −∞ where a key is hidden, whatever its score."""
    tile: Tile

    @classmethod
    def of(cls, call: ResolvedCall, received: Fields, row: int) -> "_Family":
        tile = call.tile(slice(row, row + 1))
        scored = score_tile(replace(call, score_modifier=None), tile)
        hidden = np.isneginf(scored.logits)
        added = np.where(hidden, -np.inf, scored.logits - scored.capped_scores)
        return cls(call, received, scored.scores, added, tile)

    def fields(self, factors: FloatArray) -> Fields:
        """Return every field for each factor, which has an axis of its own, the first."""
        call = self.call
        scores = factors.reshape(-1, *[1] * self.scores.ndim) * self.scores
        capped = scores if call.softcap is None else call.softcap * np.tanh(scores / call.softcap)
        modified: Logits = capped + self.added
        if call.score_modifier is not None:
            modified = call.score_modifier.modify(modified, self.tile)
        logits = np.where(np.isneginf(self.added), -np.inf, modified)
        maximum = row_maximum(logits)
        made = {"scores": scores, "weights": normalize(call.normalizer, logits, maximum)}
        if "output" in self.received and call.value is not None:
            # The value may have leading axes that the scores have not; the axis of the factors stays the first.
            leading = (len(factors), *[1] * max(0, call.value.ndim - self.scores.ndim))
            weights, logits_of_value = (
                array.reshape(*leading, *self.scores.shape) for array in (made["weights"], logits)
            )
            made["output"] = apply_weights(weights, call.value, logits_of_value)
        if supports_logsumexp(call.normalizer):
            made["logsumexp"] = call.normalizer.compute_logsumexp(logits, maximum)
        return made

    def losses(self, factors: FloatArray) -> FloatArray:
        """Return the sum of squared errors for each factor, over finite numbers."""
        made = self.fields(factors)
        total = np.zeros(len(factors))
        for name, received in self.received.items():
            errors = made[name] - received
            total += np.sum(np.where(np.isfinite(errors), errors, 0) ** 2, axis=tuple(range(1, errors.ndim)))
        return total

    def uncertainty(self, factor: float, context: CheckContext) -> float | None:
        """Return how far the factor may be off before a number differs; None where it makes no difference."""
        step = 1e-4
        made = self.fields(factor * np.array([1, 1 + step]))
        bounds = []
        for name, received in self.received.items():
            slopes = np.abs(made[name][1] - made[name][0]) / (factor * step)
            rounding = np.maximum(context.precision.half_unit(received), 1e-12 * np.abs(received))
            informative = np.isfinite(slopes) & np.isfinite(rounding) & (slopes > 0)
            bounds.extend((rounding[informative] / slopes[informative]).ravel())
        return float(min(bounds)) if bounds else None


def _farthest_row(call: ResolvedCall, received: Fields) -> int | None:
    """Return the sampled query with the largest error; None if no number is finite and wrong."""
    length, max_magnitude, chosen = call.query_length, 0.0, None
    for row in dict.fromkeys(np.linspace(0, length - 1, min(length, COMPARED_ROWS)).astype(int).tolist()):
        rows = slice(row, row + 1)
        fields, _ = evaluate_query_block(call, rows, set(received))
        errors = [np.abs(fields[name] - slice_rows(name, field, rows)) for name, field in received.items()]
        far = max(float(np.max(np.where(np.isfinite(error), error, 0), initial=0)) for error in errors)
        if far > max_magnitude:
            max_magnitude, chosen = far, row
    return chosen


def _first(field: FloatArray, name: str, leading: tuple[slice, ...]) -> FloatArray:
    """Return the part of a field for the first index of the leading axes of the scores."""
    axes = field.ndim - (1 if name == "logsumexp" else 2)
    return field[(*(slice(0, 1) for _ in range(axes - len(leading))), *leading)]


def _shortest(number: float, uncertainty: float) -> float:
    """Return the number with the fewest significant digits that is no farther away than the uncertainty."""
    shorter = (float(f"{number:.{digits}g}") for digits in range(1, MAX_SIGNIFICANT_DIGITS + 1))
    return next((one for one in shorter if abs(one - number) <= uncertainty), number)
