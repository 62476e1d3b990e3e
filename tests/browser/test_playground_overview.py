"""Large matrices: computed by the service in bands, drawn as an overview, and read cell by cell."""

import base64
import json
import math
import random
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.async_api import Page, expect
from safetensors.numpy import save as to_safetensors

from tests.browser.conftest import OpenPage
from tests.browser.links import read
from tests.browser.playground import opened
from tests.browser.test_playground_kernel import npy, npz
from tests.server import Server

pytestmark = pytest.mark.browser

QUERIES, KEYS, FEATURES = 200, 150, 4

COUNT_COLOURS = """
canvas => {
  const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", {willReadFrequently: true});
  copy.drawImage(canvas, 0, 0);
  const {data} = copy.getImageData(0, 0, canvas.width, canvas.height);
  return new Set(new Uint32Array(data.buffer)).size;
}
"""


def matrices() -> dict[str, Any]:
    generator = random.Random(3)
    return {
        name: [[round(generator.gauss(0, 2), 3) for _ in range(FEATURES)] for _ in range(rows)]
        for name, rows in (("query", QUERIES), ("key", KEYS))
    }


def weight(numbers: dict[str, Any], row: int, column: int) -> float:
    """One causal weight, from the definition."""
    query = numbers["query"][row]
    scores = [sum(a * b for a, b in zip(query, key, strict=True)) / 2 for key in numbers["key"][: row + 1]]
    return math.exp(scores[column]) / sum(map(math.exp, scores))


async def drawn(page: Page, rows: int) -> None:
    await expect(page.locator(".overview-said")).to_contain_text(f"{rows} ×")
    await expect(page.locator(".overview-said")).to_contain_text("max |Δ|")


async def with_file(open_page: OpenPage, url: str, folder: Path) -> Any:
    """Open the view with a file of known numbers."""
    recorded, _ = await opened(open_page, url)
    file = folder / "numbers.json"
    file.write_text(json.dumps(matrices()))
    await recorded.page.locator("#tab-overview").click()
    await drawn(recorded.page, 1024)
    await recorded.page.locator('.overview-file input[type="file"]').set_input_files(file)
    await drawn(recorded.page, QUERIES)
    return recorded


async def find(page: Page, row: int, column: int) -> float:
    await page.locator('[data-find="row"]').fill(str(row + 1))
    await page.locator('[data-find="column"]').fill(str(column + 1))
    value = page.locator(".overview-value")
    await expect(value).to_contain_text(f"query {row + 1} → key {column + 1}")
    return float(await value.get_attribute("data-value") or "nan")


async def test_a_cell_of_a_file_is_found_and_right(open_page: OpenPage, server: Server, tmp_path: Path) -> None:
    recorded = await with_file(open_page, server.url, tmp_path)
    page = recorded.page
    for row, column in ((0, 0), (57, 33), (149, 149), (199, 20)):
        assert await find(page, row, column) == pytest.approx(weight(matrices(), row, column), rel=1e-5, abs=1e-9)
    await find(page, 10, 40)
    await expect(page.locator(".overview-value")).to_contain_text("masked")
    await page.locator('[data-find="row"]').fill("201")
    await expect(page.locator('[data-find="row"]')).to_have_attribute("aria-invalid", "true")
    await recorded.assert_clean()


DROP = """
(files) => {
  const dataTransfer = new DataTransfer();
  for (const [name, content] of files)
    dataTransfer.items.add(new File([Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0))], name));
  const init = { dataTransfer, bubbles: true, cancelable: true };
  return ["dragover", "drop"].map((kind) => {
    const isTaken = !document.body.dispatchEvent(new DragEvent(kind, init));
    return [isTaken, document.querySelectorAll(".view [data-over]").length];
  });
}
"""


async def drop(page: Page, **files: bytes) -> list[list[Any]]:
    """Drag files over the page and drop them: whether each of the two is taken, and how many areas are marked."""
    named = [[name.replace("_", "."), base64.b64encode(content).decode()] for name, content in files.items()]
    taken: list[list[Any]] = await page.evaluate(DROP, named)
    return taken


async def test_a_file_is_taken_wherever_it_is_dropped_and_again(
    open_page: OpenPage, server: Server, tmp_path: Path
) -> None:
    recorded = await with_file(open_page, server.url, tmp_path)
    page = recorded.page
    assert await page.locator('.overview-file input[type="file"]').input_value() == ""
    await page.locator(".overview-file button").click()
    await drawn(page, 1024)
    # A file that nothing takes would take the place of the page.
    assert await drop(page, numbers_json=json.dumps(matrices()).encode()) == [[True, 1], [True, 0]]
    await drawn(page, QUERIES)
    await page.locator("#tab-maps").click()
    assert await drop(page, numbers_json=b"{}") == [[False, 0], [False, 0]]
    await recorded.assert_clean()


