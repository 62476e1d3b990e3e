"""The page about the architecture names paths, classes and layers that exist."""

import re
import tomllib
from itertools import pairwise

import pytest

from tests.promises.readme import ROOT

PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
PROSE = re.sub(r"```.*?```", "", PAGE, flags=re.DOTALL)
CODES = re.findall(r"`([^`]+)`", PROSE)
PATHS = sorted({code for code in CODES if re.fullmatch(r"[\w.-]+(/[\w.-]+)+", code)})
CLASSES = sorted({code for code in CODES if re.fullmatch(r"[A-Z][A-Za-z]+", code)} - {"POST"})
SOURCES = "\n".join(
    path.read_text(encoding="utf-8")
    for package in ("attention_core", "service")
    for path in (ROOT / package).rglob("*.py")
)


@pytest.mark.parametrize("path", PATHS)
def test_a_named_path_exists(path: str) -> None:
    assert (ROOT / path).exists()


@pytest.mark.parametrize("name", CLASSES)
def test_a_named_class_is_defined(name: str) -> None:
    assert re.search(rf"^class {name}\b", SOURCES, re.MULTILINE)


def test_the_diagram_has_modules_and_imports_that_the_contracts_allow() -> None:
    diagram = re.search(r"```mermaid diagram\n(.*?)```", PAGE, re.DOTALL)[1]
    layers = {
        contract["containers"][0]: contract["layers"]
        for contract in tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
            "contracts"
        ]
        if contract["type"] == "layers"
    }
    for package, body in re.findall(r"subgraph (\w+)\n(.*?)\n    end", diagram, re.DOTALL):
        height = {
            module: place for place, line in enumerate(layers[package]) for module in re.split(r" [|:] ", line.strip())
        }
        arrows = [arrow for line in body.splitlines() for arrow in chain(line)]
        assert arrows
        for upper, lower in arrows:
            assert height[upper] <= height[lower], f"{package}: {upper} may not import {lower}"


def chain(line: str) -> list[tuple[str, str]]:
    """Return the arrows of one line, `a --> b --> c`."""
    names = line.split("-->")
    return [(first.strip(), second.strip()) for first, second in pairwise(names)]
