"""A clipboard with numbers in any usual notation is understood; a mistake in it is named, with its place."""

import json

import pytest
from playwright.async_api import expect

from tests.browser.conftest import OpenPage
from tests.browser.playground import Playground, opened
from tests.server import Server

pytestmark = pytest.mark.browser

NUMBERS = [["1", "−2.5"], ["3", "0.25"]]

BLOCKS = {
    "tabs": "1\t-2.5\n3\t0.25\n",
    "tabs and decimal commas": "1\t-2,5\n3,0\t0,25\n",
    "a header": "tall\twide\n1\t-2.5\n3\t0.25",
    "names of rows": "Ada\t1\t-2.5\nBob\t3\t0.25",
    "both and a corner": "who,tall,wide\nAda,1,-2.5\nBob,3,0.25",
    "both without a corner": "tall;wide\nAda;1;-2,5\nBob;3;0,25",
    "CSV with quotes": '"","tall, really","wide"\n"Ada",1,-2.5\n"Bob",3,.25\n',
    "blanks": "1   -2.5\n3    0.25",
    "NumPy, printed": "[[ 1.   -2.5 ]\n [ 3.    0.25]]",
    "NumPy, represented": "array([[1., -2.5],\n       [3., 0.25]], dtype=float32)",
    "PyTorch": "tensor([[ 1.0000, -2.5000],\n        [ 3.0000e+00,  2.5000e-01]], device='cuda:0')",
    "JSON with an axis too many": "[[[1, -2.5], [3, 0.25]]]",
    "Markdown": "| tall | wide |\n|---:|---:|\n| 1 | −2.5 |\n| 3 | 0.25 |\n",
    "a heading with a unit": "t [s],v [m]\n1,-2.5\n3,0.25\n",
    "one heading with a unit": "t [s]\tv\n1\t-2.5\n3\t0.25\n",
    "LaTeX": "1 & -2.5 \\\\\n3 & 0.25 \\\\",
}

NAMED = {"both and a corner": ("Ada", "wide"), "both without a corner": ("Bob", "tall"), "a header": ("", "tall")}

WRONG = {
    "5\tfive\n": "line 1, column 2: “five” is not a number",
    "1.5\t2\n1,500\t2,5\n": "line 2, column 1: “1,500” is not a number",
    "1,500\t2\n3\t4\n": "line 1, column 1: “1,500” is not a number",
    "a,b\n1,2\n3,x\n": "line 3, column 2: “x” is not a number",
    "[[1, 2], [3]]": "line 2 has 1 numbers where the first has 2",
    "tensor([[1., nan]])": "“nan” is not a number",
    "[[[1, 2]], [[3, 4]]]": "are not a matrix",
    '{"inputs": [{"name": "query"}]}': "needs at least “query” and “key”",
    '{"query": [[1]], "key": [[1]': "needs at least “query” and “key”",
}


async def numbers(playground: Playground, tensor: str) -> list[list[str]]:
    shown: list[list[str]] = await playground.page.locator(f"#tensor-{tensor} table").evaluate(
        "table => [...table.tBodies[0].rows].map((row) => [...row.querySelectorAll('input')].map((one) => one.value))"
    )
    return shown


async def names(playground: Playground, tensor: str) -> list[str]:
    shown: list[str] = await playground.page.locator(f"#tensor-{tensor} textarea").evaluate_all(
        "all => all.map((one) => one.value)"
    )
    return shown


async def test_a_table_with_names_is_pasted_with_them(open_page: OpenPage, server: Server) -> None:
    recorded, playground = await opened(open_page, server.url)
    await playground.paste("value", "who\tsave\tfight\nAda\t1\t-2.5\nBob\t3\t0.25\n\t\t\n".replace("\t\t\n", ""))
    assert await numbers(playground, "value") == NUMBERS
    assert {"Ada", "Bob", "save", "fight"} <= set(await names(playground, "value"))
    await playground.paste("query", "5\tfive\n")
    await expect(playground.error("query")).to_contain_text(WRONG["5\tfive\n"])
    await recorded.page.keyboard.press("Control+z")
    assert (await numbers(playground, "value"))[0] == ["1", "0.2", "0"]
    await playground.fresh()


