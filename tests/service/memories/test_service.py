"""Memories as a service keeps them: limits, full disks, damage, several workers, deadlines, metrics, and logs."""

import asyncio
import resource
import threading

import httpx
import numpy as np
import pytest

from service.main import create_app
from service.memories import EmbeddedStore, Memories, StoreLimits
from service.settings import Settings
from tests.server import running_server
from tests.service.memories.wire import (
    HEROES,
    MEMORIES,
    MORE,
    checked,
    described,
    download,
    put,
    put_file,
    read_file,
    tag_of,
)
from tests.service.problem_documents import check
from tests.service.safetensors.stored import SEND, saved
from tests.service.telemetry.scraping import scrape, until_seen

ROUTES = [("PUT", ""), ("GET", ""), ("DELETE", ""), ("GET", "/tensors"), ("POST", "/append")]

SECRET = "geheim-4711"


def connected(server):
    return httpx.AsyncClient(base_url=server.url, timeout=60)


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "memories"


@pytest.fixture
def own(tmp_path, directory):
    """A server with one worker and a directory of its own."""
    with running_server(tmp_path, MEMORIES_DIRECTORY=str(directory)) as server:
        yield server


def segment_of(directory):
    """Return the only file with tensors."""
    [segment] = [path for path in directory.rglob("*.safetensors") if path.is_file()]
    return segment


async def test_a_service_without_memories_says_why(tmp_path):
    with running_server(tmp_path, MEMORIES_DIRECTORY="") as server:
        async with connected(server) as client:
            for method, path in (*((method, f"/x{path}") for method, path in ROUTES), ("GET", "")):
                problem = check(await client.request(method, f"{MEMORIES}{path}", json=HEROES), 404, "not-found")
                assert "ATTENTION_MEMORIES_DIRECTORY is empty" in problem["detail"]
        assert not scrape(server.url).samples("attention_memories")


async def test_limits_name_their_numbers(tmp_path, directory):
    limits = {"MEMORIES_BYTES": "60000", "MEMORY_BYTES": "20000", "MAX_BODY_BYTES": "100000", "MAX_JSON_BYTES": "5000"}
    with running_server(tmp_path, MEMORIES_DIRECTORY=str(directory), **limits) as server:
        async with connected(server) as client:
            problem = check(await put_file(client, "one", {"key": np.ones((313, 8))}), 413, "too-large")
            assert "at most 20000 bytes for one memory; received 20032" in problem["detail"]
            check(await client.get(f"{MEMORIES}/one"), 404, "not-found")
            before = checked(await put_file(client, "one", {"key": np.ones((312, 8))}))
            more = await client.post(
                f"{MEMORIES}/one/append", content=saved({"key": np.ones((1, 8))}, {}), headers=SEND
            )
            assert "received 20032" in check(more, 413, "too-large")["detail"]
            assert await described(client, "one") == before
            assert (await put_file(client, "two", {"key": np.ones((300, 8))})).status_code == 201
            third = check(await put_file(client, "three", {"key": np.ones((300, 8))}), 413, "too-large")
            assert "at most 60000 bytes for all memories together" in third["detail"]
            assert (await client.delete(f"{MEMORIES}/two")).status_code == 204
            assert (await put_file(client, "three", {"key": np.ones((300, 8))})).status_code == 201
            problem = check(await put(client, "four", {"key": [[0.125] * 1000]}), 413, "too-large")
            assert "at most 5000 bytes" in problem["detail"]
            problem = check(await put_file(client, "four", {"key": np.ones((20000, 8))}), 413, "too-large")
            assert "at most 100000 bytes" in problem["detail"]


