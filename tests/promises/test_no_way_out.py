"""No outbound request ever, and nothing in our code that runs what it was sent."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from service.main import create_app
from service.settings import Settings
from tests.sampling import every

ROOT = Path(__file__).parents[2]
SOURCES = [
    path
    for package in ("service", "attention_core", "attention_heat_map", "attention_wire")
    for path in (ROOT / package).rglob("*.py")
    # Programs that the documentation offers to its readers.
    if not path.is_relative_to(ROOT / "service/pages/guide")
]

FORBIDDEN_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "code", "codeop",
                     "runpy", "imp", "urllib.request", "http.client", "requests", "ftplib", "smtplib", "xmlrpc",
                     "subprocess", "telnetlib", "yaml", "torch"}  # fmt: skip
"""What runs what it reads, or opens connections."""

CONNECTING = {"httpx", "ssl", "aiohttp"}
"""Left to the client, which exists to open connections; a server needs sockets to listen, and does none of these:"""

CONNECTING_CALLS = {"connect", "connect_ex", "create_connection", "open_connection", "getaddrinfo", "sendto"}

FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__", "import_module", "system", "popen", "loads_pickle"}

ALLOWED_CALLS = {"re.compile"}

WITHIN_THIS_MACHINE = {
    # The address to listen on, and whether a process still listens on the Unix socket that is there.
    "service/serving/listening.py": {"socket.getaddrinfo", "probe.connect"},
    # The health check of a container, a command of its own, asks the service beside it.
    "service/health.py": {"http.client", "self.sock.connect"},
    # A command of its own, which asks the service that its user names.
    "service/memory_commands.py": {"http.client"},
    # Whether the cluster that the operator names answers; and Ray in a process of its own, for "local".
    "service/cluster/session.py": {"socket.create_connection"},
    "service/cluster/local.py": {"subprocess"},
    # A database in a file.
    "service/memories/catalogue.py": {"sqlite3.connect"},
}
"""Files that name what no other may, with all of it: for files that no service runs, and for data that stay here."""


@pytest.mark.namespace
@pytest.mark.parametrize("arguments", every(2, [(), ("--workers", "2")], first=1), ids=["one process", "two workers"])
def test_everything_works_without_a_route_and_nothing_tries_to_leave(project: Path, arguments: tuple[str, ...]) -> None:
    # Root needs no namespace of users, which inside a changed root there may not be.
    mapped = [] if os.geteuid() == 0 else ["--map-root-user"]
    command = ["unshare", *mapped, "--net", sys.executable, "-m", "tests.promises.alone_in_a_namespace"]
    ended = subprocess.run(
        [*command, *arguments], cwd=project, capture_output=True, text=True, timeout=120, check=False
    )
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)
    routes = create_app(Settings(log_level="error")).routes
    assert {name.split()[1] for name in told["answers"]} == {route.path for route in routes}
    assert {name: status for name, status in told["answers"].items() if status not in {200, 201, 204, 307}} == {}
    assert told["counted"] == {"no route": 0, "no route, IPv6": 0, "datagrams": 0}
    assert told["exit code"] == 0
    # What would have been counted: one attempt of each kind, made on purpose.
    assert told["afterwards"] == {"no route": 1, "no route, IPv6": 1, "datagrams": 1}


def test_no_file_runs_what_it_was_sent_or_opens_connections() -> None:
    for path in SOURCES:
        name = path.relative_to(ROOT).as_posix()
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assert forbidden_in(tree, path) == WITHIN_THIS_MACHINE.get(name, set()), name
        for node in ast.walk(tree):
            if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
                assert isinstance(node.value, ast.Constant), name
                assert node.value.value is False, name


def forbidden_in(tree: ast.AST, path: Path) -> set[str]:
    """Return what a file imports and calls although it must not."""
    forbidden = FORBIDDEN_MODULES if "client" in path.parts else FORBIDDEN_MODULES | CONNECTING
    found = {name for name in imported(tree) if forbidden & {name, name.partition(".")[0]}}
    calls = FORBIDDEN_CALLS if "client" in path.parts else FORBIDDEN_CALLS | CONNECTING_CALLS
    found |= {name for name in called(tree) if name.rpartition(".")[2] in calls}
    return found - ALLOWED_CALLS


def imported(tree: ast.AST) -> set[str]:
    """Every module that a file imports, wherever it does."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def called(tree: ast.AST) -> set[str]:
    """Every function that a file calls, as it is written there."""
    return {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}


@pytest.mark.parametrize(
    "line", ["import pickle", "from pickle import loads", "import urllib.request", "from urllib import request",
             "import httpx", "eval(text)", "exec(text)", "compile(text, '', 'exec')", "__import__(text)",
             "importlib.import_module(text)", "os.system(text)", "builtins.eval(text)", "socket.create_connection(x)"],
)  # fmt: skip
def test_the_check_of_the_check(line: str) -> None:
    tree = ast.parse(f"def inside():\n    {line}")
    forbidden = FORBIDDEN_MODULES | CONNECTING
    found = {name for name in imported(tree) if forbidden & {name, name.partition(".")[0]}}
    found |= {name for name in called(tree) if name.rpartition(".")[2] in FORBIDDEN_CALLS | CONNECTING_CALLS}
    assert found - ALLOWED_CALLS
