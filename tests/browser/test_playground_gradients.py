"""Gradients in the playground: the slopes of the number in focus, and how far its row is from saturation."""

import asyncio
import copy
import json
import random
import re
from typing import Any

import httpx
import numpy as np
import pytest
from playwright.async_api import Locator, Page, expect

from tests import oracle
from tests.browser.conftest import OpenPage
from tests.browser.memory_panel import Panel
from tests.browser.playground import Playground, number, opened
from tests.browser.test_playground_formulas import field
from tests.browser.test_playground_heads import tensor
from tests.server import Server

pytestmark = pytest.mark.browser

REQUEST: dict[str, Any] = {
    "query": [[2, 1, 1, 0], [0, 0.5, 1, 2]],
    "key": [[1.9, 1.5, 1.0, 0.3], [0.6, 1.1, 0.9, 2.0], [0.5, 1.0, 0.4, 0.4], [0.1, 0.5, 0.3, 0.6]],
    "value": [[1.0, 0.2, 0.0], [0.1, 1.0, 0.4], [0.2, 0.3, 1.0], [0.0, 0.1, 0.8]],
}

STEP = 2.0**-18

VALUES = "map => [...map.tBodies[0].rows].map((row) => [...row.cells].slice(1).map((cell) => cell.dataset.value))"


def slope(request: dict[str, Any], place: tuple[str, int, int], result: tuple[str, int, int]) -> float:
    """Return a central difference of one result of the oracle by one input."""
    ends = []
    for step in (STEP, -STEP):
        moved = copy.deepcopy(request)
        name, row, column = place
        moved[name][row][column] += step
        field, at, to = result
        ends.append(float(oracle.attention(moved)[field][at][to]))
    return (ends[0] - ends[1]) / (2 * STEP)


def slopes(request: dict[str, Any], name: str, result: tuple[str, int, int], rows: range) -> list[list[float]]:
    return [[slope(request, (name, row, column), result) for column in range(len(request[name][0]))] for row in rows]


def gauge(page: Page) -> Locator:
    return page.locator(".view-gradients .saturation")


async def shown(page: Page, name: str) -> list[list[float]]:
    values: list[list[str]] = await page.locator(f'table[data-stage="slopes-{name}"]').evaluate(VALUES)
    return [[number(value) for value in row] for row in values]


async def open_gradients(open_page: OpenPage, server: Server, language: str = "en") -> tuple[Any, Playground]:
    recorded, playground = await opened(open_page, server.url, language)
    await recorded.page.locator("#tab-gradients").click()
    await confirmed(recorded.page)
    return recorded, playground


async def confirmed(page: Page) -> None:
    await expect(page.locator(".view-gradients .verification")).to_have_attribute("data-state", "match")


def close(found: list[list[float]], expected: list[list[float]]) -> None:
    assert found == [pytest.approx(row, abs=1e-8) for row in expected]


async def test_slopes_of_a_weight_and_of_an_output_are_those_of_the_definition(
    open_page: OpenPage, server: Server
) -> None:
    recorded, playground = await open_gradients(open_page, server)
    page = recorded.page
    weights = [float(weight) for weight in oracle.attention(REQUEST)["weights"][0]]
    close(
        await shown(page, "jacobian"),
        [[w * ((row == column) - other) for column, other in enumerate(weights)] for row, w in enumerate(weights)],
    )
    weight = ("weights", 0, 0)
    close(await shown(page, "query"), slopes(REQUEST, "query", weight, range(1)))
    close(await shown(page, "key"), slopes(REQUEST, "key", weight, range(4)))
    await expect(page.locator('table[data-stage="slopes-value"]')).to_be_hidden()
    await page.locator("#tab-maps").click()
    await playground.cell("output", 1, 1).focus()
    await page.locator("#tab-gradients").click()
    await expect(page.locator(".view-gradients .target")).to_contain_text("dragon up → take dragon")
    await expect(page.locator('table[data-stage="slopes-value"]')).to_be_visible()
    await confirmed(page)
    output = ("output", 1, 1)
    close(await shown(page, "query"), slopes(REQUEST, "query", output, range(1, 2)))
    close(await shown(page, "key"), slopes(REQUEST, "key", output, range(4)))
    close(await shown(page, "value"), slopes(REQUEST, "value", output, range(4)))
    await recorded.assert_clean()


