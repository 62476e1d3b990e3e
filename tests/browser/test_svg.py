"""The picture in a real browser: nothing overlaps, nothing sticks out, and the colours are those of the weights."""

from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from attention_heat_map.viridis import VIRIDIS
from tests.browser.conftest import OpenPage, RecordedPage
from tests.sampling import sample

pytestmark = pytest.mark.browser

HERO_NAMES = ["射手", "打野 jungler", "中路法师很长的名字", "上路", "辅助 support", "对抗路战士"]

BOXES = """
(selector) => [...document.querySelectorAll(selector)].map((text) => {
  const { left, top, right, bottom } = text.getBoundingClientRect();
  return { text: text.firstChild.data, left, top, right, bottom };
})
"""

# Labels at 45° are parallel: their distance is that of their baselines.
SLANTED = """
() => [...document.querySelectorAll(".panel")].map((panel) =>
  [...panel.querySelectorAll('[transform*="rotate"] text')].map((text) => {
    const { e, f } = text.getCTM();
    return { along: (e + f) * Math.SQRT1_2, height: text.getBBox().height };
  }))
"""

PIXELS = """
async (source) => {
  const image = new Image();
  image.src = URL.createObjectURL(new Blob([source], { type: "image/svg+xml" }));
  await image.decode();
  const canvas = new OffscreenCanvas(image.width, image.height);
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  return [...document.querySelectorAll(".panel rect")].map((cell) => {
    const { left, top, width, height } = cell.getBoundingClientRect();
    const { data } = context.getImageData(left + 3, top + 3, Math.floor(width) - 6, Math.floor(height) - 6);
    const colours = new Map();
    for (let i = 0; i < data.length; i += 4) {
      const hex = "#" + [...data.slice(i, i + 3)].map((part) => part.toString(16).padStart(2, "0")).join("");
      colours.set(hex, (colours.get(hex) ?? 0) + 1);
    }
    const [[most, count]] = [...colours].sort((a, b) => b[1] - a[1]);
    return { most, share: count / (data.length / 4), colours: colours.size };
  });
}
"""

GLYPHS = """
(characters) => characters.map((character) => {
  const context = new OffscreenCanvas(32, 32).getContext("2d");
  context.font = `24px ${getComputedStyle(document.documentElement).fontFamily}`;
  context.fillText(character, 4, 26);
  return context.getImageData(0, 0, 32, 32).data.join();
})
"""

Drawing = Callable[..., Awaitable[RecordedPage]]


@pytest.fixture
async def drawn(client: httpx.AsyncClient, open_page: OpenPage, tmp_path: Path) -> Drawing:
    """Ask the service for a picture and open it: ``await drawn(request, colour_scheme="dark")``."""

    async def open_picture(request: dict[str, Any], **options: Any) -> RecordedPage:
        response = await client.post("/v1/attention", json=request, headers={"Accept": "image/svg+xml"})
        assert response.status_code == 200, response.text
        file = tmp_path / "picture.svg"
        file.write_bytes(response.content)
        recorded = await open_page(file.as_uri(), **options)
        assert await recorded.page.evaluate("document.querySelector('parsererror') === null")
        return recorded

    return open_picture


def request_of(*shape: int, names: list[str] | None = None, **options: Any) -> dict[str, Any]:
    random = np.random.default_rng(8)
    *leading, queries, keys = shape
    labels = None
    if names:
        labels = {
            "query": [names[i % len(names)] for i in range(queries)],
            "key": [names[j % len(names)] for j in range(keys)],
        }
    return {
        "query": random.normal(size=(*leading, queries, 4)).tolist(),
        "key": random.normal(size=(*leading, keys, 4)).tolist(),
        "labels": labels,
        **options,
    }


PICTURES = {
    "2 x 2": request_of(2, 2),
    "1 x 1": request_of(1, 1),
    "6 x 6 with names": request_of(6, 6, names=HERO_NAMES),
    "32 x 32": request_of(32, 32),
    "33 x 33 with names": request_of(33, 33, names=HERO_NAMES),
    "64 x 64": request_of(64, 64, mask={"causal": True}),
    "128 x 128": request_of(128, 128, mask={"causal": True}),
    "128 x 128 with names": request_of(128, 128, names=HERO_NAMES),
    "1 x 128": request_of(1, 128),
    "128 x 1": request_of(128, 1),
    "2 batches of 3 heads": request_of(2, 3, 4, 4, names=HERO_NAMES),
    "40 panels": request_of(40, 3, 5),
    "beyond the scale": request_of(5, 5, score_model="dot_product", normalizer="none", mask={"causal": True}),
    "a row that sees nothing": request_of(3, 3, mask={"allowed": [[True] * 3, [False] * 3, [True] * 3]}),
}


