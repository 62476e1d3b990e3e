"""Parts of files: ranges of bytes are served, and every refusal has the error format."""

import httpx
import pytest

from tests.service.problem_documents import check

FILE = "/static/docs.css"


@pytest.fixture
async def whole(client: httpx.AsyncClient) -> bytes:
    content = (await client.get(FILE)).content
    assert len(content) > 1000
    return content


@pytest.mark.parametrize(
    ("value", "first", "end"),
    [("bytes=0-0", 0, 1), ("bytes=5-9", 5, 10), ("bytes=10-", 10, None), ("bytes=-5", -5, None), ("BYTES=0-3", 0, 4),
     ("bytes=0-99999999999999999999", 0, None), ("bytes=-99999999999999999999", 0, None), ("bytes= 1-2 ,", 1, 3)],
)  # fmt: skip
async def test_a_range_of_bytes_is_served(
    client: httpx.AsyncClient, whole: bytes, value: str, first: int, end: int | None
) -> None:
    answer = await client.get(FILE, headers={"Range": value})
    assert (answer.status_code, answer.content) == (206, whole[first:end])
    start = whole.index(answer.content, first % len(whole))
    assert answer.headers["content-range"] == f"bytes {start}-{start + len(answer.content) - 1}/{len(whole)}"


@pytest.mark.parametrize("value", ["items=0-1", "lines=abc", "seconds=1-2", "x", ""])
async def test_a_unit_that_is_not_known_is_ignored(client: httpx.AsyncClient, whole: bytes, value: str) -> None:
    answer = await client.get(FILE, headers={"Range": value})
    assert (answer.status_code, answer.content) == (200, whole)


@pytest.mark.parametrize(
    "value",
    ["bytes", "bytes=", "bytes=,", "bytes=abc", "bytes=5-1", "bytes=1_0-20", "bytes=+1-2", "bytes=--5", "bytes=1-2-3",
     "bytes=0-1,abc", "bytes=-", "bytes=1e1-", "bytes=0x1-", "bytes=\u0661-", "bytes=" + "9" * 5000 + "-"],
)  # fmt: skip
async def test_a_range_of_bytes_that_cannot_be_read_is_a_400(client: httpx.AsyncClient, value: str) -> None:
    answer = await client.get(FILE, headers={"Range": value.encode()})
    assert check(answer, 400, "malformed-body")["detail"].startswith("expected Range: bytes=FIRST-LAST")


@pytest.mark.parametrize("value", ["bytes=999999-", "bytes=999999-1000000", "bytes=-0", "bytes=0-1,999999-"])
async def test_a_range_behind_the_end_is_a_416_with_the_size(
    client: httpx.AsyncClient, whole: bytes, value: str
) -> None:
    answer = await client.get(FILE, headers={"Range": value})
    assert f"before byte {len(whole)}" in check(answer, 416, "range-not-satisfiable")["detail"]
    assert answer.headers["content-range"] == f"bytes */{len(whole)}"


@pytest.mark.parametrize("value", ["bytes=0-1", "bytes=abc", "bytes=999999-"])
async def test_a_file_that_has_changed_is_served_whole(client: httpx.AsyncClient, whole: bytes, value: str) -> None:
    answer = await client.get(FILE, headers={"Range": value, "If-Range": '"another"'})
    assert (answer.status_code, answer.content) == (200, whole)
    etag = (await client.get(FILE)).headers["etag"]
    same = await client.get(FILE, headers={"Range": "bytes=0-1", "If-Range": etag})
    assert (same.status_code, same.content) == (206, whole[:2])


@pytest.mark.parametrize("value", ["bytes=0-1", "bytes=abc", "bytes=999999-"])
async def test_head_and_what_a_browser_already_has_know_no_ranges(
    client: httpx.AsyncClient, whole: bytes, value: str
) -> None:
    head = await client.head(FILE, headers={"Range": value})
    assert (head.status_code, head.headers["content-length"]) == (200, str(len(whole)))
    again = await client.get(FILE, headers={"Range": value, "If-None-Match": head.headers["etag"]})
    assert again.status_code == 304


@pytest.mark.parametrize(
    "path",
    ["/static/%00", "/static/" + "a" * 300, "/static/" + "a/" * 3000, "/static/nothing", "/static/playground",
     "/static/", "/static", "/static/%2e%2e/settings.py", "/static/%ff", "/static/docs.html", "/static//etc/passwd"],
)  # fmt: skip
async def test_what_is_no_file_is_a_404(client: httpx.AsyncClient, path: str) -> None:
    check(await client.get(path), 404, "not-found")
