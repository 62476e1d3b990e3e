"""Servers that are killed while clients append over HTTP: every acknowledged key is there, once and in order."""

import random
import signal
import threading
import time
from pathlib import Path

import httpx
import numpy as np
import pytest
from safetensors.numpy import load

from tests.server import Server, running_server

KILLS = 20
CLIENTS = 3
SAFETENSORS = "application/vnd.safetensors"


class Appender:
    """A client that appends the numbers 1, 2, 3, … to a memory, one a request, each on the version that it knows."""

    def __init__(self, name: str, durability: str) -> None:
        self.name, self.durability = name, durability
        self.acknowledged = 0
        self.version = ""

    def put(self, client: httpx.Client) -> None:
        """Begin with the number 0."""
        body = {"key": [[0]], "dtype": "float32", "durability": self.durability}
        self.version = client.put(f"/v1/memories/{self.name}", json=body).raise_for_status().json()["version"]

    def run(self, url: str) -> None:
        """Append until the server is gone; every second time by a request that attends as well."""
        with httpx.Client(base_url=url, timeout=10) as client:
            while True:
                number = self.acknowledged + 1
                headers = {"If-Match": f'"{self.version}"'}
                try:
                    if number % 2:
                        body = {"query": [[1]], "memory": self.name, "append": True, "key": [[number]]}
                        response = client.post("/v1/attention", json=body | {"include": []}, headers=headers)
                        version = response.json()["memory"]["version"]
                    else:
                        path = f"/v1/memories/{self.name}/append"
                        response = client.post(path, json={"key": [[number]]}, headers=headers)
                        version = response.json()["version"]
                    response.raise_for_status()
                except httpx.TransportError:
                    return
                self.acknowledged, self.version = number, version

    def check(self, client: httpx.Client) -> int:
        """Fail unless all that was acknowledged is there; return whether the request without an answer is there too."""
        response = client.get(f"/v1/memories/{self.name}/tensors").raise_for_status()
        numbers = load(response.content)["key"][:, 0]
        pending = len(numbers) - 1 - self.acknowledged
        assert pending in (0, 1), f"{self.name}: {self.acknowledged} acknowledged, {len(numbers) - 1} there"
        np.testing.assert_array_equal(numbers, np.arange(len(numbers)))
        self.acknowledged += pending
        self.version = response.headers["ETag"].strip('"')
        return pending


def kill(server: Server, appenders: list[Appender], seconds: float) -> None:
    """Let all clients append for a time, then kill the server."""
    threads = [threading.Thread(target=one.run, args=[server.url]) for one in appenders]
    for thread in threads:
        thread.start()
    time.sleep(seconds)
    server.process.send_signal(signal.SIGKILL)
    for thread in threads:
        thread.join()


@pytest.mark.soak
def test_acknowledged_appends_outlive_kills_of_the_server(tmp_path: Path, report_figure) -> None:
    draw = random.Random(7)
    appenders = [Appender(f"of-{number}", ("strict", "relaxed")[number % 2]) for number in range(CLIENTS)]
    settings = {"MEMORIES_DIRECTORY": str(tmp_path / "memories")}
    found = 0
    for round_ in range(KILLS + 1):
        with running_server(tmp_path, **settings) as server, httpx.Client(base_url=server.url) as client:
            for one in appenders:
                if round_:
                    found += one.check(client)
                else:
                    one.put(client)
            if round_ < KILLS:
                kill(server, appenders, draw.uniform(0.05, 0.5))
    appended = [one.acknowledged for one in appenders]
    assert min(appended) > KILLS
    report_figure(f"memories over HTTP: {KILLS} kills, {appended} appends acknowledged, {found} more without an answer")
