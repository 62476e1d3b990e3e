"""Check my kernel: one drop of what a person computed leads to the likely cause and to the first wrong cell."""

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.async_api import Locator, Page, expect
from safetensors.numpy import save as to_safetensors

from tests import oracle
from tests.browser.chromium import ChromiumPage
from tests.browser.conftest import OpenPage
from tests.browser.page_scripts import DROP
from tests.browser.playground import Playground, number, opened
from tests.server import Server

pytestmark = pytest.mark.browser

READ = """
async (content) => {
  const { readNpy, readNpz } = await import("./static/playground/files/npy.js");
  const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
  return bytes[0] === 0x93 ? [readNpy("one", bytes)] : readNpz(bytes.buffer);
}
"""

READ_OPTIONS = """
async (options) => {
  const { check } = await import("./static/playground/views/check.js");
  try {
    return check.readOptions(options, (isRight, what) => { if (!isRight) throw new Error(what); });
  } catch (error) {
    return error.message;
  }
}
"""

DRAW = np.random.default_rng(7)

Arrays = dict[str, NDArray[Any]]


def inputs(*shape: int) -> Arrays:
    return {name: DRAW.standard_normal(shape) for name in "qkv"}


def attend(arrays: Arrays, scale: float | None = None, visible: NDArray[Any] | None = None) -> Arrays:
    """Attention as a person writes it in NumPy."""
    query, key, value = (arrays[name] for name in "qkv")
    scores = query @ key.swapaxes(-1, -2) * (query.shape[-1] ** -0.5 if scale is None else scale)
    logits = scores if visible is None else np.where(visible, scores, -np.inf)
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    weights /= weights.sum(axis=-1, keepdims=True)
    return {"weights": weights, "output": weights @ value}


def npz(**arrays: NDArray[Any]) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def npy(array: NDArray[Any], version: tuple[int, int] = (1, 0)) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, array, version)
    return file.getvalue()


def as_floats(request: dict[str, Any]) -> NDArray[Any]:
    """The output of the definition."""
    return np.array(oracle.attention(request)["output"], dtype=np.float64)


async def downloaded(page: Page, folder: Path) -> Arrays:
    """Download the numbers of the page."""
    async with page.expect_download() as coming:
        await page.locator("[data-action=download]").click()
    path = folder / "attention.npz"
    await (await coming.value).save_as(path)
    with np.load(path) as loaded:
        return dict(loaded)


async def drop(page: Page, name: str, content: bytes) -> None:
    await page.locator(".view-check .drop").wait_for()
    await ChromiumPage(page).call(DROP, name, base64.b64encode(content).decode())


def verdict(page: Page) -> Locator:
    return page.locator(".view-check .verdict")


async def open_check(open_page: OpenPage, server: Server, language: str = "en") -> tuple[Any, Playground]:
    recorded, playground = await opened(open_page, server.url, language)
    await recorded.page.locator("#tab-check").click()
    return recorded, playground


async def test_one_drop_names_the_cause_and_leads_to_the_first_wrong_cell(open_page: OpenPage, server: Server) -> None:
    recorded, playground = await open_check(open_page, server)
    page = recorded.page
    arrays = inputs(2, 5, 8)
    right, wrong = attend(arrays), attend(arrays, scale=1)
    await drop(page, "mine.npz", npz(Q=arrays["q"], key=arrays["k"], V=arrays["v"], **wrong))
    await expect(verdict(page)).to_contain_text("scale missing")
    shown = page.locator('table[data-stage="differences"] [data-row="1"][data-column="2"]')
    difference = wrong["weights"][0, 1, 2] - right["weights"][0, 1, 2]
    assert number(await shown.inner_text()) == pytest.approx(difference, abs=5e-4)
    second = np.where(np.arange(2)[:, None, None] == 1, wrong["weights"], right["weights"])
    await drop(page, "second-row.npz", npz(**arrays, attn=second))
    await expect(page.locator(".view-check .first")).to_contain_text("batch row 2, Weights, query 1 → key 1")
    await page.locator("[data-action=go]").click()
    await expect(playground.cell("weights", 0, 0)).to_be_focused()
    await expect(page.locator("#batch")).to_have_value("1")
    await page.locator("#tab-check").click()
    of_heads = inputs(2, 3, 5, 8)
    weights = attend(of_heads)["weights"]
    weights[1, 2] = attend(of_heads, scale=1)["weights"][1, 2]
    await drop(page, "heads.npz", npz(**of_heads, attn=weights))
    await expect(page.locator(".view-check .first")).to_contain_text("row 2, head 3, Weights, query 1 → key 1")
    await expect(page.locator(".view-check tbody").last).to_contain_text("row 2, head 3: query")
    await playground.language("zh")
    await expect(page.locator(".view-check .first")).to_contain_text("第 2 批，头 3，权重")
    await recorded.assert_clean()


