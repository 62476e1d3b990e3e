"""Browser versus service: a number that was falsified on its way is named, and the browser's arithmetic is right."""

import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from playwright.async_api import Route, expect

from service.routes.pages import GIVEN
from service.schemas.catalogue import describe_normalizers, describe_score_models
from tests.browser.conftest import OpenPage
from tests.browser.pairs import CHECK_PAIRS, agreeing, every_pair
from tests.browser.playground import Playground, opened
from tests.server import Server

pytestmark = pytest.mark.browser

ATTENTION = "**/v1/attention"

Falsify = Callable[[dict[str, Any]], None]


def on_the_way(falsify: Falsify) -> Callable[[Route], Awaitable[None]]:
    """Change the body of an answer."""

    async def handle(route: Route) -> None:
        response = await route.fetch()
        body = await response.json()
        falsify(body)
        await route.fulfill(response=response, body=json.dumps(body))

    return handle


def add(matrix: str, row: int, column: int, difference: float) -> Falsify:
    def falsify(body: dict[str, Any]) -> None:
        body[matrix][row][column] += difference

    return falsify


def put(matrix: str, row: int, column: int, value: Any) -> Falsify:
    def falsify(body: dict[str, Any]) -> None:
        body[matrix][row][column] = value

    return falsify


def drop_row(body: dict[str, Any]) -> None:
    body["weights"].pop()


def add_column(body: dict[str, Any]) -> None:
    body["output"][0].append(0.0)


def entropy(body: dict[str, Any]) -> None:
    body["diagnostics"]["entropy"][1] += 1e-6


FALSIFIED: dict[str, tuple[Falsify, tuple[str, ...]]] = {
    "a score": (add("scores", 0, 2, 1e-9), ("Score at team fight, mid", "1.200000001", "1.2,")),
    "a weight": (add("weights", 1, 3, -1e-9), ("Weight at dragon up, top",)),
    "an output": (add("output", 1, 0, 1e-9), ("Output at dragon up, protect",)),
    "a weight far off": (put("weights", 0, 0, 0.6), ("Weight at team fight, marksman", "0.6,", "0.70166907360510")),
    "a hidden key": (put("logits", 0, 1, None), ("Masked score at team fight, jungler", "−∞")),
    "not a number": (put("weights", 0, 1, "NaN"), ("Weight at team fight, jungler", "NaN")),
    "no number at all": (put("output", 0, 1, "<b>"), ("Output at team fight, take dragon", "nothing")),
    "a row too few": (drop_row, ("Weight at dragon up, marksman", "nothing")),
    "a column too many": (add_column, ("Output at",)),
    "the entropy": (entropy, ("Entropy of dragon up",)),
}


@pytest.mark.soak
async def test_every_falsified_number_is_named(open_page: OpenPage, server: Server) -> None:
    recorded, playground = await opened(open_page, server.url)
    for what, (falsify, texts) in FALSIFIED.items():
        await expect(playground.verification).to_have_attribute("data-state", "match")
        await recorded.page.route(ATTENTION, on_the_way(falsify))
        await playground.choose("#example", "honor-of-kings-both")
        assert await playground.verification.get_attribute("data-state") == "mismatch", what
        shown = await playground.verification.inner_text()
        assert [text for text in texts if text not in shown] == [], what
        await recorded.page.unroute(ATTENTION)
        await playground.choose("#example", "honor-of-kings-both")
    await expect(playground.verification).to_have_attribute("data-state", "match")
    await recorded.assert_clean()


@pytest.mark.soak
async def test_a_falsified_explanation_is_marked(open_page: OpenPage, server: Server) -> None:
    recorded, playground = await opened(open_page, server.url)
    compared = recorded.page.locator("#explain-compared")
    await expect(compared.locator("tbody tr")).to_have_count(3)
    assert await compared.locator(".differs").count() == 0

    def falsify(body: dict[str, Any]) -> None:
        body["weight"] += 1e-6

    await recorded.page.route("**/v1/attention/explain", on_the_way(falsify))
    await playground.cell("scores", 1, 1).click()
    await expect(compared.locator(".differs")).to_have_text("≠ 1.0e−6")


