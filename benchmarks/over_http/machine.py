"""What figures over HTTP depend on: the machine, the load generator, and the versions of the service's peers."""

import subprocess
from pathlib import Path

from benchmarks import figures
from benchmarks.over_http.servers import environment

SERVER_THREADS = 1

PACKAGES = {"fastapi": ("fastapi", "uvicorn", "pydantic"), "mlserver": ("mlserver",), "kserve": ("kserve",)}
"""Which versions matter in which environment."""


ASK = """
import sys
from importlib.metadata import version
print(*(f"{name} {version(name)}" for name in sys.argv[1:]), sep=", ")
"""


def description() -> dict[str, str]:
    """Say what the figures depend on."""
    versions = [about(name, packages) for name, packages in PACKAGES.items()]
    wrk = subprocess.run(["wrk", "--version"], check=False, capture_output=True, text=True).stdout.split()[1]
    return {**figures.machine(SERVER_THREADS), "wrk": wrk, "peers": ", ".join(versions)}


def about(name: str, packages: tuple[str, ...]) -> str:
    """Name the versions in one environment, NumPy's among them."""
    python = environment(name)
    if not Path(python).exists():
        return f"{name} missing"
    command = [python, "-c", ASK, *packages, "numpy"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