@pytest.mark.soak
async def test_numbers_that_are_downloaded_come_back_as_a_result_that_a_link_holds(
    open_page: OpenPage, server: Server, tmp_path: Path
) -> None:
    recorded, playground = await open_check(open_page, server, "zh")
    page = recorded.page
    await page.locator(".view-check .cases summary").click()
    await page.locator('[data-case="causal"]').click()
    await expect(playground.field("query", 3, 3)).to_be_visible()
    await playground.fresh()
    arrays = await downloaded(page, tmp_path)
    assert {name: (array.shape, array.dtype.str) for name, array in arrays.items()} == {
        "q": ((4, 4), "<f8"),
        "k": ((7, 4), "<f8"),
        "v": ((7, 3), "<f8"),
        "mask": ((4, 7), "|b1"),
    }
    assert (arrays["mask"] == np.tril(np.ones((4, 7), bool), 3)).all()
    assert arrays["q"][1, 2] == number(await playground.field("query", 1, 2).input_value())
    await drop(page, "mine.npy", npy(attend(arrays, visible=arrays["mask"])["output"].astype("f4")))
    await expect(verdict(page)).to_have_attribute("data-passed", "true")
    wrong = attend(arrays, visible=np.tril(np.ones((4, 7), bool)))["output"]
    await drop(page, "mine.npy", npy(wrong))
    await expect(verdict(page)).to_contain_text("causal corner")
    said = await verdict(page).inner_text()
    options = {"candidate": {"output": [wrong.tolist()]}, "lead": [], "kv": None, "dtype": "float64"}
    again = await open_page(await playground.link("check", options), locale="zh-CN")
    await expect(verdict(again.page)).to_have_text(said, use_inner_text=True)
    await recorded.assert_clean()


async def test_arrays_are_read_as_numpy_has_written_them(open_page: OpenPage, server: Server) -> None:
    recorded, _ = await opened(open_page, server.url)
    drawn = DRAW.standard_normal((3, 4)) * 40
    arrays: Arrays = {
        f"{order}{kind}": drawn.astype(f"{order}{kind}") for order in "<>" for kind in ("f2", "f4", "f8", "i4", "i8")
    }
    arrays |= {"b1": drawn > 0, "fortran": np.asfortranarray(drawn), "none": drawn[:0], "scalar": np.array(2.5)}
    arrays["half"] = np.array([6e-8, -65504, np.inf, -0.0, np.nan], "f2")
    for save in (np.savez, np.savez_compressed):
        archive = io.BytesIO()
        save(archive, **arrays)
        found = await recorded.page.evaluate(READ, base64.b64encode(archive.getvalue()).decode())
        assert [each["name"] for each in found] == list(arrays)
        for each in found:
            expected = arrays[each["name"]]
            assert each["shape"] == list(expected.shape)
            np.testing.assert_array_equal(np.array(each["values"], "f8"), expected.astype("f8").ravel())
    for version in ((1, 0), (2, 0), (3, 0)):
        [one] = await recorded.page.evaluate(READ, base64.b64encode(npy(drawn, version)).decode())
        np.testing.assert_array_equal(np.array(one["values"]), drawn.ravel())
    await recorded.assert_clean()


@pytest.mark.soak
async def test_a_link_holds_a_candidate_that_is_not_finite_and_nothing_else(
    open_page: OpenPage, server: Server
) -> None:
    recorded, _ = await opened(open_page, server.url)
    options = {
        "candidate": {"output": [[["NaN", 1], [None, "Infinity"]]], "logsumexp": [[None, 2]]},
        "lead": [1, 1],
        "kv": None,
        "dtype": "bfloat16",
    }
    assert await recorded.page.evaluate(READ_OPTIONS, options) == options
    for wrong in (
        {"candidate": {"output": [[[1, 2], [3]]]}},
        {"candidate": {"output": [[[1, "x"]]]}},
        {"candidate": {"other": [[[1]]]}},
        {"candidate": {}},
        {"candidate": {"output": [[[1]]] * 65}},
        {"lead": [2, 3, 4]},
        {"lead": [2, 3], "kv": 2},
        {"dtype": "int8"},
    ):
        assert isinstance(await recorded.page.evaluate(READ_OPTIONS, {**options, **wrong}), str), wrong
    await recorded.assert_clean()


@pytest.mark.soak
async def test_every_kind_of_file_leads_to_the_cause(open_page: OpenPage, server: Server) -> None:
    recorded, _ = await open_check(open_page, server)
    page = recorded.page
    arrays = inputs(5, 4)
    wrong = attend(arrays, scale=1)
    named: Arrays = {"query": arrays["q"], "KEY": arrays["k"], "value": arrays["v"], "out": wrong["output"]}
    lists = {name: array.tolist() for name, array in named.items()}
    document = {"request": {"query": lists["query"], "key": lists["KEY"], "value": lists["value"]}}
    table = "\n".join(",".join(map(str, row)) for row in wrong["output"].tolist())
    files = {
        "a.safetensors": to_safetensors({name: array.astype("f4") for name, array in named.items()}),
        "b.json": json.dumps({**document, "candidate": {"output": lists["out"]}}).encode(),
        "c.json": json.dumps(lists).encode(),
        "d.csv": f"a,b,c,d\n{table}".encode(),
        "e.npy": npy(np.asfortranarray(wrong["output"])),
    }
    for name, content in files.items():
        await drop(page, name, content)
        await expect(page.locator(".view-check .note")).to_contain_text(name)
        await expect(verdict(page)).to_contain_text("scale missing")
    await page.locator(".view-check .paste summary").click()
    await page.locator(".view-check textarea").fill(f"tensor({wrong['weights'].tolist()})")
    await page.locator("[data-action=read]").click()
    await page.locator(".choice-is select").select_option("weights")
    await expect(page.locator(".view-check .first")).to_contain_text("Weights, query 1")
    await expect(verdict(page)).to_contain_text("scale missing")
    await recorded.assert_clean()


