"""Build every distribution, check it, try it in environments of its own, and write the bill of materials.

``python -m development.release DIRECTORY`` leaves wheels, source distributions, the bill of materials and SHA256SUMS in
the directory, which must be empty or missing.  Ends with exit code 1 and the reason where a check fails.
"""

import email
import hashlib
import json
import math
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
import tomllib
import urllib.request
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
DISTRIBUTIONS = {
    "attention-core": ROOT / "distributions" / "attention-core",
    "attention-service": ROOT,
    "attention-client": ROOT / "attention_client",
}
"""Folders of the distributions, each behind those that it needs."""

LOCKS = ("build", "service", "test")
BILL = ROOT / "requirements" / "service.cdx.json"
URL = "http://127.0.0.1:8000"
"""Address of the service in the READMEs."""

GUIDE = ("en/index.html", "zh/index.html", "licenses/furo.txt")
"""Files of the documentation site, which the service must carry; `make docs` builds it before."""

START_SECONDS = 60

SAMPLE = re.compile(r"```bash request\n(.*?)```\n+```json answer\n(.*?)```", re.DOTALL)
PROGRAM = re.compile(r"```python\n(.*?)```\n+```text\n(.*?)```", re.DOTALL)

KERNEL = "import attention_core; print(attention_core.kernel_name())"


@dataclass(frozen=True, slots=True)
class Trial:
    """How everything is installed once: from wheels or sources, with a compiler in PATH or without."""

    name: str
    from_sources: bool
    has_compiler: bool

    @property
    def kind(self) -> str:
        """The kind of distribution, in words."""
        return "the source distributions" if self.from_sources else "the wheels"

    @property
    def has_kernels(self) -> bool:
        """Whether compiled kernels must be there: out of the wheel, or compiled."""
        return self.has_compiler or not self.from_sources


TRIALS = (
    Trial("wheels", from_sources=False, has_compiler=False),
    Trial("plain", from_sources=True, has_compiler=False),
    Trial("sources", from_sources=True, has_compiler=True),
)


class ReleaseError(Exception):
    """A distribution that must not be released, with the reason."""


def release(directory: Path) -> None:
    """Write and check everything that is released; raises ReleaseError."""
    if directory.exists() and any(directory.iterdir()):
        raise ReleaseError(f"{directory}: expected an empty directory; remove the files of an earlier release")
    directory.mkdir(parents=True, exist_ok=True)
    for folder in DISTRIBUTIONS.values():
        _run(
            sys.executable,
            "-m",
            "hatchling",
            "build",
            "-t",
            "sdist",
            "-t",
            "wheel",
            "-d",
            directory.resolve(),
            cwd=folder,
        )
    check_files(directory)
    with tempfile.TemporaryDirectory() as temporary:
        for trial in TRIALS:
            _say(f"{'with' if trial.has_compiler else 'without'} a compiler, from {trial.kind}")
            try_installed(Path(temporary, trial.name), directory, trial)
    version = _project("attention-service")["version"]
    current = _run(sys.executable, "-m", "deploy.bill_of_materials", "requirements/service.txt", cwd=ROOT)
    if current != BILL.read_text("utf-8"):
        raise ReleaseError(f"{BILL.name} is not that of requirements/service.txt; run make lock")
    shutil.copy(BILL, directory / f"attention_service-{version}.cdx.json")
    sums = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in sorted(directory.iterdir())]
    directory.joinpath("SHA256SUMS").write_text("".join(sums), "utf-8")


