"""The pages taken apart, for the tests that run or compare their snippets: the READMEs and every page below `docs`.

The line that opens a snippet names its language and its use, as ``bash request`` or ``python run``; `KINDS` lists them.
"""

import contextlib
import math
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SUFFIXES = {"en": ".md", "zh": ".zh-CN.md"}
LANGUAGES = {language: f"README{suffix}" for language, suffix in SUFFIXES.items()}
KIND_FOLDERS = ("tutorials", "how-to", "reference", "explanation")
"""Folders of `docs`, after the four kinds of documentation that Diátaxis tells apart."""

PAGE_NAMES = (
    *LANGUAGES.values(),
    "CONTRIBUTING.md",
    *sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md")),
)
STEMS = [stem for name in PAGE_NAMES if name.endswith(SUFFIXES["zh"]) for stem in [name.removesuffix(SUFFIXES["zh"])]]
"""The pages that are there in both languages, without their suffix; the README is the first."""

CLIENTS = ("py client", "ts client")
"""Snippets that import a generated client; `tests/clients` runs them."""

KINDS: dict[str, tuple[str, ...]] = {
    "json answer": ("bash request",),
    "http answer": ("bash request",),
    "text output": ("bash shell", "bash curl", "python run", "js run", *CLIENTS),
} | dict.fromkeys(
    (
        *("bash request", "bash draw", "bash shell", "bash curl", "bash serve", "bash commands", "bash generate"),
        *(
            "bash develop",
            "python run",
            "python declaration",
            "python signature",
            "python session",
            "text formulas",
            *CLIENTS,
            "formulas",
            "tree",
            "layers",
            "mermaid diagram",
            *("bash cluster", "yaml values", "yaml adapter"),
            *("nginx configuration", "haproxy configuration", "yaml envoy"),
            "js run",
        ),
    ),
    (),
)
"""Every kind of snippet, and the kinds one of which it must follow at once where it is the result of another."""

LEFT_OUT = "…"
"""As an element of a list in an answer: one or more elements of the answer are not shown.

As a member of an object, or as a header of an answer: a text that differs from one run to the next, such as the version
of a memory or a time.  In a header of a request of the same section: the version in the answer before.
"""

VERSION_OR_TIME = r"(?:[A-Za-z0-9_-]{16}|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)"
"""What `LEFT_OUT` may stand for in an object."""


@dataclass
class Section:
    """What stands between two headings."""

    title: str
    page: str
    prose: str = ""
    snippets: list[tuple[str, str]] = field(default_factory=list)
    tables: list[list[list[str]]] = field(default_factory=list)


def read(name: str) -> list[Section]:
    """Take Markdown apart into sections; raise for code that is not between two lines of three backticks."""
    sections: list[Section] = []
    lines = iter((ROOT / name).read_text(encoding="utf-8").splitlines())
    previous = ""
    for line in lines:
        if line.startswith("#"):
            sections.append(Section(line, name))
        elif line.lstrip().startswith("```"):
            sections[-1].snippets.append((line[3:], "\n".join(fenced(lines))))
        elif line.startswith("|"):
            if not previous.startswith("|"):
                sections[-1].tables.append([])
            sections[-1].tables[-1].append(cells(line))
        elif line.startswith(("    ", "\t", "~~~")):
            raise ValueError(f"code in a form that is not read: {line}")
        else:
            sections[-1].prose += line + " "
        previous = line
    return sections


