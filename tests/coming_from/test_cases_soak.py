"""Every row of "coming from" gives what the other library computes: its case is computed there and asked of us."""

import json
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from development.coming_from import LIBRARIES, Library

pytestmark = pytest.mark.soak
INSTALLED = [library for library in LIBRARIES if library.installed]
ROWS = [(library, row.case) for library in INSTALLED for row in library.rows]


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


def as_array(nested: Any) -> np.ndarray:
    """Return the numbers of an answer: null is minus infinity."""
    leaves = np.array(nested, dtype=object)
    return np.array([-np.inf if leaf is None else float(leaf) for leaf in leaves.ravel()]).reshape(leaves.shape)


@pytest.mark.parametrize(("library", "case"), ROWS, ids=[f"{library.name}-{case}" for library, case in ROWS])
async def test_a_row_gives_what_the_library_computes(
    client: httpx.AsyncClient, computed: Callable[[Library], dict[str, Any]], library: Library, case: str
) -> None:
    asked = computed(library)["cases"][case]
    response = await client.post(asked["path"], json=asked["request"])
    assert response.status_code == 200, response.text
    assert asked["expected"]
    for name, expected in asked["expected"].items():
        found = response.json()
        for step in name.split("."):
            found = found[step]
        # Equal infinities have no difference.
        np.testing.assert_allclose(as_array(found), as_array(expected), rtol=0, atol=asked["tolerance"], err_msg=name)


@pytest.mark.parametrize("library", INSTALLED, ids=lambda library: library.name)
def test_every_argument_of_the_library_has_a_row(
    computed: Callable[[Library], dict[str, Any]], library: Library
) -> None:
    named = {name for row in library.rows for name in row.arguments}
    assert set(computed(library)["arguments"]) <= named


@pytest.mark.parametrize("library", INSTALLED, ids=lambda library: library.name)
def test_every_case_has_a_row(computed: Callable[[Library], dict[str, Any]], library: Library) -> None:
    assert set(computed(library)["cases"]) == {row.case for row in library.rows}
