"""Memories from the command line: what the service answers, in tables for people or as it is."""

import itertools
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.cli import COMMANDS
from service.terminal import MEMORY_LINES
from tests.attention_client.scripted import answer, problem, scripted
from tests.server import Server, free_port, running_server
from tests.service.command_line.command import HONOR, PYTHON, run, text

KEYS = {name: HONOR[name] for name in ("key", "value")} | {"labels": {"key": HONOR["labels"]["key"]}}
NUMBERS = itertools.count()


@pytest.fixture
def name() -> str:
    return f"shell-{next(NUMBERS)}"


@pytest.fixture
def url(server: Server) -> str:
    return server.url


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("guarded"), API_KEYS="secret-key") as running:
        yield running


def described(url: str, name: str) -> Any:
    return httpx.get(f"{url}/v1/memories/{name}").raise_for_status().json()


def test_put_append_get_and_delete_say_what_the_service_answers(url: str, name: str) -> None:
    put = json.loads(text("memory", "put", name, "-", "--json", "--url", url, body=KEYS))
    assert put == described(url, name)
    appended = json.loads(
        text("memory", "append", name, "-", "--json", "--url", url, "--if-match", put["version"], body=KEYS)
    )
    assert (appended["keys"], appended["version"]) == (8, described(url, name)["version"])
    assert json.loads(text("memory", "get", name, "--json", "--url", url, body=None)) == described(url, name)
    listed = json.loads(text("memory", "list", "--json", "--url", url, body=None))
    assert listed["next"] is None
    assert [one for one in listed["memories"] if one["name"] == name] == [described(url, name)]
    assert text("memory", "delete", name, "--url", url, body=None) == ""
    ended = run("memory", "get", name, "--json", "--url", url)
    assert (ended.returncode, ended.stdout) == (2, b"")
    assert json.loads(ended.stderr)["type"] == "/problems/not-found"


def test_the_address_comes_from_a_variable_unless_a_flag_names_it(url: str, name: str) -> None:
    elsewhere = f"http://127.0.0.1:{free_port()}"
    text("memory", "put", name, "-", body=KEYS, ATTENTION_URL=url)
    assert name in text("memory", "list", "--url", f"{url}/", body=None, ATTENTION_URL=elsewhere)


def test_tables_are_for_people(url: str, name: str) -> None:
    put = text("memory", "put", name, "-", "--url", url, body={**KEYS, "note": "三个英雄\t与野怪", "dtype": "float32"})
    shown = text("memory", "get", name, "--url", url, body=None)
    lines = shown.splitlines()
    assert lines[0] == f"memory 记忆 {name}"
    cells = dict(zip(MEMORY_LINES, ["", *(line.split(maxsplit=2)[2] for line in lines[1:])], strict=True))
    about = described(url, name)
    assert cells["shape.key"] == "[4, 4]"
    assert cells["version"] == about["version"]
    assert (cells["labels"], cells["expires"], cells["dtype"]) == ("✓ yes 是", "–", "float32")
    assert "\t" not in shown
    table = text("memory", "list", "--url", url, body=None).splitlines()
    assert table[0].split()[:2] == ["name", "名称"]
    [row] = [line for line in table if line.startswith(f"{name} ")]
    assert [line.split() for line in put.splitlines()] == [table[0].split(), row.split()]
    assert row.split()[1:10] == ["4", "[4,", "4]", "[4,", "3]", "float32", str(about["bytes"]), "–", row.split()[9]]
    coloured = text("memory", "list", "--url", url, "--color", "always", body=None)
    assert coloured.startswith("\x1b[1mname")


def test_a_memory_is_described_by_every_member_of_its_description(url: str, name: str) -> None:
    text("memory", "put", name, "-", "--url", url, body=KEYS)
    members = described(url, name)
    shapes = {f"shape.{one}" for one in members.pop("shape")}
    assert set(MEMORY_LINES) == set(members) | shapes


def test_tensors_go_to_a_file_that_makes_an_equal_memory(url: str, name: str, tmp_path: Path) -> None:
    text("memory", "put", name, "-", "--url", url, body={**KEYS, "note": "n", "ttl_seconds": 600})
    file = tmp_path / "heroes.safetensors"
    file.write_bytes(b"older")
    assert text("memory", "get", name, "--output", str(file), "--url", url, body=None) == ""
    downloaded = httpx.get(f"{url}/v1/memories/{name}/tensors").content
    assert file.read_bytes() == downloaded
    assert [one.name for one in tmp_path.iterdir()] == [file.name]
    assert run("memory", "get", name, "--output", "-", "--url", url).stdout == downloaded
    assert run("memory", "get", name, "--output", "/dev/null", "--url", url).returncode == 0
    assert Path("/dev/null").is_char_device()
    for again in (["put", f"{name}-2", str(file)], ["put", f"{name}-3", "-"]):
        text("memory", *again, "--url", url, body=downloaded)
        found = described(url, again[1])
        kept = {member: found[member] for member in ("shape", "dtype", "labels", "ttl_seconds", "note")}
        assert kept == {member: described(url, name)[member] for member in kept}


