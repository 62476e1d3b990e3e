"""/guide: the language that a browser asks for, the files of the site, and a checkout in which it is not built."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from service.codecs.negotiate import preferred_language
from service.main import create_app
from service.routes import guide
from service.routes.page_headers import page_headers
from service.settings import Settings

FILES = {
    "en/index.html": "<!doctype html><title>Documentation</title>",
    "zh/index.html": "<!doctype html><title>文档</title>",
    "en/_static/guide.js": "// nothing",
    "en/_downloads/values.yaml": "settings: {}",
    "en/notes.docx": "of a kind that no page links to",
}


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty folder in the place of the built site."""
    monkeypatch.setattr(guide, "FOLDER", tmp_path / "guide")
    return tmp_path / "guide"


@pytest.fixture
async def client(folder: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an application that shows that folder, inside a public prefix."""
    transport = httpx.ASGITransport(app=create_app(Settings(log_level="warning")), root_path="/attention")
    async with httpx.AsyncClient(transport=transport, base_url="http://app") as connected:
        yield connected


def build(folder: Path) -> None:
    for name, content in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        (None, "en"),
        ("", "en"),
        ("fr", "en"),
        ("*", "en"),
        ("en-GB", "en"),
        ("zh", "zh"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("zh-Hant-TW", "zh"),
        ("ZH-cn", "zh"),
        ("en;q=0.5,zh;q=0.7", "zh"),
        ("fr,en;q=0.3,zh;q=0.2", "en"),
        ("zh;q=0,*", "en"),
        ("en;q=0,*;q=0.1", "zh"),
        ("zh;q=wrong", "en"),
    ],
)
async def test_a_browser_is_led_to_its_language(
    client: httpx.AsyncClient, folder: Path, accepted: str | None, language: str
) -> None:
    build(folder)
    headers = {} if accepted is None else {"Accept-Language": accepted}
    received = await client.get("/guide?from=mail", headers=headers)
    assert (received.status_code, received.headers["Vary"]) == (307, "Accept-Language")
    assert received.headers["Location"] == f"/attention/guide/{language}/index.html?from=mail"
    assert preferred_language(accepted or "", ("en", "zh")) == language


async def test_an_address_without_a_page_leads_to_the_first_one(client: httpx.AsyncClient, folder: Path) -> None:
    build(folder)
    for path, leads_to in (
        ("/guide/", "/guide"),
        ("/guide/zh/", "/guide/zh/index.html"),
        ("/guide/zh", "/guide/zh/index.html"),
    ):
        for method in ("GET", "HEAD"):
            received = await client.request(method, f"{path}?a=1")
            assert received.status_code == 307
            assert received.url.join(received.headers["Location"]) == f"http://app{leads_to}?a=1"
    assert (await client.get("/guide/fr")).status_code == 404


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("zh/index.html", "text/html; charset=utf-8"),
        ("en/_static/guide.js", "text/javascript; charset=utf-8"),
        ("en/_downloads/values.yaml", "text/plain; charset=utf-8"),
    ],
)
async def test_files_have_the_headers_of_a_page_and_are_sent_once(
    client: httpx.AsyncClient, folder: Path, name: str, media_type: str
) -> None:
    build(folder)
    received = await client.get(f"/guide/{name}")
    assert (received.status_code, received.text) == (200, FILES[name])
    assert received.headers["Content-Type"] == media_type
    assert {header: received.headers[header] for header in page_headers()} == page_headers()
    again = await client.get(f"/guide/{name}", headers={"If-None-Match": received.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    "path", ["/guide/en/none.html", "/guide/en/notes.docx", "/guide/../guide.html", "/guide/en/_static"]
)
async def test_nothing_else_is_served(client: httpx.AsyncClient, folder: Path, path: str) -> None:
    build(folder)
    received = await client.get(path)
    assert received.status_code == 404
    assert received.headers["Content-Type"] == "application/problem+json"


async def test_files_are_only_read(client: httpx.AsyncClient, folder: Path) -> None:
    build(folder)
    received = await client.post("/guide/en/index.html")
    assert (received.status_code, received.headers["Allow"]) == (405, "GET, HEAD")


async def test_a_checkout_without_the_site_says_how_to_build_it_until_it_is_there(
    client: httpx.AsyncClient, folder: Path
) -> None:
    received = await client.get("/guide", headers={"Accept-Language": "zh"})
    assert received.status_code == 200
    assert received.text.count("<code>make docs</code>") == 2
    assert {header: received.headers[header] for header in page_headers()} == page_headers()
    assert (await client.get("/guide/en/index.html")).status_code == 404
    build(folder)
    assert (await client.get("/guide")).status_code == 307
    assert (await client.get("/guide/en/index.html")).text == FILES["en/index.html"]
