"""Write the bill of materials of the locked packages (CycloneDX 1.6) to the standard output.

``python -m deploy.bill_of_materials requirements/service.txt``: every package that may be installed with the service,
with the hashes of the files that the lock lets in and what it is needed by.  The same lock gives the same document.
"""

import json
import re
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]

REQUIREMENT = re.compile(
    r"(?P<name>[\w.-]+)(?:\[[^\]]*\])?==(?P<version>[^\s;\\]+)(?:\s*;\s*(?P<marker>[^\\\n]+?))?\s*\\?$"
)


@dataclass(frozen=True, slots=True)
class Package:
    """One entry of the lock: on which platforms, with which hashes, and which packages it was locked for."""

    name: str
    version: str
    marker: str | None
    hashes: tuple[str, ...]
    needed_by: tuple[str, ...]

    @property
    def reference(self) -> str:
        """Its package URL."""
        return f"pkg:pypi/{self.name}@{self.version}"

    def component(self) -> dict[str, Any]:
        """Return it as CycloneDX writes it."""
        described: dict[str, Any] = {
            "type": "library",
            "bom-ref": self.reference,
            "name": self.name,
            "version": self.version,
            "purl": self.reference,
            "hashes": [{"alg": "SHA-256", "content": digest} for digest in self.hashes],
        }
        if self.marker:
            described["properties"] = [{"name": "python:environment-marker", "value": self.marker}]
        return described


def read_lock(text: str) -> list[Package]:
    """Return the packages of a lock with hashes; raises ValueError for a line that is not understood."""
    packages = []
    for block in re.split(r"\n(?=\S)", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).strip()):
        first, *rest = block.splitlines()
        found = REQUIREMENT.match(first)
        if not found:
            raise ValueError(f"expected name==version; received {first!r}")
        hashes = tuple(re.findall(r"--hash=sha256:([0-9a-f]{64})", block))
        comments = " ".join(line.strip().removeprefix("#").strip() for line in rest if line.strip().startswith("#"))
        needed_by = tuple(re.sub(r"\(.*?\)|\bvia\b", "", comments).split())
        packages.append(Package(found["name"], found["version"], found["marker"], hashes, needed_by))
    return packages


def bill_of_materials(lock: str) -> dict[str, Any]:
    """Return the document for a lock of the service."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    packages = read_lock(lock)
    reference = f"pkg:pypi/{project['name']}@{project['version']}"
    # One name may be locked in several versions, for several platforms.
    needs = [(project["name"], reference), *((package.name, package.reference) for package in packages)]
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": reference,
                "name": project["name"],
                "version": project["version"],
                "purl": reference,
            }
        },
        "components": [package.component() for package in packages],
        "dependencies": [
            {"ref": ref, "dependsOn": [package.reference for package in packages if name in package.needed_by]}
            for name, ref in needs
        ],
    }


if __name__ == "__main__":
    json.dump(bill_of_materials(Path(sys.argv[1]).read_text(encoding="utf-8")), sys.stdout, indent=2)
    print()
