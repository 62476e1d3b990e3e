"""Commands without a server read the settings that they use, and no others."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, cast

import pytest

from attention_core import Workers
from service import offline
from service.cli import main
from service.compute import Run
from service.settings import OFFLINE_SETTINGS, OfflineSettings, Settings
from tests.promises.settings import SERVICE_LINKS, WRONG
from tests.sampling import sample

pytestmark = pytest.mark.usefixtures("no_settings")


@pytest.mark.parametrize("command", sample(["attend", "check", "openapi"], "attend"))
def test_commands_without_a_server_mind_no_setting_that_they_do_not_use(command: str, tmp_path: Path) -> None:
    """Each setting that only serves has a value that ends `serve`."""
    question = {"query": [[1]], "key": [[1]], "value": [[2]]}
    request = tmp_path / "request.json"
    checked = {"request": question, "candidate": {"output": [[2]]}}
    request.write_text(json.dumps(checked if command == "check" else question))
    unused = {name: texts[0] for name, texts in WRONG.items() if name not in OFFLINE_SETTINGS}
    assert {"port", "workers", "api_keys", "api_keys_file", "otlp_endpoint", "drain_seconds"} <= set(unused)
    wrong = {f"ATTENTION_{name.upper()}": text for name, text in unused.items()}
    arguments = [] if command == "openapi" else [str(request)]
    ended = subprocess.run(
        [sys.executable, "-m", "service.cli", command, *arguments],
        env={**os.environ, **wrong, **SERVICE_LINKS, "PORT": "no number", "ATTENTION_HOST": "", "ATTENTION_UDS": ""},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    [line] = ended.stderr.splitlines()
    assert line.startswith("attention-service: ATTENTION_PORT: ")
    assert "Kubernetes" in line


@pytest.mark.parametrize("name", OFFLINE_SETTINGS)
def test_a_wrong_setting_that_is_used_ends_a_command_without_a_server(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    monkeypatch.setenv(f"ATTENTION_{name.upper()}", WRONG[name][0])
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
    assert main(["attend", "nowhere.json"]) == 2
    assert capsys.readouterr().err.startswith(f"attention-service: ATTENTION_{name.upper()}: ")


def test_the_settings_of_commands_without_a_server_are_all_that_they_use() -> None:
    """Whatever attends or checks reads no other setting, which would have its default in silence."""

    class Watched:
        """The settings, and which of them were read."""

        read: ClassVar[set[str]] = set()
        settings = OfflineSettings()

        def __getattr__(self, name: str) -> Any:
            self.read.add(name)
            return getattr(self.settings, name)

        json_limit = property(Settings.json_limit.fget)

    body = {"query": [[1.0, 2.0]], "key": [[1.0, 2.0]], "value": [[2.0]]}
    order = offline.Order("-", "json", None, "never")
    watched = cast("Settings", Watched())
    with Workers(1) as workers:
        for form in ("json", "table", "svg"):
            offline.attend(json.dumps(body).encode(), watched, replace(order, form=form), Run(workers))
        offline.check(
            json.dumps({"request": body, "candidate": {"output": [[2]]}}).encode(), watched, order, Run(workers)
        )
    assert Watched.read <= set(OFFLINE_SETTINGS)
    assert len(Watched.read) > 3
