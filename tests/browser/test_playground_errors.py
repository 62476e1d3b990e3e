"""An error stands beside the field that it concerns, in the language of the page; the last good result stays."""

import asyncio
import json
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Route, expect

from service.problems import PROBLEMS
from tests.browser.conftest import OpenPage
from tests.browser.links import read
from tests.browser.playground import LOCALES, opened
from tests.server import Server, running_server

pytestmark = pytest.mark.browser

ATTENTION = "**/v1/attention"

UNPROCESSABLE = "the server responded with a status of 422"

VALUES_MISSING = {
    "zh": "V 有 2 行，K 有 4 行；每个键要对应一个值。",
    "en": "V has 2 rows and K has 4; each key needs one value.",
}

NEGATIVE = {"zh": "按比例归一化要求得分不为负。", "en": "Proportions need scores that are not negative."}

NOT_A_NUMBER = {"zh": "射手，伤害：“abc”不是数字。", "en": "marksman, damage: “abc” is not a number."}


@pytest.mark.soak
@pytest.mark.parametrize("language", LOCALES)
async def test_a_refusal_is_beside_its_field_in_the_language_of_the_page(
    open_page: OpenPage, server: Server, language: str
) -> None:
    recorded, playground = await opened(open_page, server.url, language)
    weights = await playground.texts("weights")
    await playground.paste("value", "1\t2\n3\t4")
    await expect(playground.error("value").locator("span")).to_contain_text(VALUES_MISSING[language])
    await expect(playground.error("value").locator("small[lang=en]")).to_contain_text("expected one value vector")
    await expect(playground.results).to_have_attribute("data-state", "stale")
    await expect(recorded.page.locator("#status")).not_to_be_empty()
    assert await playground.texts("weights") == weights

    # The language may change while the error stands.
    other = {"zh": "en", "en": "zh"}[language]
    await playground.language(other)
    await expect(playground.error("value").locator("span")).to_contain_text(VALUES_MISSING[other])
    await playground.language(language)
    await playground.paste("value", "1\t2\n3\t4\n5\t6\n7\t8")
    await playground.fresh()
    await expect(playground.error("value")).to_be_hidden()

    await playground.page.locator("#score-model").select_option("gaussian")
    await playground.page.locator("#normalizer").select_option("proportional")
    for shown in (language, other, language):
        await playground.language(shown)
        await expect(playground.error("normalizer").locator("span")).to_contain_text(NEGATIVE[shown])
    await playground.choose("#normalizer", "softmax")
    await expect(playground.error("normalizer")).to_be_hidden()
    await recorded.assert_fits()
    await recorded.assert_clean(UNPROCESSABLE, UNPROCESSABLE)


@pytest.mark.soak
@pytest.mark.parametrize("language", LOCALES)
async def test_text_that_is_no_number_marks_its_cell_and_nothing_is_asked(
    open_page: OpenPage, server: Server, language: str
) -> None:
    recorded, playground = await opened(open_page, server.url, language)
    weights = await playground.texts("weights")
    asked = [url for url in recorded.requests if url.endswith("/v1/attention")]
    await playground.field("key", 0, 1).fill("abc")
    await expect(playground.error("key").locator("span")).to_have_text(NOT_A_NUMBER[language])
    await expect(playground.field("key", 0, 1)).to_have_attribute("aria-invalid", "true")
    await expect(playground.results).to_have_attribute("data-state", "stale")
    await playground.field("key", 1, 1).fill("9")
    await expect(playground.results).to_have_attribute("data-state", "stale")
    assert await playground.texts("weights") == weights
    assert [url for url in recorded.requests if url.endswith("/v1/attention")] == asked
    for text in ("１．５", "−2", "+.5", "1e-3"):
        await playground.type_into("key", 0, 1, text)
        await expect(playground.error("key")).to_be_hidden()
        await expect(playground.verification).to_have_attribute("data-state", "match")
    for text in ("", "1,5", "0x10", "Infinity", "1e999", "<b>1</b>"):
        await playground.field("key", 0, 1).fill(text)
        await expect(playground.results).to_have_attribute("data-state", "stale")
    await playground.choose("#example", "honor-of-kings")
    await expect(playground.error("key")).to_be_hidden()
    await recorded.assert_clean()


