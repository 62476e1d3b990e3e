"""Firefox as Debian has it, driven by WebDriver BiDi, its own protocol: no driver stands between it and the tests.

The protocol: https://www.w3.org/TR/webdriver-bidi/. The commands and events here are a small part of it.
"""

import asyncio
import itertools
import json
import os
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

FIREFOX = "/usr/bin/firefox-esr"

PATIENCE_SECONDS = 60

EVENTS = ("log.entryAdded", "network.beforeRequestSent", "script.message")

PREFER = """
() => Object.defineProperty(navigator, "languages", { get: () => Object.freeze(["%s"]) })
"""

REPORT_VIOLATIONS = """
(report) => addEventListener("securitypolicyviolation", (event) =>
  report(`${event.effectiveDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`))
"""

CALL = """
async (text) => {
  const result = await (FUNCTION)(...JSON.parse(text));
  return JSON.stringify(result === undefined ? null : result);
}
"""

# A promise of the page, so that no message is sent for each look.
UNTIL = """
async (...given) => {
  const end = performance.now() + PATIENCE;
  while (!(FUNCTION)(...given)) {
    if (performance.now() > end) return false;
    await new Promise((done) => setTimeout(done, 20));
  }
  return true;
}
"""

KEYS = {
    "Alt": "\ue00a",
    "ArrowDown": "\ue015",
    "ArrowLeft": "\ue012",
    "ArrowRight": "\ue014",
    "ArrowUp": "\ue013",
    "Control": "\ue009",
    "End": "\ue010",
    "Enter": "\ue007",
    "Escape": "\ue00c",
    "Home": "\ue011",
    "Shift": "\ue008",
    "Tab": "\ue004",
}
"""Names of keys, as the code points that stand for them."""


class BidiError(Exception):
    """The browser refused a command."""


