"""The chart's values: among them the settings of the service; a schema knows each, and switches set each."""

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from development.chart import OWNED_SETTINGS, setting_names
from development.manifests import CHART
from service.settings import Settings
from tests.deploy.switches import ALL_AT_ONCE, SWITCHES
from tests.promises.settings import CHANGED, WRONG
from tests.server import Server, running_server

VALUES = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
SCHEMA = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
SCRIPT = (CHART / "files" / "post_request.py").read_text(encoding="utf-8")
OF_TWO_SETTINGS = {"ready_delay_seconds": {20.0, 60.0}}
"""Values that are wrong beside another setting alone, which the templates compare."""

VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def leaves(values: Mapping[str, Any], *path: str) -> Iterator[tuple[str, ...]]:
    """Yield the path of each value; a map that is empty by default is a value."""
    for name, value in values.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, *path, name)
        else:
            yield *path, name


def merged(values: Mapping[str, Any], others: Mapping[str, Any]) -> dict[str, Any]:
    """Return values with others in their place, as Helm does: maps member by member, null removes."""
    result = dict(values)
    for name, other in others.items():
        if other is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name) or {}, other) if isinstance(other, dict) else other
    return result


def test_every_setting_is_a_value_or_decided_by_the_chart() -> None:
    known = SCHEMA["$defs"]["serviceSettings"]["properties"]
    assert list(known) == list(setting_names())
    assert {*known, *OWNED_SETTINGS} == set(Settings.model_fields)
    assert not set(known) & set(OWNED_SETTINGS)


def test_the_schema_knows_the_default_values() -> None:
    VALIDATOR.validate(VALUES)
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    described = {path[0] for path in leaves(VALUES)} | {"global"}
    assert described == set(SCHEMA["properties"])


@pytest.mark.parametrize("name", list(setting_names()))
def test_the_schema_takes_a_setting_as_the_service_does(name: str) -> None:
    text, value = CHANGED[name]
    numeric = Settings.model_fields[name].annotation in (int, float)
    VALIDATOR.validate(merged(VALUES, {"settings": {name: value if numeric else text}}))
    wrong = [float(text) for text in WRONG.get(name, []) if re.fullmatch(r"-?[0-9.]+", text)] if numeric else []
    for other in set(wrong) - OF_TWO_SETTINGS.get(name, set()):
        assert not VALIDATOR.is_valid(merged(VALUES, {"settings": {name: other}})), other


@pytest.mark.parametrize("name", OWNED_SETTINGS)
def test_the_schema_refuses_a_setting_that_the_chart_decides(name: str) -> None:
    assert not VALIDATOR.is_valid(merged(VALUES, {"settings": {name: "1"}}))


@pytest.mark.parametrize("values", [*SWITCHES.values(), ALL_AT_ONCE], ids=[*SWITCHES, "all at once"])
def test_the_schema_knows_every_switch(values: dict[str, Any]) -> None:
    VALIDATOR.validate(merged(VALUES, values))


def test_a_switch_is_tested_for_every_value() -> None:
    switched = {path for values in SWITCHES.values() for path in leaves(values)}
    everything = {path for path in leaves(VALUES) if path[0] != "settings"}
    untested = {path for path in everything if not any(other[: len(path)] == path for other in switched)}
    assert untested == set()


def test_the_chart_has_the_version_of_the_project(project: Path) -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    version = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert chart["appVersion"] == chart["version"] == version
    for path in (project / "deploy" / "kserve").glob("*runtime.yaml"):
        assert f"image: attention-service:{version}\n" in path.read_text(encoding="utf-8")


def test_the_dashboards_are_those_of_grafana(project: Path) -> None:
    there = {path.name: path.read_bytes() for path in (project / "deploy" / "grafana" / "dashboards").glob("*.json")}
    assert there == {path.name: path.read_bytes() for path in (CHART / "files" / "dashboards").glob("*")}


def post_request(server: Server, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the script of `helm test` as its pod does."""
    return subprocess.run(
        [sys.executable, "-I", "-c", SCRIPT],
        env={"ADDRESS": f"127.0.0.1:{server.port}", **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_helm_test_passes_with_a_service_that_answers(server: Server) -> None:
    ended = post_request(server)
    assert (ended.returncode, ended.stdout) == (0, "The marksman gets 70.2% of the attention, as expected.\n")


def test_helm_test_needs_a_key_where_the_service_asks_for_one(tmp_path: Path) -> None:
    with running_server(tmp_path, API_KEYS="example-key-1") as server:
        refused, answered = post_request(server), post_request(server, KEY="example-key-1")
    assert refused.returncode == 1
    assert "expected status 200; received 401" in refused.stderr
    assert "tests.keySecret" in refused.stderr
    assert answered.returncode == 0, answered.stderr
