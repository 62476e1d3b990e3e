"""A copy of the project that is edited as a person would edit it, generated anew and tested."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

COMPILED = "service/codecs/json/native/*.so"
"""Built by the installation, so that git does not list it."""

OPENAPI = "openapi/openapi.json"


@dataclass(frozen=True, slots=True)
class Edit:
    """Text that goes into a file."""

    path: str
    """Relative to the root of the project."""
    text: str
    before: str | None = None
    """The text stands in front of the only place of the file that begins so; None makes a new file of it."""

    def apply(self, root: Path) -> None:
        """Write the text into a copy of the project; raise ValueError unless there is one place for it."""
        path = root / self.path
        if self.before is None:
            if path.exists():
                raise ValueError(f"{self.path}: expected a new file")
            path.write_text(self.text, encoding="utf-8")
            return
        content = path.read_text(encoding="utf-8")
        if content.count(self.before) != 1:
            raise ValueError(f"{self.path}: expected one place {self.before!r}; found {content.count(self.before)}")
        path.write_text(content.replace(self.before, self.text + self.before), encoding="utf-8")


class Tree:
    """A copy of every file that git does not ignore and of the compiled libraries, edited and generated.

    :param root: an empty directory.
    :param edits: everything that is written by hand.
    """

    def __init__(self, root: Path, *edits: Edit) -> None:
        self.root = root
        self._copy()
        before = self._contents()
        for edit in edits:
            edit.apply(root)
        self._generate()
        self.by_hand = {edit.path for edit in edits}
        changed = {name for name, content in self._contents().items() if before.get(name) != content}
        self.generated = changed - self.by_hand
        """Files that the generators changed, and no edit."""

    def run(self, *arguments: str) -> str:
        """Return what Python prints in the copy, where its modules are those of the copy; fail unless it ends well."""
        ended = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.root,
            env={**os.environ, "PYTHONPATH": str(self.root)},
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert ended.returncode == 0, ended.stdout[-5000:] + ended.stderr[-5000:]
        return ended.stdout

    def test(self, *arguments: str) -> int:
        """Run pytest in the copy, without tests that are marked as soak; return how many passed, all of them."""
        printed = self.run("-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-m", "not soak", *arguments)
        return int(printed.splitlines()[-1].split(" passed")[0].split()[-1])

    def _copy(self) -> None:
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        compiled = (str(path.relative_to(ROOT)) for path in ROOT.glob(COMPILED))
        for name in (*filter(None, listed.stdout.split("\0")), *compiled):
            if (ROOT / name).is_file():
                (self.root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, self.root / name)

    def _contents(self) -> dict[str, bytes]:
        """Return the content of each file, by its path below the root."""
        files = (path for path in self.root.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
        return {str(path.relative_to(self.root)): path.read_bytes() for path in files}

    def _generate(self) -> None:
        """Run the generators in the order of `make generate`."""
        self.run("-m", "development.answers")
        (self.root / OPENAPI).write_text(self.run("-m", "service.cli", "openapi"), encoding="utf-8")
        self.run("-m", "development.client_schema")
        self.run("-m", "development.generate")
