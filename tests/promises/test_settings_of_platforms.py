"""Variables that platforms set: those that count where ours are absent, and those of Kubernetes, which do not."""

import json
from pathlib import Path

import pytest

from service.environment import PLATFORM_VARIABLES
from service.settings import Settings
from tests.promises.settings import SERVICE_LINKS, refusal
from tests.server import free_port, running_server

pytestmark = pytest.mark.usefixtures("no_settings")


@pytest.mark.parametrize(("name", "variable"), PLATFORM_VARIABLES.items())
def test_a_variable_of_the_platform_counts_where_ours_is_absent(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, variable: str
) -> None:
    default = Settings().model_dump()
    monkeypatch.setenv(variable, "7")
    assert Settings().model_dump() == {**default, name: 7}
    monkeypatch.setenv(f"ATTENTION_{name.upper()}", "8")
    assert Settings().model_dump() == {**default, name: 8}
    line = refusal(monkeypatch, capsys, {variable: "no number"}, f"--{name}", "0" if name == "workers" else "70000")
    assert line.startswith(f"attention-service: ATTENTION_{name.upper()}: "), "a flag wins over both"


@pytest.mark.parametrize("variable", PLATFORM_VARIABLES.values())
@pytest.mark.parametrize("text", ["", "many", "tcp://10.0.0.1:8000", "-1"])
def test_a_wrong_variable_of_the_platform_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], variable: str, text: str
) -> None:
    """Kubernetes cannot have set it: every name that it sets begins with that of a Service."""
    line = refusal(monkeypatch, capsys, {variable: text})
    assert line.startswith(f"attention-service: {variable}: ")
    assert line.endswith(f"; received {text!r}")


def test_what_kubernetes_sets_for_a_service_of_this_name_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    default = Settings()
    for variable, text in SERVICE_LINKS.items():
        monkeypatch.setenv(variable, text)
    assert Settings() == default
    monkeypatch.setenv("PORT", "8765")
    assert Settings().port == 8765
    monkeypatch.setenv("ATTENTION_PORT", "udp://10.0.171.239:8000")
    assert Settings().port == 8765


def test_serve_logs_a_warning_of_what_it_ignores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    links = {name.removeprefix("ATTENTION_"): text for name, text in SERVICE_LINKS.items()}
    port = free_port()
    monkeypatch.setenv("PORT", str(port))
    with running_server(tmp_path, port=port, LOG_LEVEL="warning", **links) as server:
        [record] = [json.loads(line) for line in server.log.read_text().splitlines()]
    assert record["level"] == "warning"
    for part in ("ATTENTION_PORT", "tcp://10.0.171.239:8000", "Kubernetes", "enableServiceLinks: false"):
        assert part in record["message"]