@pytest.mark.soak
async def test_the_gauge_falls_as_the_row_saturates(open_page: OpenPage, server: Server) -> None:
    recorded, _ = await open_gradients(open_page, server, "zh")
    meter = recorded.page.get_by_role("meter")
    levels = []
    for temperature in ("2", "0.5", "0.1"):
        await recorded.page.locator("#temperature").fill(temperature)
        request = {**REQUEST, "normalizer": {"name": "softmax", "temperature": float(temperature)}}
        weights = [float(weight) for weight in oracle.attention(request)["weights"][0]]
        largest = max(weight * (1 - weight) for weight in weights) / float(temperature)
        await expect(gauge(recorded.page)).to_contain_text(f"最大可能值 {0.25 / float(temperature):g}")
        assert float(await meter.get_attribute("aria-valuenow") or "") == pytest.approx(largest, abs=1e-9)
        levels.append(largest * float(temperature) / 0.25)
    assert levels == sorted(levels, reverse=True)
    await expect(gauge(recorded.page)).to_contain_text("梯度消失")
    await expect(gauge(recorded.page)).to_have_attribute("data-state", "vanishing")
    await confirmed(recorded.page)
    await recorded.assert_clean()


@pytest.mark.soak
async def test_keys_of_a_cache_count_once_and_what_the_browser_cannot_derive_raises_no_alarm(
    open_page: OpenPage, server: Server
) -> None:
    recorded, playground = await open_gradients(open_page, server)
    page = recorded.page
    await page.locator("#further-title").click()
    await field(page, "past_key").fill("2")
    await playground.choose("#mask-kind", "causal")
    await confirmed(page)
    behind = {**REQUEST, "mask": {"causal": True, "offset": 2}}
    close(await shown(page, "key"), slopes(behind, "key", ("weights", 0, 0), range(4)))
    found = page.locator(".view-gradients .verification")
    for place, text in (("softcap", "2"), ("position/name", '"rotary"'), ("dtype", '"float16"')):
        control = field(page, place)
        is_choice = await control.evaluate("control => control.tagName") == "SELECT"
        await (control.select_option(text) if is_choice else control.fill(text))
        await playground.fresh()
        await expect(found).to_have_attribute("data-state", "unchecked")
        await (control.select_option("null") if is_choice else control.fill(""))
        await playground.fresh()
        await confirmed(page)
    await recorded.assert_clean()


@pytest.mark.soak
async def test_formulas_read_the_batch_row_and_the_head_of_the_slice_on_the_screen(
    open_page: OpenPage, server: Server, client: httpx.AsyncClient
) -> None:
    recorded, playground = await opened(open_page, server.url)
    page, generator = recorded.page, random.Random(5)
    request = {
        "query": tensor(generator, 2, 4, 2, 3),
        **{name: tensor(generator, 2, 2, 3, 3) for name in ("key", "value")},
        "score_modifier": {
            "formula": "score * (h + 1) / 4 + t * b * j",
            "parameters": {"t": {"per_head": [0, 0, 1, 0]}},
        },
        "mask": {"key_lengths": [2, 3]},
    }
    await playground.paste("query", json.dumps(request))
    await playground.fresh()
    await page.locator("#batch").select_option("6")
    await playground.fresh()
    await playground.cell("output", 1, 2).focus()
    await page.locator("#tab-gradients").click()
    await expect(page.locator(".view-gradients .verification")).to_have_attribute("data-state", "unchecked")
    upstream = np.zeros((2, 4, 2, 3))
    upstream[1, 2, 1, 2] = 1
    answer = await client.post(
        "/v1/attention/gradients", json={"request": request, "output_gradient": upstream.tolist()}
    )
    whole = answer.json()["gradients"]
    close(await shown(page, "query"), [whole["query"][1][2][1]])
    close(await shown(page, "key"), whole["key"][1][1])
    close(await shown(page, "value"), whole["value"][1][1])
    await recorded.assert_clean()


