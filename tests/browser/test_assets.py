"""What the pages are made of: few files, compressed, and kept by the browser until their content changes."""

import re
from collections.abc import Iterator
from typing import Any

import brotli
import httpx
import pytest
from playwright.async_api import expect

from service.routes.assets import MEDIA_TYPES, PAGES, hashed_path
from service.routes.bundles import bundle_later, bundle_modules, bundle_styles
from service.routes.page_headers import page_headers
from tests.browser.conftest import OpenPage, RecordedPage
from tests.browser.playground import Playground
from tests.server import Server, running_server

FOREVER = "public, max-age=31536000, immutable"

ADDRESS = re.compile(r'="((?:\.\./)?static/[^"]+)"')

MAX_REQUESTS, MAX_BYTES, MAX_SHIFT = 12, 120_000, 0.02

SHIFTS = """
window.shifts = [];
const nameOf = ({ node }) => node?.id || node?.className || String(node);
new PerformanceObserver((list) => shifts.push(...list.getEntries().filter((one) => !one.hadRecentInput)
  .map(({ value, sources }) => ({ value, moved: sources.map(nameOf) }))))
  .observe({ type: "layout-shift", buffered: true });
"""

# The page shows itself after some seconds although parts are missing, which on a slow machine they may be.
UNTIL_COMPLETE = """
const patient = new CSSStyleSheet();
patient.replaceSync(".layout, .bar { animation: none !important }");
document.adoptedStyleSheets = [patient];
"""

PAGES_SHOWN = ("/playground", "/docs", "/problems", "/problems/internal")


