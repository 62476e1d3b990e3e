"""The generators are locked: exact versions with hashes, no address of a registry, in a lock of their own."""

import json
import re
from pathlib import Path

import pytest

LOCKED = [Path(__file__).parent / "npm", Path(__file__).parents[1] / "browser" / "npm"]
GENERATORS = ("openapi-python-client", "datamodel-code-generator")


@pytest.mark.parametrize("folder", LOCKED, ids=lambda folder: folder.parent.name)
def test_every_npm_package_is_exact_and_hashed(folder: Path) -> None:
    wanted = json.loads((folder / "package.json").read_text(encoding="utf-8"))["devDependencies"]
    packages = json.loads((folder / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    assert {name: packages[f"node_modules/{name}"]["version"] for name in wanted} == wanted
    locked = [package for name, package in packages.items() if name]
    assert len(locked) >= len(wanted)
    assert [package for package in locked if not package["integrity"].startswith("sha512-")] == []


@pytest.mark.parametrize("folder", LOCKED, ids=lambda folder: folder.parent.name)
def test_the_locks_name_no_registry(project: Path, folder: Path) -> None:
    assert "omit-lockfile-registry-resolved=true" in (folder / ".npmrc").read_text(encoding="utf-8")
    packages = json.loads((folder / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    # Pages that ask for donations are the only addresses.
    described = [{**package, "funding": None} for package in packages.values()]
    assert "://" not in json.dumps(described)
    assert not re.search("://|--index-url|--find-links", (project / "requirements" / "clients.txt").read_text())


@pytest.mark.parametrize("generator", GENERATORS)
def test_the_generators_are_in_a_lock_of_their_own(project: Path, generator: str) -> None:
    locks = {path.name: path.read_text() for path in (project / "requirements").glob("*.txt")}
    assert [name for name, lock in locks.items() if re.search(f"^{generator}==", lock, re.MULTILINE)] == ["clients.txt"]
