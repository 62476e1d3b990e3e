"""Every setting is read from its environment variable, described, and refused clearly when it is wrong."""

import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from pydantic import ValidationError

from service.cli import SECRETS, SERVE_FLAGS
from service.settings import SERVE_OPTIONS, Settings, described
from tests.promises.settings import CHANGED, WRONG, refusal
from tests.sampling import every
from tests.server import running_server

pytestmark = pytest.mark.usefixtures("no_settings")

SERVICE = Path(__file__).parents[2] / "service"

JUDGED_BY_THE_SYSTEM = {name for name in Settings.model_fields if name not in WRONG}
"""Settings of which any text may be right."""

CLOSING = {"api_keys", "api_keys_file"}
"""Settings by which an operator closes the service."""

EMPTY_IS_OFF = "memories_directory"
"""The setting that an empty value switches off, which keeps less than the default."""

EMPTY_IS_THE_DEFAULT = {
    name for name in set(Settings.model_fields) - CLOSING if Settings.model_fields[name].default in ("", ())
}
"""Settings whose default is an empty text or list, and closes nothing that an operator has meant to close."""


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
    assert set(CHANGED) == set(Settings.model_fields)
    anything = {name for name in JUDGED_BY_THE_SYSTEM if len(Settings.model_fields[name].metadata) > 1}
    assert not anything, "a setting with a constraint has examples of what it refuses"
    assert {"host", "uds", "metrics_directory", "memories_directory"} <= JUDGED_BY_THE_SYSTEM
    assert {
        "root_path",
        "trusted_proxies",
        "cors_origins",
        "frame_ancestors",
        "metrics_directory",
        "memories_url",
        "otlp_endpoint",
    } <= EMPTY_IS_THE_DEFAULT
    assert tuple(SERVE_FLAGS) == SERVE_OPTIONS == ("host", "port", "uds", "workers", "root_path")


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
    setting = described(name)
    assert setting.en[0].isupper()
    assert setting.en.endswith(".")
    assert setting.zh.endswith("。")


def test_a_field_without_texts_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Settings.model_fields["port"], "metadata", [])
    with pytest.raises(TypeError, match=r"port: expected a Setting in its annotation"):
        described("port")


def test_the_name_of_a_time_ends_in_its_unit() -> None:
    for name, setting in Settings.model_fields.items():
        assert (setting.annotation is float) == name.endswith("_seconds")


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in WRONG.items() for text in texts])
def test_a_wrong_setting_ends_serve_with_one_line_and_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, text: str
) -> None:
    """In this process, in which no server can start and no signal gets another handler; the next test has its own."""
    variable = f"ATTENTION_{name.upper()}"
    line = refusal(monkeypatch, capsys, {variable: text})
    assert line.startswith(f"attention-service: {variable}: ")
    assert line.endswith("; received something else" if name in SECRETS else f"; received {received(name, text)}")


def received(name: str, text: str) -> str:
    """Return the shown part of a wrong value: of several, the first that is wrong; of a number, the number."""
    shown = text.rsplit(",", maxsplit=1)[-1] if name == "cors_origins" else text
    return repr(shown)


@pytest.mark.parametrize("text", ["", " ", "\t"])
@pytest.mark.parametrize("name", Settings.model_fields)
def test_an_empty_value_is_the_default_or_an_error_that_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, text: str
) -> None:
    """Never something wider: no host is not every address, and no keys are not an open service."""
    variable = f"ATTENTION_{name.upper()}"
    if name == EMPTY_IS_OFF:
        monkeypatch.setenv(variable, text)
        assert getattr(Settings(), name) == ""
    elif name in EMPTY_IS_THE_DEFAULT:
        default = Settings()
        monkeypatch.setenv(variable, text)
        assert Settings() == default
        assert getattr(default, name) in ("", ())
    else:
        line = refusal(monkeypatch, capsys, {variable: text})
        assert line.startswith(f"attention-service: {variable}: ")
        assert "received an empty one" in line


@pytest.mark.parametrize("flag", ["--host", "--uds", "--root-path"])
def test_an_empty_flag_is_no_different(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], flag: str
) -> None:
    if flag == "--root-path":
        monkeypatch.setenv("ATTENTION_HOST", "")  # an empty host is wrong, while an empty prefix is the default
    assert "received an empty one" in refusal(monkeypatch, capsys, {}, flag, "")


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_read_by_the_service(name: str) -> None:
    sources = (path for path in SERVICE.rglob("*.py") if path.name not in ("settings.py", "setting_types.py"))
    assert any(re.search(rf"\.{name}\b", path.read_text(encoding="utf-8")) for path in sources)


def test_the_ready_delay_is_part_of_the_time_to_drain(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValidationError, match=r"less than ATTENTION_DRAIN_SECONDS, which includes it and is 3"):
        Settings(drain_seconds=3, ready_delay_seconds=3)
    assert Settings(drain_seconds=3, ready_delay_seconds=2.9).ready_delay_seconds == 2.9


def test_several_wrong_settings_are_named_at_once_one_line_each() -> None:
    ended = serve(ATTENTION_WORKERS="none", ATTENTION_LOG_FORMAT="xml")
    assert ended.returncode == 2
    assert [line.split(": ")[1] for line in ended.stderr.splitlines()] == ["ATTENTION_WORKERS", "ATTENTION_LOG_FORMAT"]


@pytest.mark.parametrize("name", every(3, sorted(set(SERVE_OPTIONS) & set(WRONG))))
def test_a_flag_wins_over_its_variable(name: str) -> None:
    """Seen without starting: a variable that is right does not save a flag that is wrong."""
    wrong = WRONG[name][0]
    ended = serve(f"--{name.replace('_', '-')}", wrong, **{f"ATTENTION_{name.upper()}": CHANGED[name][0]})
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"attention-service: ATTENTION_{name.upper()}: ")


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
