"""/guide in a browser, as `make docs` has built it: two languages, a search in both, and nothing from elsewhere."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import httpx
import pytest
from hatchling.builders.wheel import WheelBuilder
from playwright.async_api import Page, expect

from attention_core import SCORE_MODELS
from development.guide.__main__ import INCLUDED
from service.routes.guide import FOLDER
from service.routes.page_headers import page_headers
from tests.browser.axe import assert_accessible
from tests.browser.conftest import OpenPage
from tests.server import Server

pytestmark = [
    pytest.mark.soak,
    pytest.mark.browser,
    pytest.mark.skipif(
        not Path(str(FOLDER), "en").is_dir() and not os.environ.get("CI"), reason="needs the site that make docs builds"
    ),
]

SITE = Path(str(FOLDER))
PYTHON = Path(".venv-docs/bin/python")


class Addresses(HTMLParser):
    """What a page names: its anchors, and where its links, scripts, styles and pictures are."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        named = dict(attributes)
        self.anchors |= {named[name] or "" for name in ("id", "name") if name in named}
        self.links += [named[name] or "" for name in ("href", "src") if name in named and tag != "use"]


def test_every_link_and_anchor_of_the_site_leads_somewhere() -> None:
    pages = {path: Addresses(path.read_text(encoding="utf-8")) for path in SITE.rglob("*.html")}
    assert len(pages) > 100
    for path, page in pages.items():
        for link in page.links:
            address = urlsplit(link)
            if address.scheme or link in ("", "#"):
                continue
            target = Path(os.path.normpath(path.parent / unquote(address.path))) if address.path else path
            if not target.is_relative_to(SITE):
                assert target in {SITE.parent / "playground", SITE.parent / "docs"}, link
                continue
            assert target.is_file(), f"{path}: {link}"
            if address.fragment and target in pages:
                assert unquote(address.fragment) in pages[target].anchors, f"{path}: {link}"


def test_a_wheel_takes_the_site_along(project: Path) -> None:
    carried = {file.distribution_path for file in WheelBuilder(str(project)).recurse_included_files()}
    assert {f"service/pages/guide/{path}" for path in files_of_the_site()} <= carried


async def test_every_file_is_served_with_all_headers_of_a_page(client: httpx.AsyncClient) -> None:
    for path in files_of_the_site():
        received = await client.get(f"/guide/{path}")
        assert received.status_code == 200, path
        assert {name: received.headers[name] for name in page_headers()} == page_headers()


def files_of_the_site() -> list[str]:
    return [path.relative_to(SITE).as_posix() for path in SITE.rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("locale", "words", "found"),
    [
        ("zh-CN", "注意力权重", "第一次计算注意力"),
        ("zh-CN", "causal", "掩码"),
        ("zh-CN", "窗", "掩码"),
        ("en-GB", "causal", "Masks"),
        ("en-GB", "masking", "Masks"),
    ],
)
async def test_a_search_finds_the_page(
    open_page: OpenPage, server: Server, locale: str, words: str, found: str
) -> None:
    recorded = await open_page(f"{server.url}/guide", locale=locale)
    page = recorded.page
    assert page.url == f"{server.url}/guide/{locale[:2]}/index.html"
    await page.locator("input[name=q]").fill(words)
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/search.html?q=*")
    await expect(page.locator("#search-results li a").filter(has_text=re.compile(f"^{found}$"))).to_have_count(1)
    await page.locator("#search-results p.search-summary:not(:empty)").wait_for()
    assert await page.locator("#search-results .highlighted").first.inner_text() != ""
    await recorded.assert_clean()


async def test_formulas_are_drawn_by_the_browser(open_page: OpenPage, server: Server) -> None:
    recorded = await open_page(f"{server.url}/guide/en/reference/score-models.html")
    formulas = recorded.page.locator("td math")
    assert await formulas.count() == len(SCORE_MODELS)
    shown = await formulas.nth(list(SCORE_MODELS).index("cosine")).text_content()
    assert "".join((shown or "").split()) == "a(q,k)=scale⋅q⋅k‖q‖‖k‖"
    await recorded.assert_clean()


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_a_step_of_the_tutorial_opens_the_playground_of_this_service(
    open_page: OpenPage, server: Server, language: str
) -> None:
    recorded = await open_page(f"{server.url}/guide/{language}/tutorials/first-attention.html")
    steps = recorded.page.locator(f'a[href^="{server.url}/playground#2."]')
    assert await steps.count() == 6
    assert await recorded.page.locator('a[href*="127.0.0.1:8000/playground"]').count() == 0
    await recorded.assert_clean()


