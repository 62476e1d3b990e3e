"""A page of Chromium with the acts and waits of one of Firefox, so that one script drives either."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from playwright.async_api import Page

from tests.browser.firefox import PATIENCE_SECONDS, UNTIL

Move = Callable[[float, float], Awaitable[None]]

CALL = "(given) => (FUNCTION)(...given)"


class ChromiumPage:
    """A page that selectors and functions of JavaScript lead through."""

    def __init__(self, page: Page) -> None:
        self.page = page

    async def call(self, function: str, *given: Any) -> Any:
        """Call a function of JavaScript with values of JSON; return its result, or that of its promise."""
        return await self.page.evaluate(CALL.replace("FUNCTION", function), given)

    async def until(self, function: str, *given: Any) -> None:
        """Wait until a function of JavaScript returns something true."""
        waiting = UNTIL.replace("FUNCTION", function).replace("PATIENCE", str(1000 * PATIENCE_SECONDS))
        assert await self.call(waiting, *given), f"after {PATIENCE_SECONDS} s still not: {function} of {given}"

    async def text(self, selector: str) -> str:
        """Return the text of an element."""
        return await self.page.locator(selector).text_content() or ""

    async def until_text(self, selector: str, text: str) -> None:
        """Wait until an element contains a text."""
        holds = "(selector, text) => document.querySelector(selector)?.textContent.includes(text)"
        await self.until(holds, selector, text)

    async def choose(self, selector: str, option: str) -> None:
        """Choose an option of a list."""
        await self.page.locator(selector).select_option(option)

    async def press(self, *keys: str) -> None:
        """Press keys one after another; ``Control+z`` is one of them."""
        for chord in keys:
            await self.page.keyboard.press(chord)

    async def type(self, text: str) -> None:
        """Type a text."""
        await self.page.keyboard.type(text)

    async def click(self, selector: str) -> None:
        """Click into the middle of an element."""
        await self.page.locator(selector).click()

    async def tap(self, selector: str) -> None:
        """Touch the middle of an element with a finger."""
        await self.page.locator(selector).tap()

    async def drag(self, selector: str, pixels: int, steps: int, seen: Callable[[], Any], kind: str = "mouse") -> None:
        """Draw an element to the right by mouse or touch; `seen` is awaited after every step, before it is let go."""
        element = self.page.locator(selector)
        await element.scroll_into_view_if_needed()
        box = await element.bounding_box()
        assert box
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        hold = self._touch if kind == "touch" else self._hold_button
        async with hold(x, y) as move:
            for step in range(1, steps + 1):
                await move(x + pixels * step / steps, y)
                await seen()

    @asynccontextmanager
    async def _hold_button(self, x: float, y: float) -> AsyncIterator[Move]:
        await self.page.mouse.move(x, y)
        await self.page.mouse.down()
        yield self.page.mouse.move
        await self.page.mouse.up()

    @asynccontextmanager
    async def _touch(self, x: float, y: float) -> AsyncIterator[Move]:
        session = await self.page.context.new_cdp_session(self.page)

        async def send(kind: str, *points: dict[str, float]) -> None:
            await session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": list(points)})

        await send("touchStart", {"x": x, "y": y})
        yield lambda x, y: send("touchMove", {"x": x, "y": y})
        await send("touchEnd")
        await session.detach()

    async def download(self, pressed: Awaitable[None], folder: Path) -> Path:
        """Await what starts a download, and return the file, which has the name that the page gives it."""
        async with self.page.expect_download() as started:
            await pressed
        download = await started.value
        path = folder / download.suggested_filename
        await download.save_as(path)
        return path

    async def choose_file(self, pressed: Awaitable[None], path: Path) -> None:
        """Await what opens the choice of a file, and choose one."""
        async with self.page.expect_file_chooser() as opened:
            await pressed
        await (await opened.value).set_files(path)
