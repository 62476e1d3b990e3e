"""A real browser, and pages in it that record everything a page must not do."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    Route,
    WebSocketRoute,
    async_playwright,
    expect,
)

from tests.browser.firefox import Firefox, FirefoxPage, running_firefox

CHROMIUM = "/usr/bin/chromium"

# The last list of features holds.  Playwright's own comes first in this one; then two popups of the address bar, each a
# page in a process, which would open with every page and cost more than the page.
DISABLED_FEATURES = (
    "AvoidUnnecessaryBeforeUnloadCheckSync",
    "DestroyProfileOnBrowserClose",
    "HttpsUpgrades",
    "HttpsFirstBalancedModeAutoEnable",
    "LensOverlay",
    "MediaRouter",
    "PaintHolding",
    "ThirdPartyStoragePartitioning",
    "AvoidCorsURLLoaderRestartOnRedirect",
    "OptimizationHints",
    "NetworkTimeServiceQuerying",
    "AimEnabled",
    "PreconnectToSearch",
    "WebUIOmniboxPopup",
    "WebUIOmniboxAimPopup",
)

ARGUMENTS = (
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    f"--disable-features={','.join(DISABLED_FEATURES)}",
)

# A binding, not a variable of the page: its reports survive navigation.
REPORT_VIOLATIONS = """
addEventListener("securitypolicyviolation", (event) =>
  reportViolation(`${event.effectiveDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`));
"""

# A change of media is reported with the next frame, which may be the second.  An inherited colour that changes step by
# step starts a transition of its own, hence the loop.
SETTLE = """
async () => {
  const transitions = () => document.getAnimations().filter((animation) => animation instanceof CSSTransition);
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done))));
  for (let running = transitions(); running.length; running = transitions()) {
    await Promise.allSettled(running.map((transition) => transition.finished));
  }
}
"""

PATIENCE_MILLISECONDS = 30_000

expect.set_options(timeout=PATIENCE_MILLISECONDS)


@dataclass
class RecordedPage:
    """A page in a context of its own, at home at one origin, and what it did."""

    page: Page
    home: str
    requests: list[str] = field(default_factory=list)
    foreign_requests: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    page_errors: list[str] = field(default_factory=list)
    console_errors: list[str] = field(default_factory=list)

    async def settle(self) -> None:
        """Wait until transitions have ended and what the browser has already noticed has been told."""
        await self.page.evaluate(SETTLE)

    async def assert_clean(self, *expected_console_errors: str) -> None:
        """No foreign request, violation or exception, and only the expected console errors, each given by a part."""
        await self.settle()
        assert self.foreign_requests == []
        assert self.violations == []
        assert self.page_errors == []
        assert len(self.console_errors) == len(expected_console_errors), self.console_errors
        for received, expected in zip(self.console_errors, expected_console_errors, strict=True):
            assert expected in received

    async def assert_fits(self) -> None:
        """Nothing makes the page scroll sideways, neither on a desk nor on a telephone."""
        for width in (1280, 360):
            await self.page.set_viewport_size({"width": width, "height": 900})
            wanted = await self.page.evaluate("document.documentElement.scrollWidth")
            assert wanted <= width

    @property
    def foreign(self) -> re.Pattern[str]:
        """Addresses of what leaves home; unlike a function, a pattern is asked without a message for every request."""
        return re.compile(rf"^(?!(?:data|blob|about):)(?!\w+://{re.escape(urlsplit(self.home).netloc)}(?:[/?#]|$))")


OpenPage = Callable[..., Awaitable[RecordedPage]]


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    """One chromium for all tests, the one that the system holds."""
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield launched
        await launched.close()


@pytest.fixture
async def open_page(browser: Browser) -> AsyncIterator[OpenPage]:
    """Open an address in a new context: ``await open_page(url, width=360, colour_scheme="dark")``."""
    contexts: list[BrowserContext] = []

    async def opened(url: str, *, width: int = 1280, colour_scheme: str = "light", **options: Any) -> RecordedPage:
        context = await browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=colour_scheme, service_workers="block", **options
        )
        contexts.append(context)
        context.set_default_timeout(PATIENCE_MILLISECONDS)
        recorded = RecordedPage(await context.new_page(), url)
        await _record(context, recorded)
        await recorded.page.goto(url)
        return recorded

    yield opened
    await asyncio.gather(*(context.close() for context in contexts))


async def _record(context: BrowserContext, recorded: RecordedPage) -> None:
    """Write down what happens in a context; requests to other origins are refused."""

    def note_request(request: Request) -> None:
        recorded.requests.append(request.url)

    def note_console(message: ConsoleMessage) -> None:
        if "Content Security Policy" in message.text:
            recorded.violations.append(message.text)
        elif message.type in {"error", "warning"}:
            recorded.console_errors.append(message.text)

    async def refuse(route: Route) -> None:
        recorded.foreign_requests.append(route.request.url)
        await route.abort()

    async def refuse_socket(socket: WebSocketRoute) -> None:
        recorded.foreign_requests.append(socket.url)
        await socket.close()

    context.on("request", note_request)
    context.on("console", note_console)
    context.on("weberror", lambda error: recorded.page_errors.append(str(error.error)))
    await context.route(recorded.foreign, refuse)
    await context.route_web_socket(recorded.foreign, refuse_socket)
    await context.expose_binding("reportViolation", lambda _, text: recorded.violations.append(text))
    await context.add_init_script(REPORT_VIOLATIONS)


@pytest.fixture(scope="session")
async def firefox(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Firefox]:
    """One Firefox for all tests, the one that the system holds."""
    async with running_firefox(tmp_path_factory.mktemp("firefox")) as running:
        yield running


@pytest.fixture
async def open_firefox(firefox: Firefox) -> AsyncIterator[Callable[..., Awaitable[FirefoxPage]]]:
    """Open an address in a new tab of Firefox: ``await open_firefox(url, width=360, locale="zh-CN")``."""
    pages: list[FirefoxPage] = []

    async def opened(url: str, **options: Any) -> FirefoxPage:
        pages.append(await firefox.open(url, **options))
        return pages[-1]

    yield opened
    for page in pages:
        await page.close()