def cells(line: str) -> list[str]:
    """The cells of one line of a table; a bar that belongs to a cell is written with a backslash."""
    return [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def fenced(lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        if line == "```":
            return
        yield line
    raise ValueError("a fence is never closed")


PAGES = {name: read(name) for name in PAGE_NAMES}
MANUAL = {
    language: [section for stem in STEMS for section in PAGES[f"{stem}{suffix}"]]
    for language, suffix in SUFFIXES.items()
}
"""The sections of all pages that are there in both languages, in the same order in each."""


def snippets_of(page: str, *kinds: str) -> list[str]:
    """The snippets of a page that are of one of these kinds, in order."""
    return [code for section in PAGES[page] for kind, code in section.snippets if kind in kinds]


def page_of(language: str, stem: str) -> list[Section]:
    """The sections of a page in one language."""
    return PAGES[f"{stem}{SUFFIXES[language]}"]


def with_results(page: str, kind: str) -> list[tuple[str, str | None]]:
    """The snippets of a page that are of this kind, each with its result: the snippet behind it, or None."""
    pairs = [
        (before, after)
        for section in PAGES[page]
        for before, after in pairwise([*section.snippets, ("", "")])
        if before[0] == kind
    ]
    return [(code, result if KINDS.get(follower) else None) for (_, code), (follower, result) in pairs]


def pages_with(*kinds: str) -> list[str]:
    """The names of the pages that have a snippet of one of these kinds."""
    return [page for page in PAGES if snippets_of(page, *kinds)]


def commands(script: str) -> Iterator[list[str]]:
    """The commands of a script as words; a command ends with its line unless a quote or a backslash is open."""
    held = ""
    for line in script.replace("\\\n", " ").splitlines():
        held += line + "\n"
        with contextlib.suppress(ValueError):
            yield shlex.split(held)
            held = ""
    assert not held, f"a quote is never closed: {held}"


def all_commands(*program: str) -> list[Any]:
    """Every shown command of one program, once: its words without leading assignments, with the page for the id."""
    found: dict[str, Any] = {}
    for page, sections in PAGES.items():
        scripts = snippets_of(page, "bash serve", "bash commands")
        inline = [
            code
            for section in sections
            for code in codes(section.prose)
            if re.match(r"(\w+=\S+ )*(docker|make) ", code)
        ]
        for script in [*scripts, *inline]:
            for words in commands(script):
                assignments, rest = split_assignments(words)
                if rest[: len(program)] == list(program):
                    shown = pytest.param(assignments, rest, id=f"{page}-{' '.join(words)[:60]}")
                    found.setdefault(shlex.join(words), shown)
    return list(found.values())


def split_assignments(words: list[str]) -> tuple[dict[str, str], list[str]]:
    first = next(index for index, word in enumerate(words) if not re.fullmatch(r"\w+=.*", word))
    return dict(word.split("=", 1) for word in words[:first]), words[first:]


def section_about(language: str, path: str) -> Section:
    """The section whose first request goes to this path."""
    [section] = [
        section
        for section in MANUAL[language]
        if re.search(rf"^curl \S+ \S+{re.escape(path)} ", next((code for _, code in section.snippets), ""))
    ]
    return section


def codes(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def table(language: str, title: str) -> list[list[str]]:
    """The rows of the table whose first English column has this title; both languages have the same tables in order."""
    tables = {name: [rows for section in sections for rows in section.tables] for name, sections in MANUAL.items()}
    [position] = [position for position, rows in enumerate(tables["en"]) if rows[0][0] == title]
    return tables[language][position][2:]


def assert_same(received: Any, shown: Any, path: str = "") -> None:
    """Equal keys, lengths and texts; numbers to 1e-12.  What `LEFT_OUT` stands for is all that is not compared."""
    if isinstance(shown, dict):
        assert isinstance(received, dict), f"{path}: received {received!r}"
        assert received.keys() == shown.keys(), f"{path}: {sorted(received)} is not {sorted(shown)}"
        for name in shown:
            if shown[name] == LEFT_OUT:
                assert_differs_in_each_run(received[name], f"{path}/{name}")
            else:
                assert_same(received[name], shown[name], f"{path}/{name}")
    elif isinstance(shown, list) and LEFT_OUT in shown:
        assert isinstance(received, list), f"{path}: received {received!r}"
        before, after = shown[: shown.index(LEFT_OUT)], shown[shown.index(LEFT_OUT) + 1 :]
        assert len(received) >= len(shown), f"{path}: nothing is left out of {len(received)} elements"
        assert_same(received[: len(before)], before, path)
        assert_same(received[len(received) - len(after) :], after, f"{path}/{LEFT_OUT}")
    elif isinstance(shown, list):
        assert isinstance(received, list), f"{path}: received {received!r}"
        assert len(received) == len(shown), f"{path}: {len(received)} elements, {len(shown)} are shown"
        for index, (one, other) in enumerate(zip(received, shown, strict=True)):
            assert_same(one, other, f"{path}/{index}")
    elif isinstance(shown, int | float) and not isinstance(shown, bool):
        assert type(received) in (int, float), f"{path}: received {received!r}"
        assert math.isclose(received, shown, rel_tol=1e-12, abs_tol=1e-12), f"{path}: received {received!r}"
    else:
        assert received == shown, f"{path}: received {received!r}"


def assert_differs_in_each_run(received: Any, path: str) -> None:
    """A version of a memory, or a time (RFC 3339, UTC)."""
    assert isinstance(received, str), f"{path}: received {received!r}"
    assert re.fullmatch(VERSION_OR_TIME, received), f"{path}: received {received!r}, which can be shown"
