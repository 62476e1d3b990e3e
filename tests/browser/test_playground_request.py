"""The request as code: each copied text runs, and gives the numbers of the service."""

import json
import sys
from typing import Any

import httpx
import pytest
from playwright.async_api import Locator, Page, expect

from service.examples import load_examples
from tests.browser.conftest import OpenPage
from tests.browser.playground import opened
from tests.browser.snippets.cases import sampled
from tests.browser.snippets.judge import BASH, NODE, assert_programs_right, assert_right, output_of, run, written
from tests.server import Server

pytestmark = pytest.mark.browser

EXAMPLES = load_examples()

FIGHT, DRAGON = (EXAMPLES[name].request for name in ("honor-of-kings", "honor-of-kings-dragon"))

OPENING: dict[str, Any] = {
    **{name: FIGHT[name] for name in ("key", "value")},
    "query": [*FIGHT["query"], *DRAGON["query"]],
    "score_model": {"name": "scaled_dot_product"},
    "normalizer": {"name": "softmax"},
    "include": ["scores", "logits", "weights", "output", "diagnostics"],
}
"""What the page asks when it opens."""

FORMS = {"curl": "cURL", "client": "Python", "numpy": "NumPy", "pytorch": "PyTorch", "keras": "Keras"} | {
    "javascript": "JavaScript",
    "json": "JSON",
}


def code(page: Page) -> Locator:
    return page.locator(".view-request code")


async def shown(page: Page, form: str) -> str:
    """Open the view at a language and return its text."""
    await page.locator("#tab-request").click()
    await page.locator(f'.view-request [data-option="{form}"]').click()
    return await code(page).inner_text()


async def test_what_the_page_shows_runs_as_it_is_copied(
    open_page: OpenPage, server: Server, client: httpx.AsyncClient
) -> None:
    recorded, _ = await opened(open_page, server.url, permissions=["clipboard-read", "clipboard-write"])
    page = recorded.page
    expected = (await client.post("/v1/attention", json=OPENING)).json()
    assert json.loads(await shown(page, "json")) == OPENING
    await shown(page, "curl")
    await page.locator(".view-request .primary").click()
    await expect(page.locator("#toast")).to_contain_text("Copied.")
    command = await page.evaluate("navigator.clipboard.readText()")
    assert json.loads(output_of(BASH, command)) == expected
    programs = {form: await shown(page, form) for form in ("client", "numpy")}
    for form, found in run(sys.executable, programs).items():
        assert_right(form, OPENING, found)
    await recorded.assert_clean()


@pytest.mark.npm
async def test_the_javascript_runs_in_node(open_page: OpenPage, server: Server, client: httpx.AsyncClient) -> None:
    recorded, _ = await opened(open_page, server.url)
    printed = output_of(NODE, await shown(recorded.page, "javascript"))
    assert json.loads(printed) == (await client.post("/v1/attention", json=OPENING)).json()


async def test_a_sample_of_requests_is_right_in_numpy_and_with_the_client(open_page: OpenPage, server: Server) -> None:
    recorded, _ = await opened(open_page, server.url)
    asked = sampled(199)
    for form in ("numpy", "client"):
        await assert_programs_right(recorded.page, form, asked, server.url, sys.executable)


async def test_the_text_follows_the_inputs_and_the_language_travels(open_page: OpenPage, server: Server) -> None:
    recorded, playground = await opened(open_page, server.url, "zh")
    await shown(recorded.page, "numpy")
    await expect(code(recorded.page)).to_contain_text("# 得分：每个查询与每个键的匹配程度")
    await playground.type_into("query", 0, 0, "-2.5")
    await expect(code(recorded.page)).to_contain_text("[-2.5, 1, 1, 0]")
    await playground.choose("#score-model", "gaussian")
    await expect(code(recorded.page)).to_contain_text("bandwidth = 1.0")
    await expect(recorded.page.locator('.view-request [aria-pressed="true"]')).to_have_text("NumPy")
    await recorded.page.wait_for_url("**#2.*")
    again = await open_page(recorded.page.url, locale="en-GB")
    await expect(code(again.page)).to_contain_text("# Scores: how well each query and each key match")
    await recorded.assert_fits()
    await recorded.assert_clean()


async def test_without_a_clipboard_the_text_is_selected(open_page: OpenPage, server: Server) -> None:
    recorded, _ = await opened(open_page, server.url)
    await recorded.page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error()); }")
    for form, name in FORMS.items():
        text = await shown(recorded.page, form)
        await expect(recorded.page.locator('.view-request [aria-pressed="true"]')).to_have_text(name)
        await recorded.page.locator(".view-request .primary").click()
        await expect(recorded.page.locator("#toast")).to_contain_text("The text is selected")
        assert (await recorded.page.evaluate("getSelection().toString()")).strip() == text.strip()
    await recorded.assert_clean()


async def test_what_cannot_be_written_is_refused_in_a_sentence(open_page: OpenPage, server: Server) -> None:
    recorded, _ = await opened(open_page, server.url)
    unknown = OPENING | {"score_model": {"name": "ninth"}}
    compared = OPENING | {"score_model": {"name": "expression", "formula": "sum(where(q > 0 and k > 0, q, k))"}}
    for request, reason in ((unknown, "no NumPy code for this score model"), (compared, "has in no equal form")):
        [answer] = await written(recorded.page, "numpy", [request], server.url)
        assert reason in answer["refusal"]
        assert "code" not in answer
    advanced: list[dict[str, Any]] = [
        {"softcap": 2},
        {"bias": [[0, 1, 0, 1]]},
        {"position": {"name": "rotary"}},
        {"dtype": "float16"},
    ]
    for form in ("numpy", "pytorch", "keras"):
        for answer in await written(recorded.page, form, [OPENING | fields for fields in advanced], server.url):
            assert f"no {FORMS[form]} code for a soft cap" in answer["refusal"]
            assert "code" not in answer
    sinking = OPENING | {"normalizer": {"name": "softmax", "sink": 0}}
    plain, staged = await written(recorded.page, "pytorch", [OPENING, sinking], server.url)
    assert "F.scaled_dot_product_attention(query, key, value)" in plain["code"]
    assert "scaled_dot_product_attention" not in staged["code"]
