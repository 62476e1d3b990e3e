"""Ray Serve for tests: `deploy/ray/serve.yaml`, but for the address, the CPUs and the delay of its scaling."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml

from service.ray_serve.proxy import IMPORT_PATH
from tests.cluster.ground import ENVIRONMENT, PROJECT, PYTHON, ray_environment
from tests.processes import children_of
from tests.server import free_port

FILE = PROJECT / "deploy" / "ray" / "serve.yaml"
START_SECONDS = 300
MAX_REPLICAS = 3

UNREAD = {"name": "unread", "route_prefix": "/unread", "import_path": "tests.ray_serve.unread:app"}
"""A second application, which answers without reading the body of a request."""

ENDING = {"name": "ending", "route_prefix": "/ending", "import_path": "service.cluster.serve:app"}
"""The application of the file once more, for a test that ends it."""

GCS = b"--gcs-address="
"""The flag that names the address of the cluster in the command of a node."""

REPLICA = re.compile(rb"ray::(SERVE_REPLICA::|ServeReplica:)attention[:#]attention")
"""The title of the process of a replica of ours."""


class Served:
    """Serve as it runs for the tests."""

    def __init__(self, url: str, log: Path, process: int) -> None:
        self.url, self.log = url, log
        self._process = process

    @property
    def port(self) -> int:
        """The port of the proxy."""
        return int(self.url.rpartition(":")[2])

    def replicas(self) -> list[int]:
        """Return the process ids of the replicas, which Ray starts in the second generation."""
        grandchildren = {one for child in children_of(self._process) for one in children_of(child)}
        return [one for one in grandchildren if REPLICA.match(_title(one))]

    def end(self, application: str) -> "subprocess.Popen[bytes]":
        """Begin to end an application, in a process that ends when it has ended."""
        titles = [_title(child).split(b"\0") for child in children_of(self._process)]
        [address] = {word.partition(b"=")[2].decode() for words in titles for word in words if word.startswith(GCS)}
        program = f"import ray, sys; from ray import serve; ray.init(sys.argv[1]); serve.delete({application!r})"
        return subprocess.Popen(
            [PYTHON, "-c", program, address],
            env=ray_environment(self.url),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
        )

    def logged(self, text: str) -> list[str]:
        """Return the lines of the log that hold a text."""
        return [line for line in self.log.read_text(errors="replace").splitlines() if text in line]


def _title(process: int) -> bytes:
    """Return the title of a process; an empty text if it has ended."""
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return b""


def configuration(port: int) -> dict[str, Any]:
    """Return the file for a machine with few cores, on a port of its own, with a second application beside."""
    document = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    document["http_options"] |= {"host": "127.0.0.1", "port": port}
    [application] = document["applications"]
    [deployment] = application["deployments"]
    deployment["ray_actor_options"]["num_cpus"] = 1
    deployment["autoscaling_config"] |= {"max_replicas": MAX_REPLICAS, "upscale_delay_s": 1}
    ending = {**deployment, "autoscaling_config": {"min_replicas": 1, "max_replicas": 1}}
    document["applications"] += [UNREAD, {**ENDING, "deployments": [ending]}]
    return document


@contextmanager
def running_serve(directory: Path) -> Iterator[Served]:
    """Deploy the file with `serve run` on a Ray of its own, wait until its applications answer, and end it."""
    port = free_port()
    log, path = directory / "serve.log", directory / "serve.yaml"
    path.write_text(yaml.safe_dump(configuration(port)))
    url = f"http://127.0.0.1:{port}"
    environment = {
        **ray_environment(url),
        "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": IMPORT_PATH,
        "RAY_SERVE_HANDLE_AUTOSCALING_METRIC_PUSH_INTERVAL_S": "1",
        # The replicas that the tests ask for, whatever the machine has.
        "RAY_OVERRIDE_RESOURCES": '{"CPU": 8}',
        "RAY_DEDUP_LOGS": "0",
        "ATTENTION_MAX_RESULT_BYTES": str(256 << 20),
        "ATTENTION_BYTES_IN_FLIGHT": str(1 << 30),
        "PYTHONPATH": str(PROJECT),
    }
    command = ["env", "--default-signal=INT", ENVIRONMENT / "bin" / "serve", "run", "--address", "local", path]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env=environment, stdout=output, stderr=output, cwd=PROJECT, start_new_session=True
        )
    try:
        _wait(process, url, log)
        yield Served(url, log, process.pid)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _wait(process: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            if all(
                httpx.get(url + path, timeout=2).status_code == 200 for path in ("/readyz", "/unread", "/ending/readyz")
            ):
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.2)
    raise RuntimeError(f"Serve did not start:\n{log.read_text()}")
