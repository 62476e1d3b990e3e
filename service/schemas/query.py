"""Names and numbers in the query of a URL."""

import re
from collections.abc import Sequence

from attention_core.errors import echo
from attention_core.hints import did_you_mean
from service.errors import InvalidRequest

INTEGER = re.compile(r"[0-9]{1,9}")


def check_query(names: Sequence[str], known: Sequence[str]) -> None:
    """Raise InvalidRequest for a name in a query that is unknown, or given twice.

    :param names: every name, as often as it is given.
    :param known: the names that the path has.
    """
    for position, name in enumerate(names):
        if name not in known:
            expected, advice = "expected no query", "Leave it out: options are members of the body."
            if known:
                expected = f"expected a name in the query, one of {', '.join(sorted(known))}"
                advice = did_you_mean(name, known) or "Use one of these names."
            raise InvalidRequest.at((name,), f"{expected}; received {echo(name)}. {advice}", "unknown-name")
        if name in names[:position]:
            raise InvalidRequest.at(
                (name,), f"expected each name once in the query; received {name} twice. Leave one out."
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
        detail = (
            f"expected an integer from {least} to {most}; received {echo(text)}. Send digits alone, or leave it out."
        )
        raise InvalidRequest.at((name,), detail)
    return number
