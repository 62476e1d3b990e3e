"""Numbers as people read them, in formulas and sentences."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from attention_core.expressions import Expression
from service.codecs.json import number
from service.explanation.texts import NAMES, Language

MAX_SHOWN = 12
"""Numbers of a sum or list that are written out; of a longer one the first and the last."""

ANY_NUMBER = re.compile(r"\{\*([^}]*)\}")
"""The place of a pattern that takes any number of operands, with the separator between them."""


PLACE = re.compile(r"(\(?)\{\}")
"""The place of one operand, with the bracket before it."""


def short(number: float, language: Language = "en") -> str:
    """Write a number with six significant digits at most and a true minus sign; a truth value as a word."""
    if isinstance(number, bool):
        word: str = getattr(NAMES["true" if number else "false"], language)
        return word
    return f"{number + 0.0:.6g}".replace("-", "−").replace("inf", "∞").replace("nan", "NaN")


def enclosed(number: float) -> str:
    """Write a number so that it may follow an operator."""
    text = short(number)
    return f"({text})" if text.startswith("−") else text


def expression(term: Expression) -> str:
    """Write the computation of a number, as in 2 × 1.9."""
    many = ANY_NUMBER.search(term.template)
    if many is None:
        return _filled(term.template, term.operands)
    before, after = term.template[: many.start()], term.template[many.end() :]
    first, last = before.count("{}"), len(term.operands) - after.count("{}")
    write = short if many[1].strip() == "," else enclosed
    middle = joined([write(number) for number in term.operands[first:last]], many[1])
    return f"{_filled(before, term.operands[:first])}{middle}{_filled(after, term.operands[last:])}"


def _filled(template: str, operands: Sequence[float]) -> str:
    """Put operands in their places; a negative one gets brackets unless one stands before it."""
    numbers = iter(operands)
    return PLACE.sub(lambda place: place[1] + (short if place[1] else enclosed)(next(numbers)), template)


def equation(term: Expression) -> str:
    """Write the computation of a number and its value, as in 2 × 1.9 = 3.8; a plain number is written once.

    A truth value stands after a colon, as in 2 ≤ 0: false.  A comparison without one is written alone.
    """
    how, value = expression(term), short(term.value)
    if isinstance(term.value, bool):
        return f"{how}: {value}"
    if how in (value, f"({value})"):
        return value
    return how if " = " in how or " < " in how else f"{how} = {value}"


def spelled(value: float | None) -> Any:
    """Return a number as JSON has it: −0 as 0, a truth value as 1 or 0; None stays."""
    return number(None if value is None else float(value) + 0.0)


def joined(parts: Sequence[str], separator: str) -> str:
    """Join parts; of more than MAX_SHOWN only the first ones and the last."""
    shown = [*parts[: MAX_SHOWN - 2], "…", parts[-1]] if len(parts) > MAX_SHOWN else parts
    return separator.join(shown)


def listed(numbers: Iterable[float]) -> str:
    """Write numbers as a list."""
    return f"[{joined([short(number) for number in numbers], ', ')}]"
