"""Editing: sizes stay paired, pastes are understood, the mask toggles, and attention does what attention must."""

import random

import pytest
from playwright.async_api import expect

from tests.browser.conftest import OpenPage
from tests.browser.playground import Playground, number, opened
from tests.server import Server

pytestmark = pytest.mark.browser


def as_text(rows: list[list[float]]) -> str:
    """As a spreadsheet puts rows on the clipboard."""
    return "".join("\t".join(map(str, row)) + "\r\n" for row in rows)


async def paste_all(playground: Playground, **tensors: list[list[float]]) -> None:
    for name, rows in tensors.items():
        await playground.paste(name, as_text(rows))
    await playground.fresh()


@pytest.mark.soak
async def test_permuting_keys_with_their_values_permutes_columns_and_leaves_the_output(
    open_page: OpenPage, server: Server
) -> None:
    draw = random.Random(20)
    recorded, playground = await opened(open_page, server.url)
    sizes = {"query": (3, 4), "key": (6, 4), "value": (6, 2)}
    drawn = {
        name: [[round(draw.gauss(0, 1.5), 2) for _ in range(columns)] for _ in range(rows)]
        for name, (rows, columns) in sizes.items()
    }
    order = draw.sample(range(6), 6)
    permuted = drawn | {name: [drawn[name][key] for key in order] for name in ("key", "value")}
    for model in ("scaled_dot_product", "cosine", "laplacian"):
        await playground.choose("#score-model", model)
        await paste_all(playground, **drawn)
        weights, output = await playground.texts("weights"), await playground.texts("output")
        assert len(weights) == 3
        assert len(weights[0]) == 6
        await paste_all(playground, **permuted)
        assert await playground.texts("weights") == [[row[key] for key in order] for row in weights]
        for one, other in zip(await playground.texts("output"), output, strict=True):
            assert [number(text) for text in one] == pytest.approx([number(text) for text in other], abs=2e-4)
        await expect(playground.verification).to_have_attribute("data-state", "match")
    assert recorded.page_errors == []


@pytest.mark.soak
async def test_rows_and_columns_come_and_go_in_pairs(open_page: OpenPage, server: Server) -> None:
    recorded, playground = await opened(open_page, server.url)

    async def use(tensor: str, tool: str) -> None:
        await recorded.page.locator(f'#tensor-{tensor} [data-tool="{tool}"]').click()
        await playground.fresh()
        await expect(playground.verification).to_have_attribute("data-state", "match")

    async def sizes() -> list[list[str]]:
        counts = (recorded.page.locator(f"#tensor-{name} .count") for name in ("query", "key", "value"))
        return [await count.all_inner_texts() for count in counts]

    await use("key", "insert-row")
    await use("query", "insert-column")
    assert await sizes() == [["2", "5"], ["5", "5"], ["5", "3"]]
    assert (await playground.map("weights").locator("th[scope=col]").all_inner_texts())[-1] == "key 5"
    await playground.field("value", 1, 0).focus()
    await use("value", "remove-row")
    assert await sizes() == [["2", "5"], ["4", "5"], ["4", "3"]]
    names = await playground.map("weights").locator("th[scope=col]").all_inner_texts()
    assert names == ["marksman", "jungler", "mid", "top"]

    # The additive model has weights of its own for queries and keys, which follow.
    await playground.choose("#score-model", "additive")
    await playground.field("query", 0, 0).focus()
    await use("query", "remove-column")
    assert await sizes() == [["2", "4"], ["4", "5"], ["4", "3"]]
    await playground.page.locator("#score-model").select_option("dot_product")
    await expect(playground.error("key").locator("span")).to_contain_text("K has 5 columns and Q has 4")
    await recorded.page.locator('#tensor-key [data-tool="remove-column"]').click()
    await playground.fresh()
    await use("query", "remove-row")
    for _ in range(3):
        await use("value", "remove-column")
    await expect(playground.map("output")).to_be_hidden()
    await recorded.page.locator('#tensor-value [data-tool="add-values"]').click()
    await playground.fresh()
    output, weights = await playground.texts("output"), await playground.texts("weights")
    assert [[number(text) for text in row] for row in output] == [[number(text) for text in row] for row in weights]
    assert recorded.page_errors == []


