"""Every setting is read from its environment variable, described, and refused clearly when it is wrong."""

import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from service.cli import SECRETS, SERVE_OPTIONS, main
from service.keys import hashed
from service.settings import Settings
from tests.server import running_server

CHANGED = {
    "host": ("0.0.0.0", "0.0.0.0"),
    "port": ("8001", 8001),
    "workers": ("2", 2),
    "root_path": ("/attention/v9", "/attention/v9"),
    "compute_threads": ("1000", 1000),
    "max_body_bytes": ("1001", 1001),
    "max_json_bytes": ("1002", 1002),
    "max_result_bytes": ("1003", 1003),
    "bytes_in_flight": ("1005", 1005),
    "max_operations": ("1004", 1004),
    "max_decompression_ratio": ("7", 7),
    "max_json_depth": ("9", 9),
    "queue_size": ("0", 0),
    "deadline_seconds": ("0.5", 0.5),
    "body_timeout_seconds": ("1.5", 1.5),
    "drain_seconds": ("2.5", 2.5),
    "api_keys": ("key-1, key-2", (hashed("key-1"), hashed("key-2"))),
    "api_keys_file": (__file__.replace("test_settings.py", "api_keys.txt"), Path(__file__).with_name("api_keys.txt")),
    "cors_origins": ("https://a.example, http://b.example:81", ("https://a.example", "http://b.example:81")),
    "metrics_directory": ("/run/attention", "/run/attention"),
    "otlp_endpoint": ("http://localhost:4318", "http://localhost:4318"),
    "log_level": ("warning", "warning"),
    "log_format": ("text", "text"),
}
"""Each setting as the environment writes another value than the default, and that value."""

WRONG = {
    "port": ["65536", "-1", "http", ""],
    "workers": ["0", "1.5"],
    "root_path": ["attention", "/attention/", "/a?b", "//a"],
    "compute_threads": ["0", "all"],
    "max_body_bytes": ["0", "64MiB"],
    "max_json_bytes": ["-1"],
    "max_result_bytes": ["0"],
    "bytes_in_flight": ["0", "256MiB"],
    "max_operations": ["0", "2e12x"],
    "max_decompression_ratio": ["0", "1.5"],
    "max_json_depth": ["7"],
    "queue_size": ["-1"],
    "deadline_seconds": ["0", "nan", "a minute"],
    "body_timeout_seconds": ["-1", "nan"],
    "drain_seconds": ["0", "nan"],
    "api_keys": ["", "clé", "sha256:123"],
    "api_keys_file": ["", "/nowhere/keys", os.devnull],
    "cors_origins": ["example.org", "https://example.org/", "https://a.example,*.b.example"],
    "otlp_endpoint": ["localhost:4318", "ftp://localhost", "http://"],
    "log_level": ["verbose", "INFO"],
    "log_format": ["xml"],
}
"""Values that no setting may take; `host` and `metrics_directory` are for the operating system to judge."""


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests may have settings of their own."""
    for name in [name for name in os.environ if name.upper().startswith("ATTENTION_")]:
        monkeypatch.delenv(name)


def serve(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run ``attention-service serve`` where it is expected to end by itself."""
    return subprocess.run(
        [sys.executable, "-m", "service.cli", "serve", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_these_tests_know_every_setting() -> None:
    assert list(CHANGED) == list(Settings.model_fields)
    assert set(WRONG) == set(Settings.model_fields) - {"host", "metrics_directory"}


@pytest.mark.parametrize("name", CHANGED)
def test_a_setting_is_read_from_its_variable_and_changes_nothing_else(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    text, value = CHANGED[name]
    default = Settings().model_dump()
    assert default[name] != value, "a value that equals the default shows nothing"
    monkeypatch.setenv(f"ATTENTION_{name.upper()}", text)
    assert Settings().model_dump() == {**default, name: value}


@pytest.mark.parametrize("name", Settings.model_fields)
def test_a_setting_says_what_it_is_in_a_sentence(name: str) -> None:
    description = Settings.model_fields[name].description
    assert description
    assert description[0].isupper()
    assert description.endswith(".")


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in WRONG.items() for text in texts])
def test_a_wrong_setting_ends_serve_with_one_line_and_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, text: str
) -> None:
    """In this process, in which no server can start and no signal gets another handler; the next test has its own."""
    variable = f"ATTENTION_{name.upper()}"
    monkeypatch.setenv(variable, text)
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
    monkeypatch.setattr("service.serving.server.serve", lambda _: pytest.fail("a server started"))
    monkeypatch.setattr("signal.signal", lambda *_: None)
    assert main(["serve"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    [line] = err.splitlines()
    assert line.startswith(f"attention-service: {variable}: ")
    assert line.endswith("; received something else" if name in SECRETS else f"; received {received(name, text)!r}")


def received(name: str, text: str) -> str:
    """What is told of a wrong value: of several, the first that is wrong."""
    return text.rsplit(",", maxsplit=1)[-1] if name == "cors_origins" else text


def test_several_wrong_settings_are_named_at_once_one_line_each() -> None:
    ended = serve(ATTENTION_WORKERS="none", ATTENTION_LOG_FORMAT="xml")
    assert ended.returncode == 2
    assert [line.split(": ")[1] for line in ended.stderr.splitlines()] == ["ATTENTION_WORKERS", "ATTENTION_LOG_FORMAT"]


@pytest.mark.parametrize("name", sorted(set(SERVE_OPTIONS) & set(WRONG)))
def test_a_flag_wins_over_its_variable(name: str) -> None:
    """Seen without starting: a variable that is right does not save a flag that is wrong."""
    wrong = WRONG[name][0]
    ended = serve(f"--{name.replace('_', '-')}", wrong, **{f"ATTENTION_{name.upper()}": CHANGED[name][0]})
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"attention-service: ATTENTION_{name.upper()}: ")


def test_the_flag_for_the_host_wins_too(tmp_path: Path) -> None:
    """Nobody can listen on an address that is kept for documentation (RFC 5737)."""
    with running_server(tmp_path, "--host", "127.0.0.1", HOST="192.0.2.1") as server:
        assert httpx.get(f"{server.url}/livez").status_code == 200


def test_the_server_is_run_with_what_was_read(tmp_path: Path) -> None:
    """Settings that the tests of the gate and of the container do not see at work."""
    settings = {
        "HOST": "0.0.0.0",
        "MAX_JSON_BYTES": "2000",
        "MAX_JSON_DEPTH": "8",
        "LOG_FORMAT": "text",
        "DRAIN_SECONDS": "1",
    }
    with running_server(tmp_path, **settings) as server:
        beside = server.url.replace("127.0.0.1", "127.0.0.2")
        assert httpx.get(f"{beside}/livez").status_code == 200
        large = httpx.post(f"{server.url}/v1/attention", content=b" " * 2001)
        deep = httpx.post(f"{server.url}/v1/attention", content=b"[" * 9 + b"]" * 9)
        server.stop()
        lines = server.log.read_text().splitlines()
    assert (large.status_code, deep.status_code) == (413, 400)
    assert "at most 2000 bytes" in large.json()["detail"]
    assert any("route=/v1/attention status=413" in line for line in lines)
    assert not any(line.startswith("{") for line in lines)
