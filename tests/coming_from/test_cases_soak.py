"""Every row of "coming from" gives what the other library computes: its case is computed there and asked of us."""

import json
import re
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest

from development.coming_from import LIBRARIES, Library, Row
from tests.coming_from.answers import assert_same_results

pytestmark = pytest.mark.soak
INSTALLED = [library for library in LIBRARIES if library.installed]
ROWS = [(library, row) for library in INSTALLED for row in library.rows]


@pytest.fixture(scope="session")
def computed(project: Path) -> Callable[[Library], dict[str, Any]]:
    """Return a function that computes all cases of a library, once."""

    @cache
    def compute(name: str) -> dict[str, Any]:
        python = project / ".venv-peers" / "bin" / "python"
        command = [python, "-m", "tests.coming_from.compute", name]
        ended = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False, timeout=600)
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout)

    return lambda library: compute(library.name)


@pytest.mark.parametrize(("library", "row"), ROWS, ids=[f"{library.name}-{row.case}" for library, row in ROWS])
async def test_a_row_gives_what_the_library_computes(
    client: httpx.AsyncClient, computed: Callable[[Library], dict[str, Any]], library: Library, row: Row
) -> None:
    case = computed(library)["cases"][row.case]
    await assert_same_results(client, case)
    for field, formula in re.findall(r'`(mask|score_modifier)\.formula: "(.*?)"`', row.ours.en):
        assert case["request"][field]["formula"] == formula


@pytest.mark.parametrize("library", INSTALLED, ids=lambda library: library.name)
def test_every_argument_of_the_library_has_a_row(
    computed: Callable[[Library], dict[str, Any]], library: Library
) -> None:
    named = {name for row in library.rows for name in row.arguments}
    assert set(computed(library)["arguments"]) <= named


@pytest.mark.parametrize("library", INSTALLED, ids=lambda library: library.name)
def test_every_case_has_a_row(computed: Callable[[Library], dict[str, Any]], library: Library) -> None:
    assert set(computed(library)["cases"]) == {row.case for row in library.rows}
