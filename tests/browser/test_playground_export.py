"""Pictures and tables to take away: their numbers are those of the service, to the last digit."""

import base64
import csv
import io
import json
import random
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import httpx
import pytest
from playwright.async_api import Page, expect

from attention_heat_map.viridis import VIRIDIS
from tests.browser.conftest import OpenPage
from tests.browser.playground import opened
from tests.browser.test_playground_heads import tensor
from tests.browser.test_playground_request import OPENING
from tests.server import Server

pytestmark = pytest.mark.browser

SVG = "{http://www.w3.org/2000/svg}"

STRANGE = 'a,"b" & |c|_%#$ {x}~^\\<射>'

HIDDEN: dict[str, Any] = {"mask": {"allowed": [[False, True, True, True], [True] * 4]}}

PIXELS = """
async (content) => {
  const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
  const image = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
  const context = new OffscreenCanvas(image.width, image.height).getContext("2d");
  context.drawImage(image, 0, 0);
  const { data } = context.getImageData(0, 0, image.width, image.height);
  const counted = new Map();
  for (let at = 0; at < data.length; at += 4) {
    const hex = "#" + [...data.slice(at, at + 3)].map((part) => part.toString(16).padStart(2, "0")).join("");
    counted.set(hex, (counted.get(hex) ?? 0) + 1);
  }
  return { width: image.width, height: image.height, colours: Object.fromEntries(counted) };
}
"""


async def taken(page: Page, directory: Path, *, what: str, form: str, theme: str = "light") -> Path:
    """Choose in the view, download, and return the file under the name that the page gives it."""
    await page.locator("#tab-export").click()
    view = page.locator(".view-export")
    await view.locator(f'[data-option="{what}"]').click()
    if form in ("svg", "png"):
        await view.locator('[data-option="svg"]').click()
        await view.locator(f'[data-option="{theme}"]').click()
    await view.locator(f'[data-option="{form}"]').click()
    async with page.expect_download() as started:
        await view.locator(".primary").click()
    download = await started.value
    path = directory / download.suggested_filename
    await download.save_as(path)
    return path


def titles(drawing: ET.Element, stage: str) -> list[str]:
    """Return what the cells of a map are called, row by row."""
    cells = drawing.iterfind(f".//{SVG}g[@data-stage='{stage}']//{SVG}g[@class='cell']")
    return [str(cell.findtext(f"{SVG}title")) for cell in cells]


def number(text: str) -> float:
    """Read the number of a title in English or Chinese."""
    written = re.split("[:：]", text)[-1].removesuffix("(masked)").removesuffix("（已遮住）")
    return float(written.replace("−", "-"))


def flat(matrix: list[list[float]]) -> list[float]:
    return [one for row in matrix for one in row]


async def test_the_figure_has_the_numbers_of_the_service_and_chinese_names(
    open_page: OpenPage, server: Server, client: httpx.AsyncClient, tmp_path: Path
) -> None:
    recorded, playground = await opened(open_page, server.url, "zh")
    await playground.cell("mask", 0, 0).click()
    await playground.fresh()
    path = await taken(recorded.page, tmp_path, what="figure", form="svg", theme="dark")
    assert path.name == "honor-of-kings-both-figure-dark.svg"
    drawing = ET.parse(path).getroot()
    answer = (await client.post("/v1/attention", json=OPENING | HIDDEN)).json()
    for stage in ("scores", "weights", "output"):
        assert [number(title) for title in titles(drawing, stage)] == flat(answer[stage])
    assert titles(drawing, "weights")[0] == "团战，射手：0（已遮住）"
    assert [title.endswith("已遮住") for title in titles(drawing, "mask")] == [True] + [False] * 7
    texts = "".join(drawing.itertext())
    for text in (
        "王者荣耀：团战与抢龙（数已改动）",
        "① 得分",
        "② 掩码",
        "③ 权重",
        "④ 输出",
        "打分函数：缩放点积，scale = 0.5。",
        "掩码：自定义",
    ):
        assert text in texts
    assert "王者荣耀" in str(drawing.findtext(f"{SVG}title"))
    assert "画斜线的单元格已遮住" in str(drawing.findtext(f"{SVG}desc"))
    hatched = [
        one for one in drawing.iterfind(f".//{SVG}g[@class='cell']/{SVG}rect") if one.get("fill") == "url(#hatched)"
    ]
    assert len(hatched) == 3
    source = path.read_text(encoding="utf-8")
    assert not re.search(r"style=|href|<image|<style|@import|url\((?!#hatched)", source)
    await recorded.assert_clean()


