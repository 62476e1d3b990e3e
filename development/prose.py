"""Check the wording of every text of the project against `prose.toml`.

``python -m development.prose [PATH…]`` reads the named files, by default every file that git tracks, and prints one
line for each finding: ``path:line: received "…"; use …``.  The exit code is 1 if there is any.

Phrases are looked up everywhere: code, comments, docstrings, messages and documentation.  Private names are looked up
as whole identifiers in code.
"""

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent
RULES = Path(__file__).with_name("prose.toml")


@dataclass(frozen=True, slots=True)
class Rule:
    """A wording that the project does not use: the pattern, and the advice that replaces it."""

    pattern: re.Pattern[str]
    advice: str
    suffixes: frozenset[str] | None = None
    """Suffixes of the files in which the rule holds; None means all."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A place where a rule is broken; `line` counts from 1."""

    path: str
    line: int
    received: str
    advice: str

    def __str__(self) -> str:
        return f'{self.path}:{self.line}: received "{self.received}"; use {self.advice}'


@cache
def rules() -> tuple[Rule, ...]:
    """Return the rules of `prose.toml`."""
    table = tomllib.loads(RULES.read_text())
    code = frozenset(table["code_suffixes"])
    phrases = (Rule(re.compile(row["pattern"], re.IGNORECASE), row["advice"]) for row in table["phrase"])
    names = (Rule(re.compile(rf"\b{row['name']}\b"), row["advice"], code) for row in table["name"])
    return (*phrases, *names)


def check_text(path: str, text: str) -> Iterator[Finding]:
    """Yield every finding in one text; `path` decides which rules hold and is repeated in the findings."""
    suffix = Path(path).suffix
    for rule in rules():
        if rule.suffixes is not None and suffix not in rule.suffixes:
            continue
        for match in rule.pattern.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            yield Finding(path, line, " ".join(match[0].split()), rule.advice)


def tracked_files() -> list[str]:
    """Return the paths of all texts that the project wrote itself, relative to the root."""
    table = tomllib.loads(RULES.read_text())
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    paths = (path for path in listed.stdout.split("\0") if path)
    excluded = [re.compile(pattern) for pattern in table["excluded"]]
    return [path for path in paths if not any(pattern.search(path) for pattern in excluded)]


def check_files(paths: Iterable[str]) -> list[Finding]:
    """Return every finding in files given by their paths relative to the root."""
    return [finding for path in paths for finding in check_text(path, (ROOT / path).read_text())]


def main(paths: list[str]) -> int:
    """Check the files, print the findings and return the exit code."""
    findings = check_files(paths or tracked_files())
    for finding in findings:
        print(finding)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
