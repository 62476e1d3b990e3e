"""The directory of the memories, as an operator sees it: copied, missing, not usable."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.server import free_port, running_server

WRONG_SETTING = 2
"""Exit code of a program that a setting has ended."""

STORY = {"key": [[1, 2], [3, 4]], "value": [[5], [6]], "labels": {"key": ["a", "b"]}, "note": "minute 12"}
MORE = {"key": [[7, 8]], "value": [[9]], "labels": {"key": ["c"]}}


@pytest.fixture
def no_directory(tmp_path: Path) -> Path:
    """A path below a file, where no directory can be made."""
    file = tmp_path / "file"
    file.touch()
    return file / "state"


@pytest.mark.soak
@pytest.mark.parametrize("durability", ["strict", "relaxed"])
def test_a_copy_of_the_directory_of_a_stopped_service_is_a_backup(tmp_path: Path, durability: str) -> None:
    """With the log that is not merged yet, and with the versions that clients know."""

    def seen(url: str) -> tuple[dict, bytes]:
        described = httpx.get(f"{url}/v1/memories/story").raise_for_status().json()
        return described, httpx.get(f"{url}/v1/memories/story/tensors").raise_for_status().content

    with running_server(tmp_path, MEMORIES_DIRECTORY=str(tmp_path / "kept")) as server:
        address = f"{server.url}/v1/memories/story"
        httpx.put(address, json=STORY | {"durability": durability}).raise_for_status()
        httpx.post(f"{address}/append", json=MORE).raise_for_status()
        before = seen(server.url)
        assert server.stop()[0] == 0
    shutil.copytree(tmp_path / "kept", tmp_path / "restored")
    shutil.rmtree(tmp_path / "kept")
    with running_server(tmp_path, MEMORIES_DIRECTORY=str(tmp_path / "restored")) as server:
        assert seen(server.url) == before
        assert before[0]["keys"] == len(STORY["key"]) + len(MORE["key"])


def refused_start(directory: Path) -> str:
    """Return the only line that a service prints which is named a directory that it cannot use."""
    command = [sys.executable, "-m", "service.cli", "serve", "--port", str(free_port())]
    settings = {"ATTENTION_MEMORIES_DIRECTORY": str(directory), "ATTENTION_LOG_FORMAT": "text"}
    ended = subprocess.run(
        command, env={**os.environ, **settings}, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == WRONG_SETTING
    [line] = ended.stderr.splitlines()
    assert line.startswith("attention-service: ATTENTION_MEMORIES_DIRECTORY: ")
    return line


def test_a_directory_that_is_named_and_cannot_be_used_ends_the_start(no_directory: Path) -> None:
    assert str(no_directory.parent) in refused_start(no_directory)


def test_a_damaged_catalogue_ends_the_start_of_a_service_that_names_its_directory(tmp_path: Path) -> None:
    (tmp_path / "catalogue.sqlite3").write_bytes(b"no database" * 1000)
    assert "file is not a database. Restore the directory" in refused_start(tmp_path)


def test_without_a_named_directory_a_state_that_cannot_be_used_switches_memories_off(
    tmp_path: Path, no_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a container whose root is read-only and that has no volume."""
    monkeypatch.delenv("ATTENTION_MEMORIES_DIRECTORY", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(no_directory))
    with running_server(tmp_path) as server:
        assert '"level":"warning"' in server.log.read_text()
        assert "memories are off" in server.log.read_text()
        answer = httpx.put(f"{server.url}/v1/memories/story", json=STORY)
        assert answer.status_code == 404
        assert "the directory of its state cannot be used" in answer.json()["detail"]
        plain = {"query": [[1, 2]], "key": [[1, 2]]}
        assert httpx.post(f"{server.url}/v1/attention", json=plain).status_code == 200
        assert "\nattention_memories " not in httpx.get(f"{server.url}/metrics").text
