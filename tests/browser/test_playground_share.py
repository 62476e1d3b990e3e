"""A link is the whole page: it reproduces elsewhere, and one that no page has written does no harm."""

import base64
import json
import zlib
from typing import Any

import pytest
from playwright.async_api import expect

from tests.browser.conftest import OpenPage
from tests.browser.links import deflated, fragment, read
from tests.browser.playground import STAGES, TAGS, opened
from tests.server import Server

pytestmark = pytest.mark.browser

CLIPBOARD_DENIED = """
() => {
  navigator.clipboard.writeText = () => Promise.reject(new DOMException("denied", "NotAllowedError"));
}
"""

BROKEN = "The link could not be read"


async def shared(open_page: OpenPage, url: str) -> tuple[Any, Any, str]:
    """Open, edit in every way, share; return the recorded page, the playground and the link."""
    recorded, playground = await opened(open_page, url, "zh")
    await recorded.page.evaluate(CLIPBOARD_DENIED)
    await playground.choose("#example", "additive")
    await playground.type_into("key", 3, 2, "-1.25")
    await playground.name_field("key", "row", 3).fill("Top lane")
    await playground.name_field("value", "column", 2).fill("回家")
    await recorded.page.locator('[data-tool="insert-row"]').first.click()
    await playground.fresh()
    await playground.choose("#normalizer", "softmax")
    await recorded.page.locator("#temperature").fill("0.7")
    await playground.fresh()
    await playground.cell("mask", 0, 1).click()
    await playground.fresh()
    await playground.cell("output", 1, 2).click()
    await recorded.page.locator("#share").click()
    # The link is offered, selected, to be copied by hand.
    field = recorded.page.locator("#share-link")
    await expect(field).to_be_focused()
    await expect(playground.announced).to_contain_text("链接已选中")
    link = await field.input_value()
    selected = await recorded.page.evaluate(
        "document.activeElement.selectionEnd - document.activeElement.selectionStart"
    )
    assert selected == len(link)
    return recorded, playground, link


@pytest.mark.soak
async def test_a_link_reproduces_the_page_in_a_fresh_context(open_page: OpenPage, server: Server) -> None:
    recorded, playground, link = await shared(open_page, server.url)
    again, reopened = await opened(open_page, server.url, "en")
    await again.page.goto("about:blank")
    await again.page.goto(link)
    await reopened.fresh()
    # In the language of the reader; then in that of the sender.
    await expect(again.page.locator("html")).to_have_attribute("lang", TAGS["en"])
    assert "Top lane" in str(await reopened.labels("weights"))
    assert "jungler" in str(await reopened.labels("weights"))
    assert "回家" in await again.page.locator("#explain-pair").inner_text()
    await reopened.language("zh")
    for stage in STAGES:
        assert await reopened.texts(stage) == await playground.texts(stage)
        assert await reopened.labels(stage) == await playground.labels(stage)
    # A minus stays as it was typed, and is a true one elsewhere.
    fields = """[...document.querySelectorAll('#inputs :is(input, textarea, select)')]
      .map(one => one.value.replace(/^-/, '−'))"""
    assert await again.page.evaluate(fields) == await recorded.page.evaluate(fields)
    for part in ("#explain-pair", "#explain-number", "#explain-decision", "#story-title"):
        text = await again.page.locator(part).inner_text()
        assert text == await recorded.page.locator(part).inner_text()
    await recorded.assert_clean()
    await again.assert_clean()


