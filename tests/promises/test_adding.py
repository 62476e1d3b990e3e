"""The pages on additions list the files that additions take, and packages say the same of themselves everywhere."""

import re
import tomllib
from pathlib import Path

import pytest

from tests.promises.readme import PAGES
from tests.promises.test_added_models import EDITS
from tests.promises.test_additions import ADDITIONS

ROOT = Path(__file__).parents[2]
BY_HAND = {name: {edit.path for edit in addition.edits} for name, addition in ADDITIONS.items()} | {
    "normalizer": {edit.path for edit in EDITS["normalizer"]},
    "score model": {edit.path for edit in EDITS["score_model"]},
}
"""The files that a person writes for each addition that the tests make."""

PAGE_OF = {
    "codec": "adding/representation",
    "endpoint": "adding/endpoint",
    "problem": "adding/error",
    "setting": "adding/setting",
    "normalizer": "adding/normalizer",
    "score model": "adding-a-score-model",
}
KERNEL = "adding/kernel"


def files_of(page: str) -> list[str]:
    """The files in the first column of the first table of a page."""
    [table, *_] = [rows for section in PAGES[f"docs/{page}.md"] for rows in section.tables]
    return [row[0].strip("`") for row in table[2:]]


def test_every_addition_has_its_page() -> None:
    assert set(PAGE_OF) == set(BY_HAND)


@pytest.mark.parametrize("name", PAGE_OF)
def test_a_page_lists_the_files_of_its_addition(name: str) -> None:
    shown = {file.replace("NAME", "chebyshev") for file in files_of(PAGE_OF[name])}
    assert shown == BY_HAND[name]


def test_the_overview_counts_the_files_of_each_page() -> None:
    [[*_, table]] = [section.tables for section in PAGES["docs/adding.md"]]
    counts = {link: int(count) for _, cell, count in table[2:] for link in re.findall(r"\((.+)\.md\)", cell)}
    assert counts == {page: len(files_of(page)) for page in (*PAGE_OF.values(), KERNEL)}


def test_a_new_kernel_is_written_in_files_that_exist() -> None:
    assert [name for name in files_of(KERNEL) if not (ROOT / name).is_file()] == []


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
