"""/static: the files that the pages are made of, each as what it is, and nothing else."""

from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import orjson
import pytest

from service.routes.assets import PAGES
from service.routes.guide import FOLDER as GUIDE
from service.routes.page_headers import content_security_policy
from tests.server import Server

# The guide, where it is built, has addresses of its own.
FILES = sorted(
    path.relative_to(str(PAGES)).as_posix()
    for path in Path(str(PAGES)).rglob("*")
    if path.is_file() and GUIDE not in path.parents
)
TEMPLATES = [name for name in FILES if name.endswith(".html")]
SERVED = [name for name in FILES if name not in TEMPLATES]

MEDIA_TYPES = {
    "svg": "image/svg+xml",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "txt": "text/plain; charset=utf-8",
    "md": "text/markdown; charset=utf-8",
    "swagger/LICENSE": "text/plain; charset=utf-8",
    "swagger/NOTICE": "text/plain; charset=utf-8",
}

ESCAPES = (
    "/static/../routes/pages.py",
    "/static/../main.py",
    "/static/%2e%2e/main.py",
    "/static/..%2fmain.py",
    "/static/..%5cmain.py",
    "/static/swagger/../../main.py",
    "/static//etc/passwd",
    "/static/%2fetc%2fpasswd",
    "/static/....//main.py",
    "/static/docs.css%00.js",
    "/static/" + "a" * 4000,
)


@pytest.mark.parametrize("name", SERVED)
async def test_a_file_is_served_as_what_it_is(client: httpx.AsyncClient, name: str) -> None:
    received = await client.get(f"/static/{name}")
    assert received.status_code == 200
    assert received.headers["Content-Type"] == MEDIA_TYPES[name.rpartition(".")[2]]
    assert received.headers["Content-Security-Policy"] == content_security_policy()
    assert received.headers["X-Content-Type-Options"] == "nosniff"
    assert received.content == (PAGES / name).read_bytes()
    assert received.text == received.content.decode("utf-8")


async def test_what_a_browser_already_has_is_not_sent_again(client: httpx.AsyncClient) -> None:
    first = await client.get("/static/docs.css")
    again = await client.get("/static/docs.css", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert "Content-Type" not in again.headers


@pytest.mark.parametrize("name", [*TEMPLATES, "nothing.js", "swagger", "swagger/", ""])
async def test_anything_else_is_a_404(client: httpx.AsyncClient, name: str) -> None:
    received = await client.get(f"/static/{name}")
    assert received.status_code == 404
    assert received.headers["Content-Type"] == "application/problem+json"
    assert received.json()["type"] == "/problems/not-found"
    assert f"/static/{name}" in received.json()["detail"]


@pytest.mark.parametrize("path", ESCAPES)
def test_no_path_leads_out(server: Server, path: str) -> None:
    status, content = get_as_written(server, path)
    assert status == 404
    assert orjson.loads(content)["type"] == "/problems/not-found"


def test_a_path_is_sent_as_written(server: Server) -> None:
    """The check of the check above: dots that stay inside are followed, so they do reach the server."""
    assert get_as_written(server, "/static/swagger/../docs.css") == (200, (PAGES / "docs.css").read_bytes())


async def test_files_are_only_read(client: httpx.AsyncClient) -> None:
    received = await client.put("/static/docs.css", content=b"")
    assert received.status_code == 405
    assert received.headers["Allow"] == "GET, HEAD"
    assert received.json()["type"] == "/problems/method-not-allowed"


def test_the_vendored_version_is_the_one_that_is_named() -> None:
    bundle = (PAGES / "swagger" / "swagger-ui-bundle.js").read_text(encoding="utf-8")
    version = bundle.partition('PACKAGE_VERSION:"')[2].partition('"')[0]
    assert f"swagger-ui) {version}," in (PAGES / "swagger" / "README.md").read_text(encoding="utf-8")


def get_as_written(server: Server, path: str) -> tuple[int, bytes]:
    """GET a path without the tidying that clients do."""
    with closing(HTTPConnection(urlsplit(server.url).netloc, timeout=10)) as connection:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()
