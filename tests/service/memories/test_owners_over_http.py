"""Whose memories a key reaches: those of its owner and of everyone, and no sign of any other."""

import httpx
import pytest

from tests.server import running_server
from tests.service.memories.wire import HEROES, MEMORIES, MORE, checked, described, put
from tests.service.problem_documents import check

KEYS = {"a": "key-of-a-4711", "a, exchanged": "new-key-of-a-42", "b": "key-of-b-0815", "without a name": "lone-key"}

ENTRIES = (
    f"team-a=plain:{KEYS['a']},team-a=plain:{KEYS['a, exchanged']},team-b=plain:{KEYS['b']},{KEYS['without a name']}"
)

ROUTES = [
    ("GET", ""), ("HEAD", ""), ("DELETE", ""), ("GET", "/tensors"), ("HEAD", "/tensors"), ("POST", "/append"),
]  # fmt: skip


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    """A directory in which a server without keys has kept one memory."""
    directory = tmp_path_factory.mktemp("owned")
    with running_server(directory, MEMORIES_DIRECTORY=str(directory / "memories")) as server:
        assert httpx.put(f"{server.url}{MEMORIES}/of-everyone", json=HEROES).status_code == 201
    return directory


@pytest.fixture(scope="module")
def closed(directory):
    """A server that asks for keys."""
    with running_server(directory, MEMORIES_DIRECTORY=str(directory / "memories"), API_KEYS=ENTRIES) as server:
        yield server


@pytest.fixture
async def clients(closed):
    opened = {
        name: httpx.AsyncClient(base_url=closed.url, headers={"X-API-Key": key}, timeout=30)
        for name, key in KEYS.items()
    }
    yield opened
    for client in opened.values():
        await client.aclose()


def without_instance(answer):
    document = answer.json()
    document.pop("instance")
    return document


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_a_memory_of_another_owner_looks_like_none(clients, method, path):
    """The same status, header fields and body as for a name that never was, with preconditions as without."""
    made = await put(clients["a"], "secret")
    assert made.status_code in (200, 201)
    tag = made.headers["etag"]
    for stranger in ("b", "without a name"):
        for fields in ({}, {"If-Match": tag}, {"If-None-Match": tag}, {"If-Match": '"x"'}, {"If-None-Match": "*"}):
            here, nowhere = [
                await clients[stranger].request(method, f"{MEMORIES}/{name}{path}", json=MORE, headers=fields)
                for name in ("secret", "nosuch")
            ]
            assert (here.status_code, nowhere.status_code) == (404, 404)
            own = ("x-request-id", "date")
            assert [one for one in here.headers.items() if one[0] not in own] == [
                one for one in nowhere.headers.items() if one[0] not in own
            ]
            if method != "HEAD":
                assert without_instance(here) == {
                    member: text.replace("nosuch", "secret") if isinstance(text, str) else text
                    for member, text in without_instance(nowhere).items()
                }
    assert (await described(clients["a"], "secret"))["keys"] == 3


async def test_names_are_per_owner_and_keys_of_one_name_are_one_owner(clients):
    for client, number in (("a", 1), ("b", 2), ("without a name", 3)):
        assert (await put(clients[client], "table", {"key": [[number]]}, If_None_Match="*")).status_code == 201
    assert (await put(clients["a, exchanged"], "table", {"key": [[1], [1]]})).status_code == 200
    counts = {name: (await described(client, "table"))["keys"] for name, client in clients.items()}
    assert counts == {"a": 2, "a, exchanged": 2, "b": 1, "without a name": 1}
    listed = (await clients["b"].get(MEMORIES)).json()["memories"]
    assert [one["name"] for one in listed] == ["of-everyone", "table"]
    assert (await clients["b"].delete(f"{MEMORIES}/table")).status_code == 204
    check(await clients["b"].get(f"{MEMORIES}/table"), 404, "not-found")
    assert (await described(clients["a"], "table"))["keys"] == 2


async def test_memories_that_were_made_without_keys_belong_to_everyone(clients):
    for client in clients.values():
        assert (await described(client, "of-everyone"))["shape"] == {"key": [3, 2], "value": [3, 1]}
    before = await described(clients["a"], "of-everyone")
    wrong = await clients["b"].delete(f"{MEMORIES}/of-everyone", headers={"If-Match": '"other"'})
    check(wrong, 412, "precondition-failed")
    refused = await put(clients["b"], "of-everyone", If_None_Match="*")
    assert refused.headers["etag"] == f'"{before["version"]}"'
    appended = await clients["b"].post(f"{MEMORIES}/of-everyone/append", json=MORE)
    assert checked(appended)["keys"] == before["keys"] + 2
    assert checked(await put(clients["a"], "of-everyone"))["keys"] == 3
    assert (await described(clients["b"], "of-everyone"))["keys"] == 3


async def test_without_a_key_there_is_no_answer(closed):
    async with httpx.AsyncClient(base_url=closed.url) as client:
        for method, path in (*ROUTES, ("PUT", "")):
            answer = await client.request(method, f"{MEMORIES}/of-everyone{path}", json=HEROES)
            assert answer.status_code == 401
        check(await client.get(MEMORIES), 401, "unauthorized")
