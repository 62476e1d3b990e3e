"""The pages themselves: what the first screen has, what both languages share, where links lead, the source tree."""

import json
import re
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest

from development.playground_links import PLAYGROUND
from service.examples import load_examples
from tests.promises.readme import (
    KIND_FOLDERS,
    LANGUAGES,
    LEFT_OUT,
    PAGES,
    ROOT,
    STEMS,
    SUFFIXES,
    codes,
    commands,
    page_of,
)

MAX_README_LINES = 150

ENGLISH_ALONE = {"docs/reference/client-api.md", "docs/reference/python-api.md"}
"""Pages for readers of documentation that have no Chinese twin; those for contributors lie in no folder of a kind."""

LOCALIZED = {
    "docs/how-to/coming-from",
    "docs/how-to/cluster",
    "docs/how-to/operating-memories",
    "docs/tutorials/decoding-loop",
    "docs/tutorials/retrieval",
}
"""Pages whose snippets or tables hold texts in the language of the page as code."""

TREE = "docs/source-tree"


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_first_screen_is_two_commands_one_request_and_its_answer(language: str) -> None:
    first = page_of(language, "README")[0].snippets
    assert [kind for kind, _ in first] == ["bash commands", "bash request", "json answer"]
    assert LEFT_OUT not in first[2][1]
    assert first[0][1].splitlines() == ["make serve", "make test"]
    [words] = commands(first[1][1])
    request = load_examples()["honor-of-kings"].request
    assert json.loads(words[words.index("-d") + 1]) == {name: request[name] for name in ("query", "key", "value")}


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_tree_is_the_tree(language: str) -> None:
    drawn = tree_paths(language)
    assert [path for path in drawn if not (ROOT / path).exists()] == []
    for package in ("attention_core", "service"):
        rooms = {path.relative_to(ROOT).as_posix() for path in (ROOT / package).iterdir() if path.name[:2] != "__"} - {
            f"{package}/py.typed"
        }
        assert rooms == {path.rstrip("/") for path in drawn if path.startswith(f"{package}/") and path != f"{package}/"}


def tree_paths(language: str) -> list[str]:
    """The drawn paths; an indented line lies in the last line that is not indented."""
    [lines] = [
        code.splitlines() for section in page_of(language, TREE) for kind, code in section.snippets if kind == "tree"
    ]
    paths, parent = [], ""
    for line in lines:
        name = line.split()[0]
        parent = parent if line.startswith(" ") else name
        paths.append(parent + name if line.startswith(" ") else name)
    return paths


def test_the_layers_are_those_that_make_check_enforces() -> None:
    [shown] = [code for section in page_of("en", TREE) for kind, code in section.snippets if kind == "layers"]
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    layers = [contract for contract in contracts if contract["type"] == "layers"]
    expected = [f"{contract['containers'][0]} {' > '.join(contract['layers'])}" for contract in layers]
    assert " ".join(shown.split()) == " ".join(expected)


IN_ENGLISH = {
    "团战": "team fight",
    "抢龙": "dragon up",
    "射手": "marksman",
    "打野": "jungler",
    "中路": "mid",
    "上路": "top",
    "不缩放": "unscaled",
    "zh": "en",
}
"""What each language writes in its own words in a request."""


def in_either_language(kind: str, code: str) -> Any:
    """What must be the same in both languages: of an answer, which is compared elsewhere, all but its texts."""
    if kind == "json answer":
        return without_texts(json.loads(code))
    if kind == "text output":
        return re.findall(r"[-+.\d]+", code)
    for chinese, english in IN_ENGLISH.items():
        code = code.replace(f'"{chinese}"', f'"{english}"')
    return code


def without_texts(shown: Any) -> Any:
    if isinstance(shown, dict):
        return {name: without_texts(member) for name, member in shown.items()}
    if isinstance(shown, list):
        return [without_texts(element) for element in shown]
    return "" if isinstance(shown, str) and shown != LEFT_OUT else shown


