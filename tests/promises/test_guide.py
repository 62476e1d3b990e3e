"""What the documentation site is made from: the pages without what only the tests read, and pages without scripts."""

import os
import re
from pathlib import Path

import pytest

from attention_core import NORMALIZERS, SCORE_MODELS
from development.guide.pages import CHINESE, ENGLISH_ALONE, LANGUAGES, Language, site_in
from development.guide.policy import apply_policy
from tests.promises.readme import KINDS, PAGES, ROOT

DOCTOOLS = """addTranslations: (catalog) => {
    Documentation.PLURAL_EXPR = new Function(
      "n",
      `return (${catalog.plural_expr})`,
    );
}"""


@pytest.fixture(scope="module", params=LANGUAGES)
def staged(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The staged pages of one language by name."""
    folder = tmp_path_factory.mktemp(request.param)
    site_in(ROOT, request.param).write(folder)
    return {path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8") for path in folder.rglob("*.md")}


def test_both_sites_have_every_page(staged: dict[str, str]) -> None:
    names = {page.removesuffix(CHINESE).removesuffix(".md") for page in PAGES}
    inside = {name.removeprefix("docs/") for name in names if name.startswith("docs/")}
    assert {f"{name}.md" for name in inside} <= set(staged)
    assert len(staged) == len(set(staged))
    assert {"readme.md", "changelog.md", "contributing.md", "benchmarks.md"} <= set(staged)


def test_snippets_have_a_language_and_no_use(staged: dict[str, str]) -> None:
    fences = {fence for text in staged.values() for fence in re.findall(r"^ *```(\S.*)$", text, re.MULTILINE)}
    assert fences - {"{toctree}"} <= {kind.split()[0] for kind in KINDS} | {"text"}
    assert not fences & {"formulas", "layers", "mermaid", "tree"}
    assert not any("<!-- " in text for text in staged.values())


def test_tables_of_models_have_their_formulas_in_latex(staged: dict[str, str]) -> None:
    for name, registry in (("score-models", SCORE_MODELS), ("normalizers", NORMALIZERS)):
        text = staged[f"reference/{name}.md"].replace(r"\|", "|")
        for model in registry.values():
            assert f"| ${model.description.latex}$ |" in text
            assert f"| {model.description.plain} |" not in text


def test_links_lead_to_pages_of_the_site_and_to_files(staged: dict[str, str]) -> None:
    for name, text in staged.items():
        prose = re.sub(r"^ *```.*?^ *```$", "", text, flags=re.DOTALL | re.MULTILINE)
        for link in re.findall(r"\]\(([^)\s]+\.md)(?:#[^)]*)?\)", prose):
            assert os.path.normpath(Path(name).parent / link) in staged, f"{name}: {link}"


def test_the_index_lists_every_section_for_the_navigation(staged: dict[str, str]) -> None:
    index = staged["index.md"]
    assert index.count("```{toctree}") == len(re.findall(r"^## ", index, re.MULTILINE)) + 1
    listed = re.findall(r"^([\w/-]+)$", index, re.MULTILINE)
    orphans = {name for name, text in staged.items() if text.startswith("---\norphan: true\n")}
    assert {f"{name}.md" for name in listed} | orphans | {"index.md"} == set(staged)
    assert "adr/0001-raw-routes" in listed


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_page_without_a_twin_says_so_in_chinese(language: Language, tmp_path: Path) -> None:
    site = site_in(ROOT, language)
    site.write(tmp_path)
    for path, name in site.names.items():
        said = ENGLISH_ALONE in (tmp_path / f"{name}.md").read_text(encoding="utf-8")
        assert said is (language == "zh" and not path.endswith(CHINESE)), path


def write_site(folder: Path, page: str, doctools: str = DOCTOOLS) -> Path:
    (folder / "_static").mkdir(parents=True)
    (folder / "_static/guide.css").write_text("")
    (folder / "_static/doctools.js").write_text(doctools)
    (folder / "how-to").mkdir()
    (folder / "how-to/page.html").write_text(page)
    return folder


def test_scripts_and_styles_move_out_of_pages(tmp_path: Path) -> None:
    page = '<style>a { b: c }</style><script>\n  d();\n</script><p class="e" style="f: g">h</p>'
    page += '<script src="i.js"></script>'
    site = write_site(tmp_path, page)
    apply_policy(site)
    moved = (site / "how-to/page.html").read_text()
    [styles], [script, kept] = re.findall(r'href="\.\./(.*?)"', moved), re.findall(r'<script src="(.*?)">', moved)
    assert (site / styles).read_text() == "a { b: c }"
    assert (site / "how-to" / script).read_text() == "\n  d();\n"
    assert kept == "i.js"
    [name] = re.findall(r'<p class="e" data-style="(\w+)">h</p>', moved)
    assert f'[data-style="{name}"] {{ f: g }}' in (site / "_static/guide.css").read_text()
    assert "Documentation.PLURAL_EXPR = () => 0;" in (site / "_static/doctools.js").read_text()


@pytest.mark.parametrize(
    "wrong",
    [
        '<script type="module">a()</script>',
        '<p onclick="a()">b</p>',
        '<img src="https://example.org/a.png">',
        '<script src="//example.org/a.js"></script>',
        '<link rel="stylesheet" href="https://example.org/a.css">',
        '<iframe src="a.html"></iframe>',
        '<a href="javascript:a()">b</a>',
    ],
)
def test_what_the_policy_forbids_fails_the_build(tmp_path: Path, wrong: str) -> None:
    with pytest.raises(ValueError, match=r"how-to/page\.html: the policy of the service forbids"):
        apply_policy(write_site(tmp_path, f"<p>{wrong}</p>"))


def test_another_rule_of_plurals_fails_the_build(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"doctools\.js"):
        apply_policy(write_site(tmp_path, "", "a = new Function('return 1')"))
