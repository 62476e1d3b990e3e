"""Names and numbers in the query of a URL."""

import re
from collections.abc import Sequence

from attention_core import UnknownName
from attention_core.errors import InvalidValue
from attention_core.hints import did_you_mean
from service.schemas.parse import call_errors

INTEGER = re.compile(r"[0-9]{1,9}")


def check_query(names: Sequence[str], known: Sequence[str]) -> None:
    """Raise InvalidRequest for a name in a query that is unknown, or given twice.

    :param names: every name, as often as it is given.
    :param known: the names that the path has.
    """
    with call_errors():
        for position, name in enumerate(names):
            if name not in known:
                error = UnknownName((name,), expected="a name in the query", kind="field", received=name, known=known)
                error.advice = did_you_mean(name, known) or "Use one of these names."
                raise error
            if name in names[:position]:
                raise InvalidValue(
                    (name,), expected="each name once in the query", received=f"{name} twice", advice="Leave one out."
                )


def read_integer(name: str, text: str | None, *, default: int, least: int, most: int) -> int:
    """Return an integer of a query; raise InvalidRequest unless it is one between `least` and `most`.

    :param name: in the query.
    :param text: as it was sent; None where the query has no such name.
    :param default: returned then.
    """
    if text is None:
        return default
    number = int(text) if INTEGER.fullmatch(text) else -1
    if not least <= number <= most:
        with call_errors():
            raise InvalidValue(
                (name,),
                expected=f"an integer from {least} to {most}",
                received=repr(text[:40]),
                advice="Send digits alone, or leave it out.",
            )
    return number
