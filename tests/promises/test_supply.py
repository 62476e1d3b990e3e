"""What the service is made of: the bill of materials is the lock, and an audit takes no silence for safety."""

import json
import subprocess
import sys
from importlib.metadata import requires, version
from pathlib import Path
from typing import Any

import pytest

LOCK = "requirements/service.txt"


@pytest.fixture(scope="module")
def bill(project: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((project / "requirements" / "service.cdx.json").read_text())
    return document


def test_the_bill_of_materials_is_what_the_command_writes(project: Path) -> None:
    command = [sys.executable, "-m", "deploy.bill_of_materials", LOCK]
    written = subprocess.run(command, cwd=project, capture_output=True, text=True, check=True, timeout=30).stdout
    assert written == (project / "requirements" / "service.cdx.json").read_text()


def test_it_holds_every_package_and_every_hash_of_the_lock(project: Path, bill: dict[str, Any]) -> None:
    """Read here in another way than by the command."""
    lines = [line.strip() for line in (project / LOCK).read_text().splitlines()]
    locked = [line.split(";")[0].rstrip("\\ ").split("==") for line in lines if "==" in line and line[0].isalpha()]
    assert [[one["name"], one["version"]] for one in bill["components"]] == locked
    hashes = [line.rstrip("\\ ").removeprefix("--hash=sha256:") for line in lines if line.startswith("--hash")]
    assert [each["content"] for one in bill["components"] for each in one["hashes"]] == hashes
    assert all(
        one["hashes"] and one["purl"] == f"pkg:pypi/{one['name']}@{one['version']}" for one in bill["components"]
    )
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")


def test_it_says_what_the_service_needs_itself(bill: dict[str, Any]) -> None:
    direct = {
        line.split(";")[0].split(">")[0].strip() for line in requires("attention-service") or () if "extra" not in line
    } - {f"attention-core=={version('attention-service')}"}
    names = {one["bom-ref"]: one["name"] for one in bill["components"]}
    needs = {one["ref"]: {names[ref] for ref in one["dependsOn"]} for one in bill["dependencies"]}
    assert needs[bill["metadata"]["component"]["bom-ref"]] >= direct >= {"fastapi", "numpy", "uvicorn"}
    [fastapi] = [ref for ref, name in names.items() if name == "fastapi"]
    assert {"pydantic", "starlette"} <= needs[fastapi]
    assert set(needs) == {bill["metadata"]["component"]["bom-ref"], *names}
    reached = set().union(*needs.values())
    assert reached == set(names.values()), "a package that nothing needs"


PIP_AUDIT = """#!{python}
import sys
print({output!r})
print("no route to host", file=sys.stderr)
"""

CLEAN: dict[str, Any] = {"name": "a", "version": "1", "vulns": []}
WRONG = {"name": "b", "version": "2", "vulns": [{"id": "CVE-1", "fix_versions": ["3"]}]}
UNKNOWN = {"name": "c", "skip_reason": "not found"}


@pytest.mark.parametrize(
    ("packages", "code", "told"),
    [
        ([CLEAN], 0, "1 packages looked up, 0 of them with a known vulnerability"),
        ([CLEAN, WRONG], 1, "b 2: CVE-1, fixed in 3"),
        ([CLEAN, UNKNOWN], 3, "COULD NOT LOOK: nothing is known of 1 of 2 packages: c"),
        ([UNKNOWN, WRONG], 1, "COULD NOT LOOK"),
        ([], 3, "COULD NOT LOOK"),
        (None, 3, "COULD NOT LOOK: the advisory service was not reached: no route to host"),
    ],
)
def test_an_audit_says_when_it_could_not_look(
    project: Path, tmp_path: Path, packages: list[dict[str, Any]] | None, code: int, told: str
) -> None:
    """With a program in place of pip-audit that answers what that is known to answer."""
    program = tmp_path / "pip-audit"
    output = "" if packages is None else json.dumps({"dependencies": packages, "fixes": []})
    program.write_text(PIP_AUDIT.format(python=sys.executable, output=output))
    program.chmod(0o755)
    command = [sys.executable, "-m", "deploy.audit", str(program), LOCK]
    ended = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False, timeout=30)
    assert ended.returncode == code, ended.stderr
    assert told in ended.stdout
    assert ("COULD NOT LOOK" in ended.stdout) is (packages is None or packages == [] or UNKNOWN in packages)
