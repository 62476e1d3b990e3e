"""attend and check from the command line: what the service says, without the service."""

import contextlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree as ET

import httpx
import numpy as np
import pytest

from service import offline
from service.examples import IDS, load_examples
from service.settings import Settings
from tests.sampling import sample
from tests.server import HEARS_SIGNALS, Server
from tests.service.command_line.command import HONOR, PYTHON, run
from tests.service.problem_documents import MALFORMED

COMMAND = Path(sys.executable).parent / "attention-service"
EXAMPLES = load_examples()
WRONG = {"query": [[1, "x"]], "key": [[1, 2]], "valeu": [[1]]}


@pytest.mark.parametrize("name", IDS)
async def test_json_is_what_the_service_answers_to_the_byte(
    client: httpx.AsyncClient, tmp_path: Path, name: str
) -> None:
    file = tmp_path / "request.json"
    file.write_text(json.dumps(EXAMPLES[name].request), encoding="utf-8")
    answered = await client.post("/v1/attention", content=file.read_bytes())
    ended = run("attend", str(file), "--json")
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert ended.stdout == answered.content + b"\n"


def test_so_is_a_product_that_several_threads_would_share(server: Server) -> None:
    random = np.random.default_rng(5)
    query, key = random.normal(size=(2, 32, 1000)).tolist()
    body = json.dumps({"query": query, "key": key, "include": ["scores"]}).encode()
    # In a process of its own: how many threads share a product is decided when NumPy is loaded.
    ended = subprocess.run([*PYTHON, "attend", "-", "--json"], input=body, capture_output=True, timeout=60, check=True)
    assert ended.stdout == httpx.post(f"{server.url}/v1/attention", content=body).content + b"\n"


async def test_a_picture_is_what_the_service_draws_to_the_byte(client: httpx.AsyncClient) -> None:
    drawn = await client.post("/v1/attention", json=HONOR, headers={"Accept": "image/svg+xml"})
    ended = run("attend", "-", "--svg", body=HONOR)
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert ended.stdout == drawn.content
    assert ET.fromstring(ended.stdout).tag == "{http://www.w3.org/2000/svg}svg"


def test_the_installed_command_attends() -> None:
    ended = subprocess.run(
        [COMMAND, "attend", "-"], input=json.dumps(HONOR).encode(), capture_output=True, timeout=60, check=False
    )
    assert "0.7017" in ended.stdout.decode()


@pytest.mark.parametrize("form", [[], ["--json"], ["--svg"]], ids=lambda form: "".join(form) or "table")
def test_output_goes_to_a_file(tmp_path: Path, form: list[str]) -> None:
    file = tmp_path / "answer"
    ended = run("attend", "-", *form, "--output", str(file), body=HONOR)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"", b"")
    assert file.read_bytes() == run("attend", "-", *form, body=HONOR).stdout


@pytest.mark.parametrize("form", [[], ["--svg"]], ids=lambda form: "".join(form) or "table")
def test_errors_are_for_people(form: list[str]) -> None:
    ended = run("attend", "-", *form, body=WRONG)
    assert (ended.returncode, ended.stdout) == (2, b"")
    one, other, kind = ended.stderr.decode().splitlines()
    assert re.fullmatch(r"error: /query/0/1: expected a number; received the string 'x'\. .*", one)
    assert re.fullmatch(r"error: /valeu: expected only known fields; received 'valeu'\. Did you mean 'value'\?", other)
    assert kind == "请求内容有误 · The request is not valid (422, /problems/invalid-request)"


REFUSED = {
    "wrong fields": WRONG,
    "shapes": {"query": [[1]], "key": [[1, 2]]},
    "name": {"query": [[1]], "key": [[1]], "normalizer": "sotfmax"},
    "labels": {"query": [[1]], "key": [[1]], "labels": {"key": ["a", "b"]}},
    "no object": [1],
    **MALFORMED,
}


@pytest.mark.parametrize("name", REFUSED)
async def test_errors_are_the_problem_documents_of_the_service(client: httpx.AsyncClient, name: str) -> None:
    body = REFUSED[name]
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    answered = (await client.post("/v1/attention", content=content)).json()
    ended = run("attend", "-", "--json", body=content)
    assert (ended.returncode, ended.stdout) == (2, b"")
    del answered["instance"]
    assert json.loads(ended.stderr) == answered


@pytest.mark.parametrize(
    ("name", "value", "body"),
    [("MAX_OPERATIONS", "10", HONOR), ("MAX_JSON_BYTES", "100", HONOR), ("MAX_BODY_BYTES", "100", HONOR),
     ("MAX_RESULT_BYTES", "50", HONOR), ("BYTES_IN_FLIGHT", "50", HONOR)],
)  # fmt: skip
@pytest.mark.parametrize("form", [[], ["--json"], ["--svg"]], ids=lambda form: "".join(form) or "table")
def test_limits_apply(name: str, value: str, body: object, form: list[str]) -> None:
    ended = run("attend", "-", *form, body=body, **{f"ATTENTION_{name}": value})
    assert (ended.returncode, ended.stdout) == (2, b"")
    assert "/problems/too-large" in ended.stderr.decode()
    assert value in ended.stderr.decode()


