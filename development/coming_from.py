"""Tables of arguments of other libraries and what they are here: `coming_from.toml` as a page of the documentation."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attention_core.descriptions import Text
from development.tables import Language, table

TITLES = Text("那里", "There"), Text("这里", "Here"), Text("说明", "Remark")


@dataclass(frozen=True, slots=True)
class Row:
    """An argument of a library, and what it is here.

    :param theirs: names in backquotes, and a value of theirs where it matters.
    :param ours: what to send, in backquotes; "–" for nothing.
    :param remark: what differs.
    :param case: name of the function in the module of the library's cases that computes both.
    """

    theirs: Text
    ours: Text
    remark: Text
    case: str

    @property
    def arguments(self) -> list[str]:
        """Names of the arguments that the row is about."""
        return re.findall(r"\b[A-Za-z_]\w*\b", " ".join(re.findall(r"`([^`]+)`", self.theirs.en)))


@dataclass(frozen=True, slots=True)
class Library:
    """A function or a group of layers, with its rows.

    :param name: of the library, and of the module of its cases in `tests/coming_from`.
    :param installed: whether the library computes on a CPU, so that its cases call it; the cases of any other are
        written after its documentation, with NumPy.
    """

    name: str
    title: Text
    intro: Text
    installed: bool
    rows: tuple[Row, ...]


def _text(written: str | Mapping[str, Any]) -> Text:
    """Return a text in both languages; one of code alone is written once."""
    if isinstance(written, str):
        return Text(written, written)
    return Text(written.get("zh", ""), written.get("en", ""))


def _library(name: str, written: Mapping[str, Any]) -> Library:
    rows = tuple(Row(_text(row["theirs"]), _text(row["ours"]), _text(row), row["case"]) for row in written["rows"])
    return Library(name, _text(written["title"]), _text(written), written["installed"], rows)


LIBRARIES = tuple(
    _library(name, written)
    for name, written in tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8")).items()
)


def coming_from(language: Language) -> list[str]:
    """Return the lines of the page below its introduction: a section with a table for each library."""
    lines: list[str] = []
    for library in LIBRARIES:
        rows = ([getattr(text, language) for text in (row.theirs, row.ours, row.remark)] for row in library.rows)
        lines += ["", f"## {getattr(library.title, language)}", "", getattr(library.intro, language)]
        lines += table(language, TITLES, rows)[:-1]
    return [*lines, ""]
