"""Memories of every type and shape in the playground: small ones are shown, of large ones the heaviest keys."""

import random
from typing import Any

import httpx
import numpy as np
import pytest
import safetensors
from numpy.typing import NDArray
from playwright.async_api import expect

from tests.browser.conftest import OpenPage
from tests.browser.links import names_memory
from tests.browser.memory_panel import Panel, requests_of
from tests.browser.playground import number, opened
from tests.server import Server
from tests.service.safetensors.stored import NUMPY

pytestmark = pytest.mark.browser

RANDOM = random.Random(20261130)


def numbers(*shape: int) -> Any:
    """Return nested lists of random numbers."""
    size, *inner = shape
    return [numbers(*inner) if inner else round(RANDOM.uniform(-2, 2), 3) for _ in range(size)]


LEADING = {
    "heads": {"key": numbers(3, 2, 4), "value": numbers(3, 2, 2)},
    "shared-values": {"key": numbers(2, 3, 4), "value": numbers(3, 2)},
    "shared-keys": {"key": numbers(3, 4), "value": numbers(2, 3, 2)},
    "shared-heads": {"key": numbers(2, 1, 3, 4), "value": numbers(2, 2, 3, 2)},
    "batches": {"key": numbers(2, 2, 3, 4), "value": numbers(2, 2, 3, 2)},
    "heads-third": {"key": numbers(2, 3, 2, 4), "value": numbers(2, 3, 2, 2), "layout": "bshd"},
    "no-values": {"key": numbers(2, 2, 3, 4), "layout": "bhsd"},
    "float32": {"key": numbers(3, 4), "value": numbers(3, 2), "dtype": "float32"},
    "float16": {"key": [[6e-8, -65504, 0.1, -0.0], [1, 2, 3, 4]], "value": numbers(2, 2), "dtype": "float16"},
    "bfloat16": {"key": [[1e-40, 3e38, 0.1, -2.5], [1, 2, 3, 4]], "value": numbers(2, 2), "dtype": "bfloat16"},
}
"""Memories with leading axes, in both layouts, and in every type."""


@pytest.mark.soak
@pytest.mark.parametrize("name", LEADING)
async def test_every_slice_of_a_memory_is_shown_and_computed_with(
    open_page: OpenPage, server: Server, client: httpx.AsyncClient, name: str
) -> None:
    await client.put(f"/v1/memories/slices.{name}", json=LEADING[name])
    recorded, playground = await opened(open_page, server.url)
    page, panel = recorded.page, Panel(recorded.page)
    if name in ("float16", "bfloat16"):
        # Products of the largest numbers would drown the others.
        await playground.choose("#score-model", "cosine")
    sent = requests_of(page)
    await panel.open()
    await panel.row_button("use", f"slices.{name}").click()
    await playground.fresh()
    expected = (await client.post("/v1/attention", json=sent[-1])).json()
    key = key_of((await client.get(f"/v1/memories/slices.{name}/tensors")).content)
    if LEADING[name].get("layout") == "bshd":
        key = key.swapaxes(1, 2)
    leading = np.shape(expected.get("output", expected["weights"]))[:-2]
    keys, weights = slices_of(key, leading), slices_of(expected["weights"], leading)
    count = len(keys)
    assert await page.locator("#batch option").count() == count
    for at in reversed(range(count)):
        if count > 1:
            await playground.choose("#batch", str(at))
        await expect(playground.verification).to_have_attribute("data-state", "match")
        await expect(playground.field("key", 1, 0)).to_have_value(written(keys[at][1, 0]))
        await expect(playground.field("key", 0, 1)).to_have_value(written(keys[at][0, 1]))
        await playground.explained(f"{weights[at][0, 0]:.6g}")
        for stage, slices in (("weights", weights), ("output", slices_of(expected.get("output"), leading))):
            if slices is not None:
                texts = [[number(text) for text in row] for row in await playground.texts(stage)]
                np.testing.assert_allclose(texts, slices[at], atol=6e-5)
    await playground.choose("#mask-kind", "lengths")
    await page.locator("#mask-length").fill("1")
    await playground.fresh()
    await expect(playground.verification).to_have_attribute("data-state", "match")
    assert (await playground.texts("weights"))[0][0] == "1"
    await panel.used.locator("[data-action=release]").click()
    await playground.fresh()
    await expect(playground.verification).to_have_attribute("data-state", "match")
    await recorded.assert_clean()


