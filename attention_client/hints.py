"""Advice about an argument, a number type or a result that the client does not know.

The table of what other libraries call things belongs to the core, which the client works without: it is imported when
an error is raised, if it is installed.
"""

from collections.abc import Collection
from typing import Literal

from attention_client.names import PLACES


def advice(received: str, known: Collection[str], kind: Literal["field", "dtype", "include"]) -> str:
    """Return what to send instead, with a blank before it; empty if nothing like it is known.

    :param received: the unknown name.
    :param known: the names that would be right.
    :param kind: whether the name is that of an argument, a number type or a result.
    """
    try:
        from attention_core.hints import OwnNames, advise, as_json, as_python
    except ImportError:
        return ""

    def write(place: str, value: str | None) -> str:
        if kind == "field" and place.partition(".")[0] not in {*known, *PLACES}:
            return f"{as_json(place, value)} in POST /v1/attention"
        return as_python(place, value)

    text = advise(received, known, kind=kind, write=write, own=OwnNames(PLACES))
    return f" {text}" if text else ""