def refusals() -> list[tuple[str, bytes, str]]:
    """Return files that cannot be used, and a part of the sentence about each."""
    arrays = inputs(3, 4)
    out = arrays["v"]
    good = npz(**arrays, out=out)
    return [
        ("mine.pt", b"\x80\x02", "mine.pt"),
        ("mine.npz", good[:-40], "np.savez"),
        ("mine.npz", good.replace(out.tobytes()[:8], b"12345678"), "np.savez"),
        ("mine.npz", npz(**arrays, out=out.astype("c16")), "<c16"),
        ("mine.npy", npy(arrays["q"])[:-8], "96"),
        ("mine.npz", npz(q=arrays["q"], out=out), "key"),
        ("mine.npz", npz(q=arrays["q"], k=arrays["k"], v=out[:2], out=out), "(3, Dv)"),
        ("mine.npz", npz(**arrays, out=out.T), "(…, 3, 4)"),
        ("mine.npz", npz(q=arrays["q"], k=arrays["k"] * np.nan, v=out, out=out), "NaN"),
        ("mine.npz", npz(first=arrays["q"]), "first"),
        ("mine.npz", npz(**arrays, bias=arrays["q"]), "bias"),
        ("mine.npz", npz(**arrays, query=arrays["q"]), "query"),
        ("mine.npz", npz(**arrays, mask=np.zeros((3, 3)), out=out), "bool (3, 3)"),
        ("mine.csv", b"1,2\n3,x\n", "2:2"),
        ("mine.json", b'{"out": [[1, 2], [3]]}', "/1"),
        ("mine.json", b'{"out": [', "JSON"),
        ("mine.safetensors", b"\xff" * 20, "safetensors"),
        ("mine.safetensors", to_safetensors(arrays, {"request": "{"}), "safetensors"),
    ]


async def test_a_file_that_cannot_be_used_changes_nothing_and_says_why(open_page: OpenPage, server: Server) -> None:
    recorded, playground = await open_check(open_page, server)
    shown = await playground.texts("weights")
    error = recorded.page.locator(".view-check .intake .field-error")
    for name, content, part in refusals():
        await drop(recorded.page, name, content)
        await expect(error).to_contain_text(part)
        text = await error.inner_text()
        assert "xpected" in text
        assert "received" in text
        assert "{" not in text.replace('{"', "")
    await playground.language("zh")
    await expect(error).to_contain_text("收到")
    assert await playground.texts("weights") == shown
    assert await verdict(recorded.page).count() == 0
    await recorded.assert_clean()


@pytest.mark.soak
async def test_heads_and_every_further_field_of_the_page_count_in_the_check(
    open_page: OpenPage, server: Server
) -> None:
    recorded, playground = await open_check(open_page, server)
    page = recorded.page
    generator = np.random.default_rng(8)
    arrays = {name: generator.normal(size=(2, heads, 5, 4)).round(2) for name, heads in (("q", 4), ("k", 2), ("v", 2))}
    request: dict[str, Any] = {
        **{name: arrays[name[0]].tolist() for name in ("query", "key", "value")},
        "mask": {"key_lengths": [5, 3]},
        "softcap": 2,
        "position": "alibi",
        "bias": generator.normal(size=(1, 4, 1, 5)).round(2).tolist(),
    }
    right = as_floats(request)
    past = {
        **request,
        **{f"past_{name}": arrays[name[0]][:, :, :2].tolist() for name in ("key", "value")},
        **{name: arrays[name[0]][:, :, 2:].tolist() for name in ("key", "value")},
        "mask": {"key_lengths": [5, 3], "offset": 0},
    }
    await playground.paste("query", json.dumps(past))
    await playground.fresh()
    await drop(page, "mine.npy", npy(right))
    await expect(verdict(page)).to_have_attribute("data-passed", "true")
    await drop(page, "mine.npy", npy(as_floats({**request, "mask": {}})))
    await expect(verdict(page)).to_have_attribute("data-passed", "false")
    await playground.paste("query", json.dumps(request))
    await playground.fresh()
    # A file of the same sizes is checked with the settings of the page.
    await drop(page, "whole.npz", npz(**arrays, out=right))
    await expect(page.locator(".view-check .note")).to_have_text("Read: whole.npz.")
    await expect(verdict(page)).to_have_attribute("data-passed", "true")
    await drop(page, "other.npz", npz(**inputs(3, 4)))
    await expect(page.locator(".view-check .note")).to_contain_text(
        "Not kept, as it belonged to other sizes: bias, encoding of positions."
    )
    await recorded.assert_clean()