@pytest.mark.soak
async def test_options_are_checked_where_they_are_typed(open_page: OpenPage, server: Server) -> None:
    recorded, playground = await opened(open_page, server.url)
    await recorded.page.locator("#temperature").fill("0")
    await expect(playground.error("normalizer/temperature")).to_contain_text("above 0")
    await recorded.page.locator("#temperature-reset").click()
    await playground.fresh()
    await recorded.page.locator("#temperature").fill("0.5")
    await playground.fresh()
    assert (await playground.texts("weights"))[0] == ["0.9343", "0.0421", "0.0189", "0.0047"]
    await recorded.page.locator("#temperature-slider").press("End")
    await expect(recorded.page.locator("#temperature")).to_have_value("100")
    await recorded.page.locator("#mask-kind").select_option("lengths")
    await recorded.page.locator("#mask-length").fill("5")
    await expect(playground.error("mask/length")).to_contain_text("from 0 to 4")
    await recorded.page.locator("#mask-length").fill("2")
    await playground.fresh()
    assert await playground.texts("mask") == [["✓", "✓", "×", "×"]] * 2
    await playground.choose("#mask-kind", "window")
    assert await playground.texts("mask") == [["✓", "×", "×", "×"], ["✓", "✓", "×", "×"]]
    await recorded.page.locator("#mask-right").fill("")
    await playground.fresh()
    assert await playground.texts("mask") == [["✓", "✓", "✓", "✓"], ["✓", "✓", "✓", "✓"]]
    await playground.choose("#mask-kind", "causal")
    await recorded.page.locator("#mask-offset").fill("1")
    await playground.fresh()
    assert await playground.texts("mask") == [["✓", "✓", "×", "×"], ["✓", "✓", "✓", "×"]]
    await expect(playground.verification).to_have_attribute("data-state", "match")
    await recorded.assert_clean()


def refusing(slug: str, headers: dict[str, str]) -> Callable[[Route], Awaitable[None]]:
    async def handle(route: Route) -> None:
        problem = PROBLEMS[slug]
        document = {"type": f"/problems/{slug}", "title": problem.title.en, "status": int(problem.status),
                    "detail": "expected less; received more. Send less.", "instance": "id"}  # fmt: skip
        body = json.dumps(document)
        await route.fulfill(
            status=int(problem.status), content_type="application/problem+json", headers=headers, body=body
        )

    return handle


@pytest.mark.soak
async def test_other_refusals_say_what_to_do_in_both_languages(open_page: OpenPage, server: Server) -> None:
    recorded, playground = await opened(open_page, server.url)
    texts = await recorded.page.evaluate("async () => (await import('./static/playground/words/texts.js')).TEXTS")
    notice = playground.notice("problem")
    for slug in ("too-large", "queue-full", "draining", "deadline-exceeded", "internal"):
        waits = slug in {"queue-full", "draining"}
        await recorded.page.route(ATTENTION, refusing(slug, {"Retry-After": "1"} if waits else {}))
        await playground.field("query", 0, 0).fill(str(len(slug)))
        await expect(notice).to_contain_text(texts["en"][f"problem.{slug}"])
        await expect(notice.locator("small[lang=en]")).to_contain_text("Send less.")
        await expect(playground.results).to_have_attribute("data-state", "stale")
        await playground.language("zh")
        await expect(notice).to_contain_text(texts["zh"][f"problem.{slug}"])
        await playground.language("en")
        await recorded.page.unroute(ATTENTION)
        if not waits:
            await notice.locator("[data-action=retry]").click()
        await playground.fresh()
        await expect(notice).to_have_count(0)
    assert recorded.page_errors == []


def test_every_problem_has_a_text_of_its_own() -> None:
    pages = Path(__file__).parent.parent.parent / "service" / "pages" / "playground"
    for name in ("en.js", "zh.js"):
        texts = (pages / "words" / name).read_text(encoding="utf-8")
        assert [slug for slug in PROBLEMS if f'"problem.{slug}"' not in texts] == []


@pytest.mark.soak
async def test_an_early_reply_that_comes_late_is_dropped(open_page: OpenPage, server: Server) -> None:
    recorded, playground = await opened(open_page, server.url)
    let_go = asyncio.Event()
    held: list[str] = []

    async def hold_the_first(route: Route) -> None:
        response = await route.fetch()
        if not held:
            held.append(route.request.post_data or "")
            await let_go.wait()
        await route.fulfill(response=response)

    await recorded.page.route(ATTENTION, hold_the_first)
    # Aborting would hide whether late replies are dropped, so this page cannot abort.
    await recorded.page.evaluate("AbortController.prototype.abort = () => {}")
    async with recorded.page.expect_request(ATTENTION):
        await playground.field("query", 0, 0).fill("-5")
    async with recorded.page.expect_response(ATTENTION):
        await playground.field("query", 0, 0).fill("5")
    await playground.fresh()
    later = await playground.texts("weights")
    assert json.loads(held[0])["query"][0][0] == -5
    async with recorded.page.expect_event("requestfinished"):
        let_go.set()
    await recorded.settle()
    assert await playground.texts("weights") == later
    assert float(later[0][0]) > 0.9
    await expect(playground.verification).to_have_attribute("data-state", "match")
    await recorded.assert_clean()