class Firefox:
    """A connection to a browser, with one session."""

    def __init__(self, socket: ClientConnection, downloads: Path) -> None:
        self.socket = socket
        self.downloads = downloads
        self.pages: dict[str, FirefoxPage] = {}
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}

    async def command(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command and return its result; raise BidiError where it is refused."""
        number = next(self._numbers)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        await self.socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        async with asyncio.timeout(2 * PATIENCE_SECONDS):
            return await answer

    async def listen(self) -> None:
        """Hand answers to the commands that wait for them, and events to the pages that they come from."""
        async for text in self.socket:
            message = json.loads(text)
            if message["type"] == "event":
                self._note(message["method"], message["params"])
                continue
            answer = self._waiting.pop(message["id"])
            if answer.done():
                continue
            if message["type"] == "success":
                answer.set_result(message["result"])
            else:
                answer.set_exception(BidiError(f"{message['error']}: {message['message']}"))

    def _note(self, event: str, parameters: dict[str, Any]) -> None:
        page = self.pages.get(parameters.get("context") or parameters.get("source", {}).get("context"))
        if page is None:
            return
        if event == "network.beforeRequestSent":
            page.requests.append(parameters["request"]["url"])
        elif event == "script.message":
            page.violations.append(parameters["data"]["value"])
        elif parameters["level"] in {"error", "warn"}:
            page.console_errors.append(parameters["text"])

    async def open(self, url: str, *, width: int = 1280, locale: str = "en-GB") -> "FirefoxPage":
        """Open an address in a tab that shares no storage with any other."""
        user = (await self.command("browser.createUserContext"))["userContext"]
        context = (await self.command("browsingContext.create", type="tab", userContext=user))["context"]
        page = self.pages[context] = FirefoxPage(self, context, user, re.match(r"\w+://[^/]+/", url)[0])  # type: ignore[index]
        await self.command("browsingContext.setViewport", context=context, viewport={"width": width, "height": 900})
        # Versions before 142 know no emulation.setLocaleOverride.
        await self.command("script.addPreloadScript", functionDeclaration=PREFER % locale, contexts=[context])
        channel = {"type": "channel", "value": {"channel": "violations"}}
        await self.command(
            "script.addPreloadScript", functionDeclaration=REPORT_VIOLATIONS, arguments=[channel], contexts=[context]
        )
        await page.go_to(url)
        return page


@dataclass(eq=False)
class FirefoxPage:
    """A tab, at home at one origin, and what it did."""

    browser: Firefox
    context: str
    user: str
    home: str
    requests: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    console_errors: list[str] = field(default_factory=list)

    async def go_to(self, url: str) -> None:
        """Load an address and everything that belongs to it."""
        await self.browser.command("browsingContext.navigate", context=self.context, url=url, wait="complete")

    async def close(self) -> None:
        """Close the tab, and forget what it stored."""
        await self.browser.command("browser.removeUserContext", userContext=self.user)

    async def call(self, function: str, *given: Any) -> Any:
        """Call a function of JavaScript with values of JSON; return its result, or that of its promise."""
        text = {"type": "string", "value": json.dumps(given)}
        return json.loads((await self._call(CALL.replace("FUNCTION", function), text))["value"])

    async def until(self, function: str, *given: Any) -> None:
        """Wait until a function of JavaScript returns something true."""
        waiting = UNTIL.replace("FUNCTION", function).replace("PATIENCE", str(1000 * PATIENCE_SECONDS))
        assert await self.call(waiting, *given), f"after {PATIENCE_SECONDS} s still not: {function} of {given}"

    async def _call(self, function: str, *arguments: dict[str, Any]) -> dict[str, Any]:
        answer = await self.browser.command(
            "script.callFunction",
            functionDeclaration=function,
            arguments=arguments,
            target={"context": self.context},
            awaitPromise=True,
        )
        if answer["type"] == "exception":
            raise AssertionError(answer["exceptionDetails"]["text"])
        result: dict[str, Any] = answer["result"]
        return result

    async def text(self, selector: str) -> str:
        """Return the text of an element."""
        found: str = await self.call("(selector) => document.querySelector(selector).textContent", selector)
        return found

    async def until_text(self, selector: str, text: str) -> None:
        """Wait until an element contains a text."""
        holds = "(selector, text) => document.querySelector(selector)?.textContent.includes(text)"
        await self.until(holds, selector, text)

    async def until_value(self, selector: str, value: str) -> None:
        """Wait until a field has a value."""
        await self.until("(selector, value) => document.querySelector(selector)?.value === value", selector, value)

    async def choose(self, selector: str, option: str) -> None:
        """Choose an option of a list."""
        await self.call(
            """(selector, option) => {
              const list = document.querySelector(selector);
              list.value = option;
              list.dispatchEvent(new Event("input", { bubbles: true }));
              list.dispatchEvent(new Event("change", { bubbles: true }));
            }""",
            selector,
            option,
        )

    async def press(self, *keys: str) -> None:
        """Press keys one after another; ``Control+z`` is one of them."""
        strokes: list[dict[str, str]] = []
        for chord in keys:
            parts = [KEYS.get(part, part) for part in chord.split("+")]
            strokes += [{"type": "keyDown", "value": part} for part in parts]
            strokes += [{"type": "keyUp", "value": part} for part in reversed(parts)]
        await self._act({"type": "key", "id": "keys", "actions": strokes})

    async def click(self, selector: str) -> None:
        """Click into the middle of an element."""
        await self._press_pointer("mouse", selector)

    async def tap(self, selector: str) -> None:
        """Touch the middle of an element with a finger."""
        await self._press_pointer("touch", selector)

    async def drag(self, selector: str, pixels: int, steps: int, seen: Callable[[], Any], kind: str = "mouse") -> None:
        """Draw an element to the right by mouse or touch; `seen` is awaited after every step, before it is let go."""
        x, y = await self._middle(selector)
        await self._act(_pointer(kind, _move(x, y), {"type": "pointerDown", "button": 0}))
        for step in range(1, steps + 1):
            await self._act(_pointer(kind, _move(x + round(pixels * step / steps), y)))
            await seen()
        await self._act(_pointer(kind, {"type": "pointerUp", "button": 0}))

    async def type(self, text: str) -> None:
        """Type a text, key by key."""
        strokes = [{"type": kind, "value": letter} for letter in text for kind in ("keyDown", "keyUp")]
        await self._act({"type": "key", "id": "keys", "actions": strokes})

    async def download(self, pressed: Awaitable[None], folder: Path) -> Path:
        """Await what starts a download, and return the file, which has the name that the page gives it."""
        await pressed
        path = await asyncio.to_thread(_downloaded, self.browser.downloads)
        return path.rename(folder / path.name)

    async def _press_pointer(self, kind: str, selector: str) -> None:
        x, y = await self._middle(selector)
        buttons = ({"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0})
        await self._act(_pointer(kind, _move(x, y), *buttons))

    async def _middle(self, selector: str) -> tuple[int, int]:
        middle = """(selector) => {
          const element = document.querySelector(selector);
          element.scrollIntoView({ block: "center", inline: "center", behavior: "instant" });
          const { x, y, width, height } = element.getBoundingClientRect();
          return [Math.round(x + width / 2), Math.round(y + height / 2)];
        }"""
        x, y = await self.call(middle, selector)
        return x, y

    async def _act(self, source: dict[str, Any]) -> None:
        await self.browser.command("input.performActions", context=self.context, actions=[source])

    async def assert_clean(self) -> None:
        """No request to another origin, no violation of the policy, no error or warning in the console."""
        await self.call("() => new Promise((done) => setTimeout(done))")
        assert [url for url in self.requests if not url.startswith((self.home, "data:", "blob:", "about:"))] == []
        assert self.violations == []
        assert self.console_errors == []


def _downloaded(folder: Path) -> Path:
    """Wait until a file is whole: it is empty until then, beside another that grows."""
    end = time.monotonic() + PATIENCE_SECONDS
    while True:
        files = list(folder.iterdir())
        whole = [path for path in files if path.stat().st_size]
        if whole and len(whole) == len(files) and whole[0].suffix != ".part":
            return whole[0]
        assert time.monotonic() < end, f"after {PATIENCE_SECONDS} s still no whole file among {files}"
        time.sleep(0.02)


def _pointer(kind: str, *actions: dict[str, Any]) -> dict[str, Any]:
    return {"type": "pointer", "id": kind, "parameters": {"pointerType": kind}, "actions": actions}


def _move(x: int, y: int) -> dict[str, Any]:
    return {"type": "pointerMove", "x": x, "y": y}


@asynccontextmanager
async def running_firefox(folder: Path) -> AsyncIterator[Firefox]:
    """Start Firefox without a window.

    :param folder: an empty folder for its profile.
    """
    downloads = folder / "downloads"
    downloads.mkdir()
    preferences = {
        "browser.download.folderList": 2,
        "browser.download.dir": str(downloads),
        # Its list of downloads would take the keys.
        "browser.download.alwaysOpenPanel": False,
    }
    lines = (f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in preferences.items())
    (folder / "user.js").write_text("".join(lines))
    words = ("--headless", "--no-remote", "--remote-debugging-port", "0", "--profile", str(folder), "about:blank")
    process = await asyncio.create_subprocess_exec(
        FIREFOX,
        *words,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "HOME": str(folder)},
    )
    try:
        async with asyncio.timeout(2 * PATIENCE_SECONDS):
            address = await _address_of(process)
        unread = asyncio.create_task(_read_on(process))
        async with connect(f"{address}/session", max_size=None, ping_interval=None) as socket:
            browser = Firefox(socket, downloads)
            listening = asyncio.create_task(browser.listen())
            await browser.command("session.new", capabilities={})
            await browser.command("session.subscribe", events=EVENTS)
            yield browser
        await listening
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()
    await unread


async def _address_of(process: asyncio.subprocess.Process) -> str:
    """Return the address that the browser says it listens at."""
    assert process.stderr
    said = []
    async for line in process.stderr:
        said.append(line.decode(errors="replace"))
        if found := re.search(r"WebDriver BiDi listening on (ws://\S+)", said[-1]):
            return found[1]
    raise AssertionError(f"Firefox ended before it listened: {''.join(said)}")


async def _read_on(process: asyncio.subprocess.Process) -> None:
    """Leave no output unread: a full pipe would stop the browser."""
    assert process.stderr
    async for _ in process.stderr:
        pass
