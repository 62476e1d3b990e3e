"""The service as a pod runs it: with the variables of the manifests, its probes, and a Secret that changes."""

import time
from pathlib import Path

import httpx
import yaml

from development.manifests import MANIFESTS
from tests.deploy.rules import pods
from tests.server import STARTUP_SECONDS, log_lines, running_server

[POD] = pods(list(yaml.safe_load_all(MANIFESTS.read_text(encoding="utf-8"))))


def test_probes_answer_with_the_variables_of_the_manifests(tmp_path: Path) -> None:
    settings = {
        name.removeprefix("ATTENTION_"): value or ""
        for name, value in POD.environment.items()
        if name != "ATTENTION_PORT"
    }
    with running_server(tmp_path, **settings) as server:
        probes = [POD.container[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "liveness", "readiness")]
        assert [httpx.get(server.url + path).status_code for path in probes] == [200, 200, 200]
        assert httpx.get(f"{server.url}/v1/memories").status_code == 404, "replicas that share nothing keep none"


def write_secret(mount: Path, version: str, keys: str) -> None:
    """Write a Secret as the node does: a new directory, to which a link is renamed in one step."""
    directory = mount / f"..{version}"
    directory.mkdir()
    (directory / "keys").write_text(keys)
    link = mount / "..data_tmp"
    link.symlink_to(directory.name)
    link.rename(mount / "..data")


def test_a_secret_that_changes_exchanges_the_keys_without_a_restart(tmp_path: Path) -> None:
    mount = tmp_path / "mount"
    mount.mkdir()
    write_secret(mount, "1", "team-a=plain:example-key-1\n")
    (mount / "keys").symlink_to("..data/keys")
    with running_server(tmp_path, API_KEYS_FILE=str(mount / "keys")) as server:

        def status(key: str) -> int:
            return httpx.get(f"{server.url}/v1/memories", headers={"X-API-Key": key}).status_code

        assert (status("example-key-1"), status("example-key-2")) == (200, 401)
        write_secret(mount, "2", "team-a=plain:example-key-2\n")
        until = time.monotonic() + STARTUP_SECONDS
        while status("example-key-2") != 200:
            assert time.monotonic() < until, "the file was not read again"
            time.sleep(0.05)
        assert status("example-key-1") == 401
        log_lines(server, "in force now")


def test_a_volume_that_belongs_to_the_group_of_the_pod_keeps_memories(tmp_path: Path) -> None:
    """With `fsGroup` the root of a volume is open to its group, which directories in it inherit."""
    volume = tmp_path / "volume"
    volume.mkdir()
    volume.chmod(0o2775)
    (volume / "lost+found").mkdir()
    directory = volume / "memories"
    for status in (201, 200):
        with running_server(tmp_path, MEMORIES_DIRECTORY=str(directory)) as server:
            put = httpx.put(f"{server.url}/v1/memories/heroes", json={"key": [[1, 2], [3, 4]]})
            assert put.status_code == status, put.text
    assert directory.stat().st_mode & 0o777 == 0o700
