"""Lists of memories, and the paths below /v1/memories: their queries, methods and names, against a real server."""

import json
from contextlib import closing
from http.client import HTTPConnection
from urllib.parse import quote

import httpx
import pytest

from tests.service.memories.wire import (
    HEROES,
    MEMBERS,
    MEMORIES,
    MORE,
    checked,
    described,
    download,
    put,
)
from tests.service.problem_documents import check


@pytest.fixture
def name(request):
    """Names of their own keep tests apart that share a server."""
    return "paths." + "".join(one if one.isalnum() else "-" for one in request.node.name)[:110]


async def test_the_list_is_sorted_and_comes_in_pages(client, name):
    names = sorted(f"{name}-{letter}" for letter in "Az0._-Zb")
    for one in reversed(names):
        await put(client, one, {"key": [[1]]})
    listed, after = [], name
    while after is not None and after.startswith(name):
        page = await client.get(MEMORIES, params={"limit": 3, "after": after})
        assert page.status_code == 200
        document = page.json()
        assert list(document) == ["memories", "next"]
        assert all(tuple(one) == MEMBERS for one in document["memories"])
        listed += [one["name"] for one in document["memories"] if one["name"].startswith(name)]
        assert document["next"] in (None, document["memories"][-1]["name"])
        after = document["next"]
    assert listed == names
    everything = (await client.get(MEMORIES, params={"limit": 1000})).json()
    assert [one for one in everything["memories"] if one["name"] == names[0]] == [await described(client, names[0])]


async def test_the_list_may_be_compressed(client, name):
    for number in range(4):
        await put(client, f"{name}-{number}", {"key": [[1]]})
    answer = await client.get(MEMORIES, headers={"Accept-Encoding": "gzip"})
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["vary"] == "Accept-Encoding"
    assert "etag" not in answer.headers
    assert len(answer.json()["memories"]) >= 4


@pytest.mark.parametrize(
    ("query", "slug", "pointer"),
    [
        ("limit=0", "invalid-request", "/limit"),
        ("limit=1001", "invalid-request", "/limit"),
        ("limit=-1", "invalid-request", "/limit"),
        ("limit=1.0", "invalid-request", "/limit"),
        ("limit=", "invalid-request", "/limit"),
        ("limit=%EF%BC%91", "invalid-request", "/limit"),
        (f"limit={'9' * 5000}", "invalid-request", "/limit"),
        ("limit=1&limit=1", "invalid-request", "/limit"),
        ("after=a&after=b", "invalid-request", "/after"),
        ("offset=1", "unknown-name", "/offset"),
        ("Limit=1", "unknown-name", "/Limit"),
    ],
)
async def test_a_query_that_is_wrong_says_where(client, query, slug, pointer):
    problem = check(await client.get(f"{MEMORIES}?{query}"), 422, slug)
    assert problem["errors"][0]["pointer"] == pointer


async def test_a_list_behind_the_last_name_is_empty(client):
    for after in ("~", "\x00", "键"):
        answer = await client.get(MEMORIES, params={"after": after, "limit": 1})
        assert answer.status_code == 200
    assert (await client.get(MEMORIES, params={"after": "~"})).json() == {"memories": [], "next": None}


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("", "GET, HEAD"),
        ("/some", "DELETE, GET, HEAD, PUT"),
        ("/some/append", "POST"),
        ("/some/tensors", "GET, HEAD"),
        ("/append", "DELETE, GET, HEAD, PUT"),
        ("/append/append", "POST"),
    ],
)
async def test_other_methods_are_refused_with_those_that_there_are(client, path, allowed):
    for method in {"GET", "PUT", "POST", "DELETE", "PATCH"} - set(allowed.split(", ")):
        answer = await client.request(method, f"{MEMORIES}{path}", json=HEROES)
        check(answer, 405, "method-not-allowed")
        assert answer.headers["allow"] == allowed


@pytest.mark.parametrize("name", ["append", "tensors", "0", "A", "a..b", "a-_.", "x" * 128])
async def test_names_may_be_those_of_routes(client, name):
    assert (await put(client, name)).status_code in (200, 201)
    assert (await described(client, name))["name"] == name
    appended = await client.post(f"{MEMORIES}/{name}/append", json=MORE)
    assert checked(appended)["keys"] == 5
    assert (await download(client, name))[1]["key"].shape == (5, 2)
    assert (await client.delete(f"{MEMORIES}/{name}")).status_code == 204


WRONG_NAMES = (
    *(".", "..", "...", "-a", "_a", ".a", "a b", "a%20b", "x" * 129, "a\tb", "é", "键", "a%00", "%00", "%2e%2e"),
    *("a%5cb", "a%0d%0aX: y", "a;b", "a+b", "~", "%", "a%", "*", "a'b", "%F0%9F%98%80", "%ff"),
)


@pytest.mark.parametrize("wrong", WRONG_NAMES)
def test_what_cannot_be_a_name_is_no_memory_and_cannot_be_put(server, wrong):
    """Paths are sent as they are: a client such as httpx would remove dots."""

    def ask(method, path=""):
        raw = f"{MEMORIES}/{quote(wrong, safe='%.;+~*')}{path}"
        with closing(HTTPConnection("127.0.0.1", server.port, timeout=30)) as connection:
            connection.request(method, raw, json.dumps(HEROES), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, answer.read()

    status, body = ask("PUT")
    assert (status, json.loads(body)["errors"][0]["pointer"]) == (422, "/name")
    for method, path in (("GET", ""), ("HEAD", ""), ("DELETE", ""), ("GET", "/tensors"), ("POST", "/append")):
        status, body = ask(method, path)
        assert status == 404
        assert method == "HEAD" or json.loads(body)["type"] == "/problems/not-found"


@pytest.mark.parametrize("path", ["a/b", "a%2Fb", "a%2F..%2Fb", "", "%2F", "a/append/x", "a/tensors/x", "a/other"])
async def test_slashes_lead_to_no_memory(server, path):
    async with httpx.AsyncClient() as client:
        url = httpx.URL(server.url, raw_path=f"{MEMORIES}/{path}".encode())
        for method in ("GET", "PUT", "POST", "DELETE"):
            check(await client.request(method, url, json=HEROES), 404, "not-found")