def test_conditions_are_those_of_http(url: str, name: str) -> None:
    first = json.loads(text("memory", "put", name, "-", "--json", "--if-none-match", "*", "--url", url, body=KEYS))
    for arguments in (
        ["put", name, "-", "--if-none-match", "*"],
        ["put", name, "-", "--if-match", "another"],
        ["append", name, "-", "--if-match", "another"],
        ["delete", name, "--if-match", "another"],
    ):
        ended = run("memory", *arguments, "--url", url, body=KEYS)
        assert (ended.returncode, ended.stdout) == (2, b"")
        assert "/problems/precondition-failed" in ended.stderr.decode()
    assert described(url, name)["version"] == first["version"]
    text("memory", "put", name, "-", "--if-match", "*", "--url", url, body=KEYS)


@pytest.mark.parametrize("wrong", ["a/b", "../heroes", ".hidden", "", "heroes?"])
@pytest.mark.parametrize(
    "command", [["put", "-"], ["append", "-"], ["get"], ["delete"]], ids=lambda command: command[0]
)
def test_a_text_that_is_no_name_is_not_taken_for_a_path(url: str, command: list[str], wrong: str) -> None:
    action, *file = command
    ended = run("memory", action, wrong, *file, "--url", url, body=KEYS)
    assert (ended.returncode, ended.stdout) == (2, b"")
    expected = "expected a name of 1 to 128 ASCII letters, digits and ._-, the first a letter or digit"
    assert ended.stderr.decode().startswith(f"error: /name: {expected}; received {wrong!r}. Choose another name.")


def test_errors_are_for_people_or_the_problem_documents_of_the_service(url: str, name: str) -> None:
    wrong = {"key": [[1, 2]], "valeu": [[1]]}
    ended = run("memory", "put", name, "-", "--url", url, body=wrong)
    assert (ended.returncode, ended.stdout) == (2, b"")
    one, kind = ended.stderr.decode().splitlines()
    assert one.startswith("error: /valeu: expected only known fields; received 'valeu'")
    assert re.fullmatch(r"未知的名称 · Unknown name \(422, /problems/unknown-name\)|请求内容有误 .*", kind)
    ended = run("memory", "put", name, "-", "--json", "--url", url, body=wrong)
    answered = httpx.put(f"{url}/v1/memories/{name}", json=wrong).json()
    received = json.loads(ended.stderr)
    assert received.pop("instance") != answered.pop("instance")
    assert received == answered


@pytest.mark.parametrize("action", ["put", "append"])
def test_a_file_that_cannot_be_read_is_refused(url: str, tmp_path: Path, action: str) -> None:
    ended = run("memory", action, "a", str(tmp_path / "none"), "--url", url)
    assert (ended.returncode, ended.stdout) == (2, b"")
    assert b"No such file" in ended.stderr


def test_a_place_that_cannot_be_written_to_is_refused(url: str, name: str, tmp_path: Path) -> None:
    text("memory", "put", name, "-", "--url", url, body=KEYS)
    for place in (tmp_path / "no" / "where", tmp_path):
        ended = run("memory", "get", name, "--output", str(place), "--url", url)
        assert (ended.returncode, ended.stdout) == (2, b"")
        assert ended.stderr.decode().startswith("error: expected a place to write to; received ")


def test_a_service_that_does_not_answer_is_unavailable() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    ended = run("memory", "list", "--url", url)
    assert (ended.returncode, ended.stdout) == (69, b"")
    assert ended.stderr.decode().startswith(f"error: expected an answer of a service at {url}; received: ")
    assert "refused" in json.loads(run("memory", "list", "--json", "--url", url).stderr)["detail"]


@pytest.mark.parametrize(
    ("script", "code", "said"),
    [
        (b"", 69, "expected an answer of a service"),
        (answer(200, b"what?"), 69, "received something else"),
        (answer(200, b"{}"), 69, "expected an answer with memories and next"),
        (answer(301, b""), 2, "no explanation"),
        (answer(502, b"<html>bad gateway</html>"), 69, "<html>bad gateway</html>"),
        (problem(429, "queue-full"), 69, "about queue-full"),
        (problem(503, "memories-unavailable"), 69, "about memories-unavailable"),
        (problem(507, "insufficient-storage"), 69, "about insufficient-storage"),
        (problem(404, "not-found"), 2, "about not-found"),
    ],
    ids=str,
)
def test_exit_codes_tell_a_wrong_request_from_a_failing_service(script: bytes, code: int, said: str) -> None:
    with scripted(script) as server:
        ended = run("memory", "list", "--url", server.url)
    assert (ended.returncode, ended.stdout) == (code, b"")
    assert said in ended.stderr.decode()