def check_files(directory: Path) -> None:
    """Check names, metadata and owners of files; raises ReleaseError."""
    owners: Counter[str] = Counter()
    for name in DISTRIBUTIONS:
        stem = f"{name.replace('-', '_')}-{_project(name)['version']}"
        wheels, sources = list(directory.glob(f"{stem}-*.whl")), list(directory.glob(f"{stem}.tar.gz"))
        if (len(wheels), len(sources)) != (1, 1):
            raise ReleaseError(f"{name}: expected one wheel and one source distribution called {stem}")
        with zipfile.ZipFile(wheels[0]) as wheel:
            files = [file for file in wheel.namelist() if not file.startswith(f"{stem}.dist-info/")]
            _check_metadata(name, email.message_from_bytes(wheel.read(f"{stem}.dist-info/METADATA")))
        owners.update(files)
        with tarfile.open(sources[0]) as source:
            _check_metadata(name, email.message_from_bytes(_read(source, f"{stem}/PKG-INFO")))
            files += source.getnames()
            compiled = [file for file in source.getnames() if file.endswith(".so")]
        private = [file for file in files if file.endswith((".pyc", "failures.txt"))]
        if compiled or private:
            raise ReleaseError(f"{name}: expected sources and modules alone; received {[*compiled, *private][:5]}")
    shared = [file for file, count in owners.items() if count > 1]
    if shared:
        raise ReleaseError(f"expected one owner of each file; received several of {shared[:5]}")


