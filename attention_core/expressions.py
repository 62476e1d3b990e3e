"""Numbers with the formulas that give them, for explanations."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import fsum
from operator import mul


@dataclass(frozen=True, slots=True)
class Expression:
    """A number with the formula that gives it, such as 3.8 = 2 × 1.9."""

    name: str
    """What the number is: a feature, a hidden unit, a scale, a denominator."""
    value: float
    template: str
    """The formula, with ``{}`` for each operand: "{} × {}".  ``{*, }`` stands for any number of operands joined by a
    comma, ``{* + }`` for their sum."""
    operands: tuple[float, ...]
    """Numbers that fill the template, in its order; truth values are Python's, as a value may be."""
    source: str = ""
    """Piece of the user's formula that it comes from; empty for a number that the name says."""


@dataclass(frozen=True, slots=True)
class ScoreTerms:
    """A score as ``factor · Σ terms``; the factor is None for a plain sum."""

    terms: tuple[Expression, ...]
    factor: Expression | None = None

    @property
    def sum(self) -> float:
        """Σ terms, correctly rounded where float64 holds every partial sum."""
        values = [term.value for term in self.terms]
        try:
            return fsum(values)
        except (OverflowError, ValueError):  # fsum raises for partial sums beyond float64, and for +∞ beside −∞
            return sum(values)

    @property
    def score(self) -> float:
        """factor · Σ terms."""
        return self.sum if self.factor is None else self.factor.value * self.sum


def explain_features(
    query: Iterable[float],
    key: Iterable[float],
    combine: Callable[[float, float], float] = mul,
    template: str = "{} × {}",
) -> tuple[Expression, ...]:
    """Return one term for each feature, by default the product q_m·k_m.

    :param query: (D).
    :param key: (D).
    :param combine: the term as a function of q_m and k_m.
    :param template: the same as a text.
    """
    pairs = [(float(q), float(k)) for q, k in zip(query, key, strict=True)]
    return tuple(Expression(f"feature {m}", combine(q, k), template, (q, k)) for m, (q, k) in enumerate(pairs))
