"""Python clients: generated without a warning, installed, typed, and right in what they send and read."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from service.examples import load_examples
from tests.clients.conftest import PROGRAMS, Workspace
from tests.clients.snippets import first_answer, program
from tests.server import Server
from tests.service.specification import ANSWERING, JSON_BODIES, OPERATIONS, RESPONSES, examples_of

pytestmark = pytest.mark.soak

CLIENT, MODELS = "openapi-python-client", "datamodel-codegen"
OPERATION_IDS = {operation["operationId"] for operation in OPERATIONS.values()}
MYPY = ("mypy", "--strict", "--no-error-summary", "--cache-dir", "mypy-cache")


@pytest.fixture(scope="session")
def site(workspace: Workspace) -> str:
    """The directory in which the generated package is installed, without an index."""
    workspace.generate(CLIENT)
    offline = ("--no-index", "--no-deps", "--no-build-isolation", "--quiet", "--disable-pip-version-check")
    workspace.run("pip", "install", *offline, "--target", "site", "./client")
    return str(workspace.directory / "site")


def modules(package: Path) -> set[str]:
    """The names of the modules of operations."""
    return {path.stem for path in package.glob("*/api/*/*.py")} - {"__init__"}


def test_every_operation_is_generated_without_a_warning(workspace: Workspace) -> None:
    printed = workspace.generate(CLIENT)
    assert modules(workspace.directory / "client") == OPERATION_IDS
    assert not re.search("warn|unable|skip", printed, re.IGNORECASE), printed


def test_without_configuration_every_operation_is_generated_for_json(workspace: Workspace) -> None:
    command = (CLIENT, "generate", "--path", "openapi/openapi.json", "--output-path", "unconfigured")
    printed = workspace.run(*command)
    assert modules(workspace.directory / "unconfigured") == OPERATION_IDS
    assert "not be generated" not in printed
    # The only answer of a download is a file.
    assert set(re.findall("Unsupported .*|Unable .*|Could not .*|Invalid .*", printed)) == {
        "Unsupported content type application/vnd.safetensors",
        "Unsupported content_type application/vnd.safetensors), response will be omitted from generated client",
    }


def test_calls_are_typed(workspace: Workspace, site: str) -> None:
    checked = ("--follow-imports", "silent", str(PROGRAMS / "python_client.py"))
    assert workspace.run(*MYPY, *checked, MYPYPATH=site) == ""


def test_calls_are_answered(
    workspace: Workspace, site: str, server: Server, judged: Callable[[dict[str, Any]], None]
) -> None:
    command = ("python", str(PROGRAMS / "python_client.py"), server.url, "openapi/openapi.json")
    printed = json.loads(workspace.run(*command, PYTHONPATH=site))
    assert len(printed["examples"]) == sum(len(body["examples"]) for body in ANSWERING.values())
    inferences = {name: answer for name, answer in printed["examples"].items() if "/infer" in name}
    assert inferences
    judged(printed)


def test_the_program_of_the_readme_prints_what_is_shown(workspace: Workspace, site: str, server: Server) -> None:
    code, text = program("py")
    asking = code.replace("http://127.0.0.1:8000", server.url)
    assert asking != code
    assert workspace.run("python", "-c", asking, PYTHONPATH=site).strip() == text


def test_models_are_typed(workspace: Workspace) -> None:
    assert "rror" not in workspace.generate(MODELS)
    assert workspace.run(*MYPY, "models.py") == ""


def test_models_read_every_body_and_write_it_as_it_was(workspace: Workspace) -> None:
    workspace.generate(MODELS)
    bodies = list(described_bodies())
    assert {component for component, _ in bodies} >= {"AttentionRequest", "AttentionResponse", "ProblemDocument"}
    (workspace.directory / "bodies.json").write_text(json.dumps(bodies), encoding="utf-8")
    command = ("python", str(PROGRAMS / "pydantic_models.py"), "bodies.json")
    assert int(workspace.run(*command, PYTHONPATH=str(workspace.directory))) == len(bodies) > 200


def described_bodies() -> Iterator[tuple[str, Any]]:
    """Every example of the document, and the first exchange of the README, each with the name of its component."""
    request = load_examples()["honor-of-kings"].request
    yield "AttentionRequest", {name: request[name] for name in ("query", "key", "value")}
    yield "AttentionResponse", json.loads(first_answer())
    contents = [
        *JSON_BODIES.values(),
        *(one for response in RESPONSES.values() for one in response.get("content", {}).values()),
    ]
    for content in contents:
        if "$ref" in content["schema"]:
            component = content["schema"]["$ref"].rpartition("/")[2]
            yield from ((component, example) for example in examples_of(content))
