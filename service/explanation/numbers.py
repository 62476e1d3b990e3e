"""Numbers as people read them, in formulas and sentences."""

import re
from collections.abc import Iterable, Sequence

from attention_core.interfaces import Term

MOST = 12
"""A sum or a list of so many is written out; of a longer one the first and the last."""

ANY_NUMBER = re.compile(r"\{\*([^}]*)\}")
"""The place of a pattern that takes any number of operands, with what stands between them."""


PLACE = re.compile(r"(\(?)\{\}")
"""The place of one operand, with the bracket before it."""


def short(number: float) -> str:
    """Write a number with six significant digits at most and a true minus sign."""
    return f"{number + 0.0:.6g}".replace("-", "−").replace("inf", "∞").replace("nan", "NaN")


def enclosed(number: float) -> str:
    """Write a number so that it may follow an operator."""
    text = short(number)
    return f"({text})" if text.startswith("−") else text


def expression(term: Term) -> str:
    """Write how a number comes about, as in 2 × 1.9."""
    many = ANY_NUMBER.search(term.pattern)
    if many is None:
        return _filled(term.pattern, term.operands)
    before, after = term.pattern[: many.start()], term.pattern[many.end() :]
    first, last = before.count("{}"), len(term.operands) - after.count("{}")
    write = short if many[1].strip() == "," else enclosed
    middle = joined([write(number) for number in term.operands[first:last]], many[1])
    return f"{_filled(before, term.operands[:first])}{middle}{_filled(after, term.operands[last:])}"


def _filled(pattern: str, operands: Sequence[float]) -> str:
    """Put operands in their places; one that follows a bracket needs none of its own."""
    numbers = iter(operands)
    return PLACE.sub(lambda place: place[1] + (short if place[1] else enclosed)(next(numbers)), pattern)


def equation(term: Term) -> str:
    """Write how a number comes about and what it is, as in 2 × 1.9 = 3.8; a number that is only itself, once.

    A comparison, which decides a number rather than giving it, stands as it is.
    """
    how, value = expression(term), short(term.value)
    if how in (value, f"({value})"):
        return value
    return how if " = " in how or " < " in how else f"{how} = {value}"


def joined(parts: Sequence[str], separator: str) -> str:
    """Join parts; of very many only the first ones and the last."""
    shown = [*parts[: MOST - 2], "…", parts[-1]] if len(parts) > MOST else parts
    return separator.join(shown)


def listed(numbers: Iterable[float]) -> str:
    """Write numbers as a list."""
    return f"[{joined([short(number) for number in numbers], ', ')}]"
