"""helm and kubectl take the values and commands that the guide shows; without a cluster, so nothing is applied."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.guide import shown_commands, shown_values
from tests.deploy.helm import HELM, KUBECTL, rendered_from, run, skip_without_helm
from tests.deploy.rules import broken_rules
from tests.promises.readme import ROOT

pytestmark = pytest.mark.soak

LOCAL = {("create", "secret"), ("create", "namespace")}
"""The first words of commands of kubectl that make their object without asking a cluster."""


@pytest.fixture(autouse=True, scope="module")
def _tools() -> None:
    skip_without_helm()


@pytest.mark.parametrize(("title", "values"), list(shown_values()))
def test_values_that_are_shown_keep_every_rule(title: str, values: dict[str, Any]) -> None:
    assert broken_rules(rendered_from(values)) == []


@pytest.mark.parametrize(("words", "values"), list(shown_commands("helm")))
def test_helm_takes_a_command_that_is_shown(words: list[str], values: dict[str, Any], tmp_path: Path) -> None:
    if words[1] == "test":
        return  # the release is on a cluster; its script is run in test_values
    path = tmp_path / "values.yaml"
    path.write_text(yaml.safe_dump(values))
    arguments = [str(path) if word == path.name else word for word in words[1:]]
    if words[1] == "upgrade":  # it asks a cluster for the release before
        ended = run(HELM, "template", *arguments[1:], directory=ROOT)
    else:
        ended = run(HELM, *arguments, "--dry-run=client", directory=ROOT)
    assert ended.returncode == 0, ended.stderr
    assert values.get("image", {"repository": "attention-service"})["repository"] in ended.stdout


@pytest.mark.parametrize("words", [words for words, _ in shown_commands("kubectl") if tuple(words[1:3]) in LOCAL])
def test_kubectl_takes_a_command_that_is_shown(words: list[str], tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("example-key-1\n")
    ended = run(KUBECTL, *words[1:], "--dry-run=client", "--output", "yaml", directory=tmp_path)
    assert ended.returncode == 0, ended.stderr
    made = yaml.safe_load(ended.stdout)
    assert made["metadata"]["name"] in words
    if made["kind"] == "Secret":
        assert set(made["data"]) <= {"keys", "key", "url"}, "the names that the chart mounts"
