"""The guide names every part of the chart, and its values, metrics and files exist."""

import ast
import re
from typing import Any

import pytest
import yaml

from development.manifests import CHART
from service.telemetry.metrics.families import FAMILIES
from tests.deploy.guide import PAGE, TUTORIAL, adapter_rule, shown_commands, shown_values
from tests.deploy.test_values import SCHEMA, VALIDATOR, VALUES, leaves, merged
from tests.promises.readme import PAGES, ROOT

TEXT = (ROOT / PAGE).read_text(encoding="utf-8")
EXPLAIN_THEMSELVES = {
    *("affinity", "fullnameOverride", "nameOverride", "nodeSelector", "podAnnotations", "podLabels"),
    *("extraEnv", "priorityClassName", "service", "tolerations", "global"),
}
"""Values whose comment in values.yaml is all there is to say."""


def test_the_guide_names_every_part_of_the_values() -> None:
    named = {name for name in SCHEMA["properties"] if re.search(rf"\b{name}\b", TEXT)}
    assert set(SCHEMA["properties"]) - named <= EXPLAIN_THEMSELVES


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`([a-zA-Z]+\.[a-zA-Z.]+[a-zA-Z])[:`]", TEXT))))
def test_a_value_that_is_named_exists(path: str) -> None:
    known = {".".join(one[:length]) for one in leaves(VALUES) for length in range(1, len(one) + 1)}
    settings = {f"settings.{name}" for name in SCHEMA["$defs"]["serviceSettings"]["properties"]}
    files = {"values.yaml", "values.schema.json"}
    assert path in known | settings | files


@pytest.mark.parametrize(("title", "values"), list(shown_values()))
def test_the_schema_knows_the_values_that_are_shown(title: str, values: dict[str, Any]) -> None:
    VALIDATOR.validate(merged(VALUES, values))


def test_the_adapter_asks_for_a_gauge_of_the_service() -> None:
    name = re.match(r"\w+", adapter_rule()["seriesQuery"])[0]
    assert [family.kind for family in FAMILIES if family.name == name] == ["gauge"]


@pytest.mark.parametrize("program", ["helm", "kubectl", "serve"])
def test_the_files_of_a_command_exist(program: str) -> None:
    shown = [word for words, _ in shown_commands(program) for word in words if word.startswith("deploy/")]
    assert shown
    assert [path for path in shown if not (ROOT / path).exists()] == []


def test_the_image_that_is_built_is_the_one_that_the_chart_names() -> None:
    shown = [words for words, _ in shown_commands("docker")]
    assert [words[1] for words in shown] == ["build", "push", "build", "build", "push", "build", "push"]
    images = [values["image"] for _, values in shown_values() if "image" in values]
    [repository] = {image["repository"] for image in images if "repository" in image}
    version = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))["appVersion"]
    tags = {version, *(image["tag"] for image in images if "tag" in image)}
    assert all({f"{repository}:{tag}" for tag in tags} & set(words) for words in shown)
    locks = [word.removeprefix("LOCK=") for words in shown for word in words if word.startswith("LOCK=")]
    assert locks == ["redis", "ray", "redis"]
    assert all((ROOT / "requirements" / f"{lock}.txt").is_file() for lock in locks)


def test_serve_runs_an_application_and_a_file_that_are_tested() -> None:
    """tests/ray_serve deploys the file, which names the application."""
    shown = [words[1:] for words, _ in shown_commands("serve")]
    [application] = yaml.safe_load((ROOT / "deploy" / "ray" / "serve.yaml").read_text(encoding="utf-8"))["applications"]
    assert shown == [["run", application["import_path"]], ["deploy", "deploy/ray/serve.yaml"]]
    module, _, name = application["import_path"].partition(":")
    tree = ast.parse((ROOT / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8"))
    assert name in [one.targets[0].id for one in tree.body if isinstance(one, ast.Assign)]


def test_both_languages_show_the_same_commands_and_values() -> None:
    for name in (PAGE, TUTORIAL):
        english, chinese = (
            [one for section in PAGES[page] for one in section.snippets]
            for page in (name, name.replace(".md", ".zh-CN.md"))
        )
        assert english == chinese