@pytest.mark.soak
async def test_only_the_example_chosen_last_counts_and_a_failed_one_changes_nothing(
    open_page: OpenPage, server: Server
) -> None:
    recorded, playground = await opened(open_page, server.url)
    let_go = asyncio.Event()

    async def fail_late(route: Route) -> None:
        await let_go.wait()
        await route.abort()

    await recorded.page.route("**/v1/examples/additive", fail_late)
    example = recorded.page.locator("#example")
    await example.select_option("additive")
    await expect(playground.results).to_have_attribute("data-state", "pending")
    # A failure that comes when something else has been chosen is not told.
    await playground.choose("#example", "honor-of-kings")
    weights = await playground.texts("weights")
    async with recorded.page.expect_event("requestfailed"):
        let_go.set()
    await recorded.settle()
    await expect(playground.notice("problem")).to_be_hidden()
    await playground.fresh()
    # Nor does one make a result stale that is right.
    async with recorded.page.expect_event("requestfailed"):
        await example.select_option("additive")
    await expect(playground.notice("problem")).to_be_visible()
    await playground.fresh()
    await expect(example).to_have_value("honor-of-kings")
    assert await playground.texts("weights") == weights
    # A link takes the place of an example that is still on its way.
    await playground.type_into("query", 0, 0, "5")
    await recorded.page.wait_for_url(lambda url: "#2." in url and read(url)["q"][0][0][0] == 5)
    link = recorded.page.url.partition("#")[2]
    await playground.type_into("query", 0, 0, "6")
    await recorded.page.wait_for_url(lambda url: url.partition("#")[2] != link)
    let_go.clear()
    await recorded.page.unroute("**/v1/examples/additive")

    async def answer_late(route: Route) -> None:
        await let_go.wait()
        await route.continue_()

    await recorded.page.route("**/v1/examples/additive", answer_late)
    await example.select_option("additive")
    await recorded.page.evaluate("fragment => { location.hash = fragment }", link)
    await expect(playground.field("query", 0, 0)).to_have_value("5")
    await playground.fresh()
    async with recorded.page.expect_response("**/v1/examples/additive"):
        let_go.set()
    await recorded.settle()
    await expect(example).to_have_value("honor-of-kings")
    await expect(playground.field("query", 0, 0)).to_have_value("5")


@pytest.mark.soak
async def test_a_question_taken_back_is_not_asked_again(open_page: OpenPage, server: Server) -> None:
    recorded, playground = await opened(open_page, server.url)
    await recorded.page.route(ATTENTION, lambda route: route.abort())
    await playground.field("query", 0, 0).fill("5")
    retry = playground.notice("away").locator("button").first
    await expect(retry).to_be_visible()
    await playground.field("query", 0, 0).fill("abc")
    await expect(playground.results).to_have_attribute("data-state", "stale")
    await recorded.page.unroute(ATTENTION)
    asked = [url for url in recorded.requests if url.endswith("/v1/attention")]
    await retry.click()
    await recorded.settle()
    await expect(playground.results).to_have_attribute("data-state", "stale")
    assert [url for url in recorded.requests if url.endswith("/v1/attention")] == asked
    await playground.type_into("query", 0, 0, "6")
    await expect(playground.verification).to_have_attribute("data-state", "match")


@pytest.mark.soak
async def test_a_stopped_service_is_said_and_the_page_recovers_by_itself(open_page: OpenPage, tmp_path: Path) -> None:
    with running_server(tmp_path, DRAIN_SECONDS="1") as server:
        recorded, playground = await opened(open_page, server.url)
        weights = await playground.texts("weights")
        server.stop()
        await playground.field("query", 0, 0).fill("0")
        notice = playground.notice("away")
        await expect(notice).to_contain_text("Service unreachable, showing the last result.")
        await expect(playground.results).to_have_attribute("data-state", "stale")
        assert await playground.texts("weights") == weights
        await playground.language("zh")
        await expect(notice).to_contain_text("无法连接服务，显示的是上一次的结果。")
        with started_again(server):
            await until_ready(server.url)
            # The page may retry before the click.
            await notice.locator("[data-action=retry]").evaluate_all(
                "(buttons) => buttons.forEach((one) => one.click())"
            )
            await playground.fresh()
            await expect(notice).to_have_count(0)
            assert (await playground.texts("weights"))[0] != weights[0]
            assert recorded.page_errors == []


@contextmanager
def started_again(server: Server) -> Iterator[None]:
    """Start a stopped server at the same port."""
    process = subprocess.Popen(server.process.args, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.kill()
        process.wait()


async def until_ready(url: str) -> None:
    async with httpx.AsyncClient() as client:
        for _ in range(300):
            try:
                if (await client.get(f"{url}/readyz")).status_code == 200:
                    return
            except httpx.TransportError:
                await asyncio.sleep(0.1)
    raise TimeoutError(url)


@pytest.mark.soak
async def test_it_tries_again_by_itself(open_page: OpenPage, server: Server) -> None:
    recorded, playground = await opened(open_page, server.url)
    refused = 0

    async def refuse_twice(route: Route) -> None:
        nonlocal refused
        refused += 1
        await (route.abort() if refused <= 2 else route.continue_())

    await recorded.page.route(ATTENTION, refuse_twice)
    await playground.field("query", 0, 0).fill("1")
    await expect(playground.notice("away")).to_be_visible()
    await expect(playground.results).to_have_attribute("data-state", "fresh", timeout=10_000)
    assert refused == 3
    assert recorded.page_errors == []