async def test_a_full_disk_is_a_507_and_leaves_the_old_version(own):
    async with connected(own) as client:
        before = checked(await put(client, "kept"))
        limit = resource.prlimit(own.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(own.process.pid, resource.RLIMIT_FSIZE, (2**20, limit[1]))
        large = saved({"key": np.ones((2**18, 2)), "value": np.ones((2**18, 1))}, {"labels": None})
        await put(client, "plain", {"key": [[1, 2]], "value": [[3]]})
        for method, path in (("PUT", "/kept"), ("PUT", "/new"), ("POST", "/plain/append")):
            check(
                await client.request(method, f"{MEMORIES}{path}", content=large, headers=SEND),
                507,
                "insufficient-storage",
            )
        assert await described(client, "kept") == before
        assert (await download(client, "kept"))[1]["key"].tolist() == HEROES["key"]
        assert (await described(client, "plain"))["keys"] == 1
        check(await client.get(f"{MEMORIES}/new"), 404, "not-found")
        resource.prlimit(own.process.pid, resource.RLIMIT_FSIZE, limit)
        assert (await client.put(f"{MEMORIES}/new", content=large, headers=SEND)).status_code == 201


async def test_a_damaged_memory_says_so_and_can_be_replaced_or_deleted(own, directory):
    async with connected(own) as client:
        for write in ("replaced", "deleted"):
            await put(client, write, {"key": [[0.5, 0.25]]})
            segment = segment_of(directory)
            await put(client, "whole")
            content = bytearray(segment.read_bytes())
            content[-1] ^= 1
            segment.chmod(0o600)
            segment.write_bytes(content)
            problem = check(await client.get(f"{MEMORIES}/{write}/tensors"), 500, "memory-damaged")
            assert repr(write) in problem["detail"]
            assert (await described(client, write))["keys"] == 1
            assert (await download(client, "whole"))[1]["key"].shape == (3, 2)
            assert [one["name"] for one in (await client.get(MEMORIES)).json()["memories"]] == sorted((write, "whole"))
            if write == "replaced":
                assert (await put(client, write)).status_code == 200
                assert (await download(client, write))[1]["key"].shape == (3, 2)
            assert (await client.delete(f"{MEMORIES}/{write}")).status_code == 204
            assert (await client.delete(f"{MEMORIES}/whole")).status_code == 204


async def test_two_workers_keep_the_same_memories_and_count_them_once(tmp_path, directory):
    appends = 12
    with running_server(tmp_path, WORKERS="2", MEMORIES_DIRECTORY=str(directory)) as server:

        async def append_until_it_fits(client):
            """Read the version and append to it, as often as another writer was first."""
            while True:
                now = await described(client, "shared")
                answer = await client.post(f"{MEMORIES}/shared/append", json=MORE, headers={"If-Match": tag_of(now)})
                if answer.status_code == 200:
                    return
                check(answer, 412, "precondition-failed")

        clients = [connected(server) for _ in range(6)]
        await put(clients[0], "shared")
        await put(clients[0], "other", {"key": [[1]]})
        await asyncio.gather(*(append_until_it_fits(client) for client in clients for _ in range(appends // 6)))
        found = [await described(client, "shared") for client in clients]
        assert found == [found[0]] * len(clients)
        assert found[0]["keys"] == 3 + 2 * appends
        for client in clients:
            assert (await download(client, "shared"))[1]["key"].shape == (3 + 2 * appends, 2)
        for _ in range(4):
            seen = scrape(server.url)
            assert seen.value("attention_memories") == 2
            assert seen.value("attention_memories_bytes") >= found[0]["bytes"]
        assert seen.value("attention_memory_appends_total") == appends
        assert seen.value("attention_memory_reads_total") == len(clients)
        for client in clients:
            await client.delete(f"{MEMORIES}/shared")
        assert scrape(server.url).value("attention_memories") == 1
        for client in clients:
            await client.aclose()


async def test_logs_hold_neither_names_nor_contents(own, directory):
    async with connected(own) as client:
        document = {**HEROES, "labels": {"key": [SECRET] * 3}, "note": SECRET}
        await put(client, SECRET, document)
        for method, path in (
            ("GET", ""),
            ("POST", "/append"),
            ("GET", "/tensors"),
            ("PUT", ""),
            ("PATCH", ""),
            ("GET", "/x"),
        ):
            for fields in ({}, {"If-Match": '"x"'}, {"If-Match": SECRET}):
                await client.request(method, f"{MEMORIES}/{SECRET}{path}", json=document, headers=fields)
        segment = segment_of(directory)
        segment.unlink()
        assert (await client.get(f"{MEMORIES}/{SECRET}/tensors")).status_code in (200, 500)
        await client.get(MEMORIES, params={"after": SECRET})
        await client.get(MEMORIES, params={SECRET: "1"})
        await client.delete(f"{MEMORIES}/{SECRET}")
        await client.put(f"{MEMORIES}/{SECRET}%20", json=document)
    own.stop()
    text = own.log.read_text()
    assert '"/v1/memories/{name}"' in text
    assert '"/v1/memories/{name}/append"' in text
    assert SECRET not in text


class SlowStore(EmbeddedStore):
    """A store whose writes wait until a test lets them go on."""

    def __init__(self, directory):
        super().__init__(directory, StoreLimits(), has_upkeep=False)
        self.has_begun, self.may_go_on, self.has_ended = (threading.Event() for _ in range(3))

    def put(self, *arguments):
        self.has_begun.set()
        self.may_go_on.wait(60)
        try:
            return super().put(*arguments)
        finally:
            self.has_ended.set()


@pytest.fixture
async def in_process(directory):
    """An application in this process, and a client of it."""
    app = create_app(Settings(log_level="warning", memories_directory=str(directory), compute_threads=1))
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
            yield app.state.service, client


async def test_a_new_memory_has_a_path_below_the_public_prefix(directory):
    app = create_app(Settings(log_level="warning", memories_directory=str(directory)))
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app=app, root_path="/attention")
        async with httpx.AsyncClient(transport=transport, base_url="http://app/attention/") as client:
            made = await client.put("v1/memories/a", json=HEROES)
            assert (made.status_code, made.headers["location"]) == (201, f"/attention{MEMORIES}/a")
            assert (await client.get(made.headers["location"].removeprefix("/attention/"))).json() == made.json()


async def test_a_write_that_is_late_says_whether_it_has_begun(in_process, tmp_path):
    service, client = in_process
    fields = {"Request-Timeout": "0.000001"}
    for method, path in (("PUT", ""), ("POST", "/append"), ("DELETE", "")):
        await put(client, "kept")
        problem = check(
            await client.request(method, f"{MEMORIES}/kept{path}", json=MORE, headers=fields), 504, "deadline-exceeded"
        )
        assert "memory was changed" not in problem["detail"]
        assert (await described(client, "kept"))["keys"] == 3
    slow = SlowStore(tmp_path / "slow")
    service.memories, kept = Memories(slow), service.memories
    late = asyncio.ensure_future(put(client, "slow", Request_Timeout="0.3"))
    await asyncio.to_thread(slow.has_begun.wait, 60)
    problem = check(await late, 504, "deadline-exceeded")
    assert "Whether the memory was changed is not known yet" in problem["detail"]
    slow.may_go_on.set()
    assert await asyncio.to_thread(slow.has_ended.wait, 60)
    assert (await described(client, "slow"))["keys"] == 3
    slow.close()
    service.memories = kept


async def test_memories_that_have_expired_are_counted(in_process):
    service, client = in_process
    await put(client, "kept")
    for number in range(3):
        await put(client, f"short-{number}", {**HEROES, "ttl_seconds": 1e-6})
    assert await asyncio.to_thread(service.memories.store.sweep) == 3
    text = (await client.get("/metrics")).text
    assert "attention_memories_expired_total 3.0" in text
    assert "attention_memories 1.0" in text


async def test_a_scrape_does_not_wait_for_a_store_that_does_not_answer(in_process):
    service, client = in_process
    await put(client, "kept")
    assert "attention_memories 1.0" in (await client.get("/metrics")).text
    blocked = threading.Event()
    usage = service.memories.store.usage

    def wait_and_measure():
        blocked.wait(60)
        return usage()

    service.memories.store.usage = wait_and_measure
    await put(client, "other")
    for _ in range(2):
        assert "attention_memories 1.0" in (await client.get("/metrics")).text
    blocked.set()
    for _ in range(2):
        # The first may still be the end of the measurement that was held up.
        text = (await client.get("/metrics")).text
    assert "attention_memories 2.0" in text


async def test_a_download_under_way_is_of_one_version(own):
    """Whatever is appended, put and deleted before the client has read it."""
    key = np.random.default_rng(9).normal(size=(2, 2**18, 8))
    async with connected(own) as client:
        made = checked(await put_file(client, "large", {"key": key}))
        async with client.stream("GET", f"{MEMORIES}/large/tensors") as answer:
            pieces = answer.aiter_raw(2**16)
            content = [await anext(pieces)]
            more = saved({"key": key[:, :3]}, {})
            assert checked(await client.post(f"{MEMORIES}/large/append", content=more, headers=SEND))["keys"] > 2**18
            assert (await put(client, "large")).status_code == 200
            assert (await client.delete(f"{MEMORIES}/large")).status_code == 204
            content += [piece async for piece in pieces]
        assert answer.headers["etag"] == tag_of(made)
        _, tensors = read_file(b"".join(content))
        np.testing.assert_array_equal(tensors["key"], key)


async def test_a_reader_that_goes_away_frees_its_place(own):
    """The download of a client that does not read, and then closes, holds memory of the budget until then."""
    async with connected(own) as client:
        await put_file(client, "large", {"key": np.ones((2**19, 8))})
        for _ in range(8):
            async with client.stream("GET", f"{MEMORIES}/large/tensors") as answer:
                assert answer.status_code == 200
        whole = await client.get(f"{MEMORIES}/large/tensors")
        assert len(whole.content) == int(whole.headers["content-length"]) > 2**25
    await until_seen(own.url, lambda seen: seen.value("attention_in_flight") == 0)


@pytest.mark.soak
async def test_a_memory_larger_than_all_requests_may_hold_can_still_be_read(tmp_path, directory):
    """Appended to in steps; its download, alone, takes all of the budget."""
    with running_server(tmp_path, MEMORIES_DIRECTORY=str(directory), BYTES_IN_FLIGHT=str(2**20)) as server:
        async with connected(server) as client:
            step = np.arange(2**14, dtype=np.float64).reshape(-1, 8)
            await put_file(client, "grown", {"key": step})
            for _ in range(11):
                answer = await client.post(f"{MEMORIES}/grown/append", content=saved({"key": step}, {}), headers=SEND)
                assert answer.status_code == 200
            assert checked(answer)["bytes"] > 2**20
            for _ in range(2):
                _, tensors = await download(client, "grown")
                np.testing.assert_array_equal(tensors["key"], np.concatenate([step] * 12))