PACK = """
async (links) => {
  const { pack, unpack } = await import("./static/playground/state/pack.js");
  const { encodeShare } = await import("./static/playground/state/share.js");
  const { decodeShare } = await import("./static/playground/state/share.js");
  const random = (make, rows, columns) => [Array.from({ length: rows }, () => Array.from({ length: columns }, make))];
  const makers = {
    decimals: () => Math.round(Math.random() * 4000 - 2000) / 1000,
    float32: () => Math.fround(Math.random() - 0.5),
    float64: () => Math.random() - 0.5,
    extremes: () => [5e-324, -1.7976931348623157e308, 1e21, 0.1 + 0.2, 2 ** 53, 0][Math.floor(Math.random() * 6)],
  };
  const found = {};
  for (const [name, make] of Object.entries(makers)) {
    const [query, key, value] = Array.from({ length: 3 }, () => random(make, 128, 64));
    const names = { query: [], key: [], feature: [], value: [] };
    const state = { query, key, value, names, example: null, batch: 0, memory: null, further: {}, mask: {}, focus: {},
      scoreModel: { name: "dot", parameters: {} }, normalizer: { name: "softmax", parameters: {} } };
    const link = await encodeShare(state);
    const { q, k, v } = await decodeShare(link);
    const isSame = JSON.stringify([q, k, v]) === JSON.stringify([query, key, value]);
    found[name] = [isSame, link.length, JSON.stringify([query, key, value]).length];
  }
  const mask = { rows: random(() => Math.random() < 0.5, 128, 128) };
  found.mask = [JSON.stringify(unpack(pack(mask))) === JSON.stringify(mask), pack(mask).length, 128 * 128 * 5];
  return found;
}
"""


async def test_large_matrices_make_short_links_and_come_back_to_the_last_bit(
    open_page: OpenPage, server: Server
) -> None:
    recorded = await open_page(f"{server.url}/problems")
    found = await recorded.page.evaluate(PACK)
    assert all(is_same for is_same, _, _ in found.values()), found
    lengths = {name: length / 3 / 128 / 64 for name, (_, length, _) in found.items()}
    # Characters of six bits for each number: 12 bits are 2, of float32 26 are 4.4, of float64 54 are 9.
    assert lengths["decimals"] < 2.4
    assert lengths["float32"] < 5
    assert lengths["float64"] < 10


async def test_a_link_of_an_earlier_version_opens_in_the_language_of_the_reader(
    open_page: OpenPage, server: Server
) -> None:
    recorded, playground = await opened(open_page, server.url, "zh")
    await playground.type_into("query", 0, 0, "0.125")
    await recorded.page.wait_for_url(lambda url: "#2." in url and read(url)["q"][0][0][0] == 0.125)
    document = {"l": "en"} | read(recorded.page.url)
    earlier = fragment(changed(document, ("q", 0, 0, 0), 4))
    await recorded.page.evaluate("fragment => { location.hash = fragment }", earlier)
    await expect(playground.field("query", 0, 0)).to_have_value("4")
    await expect(recorded.page.locator("html")).to_have_attribute("lang", TAGS["zh"])


async def test_the_address_follows_every_change_and_another_link_replaces_the_page(
    open_page: OpenPage, server: Server
) -> None:
    recorded, playground = await opened(open_page, server.url)
    assert "#" not in recorded.page.url
    await playground.type_into("query", 0, 0, "0.125")
    await recorded.page.wait_for_url(lambda url: "#2." in url and read(url)["q"][0][0][0] == 0.125)
    document = read(recorded.page.url)
    document["q"][0][0][0] = 1
    await recorded.page.evaluate("fragment => { location.hash = fragment }", fragment(document))
    await expect(playground.field("query", 0, 0)).to_have_value("1")
    await recorded.page.locator(".skip a").first.press("Enter")
    await expect(playground.field("query", 0, 0)).to_have_value("1")
    assert await playground.notice("link").count() == 0
    await recorded.assert_clean()


