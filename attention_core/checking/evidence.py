"""How much evidence the agreement of a candidate with a mistake is, in decimal digits.

A candidate that is wrong in another manner may come near a mistake by chance.  If it is about |m − r| away from the
right number r, it lies within ε of the mistake's number m with a probability of at most ε / (2 |m − r|): the density of
a normal distribution around r at m is 0.24 / |m − r| at most, whatever its width.  Minus the decimal logarithm of that
is the evidence of one number, in digits; those of independent numbers add up.  Where m ≈ r a number is no evidence.
"""

from dataclasses import dataclass, field

import numpy as np

from attention_core.arrays import BoolArray, FloatArray

MIN_DIGITS = 2.5
"""Minimum digits beyond those of the number of variants tried.

By the bound above one candidate in 300 that is wrong in another manner would be given a name at most; fewer than one in
a thousand are (tests/attention_core/checking/test_evidence.py), since noise seldom has the size at which it comes
nearest.
"""

MIN_DIGITS_BESIDE = 1.0
"""Minimum digits of a mistake beside another that fits as well: with fewer it hardly differs from the reference."""

MAX_DIGITS_PER_NUMBER = 7.0
"""Maximum digits of one number."""

NEGLIGIBLE_DIGITS = 0.5
"""Digits of a weight that is about 0 or 1 but not exactly: many mistakes make scores large enough for that."""

NON_FINITE_DIGITS = 6.0
"""Digits of a NaN or infinity where the mistake has it: kernels do not make them by chance."""


@dataclass(slots=True)
class Evidence:
    """Digits collected over blocks of queries, for each field on its own.

    Fields follow from one another (weights are made of scores, the output of weights), so that their digits do not add
    up: the field with most digits counts.
    """

    by_field: dict[str, float] = field(default_factory=dict)
    largest: float = 0.0
    """Maximum digits of one number so far."""

    def add(self, name: str, digits: FloatArray, *, most: int | None = None) -> None:
        """Add the digits of one block, (…, numbers of a row); of each row at most the `most` largest."""
        if most is not None and digits.shape[-1] > most:
            digits = np.sort(digits, axis=-1)[..., -most:]
        self.by_field[name] = self.by_field.get(name, 0.0) + float(digits.sum())
        self.largest = max(self.largest, float(digits.max(initial=0)))

    def digits(self, *, choices: float, fitted: int) -> float:
        """Return the digits of all, less those that agree by construction."""
        return max(self.by_field.values(), default=0.0) - choices - fitted * self.largest


def number_digits(made: FloatArray, right: FloatArray, uncertainty: FloatArray, agrees: BoolArray) -> FloatArray:
    """Return the digits of each number that agrees with a mistake to within `uncertainty`; 0 where it does not."""
    odds = np.abs(made - right) / (0.5 * uncertainty)
    digits = np.clip(np.log10(np.where(odds > 1, odds, 1)), 0, MAX_DIGITS_PER_NUMBER)
    non_finite = ~(np.isfinite(made) & np.isfinite(right))
    if non_finite.any():
        same = (made == right) | (np.isnan(made) & np.isnan(right))
        digits = np.where(non_finite, np.where(same, 0, NON_FINITE_DIGITS), digits)
    return np.where(agrees, digits, 0)


def without_the_implied(digits: FloatArray, made: FloatArray, right: FloatArray, errors: FloatArray) -> FloatArray:
    """Return the digits of weights less the fewest of each row that sums to the right sum, or to 1.

    Of numbers with a known sum the last follows from the others.

    :param errors: largest error of each weight, within whose sum the sums may differ.
    """
    total, slack = made.sum(axis=-1), errors.sum(axis=-1)
    known = np.minimum(np.abs(total - right.sum(axis=-1)), np.abs(total - 1)) <= slack
    informative = digits > 0
    least = np.argmin(np.where(informative, digits, np.inf), axis=-1, keepdims=True)
    implied = np.zeros_like(informative)
    np.put_along_axis(implied, least, known[..., None], axis=-1)
    return np.where(implied, 0, digits)


def without_the_saturated(digits: FloatArray, made: FloatArray, received: FloatArray, errors: FloatArray) -> FloatArray:
    """Return the digits of weights, few of them where a weight is about 0 or 1 but not exactly that of the mistake."""
    saturated = (np.minimum(np.abs(received), np.abs(1 - received)) <= errors) & (made != received)
    return np.where(saturated, np.minimum(digits, NEGLIGIBLE_DIGITS), digits)


def limited(digits: FloatArray, limits: FloatArray | None) -> FloatArray:
    """Return the digits, bounded for each number if there are limits."""
    return digits if limits is None else np.minimum(digits, limits)
