"""Every row of "coming from" has a case, and every field that it names is one of the request."""

import ast
import re
from dataclasses import asdict
from importlib import import_module
from pathlib import Path

import httpx
import pytest

from development.coming_from import LIBRARIES, Library, Row
from service.schemas.attention import AttentionRequest
from service.schemas.masks import MaskSchema
from tests.coming_from.answers import assert_same_results
from tests.coming_from.compute import to_json

CASES = Path(__file__).parent / "cases"
ROWS = [(library, row) for library in LIBRARIES for row in library.rows]
KNOWN = {*AttentionRequest.model_fields, "output", "log_base", "alibi", "rotary"}
"""Fields of a request and of a merge, and names of positions."""
WRITTEN = [library for library in LIBRARIES if not library.installed]


def functions_of(library: Library) -> set[str]:
    """The cases of a library, whose module may need a library that is not installed here."""
    tree = ast.parse((CASES / f"{library.name}.py").read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")}


@pytest.mark.parametrize("library", LIBRARIES, ids=lambda library: library.name)
def test_rows_and_cases_are_the_same(library: Library) -> None:
    cases = [row.case for row in library.rows]
    assert len(set(cases)) == len(cases)
    assert set(cases) == functions_of(library)


def test_every_module_of_cases_belongs_to_a_library() -> None:
    assert {path.stem for path in CASES.glob("*.py")} - {"__init__"} == {library.name for library in LIBRARIES}


@pytest.mark.parametrize(("library", "row"), ROWS, ids=[f"{library.name}-{row.case}" for library, row in ROWS])
def test_a_row_names_fields_of_the_request(library: Library, row: Row) -> None:
    assert row.ours.en == "–" or "`" in row.ours.en
    for name, inside in re.findall(r"`([a-z_]+)(?:\.([a-z_]+))?[`.:]", row.ours.en):
        assert name in KNOWN, name
        assert name != "mask" or inside in MaskSchema.model_fields, inside


@pytest.mark.parametrize(
    ("library", "case"),
    [(library, row.case) for library in WRITTEN for row in library.rows],
    ids=[f"{library.name}-{row.case}" for library in WRITTEN for row in library.rows],
)
async def test_a_row_gives_what_the_documentation_defines(
    client: httpx.AsyncClient, library: Library, case: str
) -> None:
    module = import_module(f"tests.coming_from.cases.{library.name}")
    await assert_same_results(client, to_json(asdict(getattr(module, case)())))


@pytest.mark.parametrize("library", WRITTEN, ids=lambda library: library.name)
def test_every_documented_argument_has_a_row(library: Library) -> None:
    module = import_module(f"tests.coming_from.cases.{library.name}")
    assert set(module.ARGUMENTS) <= {name for row in library.rows for name in row.arguments}
