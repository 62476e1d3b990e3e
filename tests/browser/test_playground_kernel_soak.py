"""Each case of the view that checks a kernel: a right kernel passes, and the mistake that it is for is named."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.async_api import expect

from tests.browser.conftest import OpenPage
from tests.browser.playground import opened
from tests.browser.test_playground_kernel import Arrays, downloaded, drop, inputs, npy, npz, verdict
from tests.server import Server

pytestmark = [pytest.mark.browser, pytest.mark.soak]

Kernel = Callable[..., NDArray[Any]]


def attend(
    arrays: Arrays,
    *,
    scale: float = 0.5,
    visible: NDArray[Any] | None = None,
    temperature: float = 1,
    sink: float = -np.inf,
    shifts: bool = True,
    blind: float = 0,
) -> NDArray[Any]:
    """Attention as a person writes it in NumPy, with the mistakes that the cases are for."""
    logits = arrays["q"] @ arrays["k"].swapaxes(-1, -2) * scale / temperature
    seen = np.ones(logits.shape, bool) if visible is None else np.broadcast_to(visible, logits.shape)
    logits = np.where(seen, logits, -np.inf)
    rest = np.where(seen.any(axis=-1, keepdims=True), logits.max(axis=-1, keepdims=True), 0) if shifts else 0
    with np.errstate(over="ignore", invalid="ignore"):
        weights = np.exp(logits - rest)
        weights = weights / (weights.sum(axis=-1, keepdims=True) + np.exp(sink - rest))
    weights = np.where(seen.any(axis=-1, keepdims=True), weights, blind)
    output: NDArray[Any] = weights @ arrays["v"]
    return output


def below(arrays: Arrays, offset: int) -> NDArray[Any]:
    return np.tril(np.ones((arrays["q"].shape[-2], arrays["k"].shape[-2]), bool), offset)


def within(arrays: Arrays, left: int) -> NDArray[Any]:
    return below(arrays, 0) & ~below(arrays, -left - 1)


def shorter_than(arrays: Arrays, lengths: NDArray[Any]) -> NDArray[Any]:
    visible: NDArray[Any] = np.arange(arrays["k"].shape[-2]) < lengths[:, None, None]
    return visible


CASES: dict[str, tuple[Kernel, Kernel, str]] = {
    "odd": (attend, lambda a: attend(a, scale=1), "scale missing"),
    "causal": (
        lambda a: attend(a, visible=a["mask"]),
        lambda a: attend(a, visible=below(a, 0)),
        "causal corner",
    ),
    "window": (
        lambda a: attend(a, visible=a["mask"]),
        lambda a: attend(a, visible=within(a, 1)),
        "window off by one",
    ),
    "lengths": (
        lambda a: attend(a, visible=shorter_than(a, a["key_lengths"])),
        lambda a: attend(a, visible=shorter_than(a, a["key_lengths"][::-1])),
        "mask of the wrong batch row",
    ),
    "large": (attend, lambda a: attend(a, shifts=False), "NaN"),
    "blind": (
        lambda a: attend(a, visible=a["mask"]),
        lambda a: attend(a, visible=a["mask"], blind=np.nan),
        "rows without a visible key are NaN",
    ),
    "sink": (
        lambda a: attend(a, temperature=0.5, sink=1),
        lambda a: attend(a, temperature=1, sink=1),
        "temperature ignored",
    ),
}


@pytest.mark.parametrize("case", CASES)
async def test_a_case_tells_a_right_kernel_from_a_wrong_one(
    open_page: OpenPage, server: Server, tmp_path: Path, case: str
) -> None:
    recorded, playground = await opened(open_page, server.url)
    page = recorded.page
    await page.locator("#tab-check").click()
    await page.locator(".view-check .cases summary").click()
    await page.locator(f'[data-case="{case}"]').click()
    await expect(page.locator(".view-check .note")).to_contain_text("is on the page")
    await expect(page.locator("#story .story-note")).to_be_visible()
    await playground.fresh()
    arrays = await downloaded(page, tmp_path)
    right, wrong, cause = CASES[case]
    await drop(page, "right.npz", npz(**arrays, out=right(arrays)))
    await expect(verdict(page)).to_have_attribute("data-passed", "true")
    await drop(page, "wrong.npy", npy(wrong(arrays)))
    await expect(verdict(page)).to_have_attribute("data-passed", "false")
    await expect(page.locator(".view-check")).to_contain_text(cause)
    await recorded.assert_clean()


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
async def test_heads_that_share_keys_and_sequences_beyond_the_page_are_checked(
    open_page: OpenPage, server: Server, save: Callable[..., None]
) -> None:
    recorded, _ = await opened(open_page, server.url)
    page = recorded.page
    await page.locator("#tab-check").click()
    few, long = inputs(2, 2, 5, 4), inputs(1, 1, 150, 4)
    few["q"] = inputs(2, 4, 5, 4)["q"]
    files = {
        "heads tiled instead of interleaved": {
            **few,
            "out": attend({**few, **{name: np.tile(few[name], (1, 2, 1, 1)) for name in "kv"}}),
        },
        "scale missing": {**long, "out": attend(long, scale=1)},
    }
    for cause, arrays in files.items():
        file = io.BytesIO()
        save(file, **arrays)
        await drop(page, "mine.npz", file.getvalue())
        await expect(verdict(page)).to_contain_text(cause)
    await expect(page.locator(".view-check .note")).to_contain_text("not shown in maps")
    await expect(page.locator(".view-check .found")).to_be_hidden()
    await recorded.assert_clean()
