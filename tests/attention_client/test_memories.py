"""Memories through the client: queries have the bits of sent tensors, and a lost answer never writes twice unseen."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attention_client import (
    AsyncAttentionClient,
    Conflict,
    ConnectionFailed,
    DeadlineExceeded,
    InvalidArgument,
    MemoryDamaged,
    MemoryDescription,
    NotFound,
    PreconditionFailed,
    RequestRefused,
    Retry,
    ServiceBusy,
    ServiceFailed,
    ShapeMismatch,
    TooLarge,
    UnknownName,
    UnreadableAnswer,
)
from tests.attention_client.conftest import CallMethod
from tests.attention_client.equality import ML_DTYPES, assert_same_bits
from tests.attention_client.scripted import answer, problem, scripted
from tests.server import Server, free_port, running_server

QUICK = {"retry": Retry(first_seconds=0.01)}

RANDOM = np.random.default_rng(19)
QUERY, KEY, VALUE = (RANDOM.normal(size=shape) for shape in ((2, 3, 4), (2, 5, 4), (2, 5, 3)))
LABELS = ["射手", "jungler", "mid", "top", "a\tb"]

DESCRIPTION = {
    "name": "a", "version": "v2", "shape": {"key": [5, 4], "value": None}, "keys": 5, "dtype": "float64",
    "layout": "bhsd", "bytes": 160, "labels": False, "created": "2026-11-30T08:00:00.000Z",
    "modified": "2026-11-30T08:00:01.500Z", "expires": None, "ttl_seconds": None, "durability": "strict", "note": None,
    "shards": None,
}  # fmt: skip

DESCRIBED = answer(200, json.dumps(DESCRIPTION).encode())
CHANGED = problem(412, "precondition-failed", ETag='"v2"')


@pytest.mark.parametrize("dtype", ML_DTYPES)
async def test_what_is_put_is_described_listed_and_downloaded(
    server: Server, call: CallMethod, name: str, dtype: str
) -> None:
    key, value = KEY.astype(ML_DTYPES[dtype]), VALUE.astype(ML_DTYPES[dtype])
    options: dict[str, Any] = {
        "labels": LABELS,
        "ttl_seconds": 3600,
        "durability": "relaxed",
        "note": "备注",
        "shards": 2,
    }
    described = await call(server.url, "memories.put", name, key, value, **options)
    assert isinstance(described, MemoryDescription)
    assert (described.name, described.keys, described.dtype, described.layout) == (name, 5, dtype, "bhsd")
    assert (described.key_shape, described.value_shape, described.labels) == ((2, 5, 4), (2, 5, 3), True)
    assert (described.ttl_seconds, described.durability, described.note) == (3600, "relaxed", "备注")
    assert described.shards == 2
    assert described.expires - described.modified >= timedelta(hours=1)
    found = await call(server.url, "memories.get", name)
    assert (found.version, found.created) == (described.version, described.created)
    assert name in [one.name for one in await call(server.url, "memories.list")]
    tensors = await call(server.url, "memories.tensors", name)
    held = np.float32 if dtype == "bfloat16" else key.dtype
    assert_same_bits(tensors.key, key.astype(held))
    assert_same_bits(tensors.value, value.astype(held))
    assert (tensors.labels, tensors.version) == (tuple(LABELS), described.version)


CALLS: dict[str, tuple[tuple[tuple[int, ...], ...], dict[str, Any]]] = {
    "plain": (((3, 4), (5, 4), (5, 3)), {}),
    "float16": (((3, 4), (5, 4), (5, 3)), {"dtype": "float16"}),
    "bfloat16": (((1, 2, 3, 4), (1, 2, 5, 4), (1, 2, 5, 3)), {"dtype": "bfloat16", "mask": {"causal": True}}),
    "grouped heads": (((2, 4, 3, 8), (2, 2, 5, 8), (2, 2, 5, 3)), {"dtype": "float32", "include": ["output"]}),
    "packed heads": (((1, 3, 16), (1, 5, 8), (1, 5, 8)), {"heads": {"query": 4, "key_value": 2}}),
    "bshd": (((2, 3, 4, 8), (2, 5, 2, 8), (2, 5, 2, 8)), {"layout": "bshd", "dtype": "float32"}),
    "no values": (((3, 4), (5, 4)), {"score_model": {"name": "gaussian", "bandwidth": 2.0}}),
    "rotary": (((3, 4), (5, 4), (5, 3)), {"position": "rotary", "mask": {"causal": True, "offset": 2}}),
    "sparsemax": (((3, 4), (5, 4), (5, 3)), {"normalizer": "sparsemax", "score_model": "laplacian"}),
}


@pytest.mark.parametrize("case", CALLS)
async def test_a_query_has_the_bits_of_a_call_with_the_same_tensors(
    server: Server, call: CallMethod, name: str, case: str
) -> None:
    shapes, options = CALLS[case]
    query, *sent = (np.random.default_rng(5).normal(size=shape) for shape in shapes)
    kept = {option: options[option] for option in ("dtype", "layout") if option in options}
    described = await call(server.url, "memories.put", name, *sent, **kept)
    expected = await call(server.url, "attend", query, *sent, **options)
    queried = [
        await call(server.url, "memories.query", name, query, **options),
        await call(server.url, "attend", query, memory=(name, described.version), **options),
        await call(server.url, "attend", query, memory={"name": name}, **options),
    ]
    for result in queried:
        assert result.arrays.keys() == expected.arrays.keys()
        assert (result.dtype, result.memory_version) == (expected.dtype, described.version)
        for field, array in expected.arrays.items():
            assert_same_bits(result.arrays[field], array, field)
    assert expected.memory_version is None


async def test_progress_is_told_of_a_query(server: Server, call: CallMethod, name: str) -> None:
    described = await call(server.url, "memories.put", name, KEY, VALUE)
    result = await call(server.url, "memories.query", name, QUERY, progress=lambda _: None)
    expected = await call(server.url, "attend", QUERY, KEY, VALUE)
    assert_same_bits(result.output, expected.output)
    assert result.memory_version == described.version


async def test_questions_about_a_call_accept_a_memory(server: Server, call: CallMethod, name: str) -> None:
    await call(server.url, "memories.put", name, KEY, VALUE)
    sent, kept = {"key": KEY, "value": VALUE}, {"memory": name}
    output = (await call(server.url, "attend", QUERY, KEY, VALUE)).output
    pair = {"query_index": 1, "key_index": 2, "index": (0,)}
    for method, options in (("estimate", {}), ("explain", pair), ("check", {"candidate": {"output": output}})):
        answers = [await call(server.url, method, QUERY, **source, **options) for source in (sent, kept)]
        assert answers[0].get("operations") == answers[1].get("operations")
        assert answers[0].get("weight") == answers[1].get("weight")
        assert answers[0].get("passed") == answers[1].get("passed")
    gradients = [
        await call(server.url, "gradients", QUERY, **source, output_gradient=1, include=["output", "query", "key"])
        for source in (sent, kept)
    ]
    for field in ("output", "query", "key"):
        assert_same_bits(getattr(gradients[1], field), getattr(gradients[0], field))
    costs = [
        await call(server.url, "estimate_gradients", QUERY, **source, output_gradient=1, include=["query"])
        for source in (sent, kept)
    ]
    assert costs[0]["operations"] == costs[1]["operations"]


async def test_keys_are_appended_alone_and_with_a_query(server: Server, call: CallMethod, name: str) -> None:
    first = await call(server.url, "memories.put", name, KEY[:, :2], VALUE[:, :2], labels=LABELS[:2])
    second = await call(
        server.url, "memories.append", name, KEY[:, 2:], VALUE[:, 2:], labels=LABELS[2:], if_match=first.version
    )
    assert (second.keys, second.key_shape) == (5, (2, 5, 4))
    assert (await call(server.url, "memories.tensors", name)).labels == tuple(LABELS)
    await call(server.url, "memories.put", name, KEY[:, :2], VALUE[:, :2], if_match=second.version)
    result = await call(server.url, "attend", QUERY, KEY[:, 2:], VALUE[:, 2:], memory=name, append=True)
    expected = await call(server.url, "attend", QUERY, KEY, VALUE)
    assert_same_bits(result.output, expected.output)
    found = await call(server.url, "memories.get", name)
    assert (found.keys, found.version) == (5, result.memory_version)


async def test_preconditions_name_the_version_that_is_there(server: Server, call: CallMethod, name: str) -> None:
    first = await call(server.url, "memories.put", name, KEY, VALUE, if_none_match="*")
    second = await call(server.url, "memories.append", name, KEY, VALUE)
    writes: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
        ("memories.put", (name, KEY), {"if_none_match": "*"}),
        ("memories.put", (name, KEY), {"if_match": first.version}),
        ("memories.append", (name, KEY, VALUE), {"if_match": first.version}),
        ("memories.delete", (name,), {"if_match": first.version}),
        ("attend", (QUERY, KEY, VALUE), {"memory": (name, first.version), "append": True}),
    ]
    for method, arguments, options in writes:
        with pytest.raises(PreconditionFailed) as raised:
            await call(server.url, method, *arguments, **options)
        assert (raised.value.version, raised.value.status) == (second.version, 412)
        assert not raised.value.may_have_changed
    with pytest.raises(Conflict, match=second.version):
        await call(server.url, "memories.query", (name, first.version), QUERY)
    with pytest.raises(PreconditionFailed) as raised:
        await call(server.url, "memories.put", f"{name}-2", KEY, if_match="*")
    assert raised.value.version is None
    await call(server.url, "memories.delete", name, if_match=second.version)
    for method in ("get", "tensors", "delete"):
        with pytest.raises(NotFound):
            await call(server.url, f"memories.{method}", name)


async def test_refusals_have_their_types_and_pointers(server: Server, call: CallMethod, name: str) -> None:
    await call(server.url, "memories.put", name, KEY, VALUE)
    for kind, pointer, method, arguments, options in (
        (UnknownName, "/memory", "attend", (QUERY,), {"memory": f"{name}x"}),
        (UnknownName, "/memory", "estimate", (QUERY,), {"memory": f"{name}x"}),
        (ShapeMismatch, "/memory", "attend", (QUERY[..., :2],), {"memory": name}),
        (ShapeMismatch, "/key", "memories.append", (name, KEY[..., :2], VALUE), {}),
        (ShapeMismatch, "/labels/key", "memories.append", (name, KEY, VALUE), {"labels": LABELS}),
        (ShapeMismatch, "/value", "memories.put", (name, KEY, VALUE[:, :4]), {}),
        (ShapeMismatch, "/key", "attend", (QUERY, KEY[:1], VALUE), {"memory": name, "append": True}),
        (RequestRefused, "/ttl_seconds", "memories.put", (name, KEY), {"ttl_seconds": -1}),
        (RequestRefused, "/durability", "memories.put", (name, KEY), {"durability": "loose"}),
        (RequestRefused, "/dtype", "memories.append", (name, KEY, VALUE), {"dtype": "float32"}),
    ):
        with pytest.raises(kind) as raised:
            await call(server.url, method, *arguments, **options)
        assert [one.pointer for one in raised.value.errors] == [pointer], (method, options, raised.value)
    assert (await call(server.url, "memories.get", name)).keys == 5


@pytest.mark.parametrize(
    ("method", "arguments", "options", "pointer"),
    [
        ("put", ("a/b", KEY), {}, "/name"),
        ("get", ("",), {}, "/name"),
        ("delete", (".",), {}, "/name"),
        ("put", ("a", [[1.0], [2.0, 3.0]]), {}, "/key"),
        ("put", ("a", KEY), {"dtype": "float8"}, "/dtype"),
        ("put", ("a", KEY * 1e6), {"dtype": "float16"}, "/key/0/0/0"),
        ("put", ("a", KEY), {"labels": "abcde"}, "/labels"),
        ("put", ("a", KEY), {"if_match": 'a"'}, "/if_match"),
        ("put", ("a", KEY), {"if_none_match": ""}, "/if_none_match"),
        ("append", ("a", KEY), {"if_match": "a\r\nb"}, "/if_match"),
        ("query", ("a b", QUERY), {}, "/memory"),
    ],
    ids=str,
)
async def test_arguments_that_cannot_be_sent_raise_before_sending(
    call: CallMethod, method: str, arguments: tuple[Any, ...], options: dict[str, Any], pointer: str
) -> None:
    with scripted() as server, pytest.raises(InvalidArgument) as raised:
        await call(server.url, f"memories.{method}", *arguments, **options)
    assert raised.value.pointer == pointer
    assert not server.received


async def test_a_memory_beside_the_name_is_a_type_error(call: CallMethod) -> None:
    with pytest.raises(TypeError, match="memory"):
        await call("http://127.0.0.1:1", "memories.query", "a", QUERY, memory="b")


async def test_a_list_is_read_to_its_end(call: CallMethod) -> None:
    names = [["a", "b"], ["c"], ["d"]]
    pages = [
        answer(200, json.dumps({"memories": [DESCRIPTION | {"name": one} for one in page], "next": after}).encode())
        for page, after in zip(names, ["b", "c", None], strict=True)
    ]
    with scripted(*pages) as server:
        found = await call(server.url, "memories.list")
    assert [one.name for one in found] == ["a", "b", "c", "d"]
    paths = [received.line.split()[1] for received in server.received]
    assert paths == ["/v1/memories", "/v1/memories?after=b", "/v1/memories?after=c"]


@pytest.mark.soak
async def test_quotas_damage_and_a_service_without_memories_have_their_types(tmp_path: Path) -> None:
    settings = {"MEMORIES_DIRECTORY": str(tmp_path / "memories"), "MEMORY_BYTES": "2000"}
    with running_server(tmp_path, **settings) as running:
        async with AsyncAttentionClient(running.url) as client:
            for name in ("damaged", "whole"):
                await client.memories.put(name, KEY, VALUE)
            with pytest.raises(TooLarge, match="2000") as too_large:
                await client.memories.append("whole", np.ones((2, 50, 4)), np.ones((2, 50, 3)))
            assert not too_large.value.may_have_changed
        running.stop()
    files = [path for path in (tmp_path / "memories").rglob("*") if path.is_file() and KEY.tobytes()[:8] in read(path)]
    assert len(files) == 2
    damaged = min(files, key=lambda path: path.stat().st_mtime_ns)
    damaged.chmod(0o600)
    damaged.write_bytes(read(damaged).replace(KEY.tobytes()[:8], bytes(8)))
    with running_server(tmp_path, **settings) as running:
        async with AsyncAttentionClient(running.url) as client:
            with pytest.raises(MemoryDamaged, match="damaged"):
                await client.memories.query("damaged", QUERY)
            await client.memories.delete("damaged")
            expected = await client.attend(QUERY, KEY, VALUE)
            assert_same_bits((await client.memories.query("whole", QUERY)).output, expected.output)
    with running_server(tmp_path, MEMORIES_DIRECTORY="") as running:
        async with AsyncAttentionClient(running.url) as client:
            with pytest.raises(NotFound, match="ATTENTION_MEMORIES_DIRECTORY"):
                await client.memories.put("a", KEY)
            with pytest.raises(UnknownName, match="ATTENTION_MEMORIES_DIRECTORY") as unknown:
                await client.memories.query("a", QUERY)
            assert [one.pointer for one in unknown.value.errors] == ["/memory"]


def read(path: Path) -> bytes:
    return path.read_bytes()


# --- attempts ---------------------------------------------------------------------------------------------------------

UNCONDITIONAL: dict[str, tuple[str, tuple[Any, ...], dict[str, Any]]] = {
    "put": ("memories.put", ("a", KEY), {}),
    "append": ("memories.append", ("a", KEY), {}),
    "delete": ("memories.delete", ("a",), {}),
    "attend": ("attend", (QUERY, KEY), {"memory": "a", "append": True}),
    "put unless a version": ("memories.put", ("a", KEY), {"if_none_match": "v0"}),
}
CONDITIONAL: dict[str, tuple[str, tuple[Any, ...], dict[str, Any]]] = {
    "put": ("memories.put", ("a", KEY), {"if_match": "v1"}),
    "create": ("memories.put", ("a", KEY), {"if_none_match": "*"}),
    "append": ("memories.append", ("a", KEY), {"if_match": "v1"}),
    "delete": ("memories.delete", ("a",), {"if_match": "v1"}),
    "attend": ("attend", (QUERY, KEY), {"memory": ("a", "v1"), "append": True}),
}
LOST: dict[str, tuple[bytes, type[Exception]]] = {
    "closed": (b"", ConnectionFailed),
    "draining": (problem(503, "draining"), ServiceBusy),
    "unavailable": (problem(503, "memories-unavailable", Retry_After="0"), ServiceBusy),
}


@pytest.mark.parametrize("lost", LOST)
@pytest.mark.parametrize("write", UNCONDITIONAL)
async def test_a_write_without_a_precondition_is_not_sent_again(call: CallMethod, write: str, lost: str) -> None:
    method, arguments, options = UNCONDITIONAL[write]
    script, kind = LOST[lost]
    with scripted(*[script] * 2) as server, pytest.raises(kind) as raised:
        await call(server.url, method, *arguments, client_options=QUICK, **options)
    assert len(server.received) == 1
    assert raised.value.may_have_changed


@pytest.mark.parametrize("lost", LOST)
@pytest.mark.parametrize("write", CONDITIONAL)
async def test_a_write_with_a_precondition_is_sent_again_and_tells_what_it_may_have_done(
    call: CallMethod, write: str, lost: str
) -> None:
    method, arguments, options = CONDITIONAL[write]
    with scripted(LOST[lost][0], CHANGED) as server, pytest.raises(PreconditionFailed) as raised:
        await call(server.url, method, *arguments, client_options=QUICK, **options)
    assert (raised.value.may_have_changed, raised.value.version) == (True, "v2")
    first, second = server.received
    assert first.body == second.body
    for field in ("if-match", "if-none-match"):
        assert first.headers.get(field) == second.headers.get(field)
    expected = {"if-match": '"v1"'} if write != "create" else {"if-none-match": "*"}
    assert {field: first.headers.get(field) for field in expected} == expected


@pytest.mark.parametrize("write", UNCONDITIONAL)
async def test_a_busy_service_is_asked_again_for_any_write(call: CallMethod, write: str) -> None:
    method, arguments, options = UNCONDITIONAL[write]
    busy = problem(429, "queue-full", Retry_After="0")
    with scripted(busy, CHANGED) as server, pytest.raises(PreconditionFailed) as raised:
        await call(server.url, method, *arguments, client_options=QUICK, **options)
    assert len(server.received) == 2
    assert not raised.value.may_have_changed


@pytest.mark.parametrize("write", UNCONDITIONAL)
async def test_a_write_without_a_connection_changes_nothing(call: CallMethod, write: str) -> None:
    method, arguments, options = UNCONDITIONAL[write]
    with pytest.raises(ConnectionFailed) as raised:
        await call(f"http://127.0.0.1:{free_port()}", method, *arguments, client_options=QUICK, **options)
    assert (raised.value.was_sent, raised.value.may_have_changed) == (False, False)


async def test_reads_are_tried_again_and_change_nothing(call: CallMethod) -> None:
    with scripted(b"", problem(503, "draining"), DESCRIBED) as server:
        assert (await call(server.url, "memories.get", "a", client_options=QUICK)).version == "v2"
    with scripted(*[b""] * 4) as server, pytest.raises(ConnectionFailed) as raised:
        await call(server.url, "memories.query", "a", QUERY, client_options=QUICK)
    assert len(server.received) == 4
    assert not raised.value.may_have_changed


async def test_a_removal_that_was_lost_and_done_is_no_error(call: CallMethod) -> None:
    with scripted(b"", problem(404, "not-found")) as server:
        assert await call(server.url, "memories.delete", "a", if_match="v1", client_options=QUICK) is None
    with scripted(problem(404, "not-found")) as server, pytest.raises(NotFound):
        await call(server.url, "memories.delete", "a", if_match="v1", client_options=QUICK)


@pytest.mark.parametrize(
    ("script", "kind", "may_have_changed"),
    [
        (problem(504, "deadline-exceeded"), DeadlineExceeded, True),
        (problem(500, "internal"), ServiceFailed, True),
        (problem(502, "bad"), ServiceFailed, True),
        (answer(200, b"what?"), UnreadableAnswer, True),
        (problem(507, "insufficient-storage"), RequestRefused, False),
        (problem(404, "not-found"), NotFound, False),
        (problem(422, "shape-mismatch"), ShapeMismatch, False),
    ],
    ids=str,
)
async def test_an_error_says_whether_a_write_may_have_happened(
    call: CallMethod, script: bytes, kind: type[Exception], may_have_changed: bool
) -> None:
    with scripted(script) as server, pytest.raises(kind) as raised:
        await call(server.url, "memories.append", "a", KEY)
    assert raised.value.may_have_changed is may_have_changed
    with scripted(script) as server, pytest.raises(kind) as raised:
        await call(server.url, "memories.get", "a")
    assert raised.value.may_have_changed is False


async def test_a_time_out_leaves_open_whether_a_write_happened(call: CallMethod) -> None:
    for timeout in (0.4, 4, 40):
        with scripted(DESCRIBED, seconds_between_bytes=5) as server, pytest.raises(DeadlineExceeded) as raised:
            await call(server.url, "memories.append", "a", KEY, call_options={"timeout": timeout})
        if server.received:
            break
    assert raised.value.may_have_changed


async def test_a_deadline_of_the_service_names_the_version_that_was_made(call: CallMethod) -> None:
    late = problem(504, "deadline-exceeded", Attention_Memory_Version="v7")
    with scripted(late) as server, pytest.raises(DeadlineExceeded) as raised:
        await call(server.url, "attend", QUERY, KEY, memory="a", append=True)
    assert (raised.value.memory_version, raised.value.may_have_changed) == ("v7", True)


@pytest.mark.parametrize("content", [b"{}", b"[]", json.dumps(DESCRIPTION | {"created": "soon"}).encode()], ids=str)
async def test_a_malformed_description_is_unreadable(call: CallMethod, content: bytes) -> None:
    for method in ("get", "list", "tensors"):
        with scripted(answer(200, content)) as server, pytest.raises(UnreadableAnswer):
            await call(server.url, f"memories.{method}", *(() if method == "list" else ("a",)))
