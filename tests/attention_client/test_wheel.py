"""The distribution of the client: a wheel that needs httpx and NumPy, and holds and imports nothing of the server."""

import importlib.metadata
import re
import subprocess
import sys
import tomllib
import zipfile
from email.parser import HeaderParser
from pathlib import Path
from typing import Any

import pytest

import service
from tests.server import Server

SNIPPET = re.compile(r"```python\n(.*?)```\n\n```text\n(.*?)```", re.DOTALL)


def run(*command: object) -> str:
    ended = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, timeout=120)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.fixture(scope="module")
def wheel(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built offline with the locked build backend."""
    directory = tmp_path_factory.mktemp("wheel")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    offline = ("--no-deps", "--no-index", "--no-build-isolation")
    run(*pip, "wheel", *offline, "--wheel-dir", directory, project / "attention_client")
    [built] = directory.iterdir()
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the wheel and nothing else."""
    target = tmp_path_factory.mktemp("installed")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    run(*pip, "install", "--no-deps", "--no-index", "--no-compile", "--target", target, wheel)
    return target


@pytest.fixture(scope="module")
def dependencies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with httpx, NumPy and what these two need."""
    directory = tmp_path_factory.mktemp("dependencies")
    names, seen = ["httpx", "numpy"], set()
    while names:
        name = names.pop()
        if name in seen:
            continue
        seen.add(name)
        distribution = importlib.metadata.distribution(name)
        for top in {Path(str(file)).parts[0] for file in distribution.files or ()} - {"..", "__pycache__"}:
            link = directory / top
            if not link.exists():
                link.symlink_to(distribution.locate_file(top))
        names += [
            re.split(r"[^\w-]", one)[0]
            for one in distribution.requires or ()
            if "extra ==" not in one and "python_version <" not in one.replace("(", "")
        ]
    return directory


def run_alone(code: str, *path: Path) -> str:
    """Run a program without site-packages, the checkout and variables of the environment."""
    prelude = f"import sys; sys.path[:0] = {[str(each) for each in path]!r}\n"
    return run(sys.executable, "-I", "-S", "-c", prelude + code)


IMPORTS = """
import importlib.util
import attention_client, attention_client.heat_map.notebook, attention_client.wire.open_inference
assert attention_client.__file__.startswith(sys.path[0]), attention_client.__file__
names = ("attention_core", "attention_heat_map", "attention_wire", "service", "fastapi", "pydantic", "orjson")
print([name for name in names if importlib.util.find_spec(name)])
print(sorted({name.partition(".")[0] for name in sys.modules if name.partition(".")[0] in names}))
"""


def test_it_is_imported_with_httpx_and_numpy_alone(installed: Path, dependencies: Path) -> None:
    assert run_alone(IMPORTS, installed, dependencies).split("\n") == ["[]", "[]", ""]


def test_the_program_of_its_readme_runs_with_these_alone(
    project: Path, installed: Path, dependencies: Path, server: Server
) -> None:
    [(code, printed)] = SNIPPET.findall((project / "attention_client" / "README.md").read_text(encoding="utf-8"))
    assert "http://127.0.0.1:8000" in code
    assert run_alone(code.replace("http://127.0.0.1:8000", server.url), installed, dependencies) == printed


def test_its_files_belong_to_it_alone(wheel: Path) -> None:
    """No file of the service's wheel is among them, so that either can be removed without the other."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        texts = {name: archive.read(name).decode() for name in names}
    assert {name.partition("/")[0] for name in names} == {
        "attention_client", f"attention_client-{version_of(wheel)}.dist-info",
    }  # fmt: skip
    assert {
        "attention_client/py.typed",
        "attention_client/wire/datatypes.py",
        "attention_client/heat_map/notebook.py",
    } <= set(names)
    assert not [name for name in names if name.endswith(("hatch_build.py", "pyproject.toml"))]
    assert not [
        name for name, text in texts.items() if name.endswith(".py") and re.search("attention_(wire|heat_map)", text)
    ]


def test_it_requires_httpx_and_numpy_and_is_of_the_version_of_the_service(project: Path, wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        [metadata] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        described = HeaderParser().parsestr(archive.read(metadata).decode())
    assert [re.split("[^a-z]", one)[0] for one in described.get_all("Requires-Dist", [])] == ["httpx", "numpy"]
    of_service = description_of(project / "pyproject.toml")
    assert described["Version"] == version_of(wheel) == of_service["version"]
    assert described["Requires-Python"] == of_service["requires-python"]
    numpy = [one for one in of_service["dependencies"] if one.startswith("numpy")]
    assert set(numpy) < set(description_of(project / "attention_client" / "pyproject.toml")["dependencies"])


def test_the_build_backend_is_the_locked_one(project: Path) -> None:
    lock = (project / "requirements" / "build.txt").read_text(encoding="utf-8")
    assert f"hatchling=={importlib.metadata.version('hatchling')} " in lock


def test_the_service_neither_holds_nor_requires_the_client(project: Path) -> None:
    described = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))
    packages = described["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert packages == ["service", "attention_wire"]
    assert not [one for one in described["project"]["dependencies"] if re.match("httpx|attention-client", one)]
    assert not (Path(service.__file__).parent / "client" / "__init__.py").exists()


def version_of(wheel: Path) -> str:
    return wheel.name.split("-")[1]


def description_of(path: Path) -> dict[str, Any]:
    described: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
    return described
