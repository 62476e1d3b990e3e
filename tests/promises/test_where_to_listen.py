"""A host and a port, or a Unix socket: by flags, by variables, and which of them win."""

from pathlib import Path

import httpx
import pytest

from service.cli import main
from service.settings import Settings
from tests.promises.settings import refusal
from tests.server import running_server

pytestmark = pytest.mark.usefixtures("no_settings")


def test_a_unix_socket_excludes_a_host_and_a_port(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    line = refusal(monkeypatch, capsys, {"ATTENTION_UDS": "/run/a.sock", "ATTENTION_PORT": "8000"})
    assert "either ATTENTION_UDS or a host and a port; received ATTENTION_PORT as well" in line
    line = refusal(monkeypatch, capsys, {"ATTENTION_HOST": "127.0.0.1"})
    assert "received ATTENTION_HOST and ATTENTION_PORT as well" in line
    for flag, text in (("--host", "::1"), ("--port", "1")):
        with pytest.raises(SystemExit) as ended:
            main(["serve", "--uds", "/run/a.sock", flag, text])
        assert ended.value.code == 2
        assert "--uds: not allowed with --host or --port" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("variables", "flags", "expected"),
    [
        ({"ATTENTION_HOST": "0.0.0.0", "ATTENTION_PORT": "1"}, ["--uds", "/a.sock"], ("127.0.0.1", 8000, "/a.sock")),
        ({"attention_host": "0.0.0.0"}, ["--uds", "/a.sock"], ("127.0.0.1", 8000, "/a.sock")),
        ({"ATTENTION_UDS": "/a.sock"}, ["--port", "9"], ("127.0.0.1", 9, None)),
        ({"ATTENTION_UDS": "/a.sock"}, ["--host", "::1"], ("::1", 8000, None)),
        ({"ATTENTION_UDS": "/a.sock", "PORT": "9"}, [], ("127.0.0.1", 8000, "/a.sock")),
        ({"ATTENTION_UDS": "/a.sock", "ATTENTION_PORT": "tcp://1.2.3.4:5"}, [], ("127.0.0.1", 8000, "/a.sock")),
    ],
)
def test_a_flag_for_where_to_listen_wins_over_variables_for_the_other_way(
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    flags: list[str],
    expected: tuple[str, int, str | None],
) -> None:
    """And a port that a platform sets for every program is not chosen for this one."""
    found: list[Settings] = []
    for variable, text in variables.items():
        monkeypatch.setenv(variable, text)
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
    monkeypatch.setattr("service.serving.server.serve", lambda settings, _: found.append(settings) or 0)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    assert main(["serve", *flags]) == 0
    [settings] = found
    assert (settings.host, settings.port, settings.uds and str(settings.uds)) == expected


def test_the_flag_for_the_host_wins_too(tmp_path: Path) -> None:
    """No process can listen on an address that is kept for documentation (RFC 5737)."""
    with running_server(tmp_path, "--host", "127.0.0.1", HOST="192.0.2.1") as server:
        assert httpx.get(f"{server.url}/livez").status_code == 200