def _read(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    if file is None:
        raise ReleaseError(f"{name}: expected a file")
    return file.read()


def _check_metadata(name: str, metadata: Message) -> None:
    """Check that an index would take the metadata, and that it is that of the project."""
    project = _project(name)
    expected = {
        "Name": name,
        "Version": project["version"],
        "Summary": project["description"],
        "License-Expression": project["license"],
        "Requires-Python": project["requires-python"],
        "Description-Content-Type": "text/markdown",
    }
    received = {field: metadata[field] for field in expected}
    if received != expected:
        raise ReleaseError(f"{name}: expected the metadata {expected}; received {received}")
    if not str(metadata.get_payload()).strip():
        raise ReleaseError(f"{name}: expected a description; received none")
    listed = [one for one in metadata.get_all("Requires-Dist", []) if "extra ==" not in one]
    required, declared = _names(listed), _names(project["dependencies"])
    if required != declared:
        raise ReleaseError(f"{name}: expected the requirements {declared}; received {required}")


def _names(requirements: Iterable[str]) -> list[str]:
    """Return the normalized names of requirements, in order."""
    return sorted(re.sub(r"[-_.]+", "-", re.split(r"[^\w.-]", one)[0]).lower() for one in requirements)


def _project(name: str) -> dict[str, Any]:
    text = DISTRIBUTIONS[name].joinpath("pyproject.toml").read_text("utf-8")
    project: dict[str, Any] = tomllib.loads(text)["project"]
    return project


def try_installed(environment: Path, directory: Path, trial: Trial) -> None:
    """Install everything in a new environment, run the README's request and the client, and remove it again.

    Raises ReleaseError.

    :param environment: its folder, which is made.
    :param directory: holds the distributions.
    :param trial: source distributions are built with the locked backend; without a compiler, PATH has nothing but the
        environment itself.
    """
    _run(sys.executable, "-m", "venv", environment)
    python = environment / "bin" / "python"
    variables = {} if trial.has_compiler else {"PATH": str(python.parent), "CC": ""}
    constraints = environment / "constraints.txt"
    constraints.write_text("".join(_locked()), "utf-8")
    pip = (python, "-m", "pip", "--disable-pip-version-check", "--quiet")
    # Dependencies are installed as wheels, as in the image: building one would need its own backend, and a compiler.
    options: tuple[object, ...] = ("--find-links", directory.resolve(), "--constraint", constraints)
    # A wheel that another trial, or an earlier release, has made of the same sources is not taken from the cache.
    options = (*options, "--only-binary", ":all:", "--no-cache-dir")
    if trial.from_sources:
        options = (*options, "--no-binary", ",".join(DISTRIBUTIONS))
        _run(*pip, "install", "--require-hashes", "--requirement", ROOT / "requirements" / "build.txt")
        options = (*options, "--no-build-isolation")
    # The core is left to the requirements of the service.
    _run(*pip, "install", *options, "attention-service", "attention-client", cwd=environment, variables=variables)
    _run(*pip, "check", cwd=environment)
    kernel = _run(python, "-I", "-c", KERNEL, cwd=environment, variables=variables).strip()
    _say(f"kernel {kernel}")
    if (kernel == "numpy") is trial.has_kernels:
        raise ReleaseError(f"expected {'a compiled kernel' if trial.has_kernels else 'numpy'}; received {kernel}")
    with _served(environment, variables) as url:
        _ask(url)
        _ask_with_client(python, url)
    _run(*pip, "uninstall", "--yes", "attention-core", "attention-service")
    _run(python, "-I", "-c", "import attention_client, attention_client.heat_map.notebook", cwd=environment)


def _locked() -> Iterator[str]:
    """Yield the locked versions as constraints without hashes, which the distributions have not."""
    for lock in LOCKS:
        for line in ROOT.joinpath("requirements", f"{lock}.txt").read_text("utf-8").splitlines():
            if re.match(r"[\w.\[\]-]+==", line):
                yield re.sub(r"\[[^\]]*\]", "", line.rstrip("\\ ")) + "\n"


@contextmanager
def _served(environment: Path, variables: Mapping[str, str]) -> Iterator[str]:
    """Run the installed service on a free port; yield its address."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    program = environment / "bin" / "attention-service"
    command = [str(program), "serve", "--host", "127.0.0.1", "--port", str(port)]
    its = {**os.environ, **variables, "XDG_STATE_HOME": str(environment / "state")}
    with subprocess.Popen(command, cwd=environment, env=its, stderr=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + START_SECONDS
            health = [str(program), "healthcheck", "--host", "127.0.0.1", "--port", str(port)]
            while subprocess.run(health, capture_output=True, check=False, cwd=environment).returncode:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise ReleaseError(f"expected a service that is ready within {START_SECONDS} seconds")
                time.sleep(0.1)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def _ask(url: str) -> None:
    """Fetch pages of the documentation, send the first request of the README and compare the answer."""
    for page in GUIDE:
        if not _fetch(f"{url}/guide/{page}"):
            raise ReleaseError(f"/guide/{page}: expected a page; received nothing")
    found = SAMPLE.search(ROOT.joinpath("README.md").read_text("utf-8"))
    if found is None:
        raise ReleaseError("README.md: expected a request with its answer")
    words = shlex.split(found[1])
    body = words[words.index("-d") + 1].encode()
    asked = next(word for word in words if word.startswith(URL)).replace(URL, url)
    received = json.loads(_fetch(asked, body))
    if not _is_close(received, json.loads(found[2])):
        raise ReleaseError(f"expected the answer of the README; received {received}")


def _fetch(address: str, body: bytes | None = None) -> bytes:
    """Return the body of an answer to JSON, or to a GET; raises ReleaseError for any status but 200."""
    request = urllib.request.Request(address, body, {"Content-Type": "application/json"})  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=START_SECONDS) as answer:  # noqa: S310
            received: bytes = answer.read()
    except OSError as error:
        raise ReleaseError(f"{address}: expected an answer; received {error}") from error
    return received


def _is_close(received: Any, expected: Any) -> bool:
    """Return whether two documents are equal but for the last digits, which two kernels round differently."""
    if isinstance(expected, dict) and isinstance(received, dict):
        return received.keys() == expected.keys() and all(
            _is_close(received[name], expected[name]) for name in expected
        )
    if isinstance(expected, list) and isinstance(received, list):
        return len(received) == len(expected) and all(map(_is_close, received, expected))
    if isinstance(expected, float) and isinstance(received, float):
        return math.isclose(received, expected, rel_tol=1e-12)
    return bool(received == expected)


def _ask_with_client(python: Path, url: str) -> None:
    """Run the program of the client's README and compare what it prints."""
    found = PROGRAM.search(DISTRIBUTIONS["attention-client"].joinpath("README.md").read_text("utf-8"))
    if found is None:
        raise ReleaseError("README.md of the client: expected a program with its output")
    code = found[1].replace(URL, url)
    printed = _run(python, "-I", "-c", code, cwd=python.parent)
    if printed != found[2]:
        raise ReleaseError(f"expected the output of the client's README; received {printed}")


def _run(*command: object, cwd: Path = ROOT, variables: Mapping[str, str] | None = None) -> str:
    """Run a program and return its output; raises ReleaseError with its messages where it fails."""
    words = [str(word) for word in command]
    environment = {**os.environ, **(variables or {})}
    done = subprocess.run(words, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ReleaseError(f"{shlex.join(words)} ended with exit code {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    try:
        release(Path(sys.argv[1]))
    except ReleaseError as error:
        sys.exit(f"release: {error}")
