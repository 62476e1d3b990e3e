"""Run inside a network namespace that has nothing but its loopback: the service starts, and every endpoint answers.

Prints as JSON what each request was answered, and what the kernel counted of packets that had nowhere to go.
"""

import json
import socket
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import httpx
import numpy as np

from service.main import create_app
from service.settings import Settings
from service.specification import ENDPOINTS
from tests.server import Server, running_server
from tests.service.open_inference.inference import Tensor, frame

REQUEST = {"query": [[1.0, 2.0]], "key": [[1.0, 0.0], [0.5, 1.0]], "value": [[1.0], [2.0]]}

FILES = {"/static": "/static/docs.js", "/guide": "/guide/"}
"""Paths below the mounts of files; the folder of the guide leads to its first page, built or not."""

BODIES = {
    **{endpoint.path: next(iter(endpoint.examples.values()))["value"] for endpoint in ENDPOINTS},
    "/v2/repository/index": {},
    "/v1/memories/table": {"key": [[1, 2]]},
    "/v1/memories/table/append": {"key": [[3, 4]]},
}

PARAMETERS = {"model": "dot_product", "version": "1", "id": "causal", "slug": "not-found", "name": "table"}


def uncounted() -> dict[str, int]:
    """What the kernel of this namespace counted: attempts to leave it, and datagrams, such as questions for names."""
    lines = [line.split() for line in Path("/proc/net/snmp").read_text().splitlines()]
    tables = {
        names[0]: dict(zip(names[1:], numbers[1:], strict=True))
        for names, numbers in zip(lines[::2], lines[1::2], strict=True)
    }
    six = dict(line.split() for line in Path("/proc/net/snmp6").read_text().splitlines())
    return {
        "no route": int(tables["Ip:"]["OutNoRoutes"]),
        "no route, IPv6": int(six["Ip6OutNoRoutes"]),
        "datagrams": int(tables["Udp:"]["OutDatagrams"]) + int(six["Udp6OutDatagrams"]),
    }


def ask_everything(server: Server) -> dict[str, int]:
    """Call every route of the application once; return the statuses."""
    answers = {}
    with httpx.Client(base_url=server.url, timeout=30) as client:
        asked = [
            (method, route)
            for route in create_app(Settings(log_level="error")).routes
            for method in sorted(set(getattr(route, "methods", None) or {"GET"}) - {"HEAD"})
        ]
        # A memory is there until it has been read.
        order = {"PUT": 0, "DELETE": 2}
        for method, route in sorted(asked, key=lambda one: order.get(one[0], 1)):
            path = route.path.format(**PARAMETERS) if hasattr(route, "endpoint") else FILES[route.path]
            body = BODIES.get(path)
            if path.endswith("/infer"):
                tensors = [Tensor(name, "FP64", numbers) for name, numbers in arrays().items()]
                heads, raw = zip(*(tensor.as_binary() for tensor in tensors), strict=True)
                content, headers = frame({"inputs": list(heads)}, *raw)
                answer = client.request(method, path, content=content, headers=headers)
            else:
                sent = {} if body is None or method in ("GET", "DELETE") else {"json": body}
                answer = client.request(method, path, **sent)
            answers[f"{method} {route.path}"] = answer.status_code
    return answers


def arrays() -> dict[str, np.ndarray]:
    return {name: np.asarray(REQUEST[name]) for name in ("query", "key", "value")}


def try_to_leave() -> None:
    """The check of the check: one attempt of each kind."""
    for family, address in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        with socket.socket(family) as attempt, suppress(OSError):
            attempt.connect((address, 80))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as question:
        question.sendto(b"", ("127.0.0.1", 53))


if __name__ == "__main__":
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with (
        tempfile.TemporaryDirectory() as directory,
        running_server(Path(directory), *sys.argv[1:], DRAIN_SECONDS="1") as started,
    ):
        answered = ask_everything(started)
        counted = uncounted()
        code, _ = started.stop()
    try_to_leave()
    print(json.dumps({"answers": answered, "counted": counted, "exit code": code, "afterwards": uncounted()}))
