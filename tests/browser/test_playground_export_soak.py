"""Figures of every example in both languages and themes, and of large matrices."""

import base64
from pathlib import Path
from xml.etree import ElementTree as ET

import httpx
import numpy as np
import pytest

from service.examples import IDS
from tests.browser.conftest import OpenPage
from tests.browser.links import fragment
from tests.browser.playground import LOCALES, opened
from tests.browser.test_playground_export import PIXELS, SVG, flat, number, taken, titles
from tests.server import Server

pytestmark = [pytest.mark.browser, pytest.mark.soak]

SIDE = 128

INSIDE = """
() => {
  const drawing = document.querySelector(".view-export svg[role=img]");
  const { left, right, top, bottom } = drawing.getBoundingClientRect();
  return [...drawing.querySelectorAll("text, rect, path")].filter((one) => !one.closest("defs")).map((one) => {
    const box = one.getBoundingClientRect();
    return [one.textContent, box.left - left, right - box.right, box.top - top, bottom - box.bottom];
  }).filter(([, ...room]) => Math.min(...room) < -0.5);
}
"""


@pytest.mark.parametrize("language", LOCALES)
async def test_a_figure_of_every_example_is_whole(
    open_page: OpenPage, server: Server, client: httpx.AsyncClient, tmp_path: Path, language: str
) -> None:
    recorded, playground = await opened(open_page, server.url, language)
    for example in IDS:
        await playground.choose("#example", example)
        path = await taken(recorded.page, tmp_path, what="figure", form="svg", theme="dark")
        assert path.name == f"{example}-figure-dark.svg"
        drawing = ET.parse(path).getroot()
        request = (await client.get(f"/v1/examples/{example}")).json()["request"]
        answer = (await client.post("/v1/attention", json=request | {"include": ["scores", "weights"]})).json()
        for stage in ("scores", "weights"):
            matrix = answer[stage]
            rows = matrix[0] if isinstance(matrix[0][0], list) else matrix
            assert [number(title) for title in titles(drawing, stage)] == flat(rows), example
        assert await recorded.page.evaluate(INSIDE) == [], example
    await recorded.assert_clean()


async def test_a_large_figure_stays_small_and_is_drawn(open_page: OpenPage, server: Server, tmp_path: Path) -> None:
    drawn = np.random.default_rng(3)
    query, key, value = (drawn.standard_normal((SIDE, 4)).round(3).tolist() for _ in range(3))
    names = {axis: [] for axis in ("query", "key", "feature", "value")}
    document = {"e": None, "b": 0, "q": [query], "k": [key], "v": [value], "n": names, "x": {}, "y": None}
    document |= {"s": ["dot_product", {}], "w": ["softmax", {"temperature": None, "sink": None}]}
    document |= {"m": {"kind": "causal", "offset": None, "left": 1, "right": 0, "lengths": [], "allowed": None}}
    document |= {"f": {"stage": "weights", "row": 0, "key": 0, "column": 0}, "t": None}
    recorded, playground = await opened(open_page, server.url)
    await recorded.page.goto(f"{server.url}/playground{fragment(document)}")
    await recorded.page.reload()
    await playground.fresh()
    path = await taken(recorded.page, tmp_path, what="weights", form="svg")
    assert path.name == "attention-weights.svg"
    assert path.stat().st_size < 600_000
    paths = ET.parse(path).getroot().findall(f".//{SVG}g[@data-stage='weights']//{SVG}path")
    assert sum(str(one.get("d")).count("M") for one in paths) == SIDE * SIDE
    [hidden] = [one for one in paths if one.get("fill") == "url(#hatched)"]
    assert str(hidden.get("d")).count("M") == SIDE * (SIDE - 1) // 2
    picture = (await taken(recorded.page, tmp_path, what="weights", form="png")).read_bytes()
    found = await recorded.page.evaluate(PIXELS, base64.b64encode(picture).decode())
    assert found["width"] > 2 * SIDE * 12
    assert len(found["colours"]) > 20
    await recorded.assert_clean()