def test_the_licences_of_what_the_site_includes_are_served(server: Server, project: Path) -> None:
    notice = (project / "NOTICE").read_text(encoding="utf-8").lower()
    for name in INCLUDED:
        answer = httpx.get(f"{server.url}/guide/licenses/{name}.txt")
        assert answer.status_code == 200
        assert "Copyright" in answer.text
        assert name in notice


async def test_words_that_no_page_has_find_none(open_page: OpenPage, server: Server) -> None:
    recorded = await open_page(f"{server.url}/guide/zh/search.html?q=重注力意")
    await recorded.page.locator("#search-results p.search-summary:not(:empty)").wait_for()
    assert await recorded.page.locator("#search-results li").count() == 0
    await recorded.assert_clean()


async def test_the_switch_leads_to_the_same_page_in_the_other_language(open_page: OpenPage, server: Server) -> None:
    recorded = await open_page(f"{server.url}/guide/en/reference/masks.html")
    page = recorded.page
    for language, title in (("zh", "掩码"), ("en", "Masks")):
        await page.locator("#other-language").click()
        await page.wait_for_url(f"{server.url}/guide/{language}/reference/masks.html")
        assert (await page.locator("h1").inner_text()).startswith(title)
    await page.get_by_role("link", name="Playground", exact=True).first.click()
    await page.wait_for_url(f"{server.url}/playground")
    await page.locator("#guide").click()
    await page.wait_for_url(f"{server.url}/guide/en/index.html")
    await recorded.assert_clean()


@pytest.mark.parametrize(
    "name", ["zh/index", "en/tutorials/first-attention", "zh/reference/settings", "en/architecture"]
)
async def test_a_page_fits_a_desk_and_a_telephone_in_light_and_dark(
    open_page: OpenPage, server: Server, name: str
) -> None:
    backgrounds = set()
    for scheme in ("light", "dark"):
        recorded = await open_page(f"{server.url}/guide/{name}.html", colour_scheme=scheme)
        backgrounds.add(await background(recorded.page))
        await recorded.page.locator(".theme-toggle-content .theme-toggle").click()
        await recorded.assert_fits()
        await recorded.assert_clean()
    assert len(backgrounds) == 2


@pytest.mark.npm
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["en/index", "zh/reference/score-models", "zh/search"])
async def test_pages_keep_the_rules_of_axe(open_page: OpenPage, server: Server, name: str, scheme: str) -> None:
    recorded = await open_page(f"{server.url}/guide/{name}.html", colour_scheme=scheme)
    await assert_accessible(recorded.page)


async def background(page: Page) -> str:
    colour: str = await page.evaluate("getComputedStyle(document.body).backgroundColor")
    return colour


@pytest.fixture
def copied(project: Path, tmp_path: Path) -> Iterator[Path]:
    """What the site is built from, elsewhere."""
    folders = ("benchmarks", "deploy", "development", "docs", "examples", "openapi")
    for folder in folders:
        shutil.copytree(project / folder, tmp_path / folder)
    for path in (*project.glob("*.md"), project / "pyproject.toml", project / "LICENSE"):
        shutil.copy(path, tmp_path)
    (tmp_path / "service/pages").mkdir(parents=True)
    shutil.copy(project / "service/pages/favicon.svg", tmp_path / "service/pages")
    return tmp_path


@pytest.mark.parametrize("link", ["masks-of-old.md", "normalizers.md#no-such-section"])
def test_a_link_that_leads_nowhere_fails_the_build(project: Path, copied: Path, link: str) -> None:
    with (copied / "docs/reference/masks.md").open("a", encoding="utf-8") as page:
        page.write(f"\n[More]({link})\n")
    command = [str(project / PYTHON), "-m", "development.guide", "made"]
    ended = subprocess.run(command, cwd=copied, capture_output=True, text=True, check=False, timeout=300)
    assert ended.returncode != 0
    assert "reference/masks.md" in ended.stderr
    assert link.partition("#")[2] or link in ended.stderr
    assert not (copied / "made").exists()
