"""TypeScript clients: generated, compiled strictly, and right in what they send and read."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.clients.conftest import PROGRAMS, Workspace
from tests.clients.snippets import program
from tests.server import Server
from tests.service.specification import ANSWERING

pytestmark = [pytest.mark.soak, pytest.mark.npm]

GENERATORS = ("openapi-typescript", "openapi-ts")


@pytest.fixture(scope="session")
def compiled(workspace: Workspace) -> Path:
    """The programs and all that was generated, compiled with one strict configuration."""
    for generator in GENERATORS:
        workspace.generate(generator)
    for source in (*PROGRAMS.glob("*.ts"), PROGRAMS / "tsconfig.json"):
        shutil.copy(source, workspace.directory)
    (workspace.directory / "shown.ts").write_text(program("ts")[0], encoding="utf-8")
    assert workspace.run("tsc", "--project", "tsconfig.json") == ""
    return workspace.directory / "compiled"


@pytest.mark.parametrize("name", ["hey_api", "openapi_fetch"])
def test_calls_are_answered(
    workspace: Workspace, compiled: Path, server: Server, judged: Callable[[dict[str, Any]], None], name: str
) -> None:
    printed = workspace.run("node", str(compiled / f"{name}.js"), server.url, "openapi/openapi.json")
    answers = json.loads(printed)
    if "examples" in answers:
        expected = sum(len(body["examples"]) for label, body in ANSWERING.items() if "/v1/" in label)
        assert len(answers["examples"]) == expected
    judged(answers)


def test_the_program_of_the_readme_prints_what_is_shown(workspace: Workspace, compiled: Path, server: Server) -> None:
    script = (compiled / "shown.js").read_text(encoding="utf-8")
    (compiled / "asking.js").write_text(script.replace("http://127.0.0.1:8000", server.url), encoding="utf-8")
    assert workspace.run("node", str(compiled / "asking.js")).strip() == program("ts")[1]