async def test_arrays_are_read_as_numpy_and_safetensors_save_them(open_page: OpenPage, server: Server) -> None:
    recorded, _ = await opened(open_page, server.url)
    page = recorded.page
    await page.locator("#tab-overview").click()
    await drawn(page, 1024)
    q, k = (np.array(matrix, "f4") for matrix in matrices().values())
    wrong = page.locator(".overview-file .overview-problem")
    for rows, files in (
        (200, {"a_npz": npz(q=q, key=k, v=k)}),
        (190, {"b_safetensors": to_safetensors({"Q": q[None, :190], "K": k[None], "bias": k[:2]})}),
        (180, {"q_npy": npy(q[:180]), "k_npy": npy(np.asfortranarray(k))}),
    ):
        await drop(page, **files)
        await drawn(page, rows)
        assert await find(page, 57, 33) == pytest.approx(weight(matrices(), 57, 33), rel=1e-5)
    for said, files in (
        ("received no key", {"q_npy": npy(q)}),
        ("of the same width", {"a_npz": npz(q=q, k=k[:, :3])}),
        ("received 1e+300", {"a_npz": npz(q=np.full_like(q, 1e300, "f8"), k=k)}),
        ("np.savez", {"a_npz": b"PK"}),
    ):
        await drop(page, **files)
        await expect(wrong).to_contain_text(said)
    await drop(page, a_npz=npz(q=q, k=k))
    await expect(wrong).to_be_empty()
    await drawn(page, QUERIES)
    await recorded.assert_clean()


@pytest.mark.soak
async def test_pointer_and_keys_move_and_zoom_the_window(open_page: OpenPage, server: Server) -> None:
    recorded, _ = await opened(open_page, server.url)
    page = recorded.page
    await page.locator("#tab-overview").click()
    await drawn(page, 1024)
    value, span = page.locator(".overview-value"), page.locator(".overview-window .hint").first
    overview = page.locator(".overview-map")
    box = await overview.bounding_box()
    assert box
    await overview.click(position={"x": box["width"] / 4, "y": box["height"] / 2})
    row, column = map(int, re.findall(r"(?:query|key) (\d+)", await value.inner_text()))
    assert abs(row - 512) <= 4
    assert abs(column - 256) <= 4
    for key, expected in (("ArrowDown", (1, 0)), ("ArrowLeft", (0, -1)), ("Shift+ArrowRight", (0, 32))):
        await page.keyboard.press(key)
        row, column = row + expected[0], column + expected[1]
        await expect(value).to_contain_text(f"query {row} → key {column}")
    await expect(span).to_contain_text(f"{row - 16}–{row + 15}")
    await page.keyboard.press("+")
    await expect(span).to_contain_text(f"{row - 8}–{row + 7}")
    # The place is in the link.
    expected_options = {"row": row - 1, "column": column - 1, "size": 16}
    await page.wait_for_url(lambda url: "#2." in url and expected_options.items() <= read(url)["t"][1].items())
    again = await open_page(page.url, locale="en-GB")
    await expect(again.page.locator(".overview-value")).to_contain_text(f"query {row} → key {column}")
    await recorded.assert_clean()


async def test_scales_and_scores_are_drawn(open_page: OpenPage, server: Server) -> None:
    recorded, _ = await opened(open_page, server.url, "zh")
    page = recorded.page
    await page.locator("#tab-overview").click()
    await expect(page.locator(".overview-said")).to_contain_text("1024 ×")
    canvas = page.locator(".overview-map canvas")
    for option, value in (
        ("scale", "row"),
        ("how", "mean"),
        ("scale", "linear"),
        ("mask", "window"),
        ("stage", "scores"),
    ):
        await page.locator(f'[data-option="{option}"]').select_option(value)
        await expect(page.locator(".overview-said")).to_contain_text("|Δ|")
        assert await canvas.evaluate(COUNT_COLOURS) > 2
    await expect(page.locator(".overview-whole .hint")).to_contain_text("最大得分")
    await recorded.assert_clean()


async def test_a_refusal_is_said_in_the_words_of_the_service(open_page: OpenPage, server: Server) -> None:
    recorded, _ = await opened(open_page, server.url)
    page = recorded.page
    refusal = {"type": "/problems/too-large", "status": 413, "detail": "expected at most 10 bytes"}

    async def refuse(route: Any) -> None:
        await route.fulfill(status=413, content_type="application/problem+json", body=json.dumps(refusal))

    await page.route(re.compile("/v1/attention$"), refuse)
    await page.locator("#tab-overview").click()
    error = page.locator(".view-overview .field-error")
    await expect(error).to_contain_text("expected at most 10 bytes")
    await expect(error).to_contain_text("Fewer queries, keys or features")
    await recorded.assert_clean("413")