@pytest.mark.parametrize(
    "name", sample(PICTURES, "2 x 2", "33 x 33 with names", "40 panels", "a row that sees nothing")
)
async def test_every_text_is_inside_and_none_lies_on_another(drawn: Drawing, name: str) -> None:
    recorded = await drawn(PICTURES[name])
    boxes = await recorded.page.evaluate(BOXES, "text")
    size = await recorded.page.evaluate(
        "(({ width, height }) => [width.baseVal.value, height.baseVal.value])(document.documentElement)"
    )
    assert len(boxes) > 8
    for box in boxes:
        assert 0 <= box["left"] < box["right"] <= size[0], box
        assert 0 <= box["top"] < box["bottom"] <= size[1], box
    straight = await recorded.page.evaluate(BOXES, 'text:not([transform*="rotate"] *)')
    left, top, right, bottom = (
        np.array([box[side] for box in straight]) for side in ("left", "top", "right", "bottom")
    )
    # Boxes of lines include the room for accents and descenders, which letters and digits leave free.
    before = (right[:, None] <= left + 1) | (bottom[:, None] <= top + 5)
    lying = [(straight[one], straight[other]) for one, other in np.argwhere(np.triu(~(before | before.T), 1))]
    assert not lying
    for panel in await recorded.page.evaluate(SLANTED):
        for one, other in pairwise(panel):
            assert other["along"] - one["along"] >= one["height"] - 5
    await recorded.assert_clean()


@pytest.mark.parametrize(
    "name", sample(["2 x 2", "32 x 32", "2 batches of 3 heads", "40 panels", "beyond the scale"], "32 x 32")
)
async def test_numbers_stay_inside_their_cells(drawn: Drawing, name: str) -> None:
    recorded = await drawn(PICTURES[name])
    numbers = await recorded.page.evaluate(BOXES, '.panel g[pointer-events="none"] text')
    cells = await recorded.page.evaluate(
        "[...document.querySelectorAll('.panel rect.weight')].map((cell) => cell.getBoundingClientRect().toJSON())"
    )
    assert len(numbers) == len(cells) >= 4
    for number, cell in zip(numbers, cells, strict=True):
        assert cell["left"] <= number["left"] < number["right"] <= cell["right"], number
        assert cell["top"] <= number["top"] + 3 < number["bottom"] - 3 <= cell["bottom"], number


@pytest.mark.parametrize("colour_scheme", sample(["light", "dark"], "dark"))
async def test_a_canvas_shows_viridis_and_hatching(
    drawn: Drawing, client: httpx.AsyncClient, colour_scheme: str
) -> None:
    request = request_of(6, 6, mask={"causal": True})
    answer = (await client.post("/v1/attention", json=request)).json()
    recorded = await drawn(request, colour_scheme=colour_scheme)
    source = await recorded.page.evaluate("new XMLSerializer().serializeToString(document)")
    cells = await recorded.page.evaluate(PIXELS, source)
    assert len(cells) == 36
    for index, cell in enumerate(cells):
        row, column = divmod(index, 6)
        if column > row:
            assert cell["share"] < 0.7, "a masked cell is hatched"
            assert cell["colours"] > 2
        else:
            assert cell["most"] == VIRIDIS[min(int(answer["weights"][row][column] * 256), 255)]
            assert cell["share"] > 0.7
    background = await recorded.page.evaluate("getComputedStyle(document.querySelector('svg > rect')).fill")
    assert background == "rgb(255, 255, 255)"


async def test_labels_stay_text(drawn: Drawing) -> None:
    label = "<img src=x onerror=alert(1)>"
    script = "</text><script>alert(1)</script>"
    labels = {"query": [label, script], "key": ["]]>", "👩‍👩‍👧 & \"'"]}
    recorded = await drawn({**request_of(2, 2), "labels": labels})
    assert await recorded.page.evaluate("document.querySelectorAll('img, script, foreignObject, a').length") == 0
    told = await recorded.page.evaluate("[...document.querySelectorAll('text')].map((text) => text.textContent)")
    for shown in (*labels["key"], label, script):
        assert any(shown in text for text in told)
    await recorded.assert_clean()


async def test_chinese_labels_have_glyphs(drawn: Drawing) -> None:
    recorded = await drawn(request_of(2, 2, names=["射手", "打野"]))
    drawings = await recorded.page.evaluate(GLYPHS, ["射", "打", "手", "野"])
    assert len(set(drawings)) == 4, "a glyph that the font lacks is the same box for all"


async def test_a_reader_is_told_what_it_is(drawn: Drawing) -> None:
    recorded = await drawn(request_of(2, 2, names=["射手", "打野"]))
    image = recorded.page.get_by_role("img")
    assert "注意力权重" in await image.evaluate(
        "(svg) => document.getElementById(svg.getAttribute('aria-labelledby')).textContent"
    )
    described = await image.evaluate(
        "(svg) => document.getElementById(svg.getAttribute('aria-describedby')).textContent"
    )
    assert "射手 → " in described
