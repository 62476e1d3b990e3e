"""Which modules are imported when: the core costs NumPy and nothing else, and help costs neither NumPy nor FastAPI."""

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path
from pkgutil import walk_packages
from typing import Any

import pytest

import attention_core
from service.cli import COMMANDS
from tests.server import Server

CORE = Path(attention_core.__file__).parent
# Written in Python: a compiled kernel lies beside its source, and walking packages takes it for a module.
MODULES = ["attention_core"] + [
    module.name
    for module in walk_packages(attention_core.__path__, "attention_core.")
    if find_spec(module.name).origin.endswith(".py")
]


def imported_by(statement: str, *arguments: str) -> set[str]:
    """Top-level names of what a statement imports in a fresh process, the standard library left out."""
    script = f"""
import json, sys
before = set(sys.modules)
try:
    {statement}
except SystemExit as exit:
    assert exit.code == 0, exit.code
print()
print(json.dumps(sorted({{name.partition(".")[0] for name in set(sys.modules) - before}})))
"""
    command = [sys.executable, "-c", script, *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 0, ended.stderr
    return set(json.loads(ended.stdout.splitlines()[-1])) - sys.stdlib_module_names


def test_the_core_loads_numpy_and_nothing_else() -> None:
    assert imported_by("import attention_core") == {"attention_core", "numpy"}


EACH_ALONE = """
import importlib, json, os, sys, traceback
import numpy
before = set(sys.modules)
for module in sys.argv[1:]:
    sys.stdout.flush()
    child = os.fork()
    if not child:
        try:
            importlib.import_module(module)
            loaded = {name.partition(".")[0] for name in set(sys.modules) - before}
            print(json.dumps([module, sorted(loaded)]))
        except BaseException:
            print(json.dumps([module, traceback.format_exc()]))
        sys.stdout.flush()
        os._exit(0)
    os.waitpid(child, 0)
"""


@pytest.fixture(scope="module")
def loaded_beside_numpy() -> dict[str, Any]:
    """What each module of the core loads in a process of its own, which has loaded NumPy and nothing else."""
    command = [sys.executable, "-c", EACH_ALONE, *MODULES]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}  # A process that forks has no threads.
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
    return dict(map(json.loads, ended.stdout.splitlines()))


@pytest.mark.soak
@pytest.mark.parametrize("module", MODULES)
def test_so_does_each_of_its_modules_alone(loaded_beside_numpy: dict[str, Any], module: str) -> None:
    loaded = loaded_beside_numpy[module]
    assert isinstance(loaded, list), loaded
    assert set(loaded) - sys.stdlib_module_names <= {"attention_core", "numpy"}
    assert "attention_core" in loaded


def test_so_does_attending() -> None:
    assert imported_by("import attention_core; attention_core.attend([[1.0]], [[1.0]])") == {"attention_core", "numpy"}


@pytest.mark.parametrize("path", sorted(CORE.rglob("*.py")), ids=lambda path: path.relative_to(CORE).as_posix())
def test_no_file_of_the_core_names_anything_else_even_in_a_function(path: Path) -> None:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names.add(node.module or "")
        else:
            called = node.func if isinstance(node, ast.Call) else None
            assert getattr(called, "id", getattr(called, "attr", "")) not in ("__import__", "import_module")
    beyond = {name.partition(".")[0] for name in names} - sys.stdlib_module_names
    assert beyond <= {"attention_core", "attention_heat_map", "numpy"}


@pytest.mark.parametrize("arguments", [["--help"], *([command, "--help"] for command in COMMANDS)], ids=" ".join)
def test_help_loads_neither_numpy_nor_fastapi(arguments: list[str]) -> None:
    loaded = imported_by(f"import service.cli; service.cli.main({arguments})")
    assert "service" in loaded
    assert loaded.isdisjoint({"numpy", "attention_core", "fastapi", "starlette", "uvicorn", "orjson"})


ONE = {"query": [[1.0]], "key": [[1.0]]}
FILES = {
    "attend": ONE,
    "check": {"request": ONE, "candidate": {"weights": [[1.0]]}},
    "gradients": {"request": ONE | {"value": [[1.0]]}, "output_gradient": 1},
}


@pytest.mark.parametrize("command", FILES)
def test_one_request_loads_no_server(command: str, tmp_path: Path) -> None:
    file = tmp_path / "request.json"
    file.write_text(json.dumps(FILES[command]), encoding="utf-8")
    loaded = imported_by(f"import service.cli; assert service.cli.main([{command!r}, {str(file)!r}]) == 0")
    assert {"service", "attention_core", "numpy"} <= loaded
    assert loaded.isdisjoint({"fastapi", "uvicorn"})


ALONE = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked}:
            raise ImportError(name + " is not installed")
sys.meta_path.insert(0, Blocked())
import attention_client
with attention_client.AttentionClient({url!r}) as client:
    assert client.attend([[1.0]], [[1.0]], [[7.0]]).output.tolist() == [[7.0]]
assert not [name for name in sys.modules if name.partition(".")[0] in ("service", "attention_core")]
"""


def test_the_client_works_without_anything_that_the_server_needs(server: Server, project: Path) -> None:
    dependencies = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    names = {re.split(r"[^a-z0-9]", one)[0] for one in dependencies} - {"numpy"}
    assert {"fastapi", "orjson", "pydantic", "uvicorn", "uvloop"} <= names
    script = ALONE.format(blocked={*names, "starlette", "attention_core"}, url=server.url)
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 0, ended.stderr


def test_the_command_is_the_one_that_was_measured(project: Path) -> None:
    command = Path(sys.executable).parent / "attention-service"
    ended = subprocess.run([command, "--help"], capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("usage: attention-service ")
    assert 'attention-service = "service.cli:main"' in (project / "pyproject.toml").read_text(encoding="utf-8")