@pytest.mark.soak
async def test_paste_understands_spreadsheets_and_json(open_page: OpenPage, server: Server) -> None:
    recorded, playground = await opened(open_page, server.url)
    values = (
        "[...document.querySelectorAll('#tensor-key tbody tr')]"
        ".map(row => [...row.querySelectorAll('input')].map(one => one.value))"
    )
    await playground.paste("key", "[[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12], [0, 0, 0, 1]]", 2, 2)
    # Keys bring values, and features of keys those of queries.
    await playground.fresh()
    await expect(playground.field("value", 5, 2)).to_have_value("0")
    await expect(playground.field("query", 1, 5)).to_have_value("0")
    assert await recorded.page.evaluate(values) == [
        ["1.9", "1.5", "1", "0.3", "0", "0"],
        ["0.6", "1.1", "0.9", "2", "0", "0"],
        ["0.5", "1", "1", "2", "3", "4"],
        ["0.1", "0.5", "5", "6", "7", "8"],
        ["0", "0", "9", "10", "11", "12"],
        ["0", "0", "0", "0", "0", "1"],
    ]
    await playground.choose("#example", "honor-of-kings")
    await playground.paste("key", "9\t8\n7\t6\n", 1, 2)
    await playground.fresh()
    assert (await recorded.page.evaluate(values))[1:3] == [["0.6", "1.1", "9", "8"], ["0.5", "1", "7", "6"]]
    await playground.paste("key", "5\tfive\n")
    assert (await recorded.page.evaluate(values))[0][0] == "1.9"
    wide = as_text([[1.0] * 130] * 2)
    await playground.paste("query", wide)
    await expect(playground.error("query").locator("span")).to_contain_text("2 × 130")
    await expect(playground.error("query").locator("span")).to_contain_text("128 × 128")


@pytest.mark.soak
async def test_a_cell_toggles_with_a_click_and_a_heading_toggles_a_key(open_page: OpenPage, server: Server) -> None:
    recorded, playground = await opened(open_page, server.url)
    await playground.choose("#mask-kind", "causal")
    assert await playground.texts("mask") == [["✓", "×", "×", "×"], ["✓", "✓", "×", "×"]]
    await playground.cell("mask", 0, 3).click()
    await playground.fresh()
    assert await playground.texts("mask") == [["✓", "×", "×", "✓"], ["✓", "✓", "×", "×"]]
    await expect(recorded.page.locator("#mask-kind")).to_have_value("custom")
    await playground.cell("weights", 0, 0).click()
    await playground.fresh()
    assert (await playground.texts("weights"))[0] == ["0", "0", "0", "1.0000"]
    await playground.cell("weights", -1, 2).click()
    await playground.fresh()
    assert await playground.texts("mask") == [["×", "×", "✓", "✓"], ["✓", "✓", "✓", "×"]]
    for key in (2, 3):
        await playground.cell("mask", -1, key).click()
        await playground.fresh()
    assert (await playground.texts("mask"))[0] == ["×", "×", "×", "×"]
    assert (await playground.texts("weights"))[0] == ["0", "0", "0", "0"]
    await expect(playground.decision).to_have_text("team fight: sees no key at all; weights and output are 0.")
    await playground.cell("scores", 1, 1).click()
    assert (await playground.texts("mask"))[1] == ["✓", "✓", "×", "×"]
    await expect(recorded.page.locator("#explain-pair")).to_have_text("dragon up → jungler")
    await recorded.assert_clean()


@pytest.mark.soak
async def test_weights_outside_0_and_1_are_said_to_be(open_page: OpenPage, server: Server) -> None:
    recorded, playground = await opened(open_page, server.url)
    legend = recorded.page.locator("#stage-weights .legend")
    await expect(legend).not_to_contain_text("leave 0–1")
    await playground.choose("#normalizer", "none")
    await expect(legend).to_contain_text("leave 0–1")
    await expect(legend).to_contain_text("3.15")


@pytest.mark.soak
async def test_large_matrices_are_colours_and_still_speak(open_page: OpenPage, server: Server) -> None:
    draw = random.Random(21)
    recorded, playground = await opened(open_page, server.url)
    rows = [[round(draw.gauss(0, 1), 2) for _ in range(4)] for _ in range(40)]
    await paste_all(playground, query=rows, key=rows, value=rows)
    assert {text for row in await playground.texts("weights") for text in row} == {""}
    await expect(playground.verification).to_have_attribute("data-state", "match")
    await playground.cell("weights", 39, 39).focus()
    label = await playground.cell("weights", 39, 39).get_attribute("aria-label")
    assert label is not None
    shown = await recorded.page.locator("#explain-number").inner_text()
    assert label == f"query 40, key 40: weight {shown}"
    await recorded.assert_fits()


@pytest.mark.soak
async def test_text_with_a_mistake_stays_until_other_numbers_come(open_page: OpenPage, server: Server) -> None:
    recorded, playground = await opened(open_page, server.url)
    await playground.paste("query", "".join("1\t2\t3\t4\n" for _ in range(128)))
    await playground.paste("query", "".join("\t".join("1" * 20) + "\n" for _ in range(128)))
    text = recorded.page.locator("#tensor-query textarea.matrix-text")
    await expect(text).to_be_visible()
    await text.fill("1 2\n3")
    await text.blur()
    await expect(text).to_have_attribute("aria-invalid", "true")
    await playground.field("key", 0, 0).fill("7")
    await expect(playground.error("query")).to_be_visible()
    await expect(text).to_have_value("1 2\n3")
    await recorded.page.locator('#tensor-query [data-tool="remove-row"]').click()
    await expect(playground.error("query")).to_be_hidden()
    assert await text.get_attribute("aria-invalid") is None
    assert len((await text.input_value()).split("\n")) == 127
    await playground.choose("#example", "honor-of-kings")
    await expect(text).to_be_hidden()
    await expect(playground.verification).to_have_attribute("data-state", "match")