@pytest.mark.soak
async def test_the_caption_names_further_fields_and_the_head(
    open_page: OpenPage, server: Server, tmp_path: Path
) -> None:
    recorded, playground = await opened(open_page, server.url)
    tensors = {name: tensor(random.Random(4), 1, 2, 3, 4) for name in ("query", "key", "value")}
    past = {f"past_{name}": tensors.pop(name) for name in ("key", "value")}
    request = {
        **tensors,
        **past,
        **{name: tensor(random.Random(5), 1, 2, 2, 4) for name in ("key", "value")},
        "softcap": 2,
        "bias": 0.5,
        "position": {"name": "alibi", "slopes": [0.5, 0.25]},
        "dtype": "float32",
    }
    await playground.paste("query", json.dumps(request))
    await recorded.page.locator("#batch").select_option("1")
    await playground.fresh()
    path = await taken(recorded.page, tmp_path, what="figure", form="svg")
    texts = " ".join(ET.parse(path).getroot().itertext())
    for text in (
        *("Soft cap: 2.", "Bias: 0.5.", "Encoding of positions: ALiBi, slopes = 0.25.", "Type of numbers: float32."),
        *("Keys from the cache: 3.", "Slice: head 2."),
    ):
        assert text in texts
    await recorded.assert_clean()


@pytest.mark.soak
async def test_the_picture_has_twice_the_size_and_the_colours_of_the_weights(
    open_page: OpenPage, server: Server, client: httpx.AsyncClient, tmp_path: Path
) -> None:
    recorded, _ = await opened(open_page, server.url)
    drawing = ET.parse(await taken(recorded.page, tmp_path, what="weights", form="svg")).getroot()
    path = await taken(recorded.page, tmp_path, what="weights", form="png")
    assert path.name == "honor-of-kings-both-weights.png"
    found = await recorded.page.evaluate(PIXELS, base64.b64encode(path.read_bytes()).decode())
    assert [found["width"], found["height"]] == [2 * int(drawing.attrib[side]) for side in ("width", "height")]
    answer = (await client.post("/v1/attention", json=OPENING)).json()
    expected = {VIRIDIS[round(weight * 255)] for weight in flat(answer["weights"])}
    assert all(found["colours"].get(colour, 0) > 200 for colour in expected)
    assert found["colours"]["#ffffff"] > 10_000
    await recorded.assert_clean()


async def test_tables_are_escaped_and_have_every_digit(
    open_page: OpenPage, server: Server, client: httpx.AsyncClient, tmp_path: Path
) -> None:
    recorded, playground = await opened(open_page, server.url, "zh")
    await playground.name_field("key", "row", 1).fill(STRANGE)
    await playground.fresh()
    answer = (await client.post("/v1/attention", json=OPENING)).json()
    names = ["射手", STRANGE, "中路", "上路"]

    path = await taken(recorded.page, tmp_path, what="weights", form="csv")
    head, *rows = csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline=""))
    assert head == ["", *names]
    assert [row[0] for row in rows] == ["团战", "抢龙"]
    assert [[float(text) for text in row[1:]] for row in rows] == answer["weights"]

    path = await taken(recorded.page, tmp_path, what="figure", form="csv")
    rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline="")))
    assert [float(row["number"]) for row in rows if row["stage"] == "output"] == flat(answer["output"])

    path = await taken(recorded.page, tmp_path, what="scores", form="markdown")
    lines = [line for line in path.read_text().splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    assert [re.sub(r"\\([^\w\s]|_)", r"\1", cell) for cell in cells[0][1:]] == names
    assert [[float(text) for text in row[1:]] for row in cells[2:]] == answer["scores"]

    source = (await taken(recorded.page, tmp_path, what="output", form="latex")).read_text()
    rows = re.findall(r"^ +(\S+) & (.*) \\\\$", source, re.MULTILINE)
    assert [[float(text.strip("$")) for text in row.split(" & ")] for _, row in rows] == answer["output"]
    source = (await taken(recorded.page, tmp_path, what="weights", form="latex")).read_text()
    escaped = r"a,\"b\" \& \textbar{}c\textbar{}\_\%\#\$ \{x\}\textasciitilde{}\textasciicircum{}\textbackslash{}"
    assert escaped.replace('\\"', '"') + r"\textless{}射\textgreater{}" in source
    assert r"\begin{tabular}{lrrrr}" in source
    assert source.startswith("% 需要 \\usepackage{booktabs}。\n%")
    assert r"\usepackage{ctex}" in source
    await recorded.assert_clean()


@pytest.mark.soak
async def test_the_view_is_in_the_link_and_copies(open_page: OpenPage, server: Server) -> None:
    recorded, _ = await opened(open_page, server.url, permissions=["clipboard-read", "clipboard-write"])
    page = recorded.page
    await page.locator("#tab-export").click()
    for option in ("weights", "dark", "markdown"):
        await page.locator(f'.view-export [data-option="{option}"]').click()
    await page.locator('.view-export [data-action="copy"]').click()
    await expect(page.locator("#toast")).to_contain_text("Copied.")
    copied = await page.evaluate("navigator.clipboard.readText()")
    assert copied == await page.locator(".view-export code").text_content()
    await page.wait_for_url("**#2.*")
    again = await open_page(page.url, locale="zh-CN", width=360)
    chosen = again.page.locator('.view-export [aria-pressed="true"]:visible')
    await expect(chosen).to_have_text(["权重", "Markdown"])
    await again.page.locator('.view-export [data-option="svg"]').click()
    await expect(again.page.locator(".view-export svg[role=img]")).to_be_visible()
    await again.assert_fits()
    await again.assert_clean()
    await recorded.assert_clean()