@pytest.mark.soak
async def test_a_method_that_the_browser_does_not_know_is_said_to_be_unchecked(
    open_page: OpenPage, server: Server
) -> None:
    """A ninth score model appears by itself, with its parameters, and is not called right."""
    recorded = await open_page(f"{server.url}/livez", locale="en-GB")

    async def add_a_ninth(route: Route) -> None:
        response = await route.fetch()
        head, _, rest = (await response.text()).partition(GIVEN)
        document, _, tail = rest.partition("</script>")
        given = json.loads(document)
        models = given["v1/score-models"]["score_models"]
        copied = next(model for model in models if model["name"] == "bilinear")
        models.append(copied | {"name": "ninth", "title": {"zh": "第九", "en": "Ninth"}})
        html = f"{head}{GIVEN}{json.dumps(given)}</script>{tail}"
        await route.fulfill(status=200, content_type="text/html; charset=utf-8", body=html)

    async def answer_as_bilinear(route: Route) -> None:
        question = json.loads(route.request.post_data or "")
        if question["score_model"]["name"] == "ninth":
            question["score_model"]["name"] = "bilinear"
        await route.continue_(post_data=json.dumps(question))

    await recorded.page.route("**/playground", add_a_ninth)
    await recorded.page.route(ATTENTION, answer_as_bilinear)
    await recorded.page.goto(f"{server.url}/playground")
    playground = Playground(recorded.page)
    await playground.fresh()
    await playground.choose("#score-model", "ninth")
    assert await recorded.page.locator("#score-model option:checked").inner_text() == "Ninth"
    fields = recorded.page.locator("#score-model-parameters [data-parameter=weight] input")
    assert await fields.evaluate_all("all => all.map(one => one.value)") == [
        "0.5" if row == column else "0" for row in range(4) for column in range(4)
    ]
    await expect(playground.verification).to_have_attribute("data-state", "unchecked")


async def test_the_browser_agrees_with_the_service_for_every_score_model_and_normalizer(
    open_page: OpenPage, server: Server, client: httpx.AsyncClient, report_figure: Callable[[str], None]
) -> None:
    recorded, _ = await opened(open_page, server.url)
    computed = agreeing(await recorded.page.evaluate(CHECK_PAIRS, every_pair()))
    report_figure(f"playground: browser versus service over {len(computed)} pairs: {max(computed.values()):.1e}")


@pytest.mark.soak
async def test_proportional_agrees_where_scores_are_positive(open_page: OpenPage, server: Server) -> None:
    recorded, playground = await opened(open_page, server.url)
    for model in ("scaled_dot_product", "dot_product", "bilinear", "cosine", "trilinear"):
        await playground.choose("#example", "honor-of-kings")
        await playground.choose("#score-model", model)
        await playground.choose("#normalizer", "proportional")
        await expect(playground.verification).to_have_attribute("data-state", "match")
    await recorded.assert_clean()


OVERFLOWING = {(0, 0): "1e308", (0, 1): "-1e308", (1, 2): "1.7e308"}


@pytest.mark.soak
async def test_numbers_that_overflow_raise_no_alarm(open_page: OpenPage, server: Server) -> None:
    recorded, playground = await opened(open_page, server.url)
    for place, text in OVERFLOWING.items():
        await playground.type_into("query", *place, text)
        await expect(playground.verification).to_have_attribute("data-state", re.compile("match|unchecked"))
    await recorded.assert_clean()


@pytest.mark.soak
async def test_no_score_model_and_no_normalizer_raises_an_alarm_at_extremes(
    open_page: OpenPage, server: Server
) -> None:
    recorded, playground = await opened(open_page, server.url)
    for number in ("1e308", "-1e200", "5e-324"):
        await playground.type_into("query", 0, 0, number)
        for model in describe_score_models()["score_models"]:
            await playground.page.locator("#normalizer").select_option("softmax")
            await playground.choose("#score-model", model["name"])
            for normalizer in describe_normalizers()["normalizers"]:
                if normalizer["name"] == "proportional":
                    continue
                await playground.choose("#normalizer", normalizer["name"])
                assert await playground.verification.get_attribute("data-state") != "mismatch", (number, model["name"])
    assert recorded.page_errors == []
