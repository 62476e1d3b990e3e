"""Clients, generated once with the commands of their page."""

import json
import os
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.clients.snippets import first_answer, generating
from tests.promises.readme import assert_same
from tests.server import Server
from tests.service.specification import JSON_BODIES, path_of

PROGRAMS = Path(__file__).parent / "programs"


class Workspace:
    """A directory like the checkout, where generators write, with their environment."""

    def __init__(self, directory: Path, project: Path) -> None:
        self.directory = directory
        environment = project / ".venv-clients"
        self.bin = environment / "bin"
        (directory / "openapi").symlink_to(project / "openapi")
        (directory / "node_modules").symlink_to(environment / "npm" / "node_modules")
        self.generate = cache(self._generate)

    def run(self, *command: str, **environment: str) -> str:
        """Run a program of the environment; return what it prints, errors too, and fail if it fails."""
        path = f"{self.bin}:{self.directory}/node_modules/.bin:{os.environ['PATH']}"
        # npx is not to fetch packages that are missing.
        variables = {**os.environ, "PATH": path, "npm_config_offline": "true", "PYTHONUTF8": "1", **environment}
        ended = subprocess.run(
            command,
            cwd=self.directory,
            env=variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=300,
        )
        assert ended.returncode == 0, ended.stdout
        return ended.stdout

    def _generate(self, generator: str) -> str:
        """Run the command of the page for a generator; return what it prints."""
        return self.run(*generating(generator))


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory, project: Path) -> Workspace:
    return Workspace(tmp_path_factory.mktemp("generated"), project)


@pytest.fixture(scope="session")
def judged(server: Server) -> Callable[[dict[str, Any]], None]:
    """Compare the answers that a program printed with the README and with answers to requests without a client."""

    def judge(printed: dict[str, Any]) -> None:
        first = json.loads(first_answer())
        assert_same(printed["first"], first)
        tensors = {name: [x for row in first[name] for x in row] for name in ("output", "weights", "scores")}
        assert_same(printed["inference"], tensors)
        if "problem" in printed:
            assert printed["problem"] == ["/key"]
        for name, answer in printed.get("examples", {}).items():
            path, example = name.split()
            [label] = [label for label in JSON_BODIES if label == f"POST {path}"]
            request = JSON_BODIES[label]["examples"][example]["value"]
            asked = httpx.post(f"{server.url}{path_of(label)}", json=request)
            assert asked.status_code == 200
            assert_same(answer, asked.json(), name)

    return judge