def slices_of(tensor: Any, leading: tuple[int, ...]) -> Any:
    """Return the matrices of a tensor, as many as `leading` has; None for none."""
    if tensor is None:
        return None
    matrices = np.asarray(tensor, np.float64)
    return np.broadcast_to(matrices, (*leading, *matrices.shape[-2:])).reshape(-1, *matrices.shape[-2:])


def key_of(file: bytes) -> NDArray[np.float64]:
    """Return the keys in a file of the official library's format."""
    one = dict(safetensors.deserialize(file))["key"]
    stored = np.frombuffer(bytes(one["data"]), NUMPY[one["dtype"]])
    return np.asarray(stored, np.float64).reshape(one["shape"])


def written(value: np.float64) -> str:
    """Write a number as the page does, as far as the values above go."""
    text = str(int(value)) if value == int(value) and abs(value) < 1e21 else repr(float(value))
    return text.replace("e+", "e").replace("-", "−")


@pytest.mark.soak
@pytest.mark.parametrize("has_values", [True, False])
async def test_of_a_large_memory_the_page_shows_its_shape_and_the_heaviest_keys(
    open_page: OpenPage, server: Server, client: httpx.AsyncClient, has_values: bool
) -> None:
    name = f"browser.large-{has_values}"
    memory = {"key": numbers(1000, 4), "labels": {"key": [f"hero {at}" for at in range(1000)]}, "dtype": "float32"}
    await client.put(f"/v1/memories/{name}", json=memory | ({"value": numbers(1000, 20)} if has_values else {}))
    recorded, playground = await opened(open_page, server.url)
    page, panel = recorded.page, Panel(recorded.page)
    await playground.cell("weights", 0, 1).click()
    await playground.fresh()
    sent = requests_of(page)
    await panel.open()
    # A typed key that cannot be read hinders nothing: it is not used.
    await playground.field("key", 0, 0).fill("abc")
    await expect(playground.results).to_have_attribute("data-state", "stale")
    await panel.row_button("use", name).click()
    await playground.fresh()
    ranking = page.locator("#ranking")
    await expect(page.locator("#tensor-key .empty")).to_contain_text("1000 × 4 numbers of the memory")
    await expect(page.locator("#tensor-value .empty")).to_contain_text("1000 × 20" if has_values else "No values")
    await expect(playground.map("weights")).to_be_hidden()
    await expect(page.locator("#explain .instead")).to_be_visible()
    await expect(page.locator("#explain-pair")).to_be_hidden()
    await expect(panel.button("keep")).to_be_disabled()
    await panel.name.fill(f"{name}-again")
    await panel.name.press("Enter")
    await expect(playground.verification).to_contain_text("Not checked: the browser does not have the numbers")
    assert sent[-1]["memory"] == name
    answered = (await client.post("/v1/attention", json=sent[-1])).json()
    for row, keys in enumerate(answered["ranking"]):
        lines = await ranking.locator(f'[data-row="{row}"] tbody th').all_inner_texts()
        assert lines == [one["label"] for one in keys]
        assert len(lines) == 10
    await expect(ranking.locator("section p")).to_have_count(2 if has_values else 0)
    for mask in ("causal", "lengths", "window", "none"):
        await playground.choose("#mask-kind", mask)
    await playground.language("zh")
    await expect(ranking.locator("caption").first).to_have_text("团战：权重最大的 10 个键")
    await page.wait_for_url(names_memory(name))
    await page.reload()
    await playground.fresh()
    await expect(ranking.locator("caption").first).to_have_text("团战：权重最大的 10 个键")
    await recorded.assert_fits()
    assert (await client.get(f"/v1/memories/{name}-again")).status_code == 404
    await panel.used.locator("[data-action=release]").click()
    await playground.fresh()
    await expect(playground.map("weights")).to_be_visible()
    await playground.explained("3.15")
    await recorded.assert_clean()
