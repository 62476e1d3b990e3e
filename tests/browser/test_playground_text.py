"""Names are text wherever they appear, and every text is there in both languages and in no other."""

import re

import pytest
from playwright.async_api import expect

from service.examples import IDS
from tests.browser.conftest import OpenPage
from tests.browser.playground import LOCALES, Playground, opened
from tests.server import Server

pytestmark = pytest.mark.browser

MARKUP = "<img src=x onerror=alert(1)>"

SCRIPT = "<script>alert(2)</script>&amp;{query}"

HAN = re.compile(r"[\u3400-\u9fff]")

LATIN = re.compile(r"[A-Za-z]{3,}")

MATHEMATICS = {
    "softmax", "sparsemax", "entmax", "sigmoid", "relu", "hardmax", "tanh", "max", "exp", "sink", "bandwidth",
    "scale", "arg", "min", "query", "key", "weight", "score", "vector", "hidden", "bias", "one", "hot", "gaussian",
}  # fmt: skip
"""What mathematics is called in Chinese texts as well: names of functions and of what formulas are about."""

VISIBLE_TEXTS = """
() => {
  const texts = [];
  const isShown = (element) => element.checkVisibility() && !element.closest("[lang]:not(html), math, code");
  for (const element of document.querySelectorAll("body *")) {
    if (!isShown(element)) continue;
    for (const node of element.childNodes) if (node.nodeType === Node.TEXT_NODE) texts.push(node.data);
    for (const name of ["aria-label", "title", "placeholder", "aria-valuetext", "value"]) {
      if (element.tagName !== "OPTION") texts.push(element.getAttribute(name) ?? "");
    }
    if (element.matches("textarea")) texts.push(element.value);
  }
  return [document.title, ...texts].filter((text) => text.trim());
}
"""


async def assert_harmless(playground: Playground) -> None:
    page = playground.page
    assert await page.locator("img, body script:not([src])").count() == 0
    for stage in ("scores", "mask", "weights"):
        table = playground.map(stage)
        assert (await table.locator("th[scope=col]").all_inner_texts())[0] == MARKUP
        assert await table.locator("th[scope=col]").first.get_attribute("title") == MARKUP
        assert (await table.locator("th[scope=row]").all_inner_texts())[0] == SCRIPT
        assert all(MARKUP in row[0] for row in await playground.labels(stage))
    assert (await playground.map("output").locator("th[scope=col]").all_inner_texts())[0] == MARKUP
    await expect(page.locator("#explain-pair")).to_have_text(f"{SCRIPT} → {MARKUP}")
    await expect(playground.decision).to_contain_text(f"{SCRIPT}: attends most to {MARKUP}")
    await playground.explained(MARKUP)
    await expect(page.locator("#explain-terms")).to_contain_text(MARKUP)


async def test_names_are_never_markup(open_page: OpenPage, server: Server) -> None:
    recorded, playground = await opened(open_page, server.url)
    dialogs: list[str] = []
    recorded.page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    for tensor, direction in (("key", "row"), ("key", "column"), ("value", "column")):
        await playground.name_field(tensor, direction, 0).fill(MARKUP)
    await playground.name_field("query", "row", 0).fill(SCRIPT)
    await assert_harmless(playground)
    await playground.field("key", 0, 0).fill(MARKUP)
    wrong = playground.error("key").locator("span")
    await expect(wrong).to_have_text(f"{MARKUP}, {MARKUP}: “{MARKUP}” is not a number.")
    await playground.type_into("key", 0, 0, "1.9")
    await playground.cell("weights", 0, 0).click()
    await playground.fresh()
    await expect(playground.announced).to_contain_text(f"{MARKUP} is masked for {SCRIPT}.")
    await playground.cell("weights", 0, 0).click()
    await playground.fresh()
    await recorded.page.locator("#share").click()
    await expect(recorded.page.locator("#toast")).to_be_visible()
    again = await open_page(recorded.page.url, locale="en-GB")
    again.page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    await Playground(again.page).fresh()
    await assert_harmless(Playground(again.page))
    assert dialogs == []
    await recorded.assert_clean()
    await again.assert_clean()


async def test_both_languages_have_the_same_texts_with_the_same_places_to_fill(
    open_page: OpenPage, server: Server
) -> None:
    recorded, _ = await opened(open_page, server.url)
    zh, en = await recorded.page.evaluate(
        """async () => {
          const { TEXTS } = await import('./static/playground/words/texts.js');
          const { VIEW_TEXTS } = await import('./static/playground/words/views.js');
          return ["zh", "en"].map((name) => Object.assign({}, TEXTS[name], ...VIEW_TEXTS.map((own) => own[name])));
        }"""
    )
    assert sorted(zh) == sorted(en)
    places = re.compile(r"\{(\w+)\}")
    assert [key for key in en if sorted(places.findall(zh[key])) != sorted(places.findall(en[key]))] == []
    assert [key for key, text in en.items() if HAN.search(text) or not text.strip()] == []
    assert [key for key, text in zh.items() if not text.strip()] == []
    assert len(en) > 100


@pytest.mark.soak
@pytest.mark.parametrize("language", LOCALES)
async def test_no_visible_text_is_in_the_other_language(open_page: OpenPage, server: Server, language: str) -> None:
    recorded, playground = await opened(open_page, server.url, language)
    for name in (None, *IDS):
        if name == "alammar":  # whose names are English words
            continue
        if name:
            await playground.choose("#example", name)
            await expect(recorded.page.locator("#explain")).not_to_have_attribute("data-state", "pending")
        await assert_language(playground, language)
    await playground.choose("#example", "honor-of-kings-both")
    for model in ("additive", "gaussian", "trilinear"):
        await playground.choose("#score-model", model)
        await assert_language(playground, language)
    for kind in ("causal", "lengths", "window", "custom"):
        await playground.choose("#mask-kind", kind)
        await assert_language(playground, language)
    await recorded.page.locator('[data-tool="insert-row"]').first.click()
    await playground.fresh()
    await assert_language(playground, language)


async def assert_language(playground: Playground, language: str) -> None:
    texts = await playground.page.evaluate(VISIBLE_TEXTS)
    if language == "en":
        assert [text for text in texts if HAN.search(text)] == []
        return
    foreign = [(word, text) for text in texts for word in LATIN.findall(text) if word.lower() not in MATHEMATICS]
    assert [(word, text) for word, text in foreign if not HAN.search(text)] == []