async def test_a_refused_paste_changes_nothing_and_blocks_nothing(open_page: OpenPage, server: Server) -> None:
    recorded, playground = await opened(open_page, server.url)
    await playground.paste("query", "5\tfive\n")
    await expect(playground.error("query")).to_contain_text(WRONG["5\tfive\n"])
    await playground.fresh()
    await playground.cell("weights", 0, 1).click()
    await expect(playground.cell("weights", 0, 1)).to_have_text("0")
    await expect(playground.error("query")).to_be_hidden()
    await playground.fresh()
    await expect(playground.verification).to_have_attribute("data-state", "match")
    # A field that holds no number still does after a paste that is refused.
    await playground.field("query", 0, 1).fill("abc")
    await playground.paste("query", "5\tfive\n")
    await expect(playground.error("query")).to_contain_text(WRONG["5\tfive\n"])
    await expect(playground.results).to_have_attribute("data-state", "stale")
    await playground.field("key", 0, 0).fill("2")
    await expect(playground.error("query")).to_contain_text("“abc” is not a number")
    await recorded.assert_clean()


@pytest.mark.soak
async def test_every_way_to_write_a_matrix_is_read(open_page: OpenPage, server: Server) -> None:
    recorded, playground = await opened(open_page, server.url)
    for what, text in BLOCKS.items():
        await playground.paste("value", "7\t7\t7\n7\t7\t7\n")
        await playground.paste("value", text)
        assert await numbers(playground, "value") == NUMBERS, what
        for name in NAMED.get(what, ()):
            assert name in ["", *await names(playground, "value")], what
    for text, reason in WRONG.items():
        await playground.paste("value", text)
        await expect(playground.error("value")).to_contain_text(reason)
        assert await numbers(playground, "value") == NUMBERS
    assert recorded.page_errors == []


@pytest.mark.soak
async def test_a_whole_request_is_pasted(open_page: OpenPage, server: Server) -> None:
    recorded, playground = await opened(open_page, server.url)
    request = {
        "query": [[1, 0, 2]],
        "key": [[1, 1, 0], [0, 2, 1]],
        "value": [[1], [2]],
        "score_model": {"name": "dot_product"},
        "normalizer": {"name": "softmax", "temperature": 2},
        "mask": {"causal": True, "offset": 1},
        "labels": {"key": ["Ada", "Bob"]},
        "include": ["weights"],
    }
    await playground.paste("key", json.dumps(request))
    await playground.fresh()
    assert await numbers(playground, "key") == [["1", "1", "0"], ["0", "2", "1"]]
    await expect(recorded.page.locator("#score-model")).to_have_value("dot_product")
    await expect(recorded.page.locator("#temperature")).to_have_value("2")
    await expect(recorded.page.locator("#mask-offset")).to_have_value("1")
    assert await playground.map("weights").locator("th[scope=col]").all_inner_texts() == ["Ada", "Bob"]
    await expect(playground.verification).to_have_attribute("data-state", "match")
    refused = {"field": ({"decimals": 3}, "decimals"), "rank": ({"query": [1, 2]}, "cannot be shown"),
               "name": ({"normalizer": "bestmax"}, "cannot be shown"),
               "mask": ({"mask": {"causal": True, "window": {"left": 1}}}, "does not show: mask/causal"),
               "word": ({"mask": "causal"}, "does not show: mask"),
               "parameter": ({"score_model": {"name": "dot_product", "scale": 2}}, "score_model/scale")}  # fmt: skip
    for change, reason in refused.values():
        await playground.paste("query", json.dumps(request | change))
        await expect(playground.error("query")).to_contain_text(reason)
        assert await numbers(playground, "query") == [["1", "0", "2"]]
    await recorded.page.locator("#undo").click()
    await playground.fresh()
    assert (await playground.texts("weights"))[0][0] == "0.7017"
    await recorded.assert_clean()
