"""Numbers as people read them, in formulas and sentences."""

import re
from collections.abc import Iterable, Sequence

from attention_core.interfaces import Term

MOST = 12
"""A sum or a list of so many is written out; of a longer one the first and the last."""

ANY_NUMBER = re.compile(r"\{\*([^}]*)\}")
"""The place of a pattern that takes any number of operands, with what stands between them."""


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
        return term.pattern.format(*map(enclosed, term.operands))
    before, after = term.pattern[: many.start()], term.pattern[many.end() :]
    first, last = before.count("{}"), len(term.operands) - after.count("{}")
    write = short if many[1].strip() == "," else enclosed
    middle = joined([write(number) for number in term.operands[first:last]], many[1])
    inside = before.format(*map(enclosed, term.operands[:first])), after.format(*map(enclosed, term.operands[last:]))
    return f"{inside[0]}{middle}{inside[1]}"


def equation(term: Term) -> str:
    """Write how a number comes about and what it is, as in 2 × 1.9 = 3.8; a number that is only itself, once."""
    how, value = expression(term), short(term.value)
    return how if how in (value, f"({value})") or " = " in how else f"{how} = {value}"


def joined(parts: Sequence[str], separator: str) -> str:
    """Join parts; of very many only the first ones and the last."""
    shown = [*parts[: MOST - 2], "…", parts[-1]] if len(parts) > MOST else parts
    return separator.join(shown)


def listed(numbers: Iterable[float]) -> str:
    """Write numbers as a list."""
    return f"[{joined([short(number) for number in numbers], ', ')}]"
