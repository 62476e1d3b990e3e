"""The commands and values that the guide `docs/how-to/cluster.md` and the tutorial before it show."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import yaml

from tests.promises.readme import PAGES, commands

PAGE = "docs/how-to/cluster.md"
TUTORIAL = "docs/tutorials/one-container-to-a-cluster.md"
SECTIONS = (*PAGES[PAGE], *PAGES[TUTORIAL])


def shown_values() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the values of each snippet, with the title of its section."""
    for section in SECTIONS:
        for kind, code in section.snippets:
            if kind == "yaml values":
                yield section.title.strip("# "), yaml.safe_load(code)


def shown_commands(program: str) -> Iterator[tuple[list[str], dict[str, Any]]]:
    """Yield each command of a program as words, with the values of the snippet before it."""
    for section in SECTIONS:
        for (before, values), (kind, code) in pairwise([("", ""), *section.snippets]):
            for words in commands(code) if kind == "bash cluster" else ():
                if words[0] == program:
                    yield words, yaml.safe_load(values) if before == "yaml values" else {}


def adapter_rule() -> dict[str, Any]:
    """Return the rule of the Prometheus adapter."""
    [rule] = [code for section in PAGES[PAGE] for kind, code in section.snippets if kind == "yaml adapter"]
    return yaml.safe_load(rule)["rules"][0]
