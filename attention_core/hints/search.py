"""Find what an unknown name may mean: by the table, by its place here, and by its spelling last."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache

from attention_core.hints.masks import MASKS
from attention_core.hints.names import CHOICE_NAMES
from attention_core.hints.options import OPTIONS
from attention_core.hints.spelling import fold, nearest
from attention_core.hints.tensors import TENSORS
from attention_core.hints.translation import Kind, Translation, Write, split

TABLE: Mapping[Kind, tuple[Translation, ...]] = {"field": (*MASKS, *TENSORS, *OPTIONS), **CHOICE_NAMES}
"""All rows, by the kind of their names."""

CONFUSED: Mapping[Kind, tuple[Kind, ...]] = {
    "score_model": ("normalizer", "position"),
    "normalizer": ("score_model", "position"),
    "position": ("score_model", "normalizer"),
}
"""Choices that are sent in the place of one another, as in ``score_model: "softmax1"``."""


@dataclass(frozen=True, slots=True)
class OwnNames:
    """Every place of a request by the last of its names.

    :param places: as in `Translation`, ``mask.causal`` or ``normalizer.softmax.sink``; choices that are no objects are
        values, ``include=logsumexp``, and are found by these.
    """

    places: tuple[str, ...] = ()
    _by_name: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for place in self.places:
            steps, chosen = split(place)
            names = {fold(last_name(place))}
            if "=" not in place and (len(steps) > 1 or chosen is None):
                names.add(fold("_".join(steps)))
            for name in names:
                self._by_name.setdefault(name, []).append(place)

    def find(self, name: str) -> list[str]:
        """Return the outermost places that have this name, or that are spelled so with their objects."""
        found = self._by_name.get(fold(name), [])
        depths = {place: len(split(place)[0]) for place in found}
        return [place for place in found if depths[place] == min(depths.values())]

    @property
    def names(self) -> set[str]:
        """The last name of each place."""
        return {last_name(place) for place in self.places}


def last_name(place: str) -> str:
    """Return the name by which a place is found: its value if it has one, else the last of its steps."""
    return place.rpartition("=" if "=" in place else ".")[2]


NOTHING = OwnNames()


def advise(
    received: str, known: Collection[str], *, kind: Kind, write: Write, own: OwnNames = NOTHING, within: str = ""
) -> str:
    """Return advice about a name that is not known where it stands; empty when there is none.

    A known name that differs in capitals, hyphens or underscores alone comes first, then the table, then a place of
    this name elsewhere in a request, and only then a known name that is spelled nearly the same.  The module before a
    number type does not count: ``torch.float16``.

    :param received: name as it was sent.
    :param known: names that are right there.
    :param kind: kind of the name.
    :param write: writes a place as a request of this kind spells it.
    :param own: places of a request, to search for the name; default none.
    :param within: field whose object the name stands in; default none.
    """
    if kind == "dtype":
        received = received.rpartition(".")[2]
    same = [name for name in known if fold(name) == fold(received)]
    if same:
        return _ask(same)
    row = translation(received, kind, within)
    beside = [place for place in own.find(received) if within in CONFUSED and split(place)[0][:-1] == (within,)]
    # A parameter of another score model, normalizer or position, unless the object itself has a row about the name.
    if beside and (row is None or not row.within):
        return f"Its place is {_either(written(beside, write))}."
    if row is not None:
        return row.text(write)
    # Outside of any object, a place that is written as the name was sent is the one that was refused.
    elsewhere = [place for place in own.find(received) if within or write(place, None) != received]
    if elsewhere:
        outside = f", not in {within}" if within and within not in elsewhere[0] else ""
        return f"Its place is {_either(written(elsewhere, write))}{outside}."
    confused = [row for other in CONFUSED.get(kind, ()) if (row := translation(received, other))]
    return confused[0].text(write) if confused else _by_spelling(received, known, own, write)


def translation(name: str, kind: Kind, within: str = "") -> Translation | None:
    """Return the row about a name, one about the object that it stands in first."""
    folded, rows = fold(name), _rows_by_name()
    return rows.get((kind, within, folded)) or rows.get((kind, "", folded))


@cache
def _rows_by_name() -> Mapping[tuple[Kind, str, str], Translation]:
    """Return the rows by kind, object and name; made with the first hint, since an import should not wait for it."""
    return {(kind, row.within, fold(name)): row for kind, rows in TABLE.items() for row in rows for name in row.names}


def written(places: Iterable[str], write: Write) -> list[str]:
    """Return places as a request spells them; those of several score models or normalizers are one with all names."""
    names: dict[tuple[str, ...], list[str]] = {}
    texts: dict[tuple[str, ...], list[str]] = {}
    for place in places:
        path, _, value = place.partition("=")
        steps, name = split(path)
        names.setdefault(steps, []).append(name or "")
        texts.setdefault(steps, []).append(write(path, value or None))
    return [
        text[0] + "".join(f" or {name}" for name in names[steps][1:]) if len(steps) > 1 else _either(text)
        for steps, text in texts.items()
    ]


def _by_spelling(received: str, known: Collection[str], own: OwnNames, write: Write) -> str:
    asked = did_you_mean(received, known)
    if asked:
        return asked
    elsewhere = nearest(received, own.names, limit=1)
    if len(elsewhere) != 1 or elsewhere[0] == received:
        return ""
    return f"{_ask(elsewhere)} Its place is {_either(written(own.find(elsewhere[0]), write))}."


def did_you_mean(received: str, known: Collection[str]) -> str:
    """Return the names that are spelled nearly the same as a question; empty when none is."""
    found = nearest(received, known)
    return _ask(found) if found else ""


def _ask(names: Iterable[str]) -> str:
    return f"Did you mean {_either(repr(name) for name in names)}?"


def _either(words: Iterable[str]) -> str:
    return " or ".join(words)