@pytest.mark.parametrize("page", PAGES_SHOWN)
async def test_every_file_of_a_page_has_a_hash_and_is_kept_forever(client: httpx.AsyncClient, page: str) -> None:
    html = await client.get(page)
    addresses = ADDRESS.findall(html.text)
    assert addresses
    for address in addresses:
        received = await client.get(html.url.join(address))
        assert received.status_code == 200, address
        assert re.search(r"\.[0-9a-f]{16}\.\w+$", address)
        assert received.headers["Content-Type"] == MEDIA_TYPES[address[address.rindex(".") :]]
        expected = {**page_headers(), "Cache-Control": FOREVER}
        assert {name: received.headers[name] for name in expected} == expected


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip", "deflate", "identity"])
async def test_pages_and_files_come_in_the_coding_that_is_asked_for(client: httpx.AsyncClient, coding: str) -> None:
    for path in ("/playground", f"/static/{hashed_path('playground/main.js')}"):
        plain = await client.get(path, headers={"Accept-Encoding": "identity"})
        asked = {"Accept-Encoding": coding}
        received = await client.get(path, headers=asked)
        assert received.headers.get("Content-Encoding", "identity") == coding
        assert received.headers["Vary"] == "Accept-Encoding"
        if coding == "br":  # the client knows the others
            assert brotli.decompress(await raw(client, path)) == plain.content
        elif coding != "zstd":
            assert received.content == plain.content
        assert received.headers["ETag"] != plain.headers["ETag"] or coding == "identity"
        again = await client.get(path, headers={**asked, "If-None-Match": received.headers["ETag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["ETag"] == received.headers["ETag"]


async def raw(client: httpx.AsyncClient, path: str) -> bytes:
    async with client.stream("GET", path, headers={"Accept-Encoding": "br"}) as response:
        return b"".join([piece async for piece in response.aiter_raw()])


async def test_an_address_of_another_version_is_answered_but_not_kept(client: httpx.AsyncClient) -> None:
    """During an update the page may come from one replica and its files from another."""
    current = hashed_path("playground/main.js")
    other = re.sub(r"[0-9a-f]{16}", "0" * 16, current)
    received = await client.get(f"/static/{other}")
    assert received.status_code == 200
    assert received.headers["Cache-Control"] == "no-cache"
    assert received.content == (await client.get(f"/static/{current}")).content
    for unknown in ("nothing." + "0" * 16 + ".js", "docs.0123.css", "playground." + "0" * 16 + ".html"):
        assert (await client.get(f"/static/{unknown}")).status_code == 404


@pytest.mark.parametrize(
    ("main", "other", "named"),
    [
        ('import { a } from "./b.js";', 'import { b } from "./main.js";', "main.js → b.js → main.js"),
        ("export let a = 1;", "", "export let a"),
        ("const a = 1;\nexport { a };", "", r"export \{ a \}"),
        ('import a from "package";', "", "import a from"),
        ('export * from "./b.js";', "", r"export \*"),
    ],
)
def test_a_form_that_cannot_be_bundled_is_named(main: str, other: str, named: str) -> None:
    sources = {"main.js": f"{main}\n", "b.js": f"{other}\n"}
    with pytest.raises(ValueError, match=named):
        bundle_modules("main.js", sources.__getitem__)


def test_comments_stay_where_they_are_written() -> None:
    sources = {
        "main.js": '// Why.\nimport { a } from "./b.js";\n  // How.\nconst b = "// c";\n',
        "b.js": "// What.\nexport const a = 1;\n",
    }
    assert re.findall("//.*", bundle_modules("main.js", sources.__getitem__)) == ["// b.js", "// main.js", '// c";']


def test_modules_that_are_needed_later_are_a_script_of_their_own() -> None:
    sources = {
        "main.js": 'import { a } from "./a.js";\nimport { load } from "./b.js";\nawait load();\n',
        "a.js": "export const a = 1;\n",
        "b.js": 'export const load = async () => (await import("./c.js")).c;\n',
        "c.js": 'import { a } from "./a.js";\nimport { d } from "./d.js";\nexport const c = a + d;\n',
        "d.js": "export const d = 2;\n",
    }
    main = bundle_modules("main.js", sources.__getitem__, "./later.0.js")
    assert re.findall("// .*", main) == ["// a.js", "// b.js", "// main.js"]
    assert 'import("./later.0.js" + ($failed ? `?${$failed}` : ""))' in main
    assert "({ default: run }) => run({ $a, $b })" in main
    assert "$later().then(({ $c }) => $c)" in main
    later = bundle_later("main.js", sources.__getitem__)
    assert re.findall("// .*", later) == ["// d.js", "// c.js"]
    assert later.startswith("export default ({ $a, $b }) => {\n")
    assert later.endswith("return { $d, $c };\n};\n")
    with pytest.raises(ValueError, match=r"expected import\(\) in the modules that the page starts with"):
        bundle_later("main.js", (sources | {"d.js": 'export const d = import("./a.js");\n'}).__getitem__)


@pytest.mark.parametrize("sheet", ['@import "a.css";', "a { background: url(a.png); }"])
def test_a_style_sheet_that_names_a_file_is_refused(sheet: str) -> None:
    with pytest.raises(ValueError, match=r"a\.css: expected a style sheet by itself"):
        bundle_styles(["a.css"], lambda _: sheet)


def test_the_bundle_leaves_out_lines_of_comment_alone() -> None:
    source = '// why\nconst a = 1; // kept\n  // why\nconst b = "http://a";\n'
    assert bundle_modules("main.js", {"main.js": source}.__getitem__) == (
        '// main.js\n{\nconst a = 1; // kept\nconst b = "http://a";\n}\n'
    )


def test_the_bundle_holds_every_style_sheet_and_module() -> None:
    """What the page does with them is for the tests of the page, which all run on the bundle."""
    read = {path.name: path.read_text(encoding="utf-8") for path in (PAGES / "playground" / "styles").iterdir()}
    html = (PAGES / "playground.html").read_text(encoding="utf-8")
    assert sorted(re.findall(r"styles/(\w+\.css)", html)) == sorted(read)


async def shift_of(recorded: RecordedPage) -> Any:
    await recorded.settle()
    return await recorded.page.evaluate("window.shifts")


class Traffic:
    """What a page asks for over the network, and what its browser has kept."""

    def __init__(self) -> None:
        self.received: dict[str, float] = {}
        self.kept: set[str] = set()

    async def watch(self, recorded: RecordedPage) -> None:
        session = await recorded.page.context.new_cdp_session(recorded.page)
        await session.send("Network.enable")
        session.on("Network.requestWillBeSent", lambda event: self.received.setdefault(event["requestId"], 0))
        session.on("Network.requestServedFromCache", lambda event: self.kept.add(event["requestId"]))
        session.on("Network.responseReceived", self._note_response)
        session.on("Network.loadingFinished", self._note_size)

    def _note_response(self, event: dict[str, Any]) -> None:
        if event["response"].get("fromDiskCache"):
            self.kept.add(event["requestId"])

    def _note_size(self, event: dict[str, Any]) -> None:
        self.received[event["requestId"]] = event["encodedDataLength"]


WIDTHS = [1280, *(pytest.param(width, marks=pytest.mark.soak) for width in (360, 768, 1920))]


@pytest.mark.browser
@pytest.mark.parametrize("width", WIDTHS)
async def test_a_first_visit_is_small_and_still_and_the_next_asks_for_one_file(
    open_page: OpenPage, server: Server, width: int
) -> None:
    recorded = await open_page(f"{server.url}/problems", locale="en-GB", width=width)
    await recorded.page.context.unroute_all()  # with routes the browser keeps nothing
    await recorded.page.add_init_script(SHIFTS + UNTIL_COMPLETE)
    traffic, playground = Traffic(), Playground(recorded.page)
    await traffic.watch(recorded)
    await recorded.page.goto(f"{server.url}/playground")
    await playground.fresh()
    await playground.explained("0.701669")
    await recorded.settle()
    assert len(traffic.received) <= MAX_REQUESTS
    assert sum(traffic.received.values()) <= MAX_BYTES
    shifts = await recorded.page.evaluate("window.shifts")
    assert sum(one["value"] for one in shifts) <= MAX_SHIFT, shifts
    await expect(recorded.page.locator("#explain")).to_be_visible()

    traffic.received.clear()
    traffic.kept.clear()
    asked = len(recorded.requests)
    await recorded.page.goto("about:blank")
    await recorded.page.goto(f"{server.url}/playground")
    await playground.fresh()
    await playground.explained("0.701669")
    computed = [url for url in recorded.requests[asked:] if "/v1/" in url]
    assert set(computed) == {f"{server.url}/v1/attention", f"{server.url}/v1/attention/explain"}
    assert len(traffic.received) - len(traffic.kept) - len(computed) == 1
    await recorded.assert_clean()


@pytest.fixture(scope="module")
def embeddable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service whose pages one site may embed, which is itself under another name."""
    directory = tmp_path_factory.mktemp("embeddable")
    with running_server(directory, FRAME_ANCESTORS="self, http://localhost:*, https://*.example.org") as server:
        yield server


async def test_the_sites_that_may_embed_are_in_the_policy_of_every_page_and_file(embeddable: Server) -> None:
    async with httpx.AsyncClient(base_url=embeddable.url) as client:
        for path in ("/playground", "/docs", "/nothing", "/static/docs.css", f"/static/{hashed_path('docs.css')}"):
            received = await client.get(path, headers={"Accept": "text/html,*/*;q=0.5"})
            policy = received.headers["Content-Security-Policy"].split("; ")
            assert "frame-ancestors 'self' http://localhost:* https://*.example.org" in policy, path
            assert policy[:-1] == page_headers()["Content-Security-Policy"].split("; ")[:-1]


@pytest.mark.browser
async def test_a_course_page_embeds_the_playground(open_page: OpenPage, embeddable: Server) -> None:
    site = embeddable.url.replace("127.0.0.1", "localhost")
    recorded = await open_page(f"{site}/livez", locale="en-GB")
    await recorded.page.context.unroute_all()  # the embedded page is at home at another origin
    frame = '<iframe width="1200" height="900" src="{}/playground"></iframe>'
    await recorded.page.set_content(frame.format(embeddable.url))
    await expect(recorded.page.frame_locator("iframe").locator("#results")).to_have_attribute("data-state", "fresh")


@pytest.mark.soak
@pytest.mark.browser
async def test_without_the_setting_no_page_embeds_it(open_page: OpenPage, server: Server) -> None:
    recorded = await open_page(f"{server.url}/livez")
    async with recorded.page.expect_console_message(lambda message: "frame-ancestors 'none'" in message.text):
        await recorded.page.set_content(f'<iframe src="{server.url}/playground"></iframe>')
    assert len(recorded.violations) == 1