def test_a_wrong_setting_is_named() -> None:
    ended = run("attend", "-", body=HONOR, ATTENTION_MAX_OPERATIONS="many")
    assert ended.returncode == 2
    assert ended.stderr.startswith(b"attention-service: ATTENTION_MAX_OPERATIONS")


@pytest.mark.parametrize("command", ["attend", "check", "gradients"])
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, command: str) -> None:
    for file, reason in ((tmp_path / "nothing.json", "No such file"), (tmp_path, "directory")):
        ended = run(command, str(file))
        assert (ended.returncode, ended.stdout) == (2, b"")
        assert ended.stderr.decode().startswith("error: expected a file that can be read; received ")
        assert str(file) in ended.stderr.decode()
        assert reason in ended.stderr.decode()
        assert json.loads(run(command, str(file), "--json").stderr)["type"] == "/problems/not-found"


def test_a_place_that_cannot_be_written_to_is_refused(tmp_path: Path) -> None:
    ended = run("attend", "-", "--output", str(tmp_path / "no" / "where"), body=HONOR)
    assert ended.returncode == 2
    assert b"No such file" in ended.stderr
    with Path("/dev/full").open("wb") as full:
        ended = subprocess.run(
            [*PYTHON, "attend", "-"], input=json.dumps(HONOR).encode(), stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert ended.returncode == 2
    assert re.match(
        r"error: expected a place to write to; received the standard output: No space left[^\n]*\n[^\n]*\n$",
        ended.stderr.decode(),
    )


WRONG_COMMANDS = [
    "",
    "attend",
    "attend - --json --svg",
    "attend - --color blue",
    "check - --svg",
    "atend -",
    "attend a b",
]


@pytest.mark.parametrize("command", WRONG_COMMANDS)
def test_a_wrong_command_line_is_refused(command: str) -> None:
    ended = run(*command.split(), body=HONOR)
    assert (ended.returncode, ended.stdout) == (2, b"")
    assert ended.stderr.startswith(b"usage: attention-service")


@pytest.mark.parametrize("arguments", sample([["attend", "-", "--json"], ["attend", "-"], ["openapi"]], ["openapi"]))
def test_whoever_reads_may_stop_at_any_time(tmp_path: Path, arguments: list[str]) -> None:
    random = np.random.default_rng(7)
    rows = random.normal(size=(400, 4)).tolist()
    source, complaints = tmp_path / "request.json", tmp_path / "stderr"
    source.write_text(json.dumps({"query": rows, "key": rows}), encoding="utf-8")
    with source.open("rb") as body, complaints.open("wb") as stderr:
        process = subprocess.Popen([*PYTHON, *arguments], stdin=body, stdout=subprocess.PIPE, stderr=stderr)
        process.stdout.read(10)
        process.stdout.close()
        assert process.wait(60) == 0
    assert complaints.read_bytes() == b""


def test_a_defect_tells_nothing_of_the_insides(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    def broken(content: bytes, settings: Settings, order: offline.Order) -> tuple[bytes, int]:
        raise RuntimeError("secret of the insides")

    file = tmp_path / "request.json"
    file.write_text("{}", encoding="utf-8")
    assert offline.run(offline.Order(str(file), "table", None, "never"), broken) == 70
    out, err = capfd.readouterr()
    assert out == ""
    assert "Internal error (500, /problems/internal)" in err
    assert "secret" not in err
    assert "Traceback" not in err


def test_ctrl_c_ends_it_without_a_word(tmp_path: Path) -> None:
    file = tmp_path / "request.json"
    os.mkfifo(file)
    command = [*HEARS_SIGNALS, *PYTHON, "attend", str(file)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with open_when_read(file):
        # A signal that comes just before a system call does not interrupt it; Python itself would then wait on.
        for _ in range(6):
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5)
                break
        said = process.communicate(timeout=5)
    assert (process.returncode, *said) == (130, b"", b"")


def open_when_read(pipe: Path) -> io.FileIO:
    """Open a pipe for writing as soon as someone has opened it for reading."""
    until = time.monotonic() + 30
    while True:
        try:
            return io.FileIO(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK), "w")
        except OSError:
            assert time.monotonic() < until, "the command does not read"
            time.sleep(0.01)


@pytest.mark.parametrize("command", sample(["attend", "openapi"], "attend"))
def test_without_a_standard_error_the_output_is_no_other(tmp_path: Path, command: str) -> None:
    """Not even where there is something to complain about."""
    file = tmp_path / "request.json"
    file.write_text(json.dumps({"query": [[1]], "key": [[1]]}))
    words = [*PYTHON, "attend", str(file), "--json"] if command == "attend" else [*PYTHON, "openapi"]
    environment = {**os.environ, "ATTENTION_PORT": "tcp://10.0.0.1:8000"}
    outputs = [
        subprocess.run(["sh", "-c", f'exec "$@" {end}', "sh", *words], env=environment, capture_output=True, check=True)
        for end in ("2>&-", "2>/dev/null")
    ]
    assert outputs[0].stdout == outputs[1].stdout
    assert json.loads(outputs[0].stdout)
