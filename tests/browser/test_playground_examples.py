"""Every worked example loads, in both languages, and its cells are what the service answers, as far as shown."""

from typing import Any

import httpx
import pytest

from service.examples import IDS, load_examples
from tests.browser.conftest import OpenPage
from tests.browser.playground import LOCALES, Playground, assert_shown, opened
from tests.server import Server

pytestmark = pytest.mark.browser

EXAMPLES = load_examples()


HALVES = {"even": IDS[::2], "odd": IDS[1::2]}
"""Of the examples."""


@pytest.mark.soak
@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("language", LOCALES)
async def test_the_cells_of_every_example_are_those_of_the_service(
    open_page: OpenPage, server: Server, client: httpx.AsyncClient, language: str, half: str
) -> None:
    recorded, playground = await opened(open_page, server.url, language)
    offered = await recorded.page.locator("#example option").evaluate_all(
        "all => all.map(one => [one.value, one.text])"
    )
    assert [value for value, _ in offered] == ["honor-of-kings-both", *IDS]
    assert [text for _, text in offered[1:]] == [EXAMPLES[name].title[language] for name in IDS]
    for name in HALVES[half]:
        example = EXAMPLES[name]
        await playground.choose("#example", name)
        assert await recorded.page.locator("#story-title").inner_text() == example.title[language]
        assert await recorded.page.locator("#example option:checked").inner_text() == example.title[language]
        include = ["scores", "logits", "weights", *(["output"] if "value" in example.request else [])]
        answer = (await client.post("/v1/attention", json=example.request | {"include": include})).json()
        for batch, answered in enumerate(slices(answer, include)):
            if await recorded.page.locator("#batch").is_visible():
                await playground.choose("#batch", str(batch))
            await assert_shows(playground, answered)
        await assert_named(playground, example.names and example.names[language])
        assert await playground.verification.get_attribute("data-state") == "match", name
    await recorded.assert_fits()
    await recorded.assert_clean()


def slices(answer: dict[str, Any], include: list[str]) -> list[dict[str, Any]]:
    """One answer for each leading index, which is one for matrices."""
    if not isinstance(answer["scores"][0][0], list):
        return [answer]
    return [{name: answer[name][index] for name in include} for index in range(len(answer["scores"]))]


async def assert_shows(playground: Playground, answered: dict[str, Any]) -> None:
    for stage in ("scores", "weights", "output"):
        if stage not in answered:
            assert not await playground.map(stage).is_visible()
            continue
        shown = await playground.texts(stage)
        assert [len(row) for row in shown] == [len(row) for row in answered[stage]]
        for line, expected in zip(shown, answered[stage], strict=True):
            for text, value in zip(line, expected, strict=True):
                assert_shown(text, value, len(line))
    masks = await playground.texts("mask")
    assert masks == [["×" if logit is None else "✓" for logit in row] for row in answered["logits"]]
    hidden = await playground.map("weights").locator("td[data-hidden]").count()
    assert hidden == sum(row.count("×") for row in masks)


async def assert_named(playground: Playground, names: dict[str, list[str]] | None) -> None:
    if not names:
        return
    for stage in ("scores", "mask", "weights"):
        heads = playground.map(stage).locator("th[scope=col]")
        assert await heads.all_inner_texts() == names["key"]
        assert await playground.map(stage).locator("th[scope=row]").all_inner_texts() == names["query"]
    if "value" in names:
        assert await playground.map("output").locator("th[scope=col]").all_inner_texts() == names["value"]


async def test_the_opening_view_is_two_examples_in_one(open_page: OpenPage, server: Server) -> None:
    _, playground = await opened(open_page, server.url)
    expected = [EXAMPLES[name].expected for name in ("honor-of-kings", "honor-of-kings-dragon")]
    for stage in ("scores", "weights", "output"):
        for line, numbers in zip(await playground.texts(stage), expected, strict=True):
            for text, value in zip(line, numbers[stage][0], strict=True):
                assert_shown(text, value)


def test_names_fit_the_request_in_both_languages() -> None:
    for example in EXAMPLES.values():
        if not example.names:
            continue
        counts = {axis: len(names) for axis, names in example.names["zh"].items()}
        assert counts == {axis: len(names) for axis, names in example.names["en"].items()}
        request = example.request
        sizes = {"query": len(request["query"]), "key": len(request["key"]), "feature": len(request["key"][0])}
        sizes["value"] = len(request["value"][0]) if "value" in request else 0
        assert counts.items() <= sizes.items(), example.id
        for axis, labels in request.get("labels", {}).items():
            assert example.names["zh"][axis] == labels
        assert not any(
            "\u4e00" <= letter <= "\u9fff" for names in example.names["en"].values() for letter in str(names)
        )