def changed(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    copied = json.loads(json.dumps(document))
    place = copied
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return copied


SPOILED: list[tuple[tuple[Any, ...], Any]] = [
    (("e",), "../../livez"),
    (("b",), 1),
    (("b",), -1),
    (("q",), []),
    (("q", 0, 0), [1, 2, 3]),
    (("q", 0, 0, 0), "2"),
    (("q", 0, 0, 0), None),
    (("k", 0), [[1]] * 129),
    (("v",), {"length": 1}),
    (("n", "key", 0), 7),
    (("n", "key", 0), "x" * 61),
    (("n", "key", 0), {"en": "one"}),
    (("n", "key"), None),
    (("s", 0), "constructor"),
    (("s", 0), "bilinear"),
    (("s", 1), {"scale": "<b>"}),
    (("w", 1), []),
    (("m", "kind"), "all"),
    (("m", "kind"), "custom"),
    (("m", "allowed"), [[1, 0, 1, 0]] * 2),
    (("m", "left"), -1),
    (("m", "offset"), 0.5),
    (("m", "lengths"), [1e9]),
    (("f", "stage"), "explain"),
    (("f", "row"), 1.5),
    (("x",), []),
    (("x",), None),
    (("x",), {"mask/causal": True}),
    (("x",), {"mask/formula": 3}),
    (("x",), {"mask/formula": "j" * 2000}),
    (("x",), {"mask/key_allowed": [1]}),
    (("x",), {"positions/key": [0.5]}),
    (("x",), {"positions/key": [1e300]}),
    (("x",), {"score_modifier/parameters": {"w": "text"}}),
    (("y",), "../livez"),
    (("y",), ["heroes"]),
    (("y",), "x" * 129),
]

UNPACKABLE: list[tuple[Any, bytes]] = [
    ({"#": [0, 1, 1, 2, 2]}, b"\n123"),
    ({"#": [0, 1, 1, 2, 2]}, b"\n12345"),
    ({"#": [0, 1, 1, 2, 2]}, b""),
    ({"#": [0, 9, 1, 1, 1]}, b"\n123456789"),
    ({"#": [16, 1, 1, 1, 1]}, b"\n1"),
    ({"#": ["f", 8, 1, 1, 1]}, b"\n12345678"),
    ({"#": ["constructor", 1, 1, 1, 1]}, b"\n1"),
    ({"#": [0, 1, 1, 1e300, 1]}, b"\n1"),
    ({"#": [0, 1, -1, -1, 1]}, b"\n1"),
    ({"#": [0, 1]}, b"\n1"),
    ({"#": ["d", 8, 1, 1, 1]}, b"\n\0\0\0\0\0\0\xf0\x7f"),
    ({"#": ["b", 1, 1, 1, 1]}, b"\n\1"),
    ({"#": None}, b"\n"),
]
"""Arrays, with the bytes behind the document, that no page packs."""

GARBAGE = (
    "#1.",
    "#1.AAAA",
    "#2.",
    "#2.AAAA",
    "#3.q1ZKVLJSUNJRKs1JLVayiq6tBQA",
    "#2.q1ZKVLJSUNJRKs1JLVayiq6tBQA",
    "#results",
    "#<img src=x onerror=alert(1)>",
    "#1.%00",
    "#x",
)


@pytest.mark.soak
async def test_a_link_that_no_page_has_written_is_said_and_the_opening_example_shown(
    open_page: OpenPage, server: Server
) -> None:
    recorded, playground = await opened(open_page, server.url)
    await playground.type_into("query", 0, 0, "3")
    await recorded.page.wait_for_url(lambda url: "#2." in url)
    document = read(recorded.page.url)
    unfolding = zlib.compressobj(9, wbits=-15)
    bomb = unfolding.compress(b" " * 20_000_000) + unfolding.flush()
    hostile = [
        *GARBAGE,
        *(f"#{version}.{base64.urlsafe_b64encode(bomb).decode().rstrip('=')}" for version in (1, 2)),
        *(deflated(json.dumps(document | {"q": part}).encode() + planes, 2) for part, planes in UNPACKABLE),
        *(fragment(part) for part in (None, [], 1, {}, "<img src=x onerror=alert(1)>")),
        *(fragment(changed(document, path, value)) for path, value in SPOILED),
    ]
    # One that is refused while the page is open leaves the page as it is.
    for link in hostile:
        await recorded.page.evaluate("fragment => { location.hash = fragment }", link)
        await expect(playground.notice("link")).to_contain_text(BROKEN)
        await playground.notice("link").locator("[data-action=close]").click()
        await expect(playground.notice("link")).to_have_count(0)
        await expect(playground.field("query", 0, 0)).to_have_value("3")
    # And a valid link is accepted, also one of an earlier version, which had no formulas.
    earlier = {name: part for name, part in document.items() if name != "x"}
    right = fragment(changed(earlier, ("q", 0, 0, 0), 4))
    await recorded.page.evaluate("fragment => { location.hash = fragment }", right)
    await expect(playground.field("query", 0, 0)).to_have_value("4")
    for link in (GARBAGE[1], GARBAGE[4], fragment(changed(document, ("q", 0, 0, 0), "2"))):
        await recorded.page.goto("about:blank")
        await recorded.page.goto(f"{server.url}/playground{link}")
        await playground.fresh()
        await expect(playground.notice("link")).to_contain_text(BROKEN)
        assert (await playground.texts("weights"))[0][0] == "0.7017"
    await recorded.assert_clean()


@pytest.mark.soak
async def test_of_several_slices_one_is_shown_and_the_other_can_be_chosen(open_page: OpenPage, server: Server) -> None:
    recorded, playground = await opened(open_page, server.url)
    await playground.type_into("query", 0, 0, "3")
    await recorded.page.wait_for_url(lambda url: "#2." in url)
    document = read(recorded.page.url)
    first = document["q"][0]
    document |= {"q": [first, [[7, 0, 0, 0], [0, 0, 0, 7]]], "b": 1}
    await recorded.page.evaluate("fragment => { location.hash = fragment }", fragment(document))
    await expect(playground.field("query", 0, 0)).to_have_value("7")
    await playground.fresh()
    # 7·k₀/2 for every key.
    assert (await playground.texts("scores"))[0] == ["6.65", "2.10", "1.75", "0.35"]
    await playground.choose("#batch", "0")
    await expect(playground.field("query", 0, 0)).to_have_value("3")
    assert (await playground.texts("scores"))[0][0] == "4.100"
    await expect(playground.verification).to_have_attribute("data-state", "match")


@pytest.mark.soak
async def test_a_paste_into_one_slice_gives_all_slices_its_size(open_page: OpenPage, server: Server) -> None:
    recorded, playground = await opened(open_page, server.url)
    await playground.type_into("query", 0, 0, "3")
    await recorded.page.wait_for_url(lambda url: "#2." in url)
    document = read(recorded.page.url)
    document |= {"q": [document["q"][0], [[7, 0, 0, 5], [0, 0, 0, 7]]], "b": 0}
    await recorded.page.evaluate("fragment => { location.hash = fragment }", fragment(document))
    await expect(recorded.page.locator("#batch")).to_be_visible()
    await playground.paste("query", "1\t2\t3\t4\n5\t6\t7\t8\n9\t8\t7\t6\n")
    await playground.fresh()
    await playground.choose("#batch", "1")
    await expect(playground.field("query", 2, 3)).to_have_value("0")
    assert await playground.field("query", 0, 3).input_value() == "5"
    await playground.paste("query", "1\t2\t3\t4\n")
    await playground.choose("#batch", "0")
    await recorded.page.wait_for_url(lambda url: "#2." in url and read(url)["q"] == [[[1, 2, 3, 4]], [[1, 2, 3, 4]]])
    link = recorded.page.url
    await recorded.page.goto("about:blank")
    await recorded.page.goto(link)
    await playground.fresh()
    await expect(playground.notice("link")).to_be_hidden()
    await expect(playground.field("query", 0, 3)).to_have_value("4")
    await recorded.assert_clean()