def test_a_download_that_breaks_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "a.safetensors"
    file.write_bytes(b"older")
    with scripted(answer(200, bytes(2000))[:-500]) as server:
        ended = run("memory", "get", "a", "--output", str(file), "--url", server.url)
    assert ended.returncode == 69
    assert file.read_bytes() == b"older"
    assert list(tmp_path.iterdir()) == [file]


def test_the_key_comes_from_a_variable_and_is_never_shown(guarded: Server, name: str) -> None:
    assert run("memory", "list", "--url", guarded.url).returncode == 2
    wrong = run("memory", "list", "--url", guarded.url, ATTENTION_API_KEY="not-it")
    assert (wrong.returncode, b"unauthorized" in wrong.stderr, b"not-it" in wrong.stderr) == (2, True, False)
    broken = run("memory", "list", "--url", guarded.url, ATTENTION_API_KEY="two\r\nlines")
    assert (broken.returncode, b"lines" in broken.stderr) == (2, False)
    text("memory", "put", name, "-", "--url", guarded.url, body=KEYS, ATTENTION_API_KEY="secret-key")
    assert name in text("memory", "list", "--url", guarded.url, body=None, ATTENTION_API_KEY="secret-key")


def test_a_path_prefix_is_kept() -> None:
    with scripted(answer(204)) as server:
        assert run("memory", "delete", "a.b", "--url", f"{server.url}/attention/").returncode == 0
    assert server.received[0].line == "DELETE /attention/v1/memories/a.b HTTP/1.1"


@pytest.mark.parametrize("address", ["127.0.0.1:8000", "ftp://127.0.0.1", "http://", "http://127.0.0.1:no"])
def test_an_address_that_is_no_url_is_refused(address: str) -> None:
    ended = run("memory", "list", "--url", address)
    assert (ended.returncode, ended.stdout) == (2, b"")
    assert address in ended.stderr.decode()


@pytest.mark.parametrize(
    "command",
    ["memory", "memory put", "memory put a", "memory list a", "memory delete", "memory sort", "memory get a b"],
)
def test_a_wrong_command_line_is_refused(command: str) -> None:
    ended = run(*command.split())
    assert (ended.returncode, ended.stdout) == (2, b"")
    assert ended.stderr.startswith(b"usage: attention-service ")


def test_the_list_has_every_page_and_says_when_it_is_empty(url: str) -> None:
    def page(names: list[str], after: str | None) -> bytes:
        return answer(200, json.dumps({"memories": [{"name": one} for one in names], "next": after}).encode())

    with scripted(page(["a", "b"], "b"), page(["c"], None)) as server:
        listed = json.loads(run("memory", "list", "--json", "--url", server.url).stdout)
    assert [one["name"] for one in listed["memories"]] == ["a", "b", "c"]
    assert [received.line.split()[1] for received in server.received] == [
        "/v1/memories?after=", "/v1/memories?after=b",
    ]  # fmt: skip
    with scripted(page([], None)) as server:
        assert run("memory", "list", "--url", server.url).stdout.decode() == "no memories · 没有记忆\n"


def test_help_is_quick_and_names_the_variables() -> None:
    ended = subprocess.run(
        [*PYTHON, "memory", "put", "--help"], capture_output=True, text=True, timeout=60, check=True,
        env={**os.environ, "COLUMNS": "200"},
    )  # fmt: skip
    assert "ATTENTION_URL" in ended.stdout
    assert "memory" in COMMANDS
    listed = subprocess.run([*PYTHON, "memory", "--help"], capture_output=True, text=True, timeout=60, check=True)
    assert "ATTENTION_API_KEY" in listed.stdout
    assert sys.executable in PYTHON


@pytest.mark.parametrize("command", ["attend", "check", "gradients"])
def test_commands_without_a_service_say_that_a_memory_needs_one(command: str) -> None:
    request = {"query": [[1, 2]], "memory": "heroes"}
    body = {
        "attend": request,
        "check": {"request": request, "candidate": {"output": [[1]]}},
        "gradients": {"request": request, "output_gradient": [[1]]},
    }[command]
    ended = run(command, "-", "--json", body=body)
    assert (ended.returncode, ended.stdout) == (2, b"")
    said = json.loads(ended.stderr)
    assert said["type"] == "/problems/unknown-name"
    assert said["errors"][0]["pointer"] == ("/memory" if command == "attend" else "/request/memory")
    assert "running service" in said["detail"]
