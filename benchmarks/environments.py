"""Environments of the packages that the service is measured beside, made by `make bench-core` and `make bench-http`."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]

PACKAGES = {
    "pytorch": ("torch",),
    "onnxruntime": ("onnxruntime",),
    "jax": ("jax",),
    "fastapi": ("fastapi", "uvicorn", "pydantic"),
    "mlserver": ("mlserver",),
    "kserve": ("kserve",),
    "faiss": ("faiss-cpu",),
    "ray": ("ray",),
}
"""Which versions matter in which environment."""

CORE = ("pytorch", "onnxruntime", "jax")
HTTP = ("fastapi", "mlserver", "kserve", "pytorch")

VERSIONS = """
import sys
from importlib.metadata import version
print(*(f"{name} {version(name)}" for name in sys.argv[1:]), sep=", ")
"""


class NotInstalled(Exception):
    """A peer's environment is missing."""


def require_python(name: str | None) -> str:
    """Return the Python of an environment, of this process's own for None; raises NotInstalled."""
    if name is None:
        return sys.executable
    # That of Ray is the one of the tests.
    folder = ".venv-ray" if name == "ray" else f".venv-bench-{name}"
    python = ROOT / folder / "bin" / "python"
    if not python.exists():
        raise NotInstalled(f"{python.relative_to(ROOT)} is missing: make {python.parents[1].name}/installed makes it")
    return str(python)


def versions(names: tuple[str, ...]) -> str:
    """Return the versions that matter in some environments, NumPy's among them."""
    found = []
    for name in names:
        try:
            command = [require_python(name), "-c", VERSIONS, *PACKAGES[name], "numpy"]
        except NotInstalled:
            found.append(f"{name} missing")
        else:
            found.append(subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip())
    return ", ".join(found)
