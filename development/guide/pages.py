"""The pages of the site in one language: which file each is made from, and where its links lead."""

import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

Language = Literal["en", "zh"]

LANGUAGES: tuple[Language, ...] = ("en", "zh")
CHINESE = ".zh-CN.md"
"""Ending of the Chinese twin of a page."""

OUTSIDE = {
    "README.md": "readme",
    "CONTRIBUTING.md": "contributing",
    "CHANGELOG.md": "changelog",
    "SECURITY.md": "security",
    "benchmarks/RESULTS.md": "benchmarks",
    "examples/README.md": "examples",
}
"""Pages outside of the folder `docs`, by the name that the site gives them."""

SPECIFICATION = "openapi/openapi.json"

ENGLISH_ALONE = "> 这一页只有英文。"
"""Stands above a page without a Chinese twin on the Chinese site."""

DECISIONS: Mapping[Language, str] = {"en": "Decisions", "zh": "决策记录"}
"""Title of the records in `docs/adr`, which the index does not list."""

PLAIN = ("formulas", "haproxy", "layers", "mermaid", "tree")
"""Languages of snippets that the site shows as plain text."""

CELL = re.compile(r"(?<=^\| )[^\n]+?(?= \|)|(?<= \| )[^\n]+?(?= \|)", re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")
TWIN = re.compile(r"(?:English: |中文：)?\[[^]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^( *```)(\S+)[^\n]*$", re.MULTILINE)
FENCED = re.compile(r"^( *)```.*?^\1```$", re.DOTALL | re.MULTILINE)
MARKER = re.compile(r"^<!-- [^\n]*-->\n", re.MULTILINE)
CONTENTS = re.compile(r"^## ([^\n]+)\n\n((?:- \[[^\n]+\n)+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Site:
    """The pages of one language.

    :param root: folder of the project.
    :param names: the name of each page on the site, by its path below the root; a page that is there in one language
        alone stands on the sites of both.
    :param formulas: LaTeX of the formulas that tables have in plain text, both as they stand in a cell of Markdown.
    """

    root: Path
    language: Language
    names: Mapping[str, str]
    formulas: Mapping[str, str]

    def write(self, folder: Path) -> None:
        """Write every page, and every file that a page links to, into an empty folder that Sphinx reads."""
        index = (self.root / f"docs/index{CHINESE if self.language == 'zh' else '.md'}").read_text(encoding="utf-8")
        sections = {
            section[1]: [_target("docs/index.md", link) for link in LINK.findall(section[2])]
            for section in CONTENTS.finditer(index)
        }
        sections[DECISIONS[self.language]] = [path for path in self.names if path.startswith("docs/adr/")]
        listed = {path for paths in sections.values() for path in paths}
        for path, name in self.names.items():
            text = self._page(path, folder)
            if name == "index":
                text += "".join(self._contents(title, paths) for title, paths in sections.items())
            elif path not in listed:
                # Sphinx warns of a page that no list of contents has.
                text = f"---\norphan: true\n---\n\n{text}"
            target = folder / f"{name}.md"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")

    def _page(self, path: str, folder: Path) -> str:
        """Return the text of a page, its links as they are on the site, without what the generator would not read."""
        text = MARKER.sub("", (self.root / path).read_text(encoding="utf-8"))
        if self.language == "zh" and not path.endswith(CHINESE):
            title, _, rest = text.partition("\n")
            text = f"{title}\n\n{ENGLISH_ALONE}\n{rest}"
        pieces = []
        end = 0
        for fenced in FENCED.finditer(text):
            pieces += [self._prose(text[end : fenced.start()], path, folder), FENCE.sub(_language, fenced[0])]
            end = fenced.end()
        return "".join([*pieces, self._prose(text[end:], path, folder)])

    def _prose(self, text: str, path: str, folder: Path) -> str:
        """Return text between snippets: without the link to the twin of the page, which the site has in its frame."""
        twin = twin_of(path)
        text = CELL.sub(lambda cell: self.formulas.get(cell[0], cell[0]), text)
        text = TWIN.sub(lambda link: "" if _target(path, link[1]) == twin else link[0], text)
        return LINK.sub(lambda link: f"]({self._link(path, link[1], folder)})", text)

    def _link(self, path: str, link: str, folder: Path) -> str:
        """Return a link of a page as it is on the site; files that are no pages are copied."""
        if link.startswith(("#", "https://", "http://")):
            return link
        written, hash_sign, anchor = link.partition("#")
        target = _target(path, written)
        other = twin_of(target)
        here = PurePosixPath(self.names[path]).parent
        for page in (target, other):
            if page in self.names:
                return f"{os.path.relpath(f'{self.names[page]}.md', here)}{hash_sign}{anchor}"
        source = self.root / target
        if source.is_file():
            (folder / "files" / target).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, folder / "files" / target)
            return os.path.relpath(f"files/{target}", here)
        return link

    def _contents(self, title: str, paths: Iterable[str]) -> str:
        """Return a list of contents, from which Sphinx makes the navigation."""
        pages = [self.names[path] for path in paths]
        return "\n".join(["", "```{toctree}", ":hidden:", f":caption: {title}", "", *pages, "```", ""])


def site_in(root: Path, language: Language) -> Site:
    """Return the site of a language, of the project in a folder."""
    return Site(root, language, dict(_named(root, language)), _formulas(root))


def _named(root: Path, language: Language) -> Iterator[tuple[str, str]]:
    inside = {
        path.relative_to(root).as_posix(): path.relative_to(root / "docs").with_suffix("").as_posix()
        for path in sorted((root / "docs").rglob("*.md"))
        if not path.name.endswith(CHINESE)
    }
    for path, name in {**inside, **OUTSIDE}.items():
        twin = twin_of(path)
        yield (twin if language == "zh" and (root / twin).is_file() else path), name


def _formulas(root: Path) -> dict[str, str]:
    """Return the formulas of score models and normalizers, which the examples of the specification hold."""
    paths = json.loads((root / SPECIFICATION).read_text(encoding="utf-8"))["paths"]
    listed = [
        member["formula"]
        for path in ("/v1/score-models", "/v1/normalizers")
        for members in paths[path]["get"]["responses"]["200"]["content"]["application/json"]["example"].values()
        for member in members
    ]
    return {_cell(formula["plain"]): f"${_cell(formula['latex'])}$" for formula in listed}


def _cell(text: str) -> str:
    return text.replace("|", r"\|")


def twin_of(path: str) -> str:
    """Return the path that the page in the other language has."""
    return path.replace(CHINESE, ".md") if path.endswith(CHINESE) else path.removesuffix(".md") + CHINESE


def _target(path: str, link: str) -> str:
    """Return the path below the root that a link of a page leads to."""
    return os.path.normpath(str(PurePosixPath(path).parent / link))


def _language(fence: re.Match[str]) -> str:
    """Return the opening line of a snippet without its use; snippets in languages of ours are plain text."""
    language = fence[2]
    return f"{fence[1]}{'text' if language in PLAIN else language}"
