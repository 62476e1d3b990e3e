"""The page on additions lists the files that additions take, and packages say the same of themselves everywhere."""

import re
import tomllib
from pathlib import Path

import pytest

from tests.promises.readme import PAGES
from tests.promises.test_additions import ADDITIONS

ROOT = Path(__file__).parents[2]
TITLES = {"codec": "A representation", "endpoint": "An endpoint", "problem": "An error", "setting": "A setting"}


def files_of(title: str) -> list[str]:
    """The files in the first column of the table of a section."""
    [section] = [section for section in PAGES["docs/adding.md"] if section.title == f"## {title}"]
    [table] = section.tables
    return [row[0].strip("`") for row in table[2:]]


def test_every_addition_has_its_section() -> None:
    assert set(TITLES) == set(ADDITIONS)


@pytest.mark.parametrize("name", TITLES)
def test_a_section_lists_the_files_of_its_addition(name: str) -> None:
    assert sorted(files_of(TITLES[name])) == sorted({edit.path for edit in ADDITIONS[name].edits})


def test_a_new_kernel_is_written_in_files_that_exist() -> None:
    assert len(files_of("A kernel")) == 4
    assert [name for name in files_of("A kernel") if not (ROOT / name).is_file()] == []


def metadata(folder: str) -> dict[str, object]:
    """The table `project` of a distribution."""
    project: dict[str, object] = tomllib.loads((ROOT / folder / "pyproject.toml").read_text("utf-8"))["project"]
    return project


def test_every_distribution_and_the_citation_have_one_version_and_one_license() -> None:
    citation = dict(re.findall(r"^(version|license): (.+)$", (ROOT / "CITATION.cff").read_text("utf-8"), re.MULTILINE))
    for folder in (".", "attention_client", "distributions/attention-core"):
        project = metadata(folder)
        assert {name: project[name] for name in citation} == citation
        assert project["authors"] == [{"name": "attention-service contributors"}]
        assert (ROOT / folder / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    assert f"attention-core=={citation['version']}" in metadata(".")["dependencies"]


def test_the_image_and_the_chart_have_the_version_of_the_service() -> None:
    version = str(metadata(".")["version"])
    chart = (ROOT / "deploy/helm/attention-service/Chart.yaml").read_text("utf-8")
    assert re.findall(r"(?i)^(?:app)?version: (.+)$", chart, re.MULTILINE) == [version, f'"{version}"']
    places = [*(ROOT / "deploy").rglob("*.yaml"), *(ROOT / "docs").rglob("*.md"), ROOT / "development/manifests.py"]
    tags = {tag for place in places for tag in re.findall(r"attention-service:(\d[\w.]*)", place.read_text("utf-8"))}
    assert tags == {version}


def test_the_changelog_has_a_section_for_the_version() -> None:
    released = re.findall(
        r"^## \[(\d\S+)\] - \d{4}-\d\d-\d\d$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE
    )
    assert released[0] == metadata(".")["version"]


@pytest.mark.parametrize(
    "package", ["attention_core", "attention_heat_map", "attention_wire", "attention_client", "service"]
)
def test_packages_say_that_they_have_types(package: str) -> None:
    assert (ROOT / package / "py.typed").is_file()