@pytest.mark.parametrize("stem", [stem for stem in STEMS if stem not in LOCALIZED])
def test_both_languages_show_the_same(stem: str) -> None:
    english, chinese = page_of("en", stem), page_of("zh", stem)
    assert [section.title.count("#") for section in english] == [section.title.count("#") for section in chinese]
    for one, other in zip(english, chinese, strict=True):
        code = [
            [(kind, in_either_language(kind, code)) for kind, code in section.snippets if kind != "tree"]
            for section in (one, other)
        ]
        assert code[0] == code[1], one.title
        cells = [[[list(map(codes, row)) for row in rows] for rows in section.tables] for section in (one, other)]
        assert cells[0] == cells[1], one.title


@pytest.mark.parametrize("stem", sorted(LOCALIZED))
def test_pages_in_the_words_of_each_language_have_the_same_sections_and_code(stem: str) -> None:
    """But for the texts in it."""
    english, chinese = page_of("en", stem), page_of("zh", stem)
    assert [section.title.count("#") for section in english] == [section.title.count("#") for section in chinese]
    assert list(without_strings(stem, "en")) == list(without_strings(stem, "zh"))


def without_strings(stem: str, language: str) -> Iterator[tuple[str, Any]]:
    for section in page_of(language, stem):
        for kind, code in section.snippets:
            if kind != "json answer":
                yield kind, re.findall(r"[-+.\d]+", code) if kind == "text output" else re.sub(r'"[^"]*"', '""', code)


def test_both_languages_draw_the_same_tree() -> None:
    assert tree_paths("en") == tree_paths("zh")


@pytest.mark.parametrize("name", LANGUAGES.values())
def test_a_readme_is_short(name: str) -> None:
    assert len((ROOT / name).read_text(encoding="utf-8").splitlines()) <= MAX_README_LINES


@pytest.mark.parametrize("stem", STEMS)
def test_each_language_of_a_page_links_to_the_other(stem: str) -> None:
    name = stem.rpartition("/")[2]
    for language, other in (("en", "zh"), ("zh", "en")):
        first = page_of(language, stem)[0]
        assert f"({name}{SUFFIXES[other]})" in first.prose


def test_every_page_of_a_kind_is_there_in_both_languages() -> None:
    pages = {page for page in PAGES if page.startswith(tuple(f"docs/{folder}/" for folder in KIND_FOLDERS))}
    twins = {f"{stem}{suffix}" for stem in STEMS for suffix in SUFFIXES.values()}
    assert pages - twins == ENGLISH_ALONE


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_index_lists_every_page_of_a_kind_by_its_title(language: str) -> None:
    """In a section of the kind; a page without a Chinese twin is listed in Chinese too."""
    _, *sections = page_of(language, "docs/index")
    for folder, section in zip(KIND_FOLDERS, sections[: len(KIND_FOLDERS)], strict=True):
        stems = {page.removesuffix(".md") for page in PAGES if page.startswith(f"docs/{folder}/")}
        expected = {page for stem in stems for page in [f"{stem}.md"] if stem in STEMS or page in ENGLISH_ALONE}
        pages = {page.replace(".md", SUFFIXES[language]) if page not in ENGLISH_ALONE else page for page in expected}
        links = re.findall(r"\[([^]]+)\]\(([^)]+)\)", section.prose)
        assert sorted(f"docs/{target}" for _, target in links) == sorted(pages)
        for title, target in links:
            assert title == PAGES[f"docs/{target}"][0].title.removeprefix("# ")


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    text = [section.prose for section in PAGES[page]]
    text += [cell for section in PAGES[page] for rows in section.tables for row in rows for cell in row]
    for link in re.findall(r"\]\(([^)\s]+)\)", " ".join(text)):
        path, _, anchor = link.partition("#")
        target = ((ROOT / page).parent / path).resolve() if path else ROOT / page
        assert link.startswith(("https://", f"{PLAYGROUND}#")) or target.is_file(), link
        if anchor and not link.startswith(("https://", PLAYGROUND)):
            titles = PAGES[target.relative_to(ROOT).as_posix()]
            assert anchor in {one.title.lstrip("# ").lower().replace(" ", "-") for one in titles}, link