@pytest.mark.soak
async def test_formulas_read_the_batch_row_of_a_memory(
    open_page: OpenPage, server: Server, client: httpx.AsyncClient
) -> None:
    generator = random.Random(6)
    memory = {"key": tensor(generator, 3, 4, 4), "value": tensor(generator, 4, 2)}
    await client.put("/v1/memories/gradients.rows", json=memory)
    recorded, playground = await opened(open_page, server.url)
    page, panel = recorded.page, Panel(recorded.page)
    await panel.open()
    await panel.row_button("use", "gradients.rows").click()
    await playground.choose("#batch", "2")
    await page.locator("#further-title").click()
    await field(page, "score_modifier/formula").fill("score * b + j")
    await playground.choose("#mask-kind", "lengths")
    await page.locator("#mask-length").fill("3")
    await playground.fresh()
    await page.locator("#tab-gradients").click()
    await expect(page.locator(".view-gradients .verification")).to_have_attribute("data-state", "unchecked")
    # The opening query against one row, whose number stands in the formula.
    row = {
        "query": REQUEST["query"],
        "key": memory["key"][2],
        "value": np.eye(4).tolist(),
        "score_modifier": {"formula": "score * 2 + j"},
        "mask": {"key_lengths": [3]},
    }
    upstream = np.eye(1, 8).reshape(2, 4).tolist()
    answer = await client.post("/v1/attention/gradients", json={"request": row, "output_gradient": upstream})
    close(await shown(page, "query"), [answer.json()["gradients"]["query"][0]])
    close(await shown(page, "key"), answer.json()["gradients"]["key"])
    await recorded.assert_clean()


@pytest.mark.soak
async def test_every_normalizer_agrees_with_the_service_and_one_without_slopes_says_so(
    open_page: OpenPage, server: Server
) -> None:
    recorded, playground = await open_gradients(open_page, server)
    page = recorded.page
    await page.locator("#mask-kind").select_option("causal")
    for normalizer in ("sparsemax", "entmax", "sigmoid", "relu", "none", "proportional"):
        await page.locator("#normalizer").select_option(normalizer)
        await expect(gauge(page)).to_contain_text(re.compile("largest slope"))
        await playground.fresh()
        await confirmed(page)
    await expect(page.locator('table[data-stage="slopes-jacobian"] [data-hidden]').first).to_be_visible()
    await page.locator("#normalizer").select_option("hardmax")
    await expect(page.locator(".view-gradients .refused")).to_contain_text("hardmax has no gradient")
    await expect(gauge(page)).to_be_hidden()
    await expect(page.locator(".view-gradients table").first).to_be_hidden()
    await recorded.assert_clean()


@pytest.mark.soak
async def test_both_views_fit_a_telephone_and_have_large_targets(open_page: OpenPage, server: Server) -> None:
    recorded, _ = await open_gradients(open_page, server)
    await recorded.assert_fits()
    await recorded.page.locator("#tab-check").click()
    await recorded.assert_fits()
    small = await recorded.page.locator(".view-check :is(button, summary, select)").evaluate_all(
        "all => all.filter((each) => each.offsetHeight > 0 && each.offsetHeight < 24).length"
    )
    assert small == 0
    await recorded.assert_clean()


@pytest.mark.soak
async def test_the_slopes_come_once_the_service_answers_again(open_page: OpenPage, server: Server) -> None:
    recorded, playground = await opened(open_page, server.url)
    page, view = recorded.page, recorded.page.locator(".view-gradients")
    await page.route("**/v1/attention/gradients", lambda route: route.abort())
    await page.locator("#tab-gradients").click()
    await expect(view).to_contain_text("The service cannot be reached")
    await page.unroute("**/v1/attention/gradients")
    # At once it is not asked again; some time later any look at the page asks.
    await asyncio.sleep(2.2)
    await playground.language("zh")
    await expect(view).to_contain_text("最大")
    await expect(view).not_to_contain_text("无法连接服务")
