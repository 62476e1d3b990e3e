"""One row of the table: names that others use, and what they are here."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["field", "score_model", "normalizer", "position", "scaling", "dtype", "include", "offset", "layout"]
"""Whether a name is that of a field (or parameter, input, argument), or one of the choices of a field."""

PLACE = re.compile(r"\{([a-z0-9_.]+)(?:=([^}]*))?\}")

Write = Callable[[str, str | None], str]
"""Writes a place, and the value to put there if there is one, as a request of some kind spells it."""

CHOICES = ("score_model", "normalizer", "position")
"""Fields whose objects are told apart by name; in a place the name follows: ``normalizer.softmax.sink``."""


@dataclass(frozen=True, slots=True)
class Translation:
    """A row of the table: names of other libraries, and the text that says what to send here instead.

    Places stand in braces in `words`, with the value to send behind an equals sign: ``{mask.causal=true}``.  They are
    the paths of a request to /v1/attention; a score model, normalizer or position is followed by its name:
    ``{normalizer.softmax.sink=0}``.

    :param called: names, in lower case with underscores, blanks between them.
    :param words: text with places in braces.
    :param within: field whose object the name stands in; empty for anywhere.
    """

    called: str
    words: str
    within: str = ""

    @property
    def names(self) -> list[str]:
        """Each name."""
        return self.called.split()

    @property
    def places(self) -> tuple[tuple[str, str | None], ...]:
        """Each place that the words name, and the value to put there."""
        return tuple((match[1], match[2]) for match in PLACE.finditer(self.words))

    def text(self, write: Write) -> str:
        """Return the words with every place as a request spells it."""
        return fill_places(self.words, write)


def fill_places(text: str, write: Write) -> str:
    """Return a text with every place in braces, such as ``{mask.causal=true}``, as a request spells it."""
    return PLACE.sub(lambda match: write(match[1], match[2]), text)


def split(place: str) -> tuple[tuple[str, ...], str | None]:
    """Return the steps to a place as a request nests them, and the name of the object that has it.

    ``normalizer.softmax.sink`` is ``("normalizer", "sink")`` of ``softmax``, and ``normalizer.softmax`` itself
    ``("normalizer",)``.
    """
    steps = tuple(place.split("."))
    if steps[0] in CHOICES and len(steps) > 1:
        return (steps[0], *steps[2:]), steps[1]
    return steps, None


def as_json(place: str, value: str | None, above: tuple[str, ...] = ()) -> str:
    """Write a place as /v1/attention nests it: ``mask.key_lengths``, or ``"mask": {"causal": true}`` with a value.

    `above` are the objects that a request stands in where it is part of a larger one.
    """
    steps, name = split(place)
    only_name = name is not None and len(steps) == 1
    path = ".".join((*above, *steps))
    if value is None and not only_name:
        return path + (f" of {name}" if name else "")
    written: Any = _nested(steps, name, name if only_name else read_value(place, value or ""))
    for step in reversed(above):
        written = {step: written}
    text = json.dumps(written)[1:-1]
    return text if len(steps) == 1 else f"{path}: {text}"


def as_python(place: str, value: str | None) -> str:
    """Write a place as a keyword argument: ``mask={'causal': True}``; ``...`` stands for a value that is not given."""
    steps, name = split(place)
    if value is None and len(steps) == 1:
        return steps[0] if name is None else f"{steps[0]}={name!r}"
    inside = _nested(steps, name, "..." if value is None else read_value(place, value))[steps[0]]
    return f"{steps[0]}={inside!r}".replace("'...'", "...")


def read_value(place: str, value: str) -> Any:
    """Return the value of a place: a JSON literal, or else a string; in a list where the place holds one."""
    try:
        read = json.loads(value)
    except ValueError:
        read = value
    return [read] if place == "include" else read


def _nested(steps: tuple[str, ...], name: str | None, value: Any) -> dict[str, Any]:
    """Return the value in the objects that lead to it; the object that is told apart by its name has that as well."""
    field, *inside = steps
    for step in reversed(inside):
        value = {step: value}
    return {field: {"name": name, **value} if name is not None and inside else value}
