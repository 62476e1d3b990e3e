"""The routes of /v1/memories: put, describe, list, append, download and delete, against a real server."""

import gzip
import json
from datetime import datetime

import numpy as np
import pytest
import zstandard

from tests.sampling import sample
from tests.service.memories.wire import (
    DTYPES,
    HEROES,
    MEMBERS,
    MEMORIES,
    MORE,
    checked,
    described,
    download,
    put,
    put_file,
    tag_of,
)
from tests.service.problem_documents import MALFORMED, check
from tests.service.safetensors.stored import SAFETENSORS, SEND, saved

BITS = {2: np.uint16, 4: np.uint32, 8: np.uint64}


@pytest.fixture
def name(request):
    """Names of their own keep tests apart that share a server."""
    return "routes." + "".join(one if one.isalnum() else "-" for one in request.node.name)[:110]


def assert_same_bits(found, expected):
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    unsigned = BITS[found.itemsize]
    np.testing.assert_array_equal(
        np.ascontiguousarray(found).view(unsigned), np.ascontiguousarray(expected).view(unsigned)
    )


async def test_a_new_memory_is_created_and_another_put_replaces_it(client, name):
    first = await put(client, name)
    assert first.status_code == 201
    assert first.headers["location"] == f"{MEMORIES}/{name}"
    document = checked(first)
    expected = {
        "name": name,
        "shape": {"key": [3, 2], "value": [3, 1]},
        "keys": 3,
        "dtype": "float64",
        "layout": "bhsd",
        "labels": True,
        "expires": None,
        "ttl_seconds": None,
        "durability": "strict",
        "note": "三个英雄",
        "shards": None,
    }
    assert {member: document[member] for member in expected} == expected
    assert document["bytes"] >= 8 * (3 * 2 + 3)
    assert document["created"] == document["modified"]
    assert await described(client, name) == document

    second = await put(client, name, {"key": [[1, 2, 3]]})
    assert second.status_code == 200
    assert "location" not in second.headers
    replaced = checked(second)
    assert replaced["version"] != document["version"]
    assert (replaced["shape"], replaced["labels"], replaced["note"]) == ({"key": [1, 3], "value": None}, False, None)
    assert await described(client, name) == replaced


async def test_a_memory_expires_after_its_last_use_and_the_description_is_no_use(client, name):
    document = checked(await put(client, name, {**HEROES, "ttl_seconds": 3600, "durability": "relaxed"}))
    assert (document["ttl_seconds"], document["durability"]) == (3600, "relaxed")
    lifetime = datetime.fromisoformat(document["expires"]) - datetime.fromisoformat(document["created"])
    assert abs(lifetime.total_seconds() - 3600) < 1
    assert (await described(client, name))["expires"] == document["expires"]
    await download(client, name)
    assert (await described(client, name))["expires"] >= document["expires"]


async def test_a_memory_at_the_end_of_its_time_is_not_there(client, name):
    await put(client, name, {**HEROES, "ttl_seconds": 1e-9})
    check(await client.get(f"{MEMORIES}/{name}"), 404, "not-found")
    check(await client.post(f"{MEMORIES}/{name}/append", json=MORE), 404, "not-found")
    assert (await put(client, name, If_None_Match="*")).status_code == 201


async def test_appended_keys_stand_behind_the_others(client, name):
    before = checked(await put(client, name))
    after = checked(await client.post(f"{MEMORIES}/{name}/append", json=MORE))
    assert after["version"] != before["version"]
    assert (after["keys"], after["shape"]) == (5, {"key": [5, 2], "value": [5, 1]})
    assert after["bytes"] > before["bytes"]
    assert after["created"] == before["created"] <= after["modified"]
    request, tensors = await download(client, name)
    np.testing.assert_array_equal(tensors["key"], [*HEROES["key"], *MORE["key"]])
    np.testing.assert_array_equal(tensors["value"], [*HEROES["value"], *MORE["value"]])
    assert request["labels"] == {"key": ["射手", "打野", "中路", "上路", "辅助"]}


@pytest.mark.parametrize(
    ("more", "slug", "pointer"),
    [
        ({"key": [[1, 2, 3]], "value": [[1]], "labels": {"key": ["a"]}}, "shape-mismatch", "/key"),
        ({"key": [[[1, 2]]], "value": [[1]], "labels": {"key": ["a"]}}, "shape-mismatch", "/key"),
        ({"key": [[1, 2]], "labels": {"key": ["a"]}}, "shape-mismatch", "/value"),
        ({"key": [[1, 2]], "value": [[1], [2]], "labels": {"key": ["a"]}}, "shape-mismatch", "/value"),
        ({"key": [[1, 2]], "value": [[1, 2]], "labels": {"key": ["a"]}}, "shape-mismatch", "/value"),
        ({"key": [[1, 2]], "value": [[1]]}, "shape-mismatch", "/labels/key"),
        ({"key": [[1, 2]], "value": [[1]], "labels": {"key": []}}, "shape-mismatch", "/labels/key"),
        ({"key": [[1, 2]], "value": [[1]], "labels": {"key": [1]}}, "invalid-request", "/labels/key/0"),
        ({"key": [[1, 2]], "value": [[1]], "labels": {"key": ["a"], "value": []}}, "unknown-name", "/labels/value"),
        ({"key": [[1, 2]], "value": [[1]], "labels": {"key": ["a"]}, "dtype": "float32"}, "invalid-request", "/dtype"),
        ({"key": [[1, 2]], "value": [[1]], "labels": {"key": ["a"]}, "note": "x"}, "unknown-name", "/note"),
        ({"value": [[1]]}, "invalid-request", "/key"),
        ({"key": [[1, None]]}, "invalid-request", "/key/0/1"),
        ({"key": [1, 2]}, "shape-mismatch", "/key"),
        ([], "invalid-request", ""),
    ],
)  # fmt: skip
async def test_an_append_that_does_not_fit_changes_nothing(client, name, more, slug, pointer):
    before = checked(await put(client, name))
    problem = check(await client.post(f"{MEMORIES}/{name}/append", json=more), 422, slug)
    assert problem["errors"][0]["pointer"] == pointer
    assert await described(client, name) == before


async def test_values_and_labels_are_appended_only_where_the_memory_has_them(client, name):
    before = checked(await put(client, name, {"key": [[1, 2]]}))
    for more, pointer in (
        ({"key": [[1, 2]], "value": [[1]]}, "/value"),
        ({"key": [[1, 2]], "labels": {"key": ["a"]}}, "/labels/key"),
    ):
        problem = check(await client.post(f"{MEMORIES}/{name}/append", json=more), 422, "shape-mismatch")
        assert problem["errors"][0]["pointer"] == pointer
    assert await described(client, name) == before


@pytest.mark.parametrize("dtype", DTYPES)
async def test_json_numbers_are_rounded_to_the_dtype_once_put_or_appended(client, name, dtype):
    numbers = [[1 / 3, 2 / 3], [1e-7, -5e-324]]
    await put(client, name, {"key": numbers, "dtype": dtype})
    appended = await client.post(f"{MEMORIES}/{name}/append", json={"key": numbers})
    assert appended.status_code == 200, appended.text
    _, tensors = await download(client, name)
    with np.errstate(under="ignore"):
        expected = np.array(numbers * 2).astype(DTYPES[dtype])
    assert_same_bits(tensors["key"], expected)


@pytest.mark.parametrize(("dtype", "number"), [("float16", 65520.0), ("bfloat16", 3.4e38), ("float32", 3.5e38)])
async def test_a_number_beyond_the_dtype_is_refused_where_it_stands(client, name, dtype, number):
    wrong = {"key": [[0, 1]], "value": [[number]], "dtype": dtype}
    problem = check(await put(client, name, wrong), 422, "invalid-request")
    assert problem["errors"][0]["pointer"] == "/value/0/0"
    assert f"range of {dtype}" in problem["detail"]
    check(await client.get(f"{MEMORIES}/{name}"), 404, "not-found")
    await put(client, name, {"key": [[0, 1]], "dtype": dtype})
    problem = check(await client.post(f"{MEMORIES}/{name}/append", json={"key": [[0, number]]}), 422, "invalid-request")
    assert problem["errors"][0]["pointer"] == "/key/0/1"
    assert (await described(client, name))["keys"] == 1


@pytest.mark.parametrize("dtype", DTYPES)
async def test_tensors_of_a_file_keep_every_bit_and_decide_the_dtype(client, name, dtype):
    key = np.array([[0.5, np.nan], [np.inf, -np.inf]]).astype(DTYPES[dtype])
    first = checked(await put_file(client, name, {"key": key, "value": key}))
    assert first["dtype"] == dtype
    answer = await client.post(
        f"{MEMORIES}/{name}/append", content=saved({"key": key, "value": -key}, {}), headers=SEND
    )
    assert checked(answer)["keys"] == 4
    request, tensors = await download(client, name)
    assert request == {"dtype": dtype, "layout": "bhsd", "durability": "strict"}
    assert_same_bits(tensors["key"], np.concatenate([key, key]))
    assert_same_bits(tensors["value"], np.concatenate([key, -key]))


async def test_an_append_in_another_stored_type_names_both(client, name):
    before = checked(await put(client, name, {"key": [[1, 2]], "dtype": "bfloat16"}))
    wrong = saved({"key": np.ones((1, 2), np.float32)}, {})
    answer = await client.post(f"{MEMORIES}/{name}/append", content=wrong, headers=SEND)
    problem = check(answer, 422, "invalid-request")
    for word in ("bfloat16", "BF16", "float32", "F32"):
        assert word in problem["detail"]
    assert await described(client, name) == before


async def test_a_file_whose_tensors_differ_in_type_is_refused(client, name):
    answer = await put_file(client, name, {"key": np.ones((1, 2)), "value": np.ones((1, 2), np.float32)})
    problem = check(answer, 422, "invalid-request")
    assert problem["errors"][0]["pointer"] == "/value"
    answer = await put_file(client, name, {"key": np.ones((1, 2), np.int64)})
    assert check(answer, 422, "invalid-request")["errors"][0]["pointer"] == "/key"
    answer = await put_file(client, name, {"key": np.ones((1, 2))}, {"dtype": "float32"})
    assert check(answer, 422, "invalid-request")["errors"][0]["pointer"] == "/dtype"


SHAPES = [
    ("bhsd", (3, 2), (3, 5)),
    ("bhsd", (2, 3, 4), None),
    ("bhsd", (2, 2, 3, 4), (2, 2, 3, 1)),
    ("bshd", (2, 3, 2, 4), (1, 3, 2, 1)),
    ("bhsd", (2, 1, 3, 4), (3, 3, 2)),
    ("bhsd", (0, 2), (0, 3)),
    ("bhsd", (0, 3, 2), (3, 0)),
    ("bhsd", (1, 2, 1, 3, 2, 2), (2, 2)),
]


@pytest.mark.parametrize(("layout", "key", "value"), SHAPES)
@pytest.mark.parametrize("dtype", sample(DTYPES, "bfloat16", "float32"))
async def test_a_download_that_is_put_makes_an_equal_memory(client, name, dtype, layout, key, value):
    random = np.random.default_rng(3)
    tensors = {"key": random.normal(size=key).astype(DTYPES[dtype])}
    if value is not None:
        tensors["value"] = random.normal(size=value).astype(DTYPES[dtype])
    keys = key[1] if layout == "bshd" else key[-2]
    options = {
        "layout": layout,
        "labels": {"key": [f'键 "{number}"\\' for number in range(keys)]},
        "ttl_seconds": 1000.5,
        "durability": "relaxed",
        "note": "ein\nZettel",
        "shards": 3,
    }
    made = checked(await put_file(client, name, tensors, options))
    file = (await client.get(f"{MEMORIES}/{name}/tensors")).content
    again = checked(await client.put(f"{MEMORIES}/{name}-again", content=file, headers=SEND))
    own = ("name", "version", "created", "modified", "expires")
    assert {member: made[member] for member in MEMBERS if member not in own} == {
        member: again[member] for member in MEMBERS if member not in own
    }
    assert (await client.get(f"{MEMORIES}/{name}-again/tensors")).content == file
    request, found = await download(client, f"{name}-again")
    assert request == {"dtype": dtype, **options}
    for tensor, array in tensors.items():
        assert_same_bits(found[tensor], array)


async def test_a_download_is_sent_whole_and_head_has_its_head(client, name):
    """More pieces than one, and views whose heads do not lie side by side: those of a memory that was appended to."""
    random = np.random.default_rng(5)
    first = {"key": random.normal(size=(3, 6000, 8)), "value": random.normal(size=(3, 6000, 4))}
    more = {"key": random.normal(size=(3, 2, 8)), "value": random.normal(size=(3, 2, 4))}
    await put_file(client, name, first)
    answer = await client.post(f"{MEMORIES}/{name}/append", content=saved(more, {}), headers=SEND)
    document = checked(answer)
    whole = await client.get(f"{MEMORIES}/{name}/tensors")
    _, tensors = await download(client, name)
    for tensor in ("key", "value"):
        assert_same_bits(tensors[tensor], np.concatenate([first[tensor], more[tensor]], axis=1))
    head = await client.head(f"{MEMORIES}/{name}/tensors")
    assert (head.status_code, head.content) == (200, b"")
    for field in ("content-length", "content-type", "etag", "cache-control", "content-disposition"):
        assert head.headers[field] == whole.headers[field]
    assert whole.headers["etag"] == tag_of(document)
    assert whole.headers["content-disposition"] == f'attachment; filename="{name}.safetensors"'
    ranged = await client.get(f"{MEMORIES}/{name}/tensors", headers={"Range": "bytes=0-9"})
    assert (ranged.status_code, ranged.content) == (200, whole.content)


async def test_a_deleted_memory_is_gone(client, name):
    before = checked(await put(client, name))
    gone = await client.delete(f"{MEMORIES}/{name}")
    assert (gone.status_code, gone.content) == (204, b"")
    assert not {"content-type", "content-length"} & set(gone.headers)
    for method, path in (("GET", ""), ("GET", "/tensors"), ("DELETE", ""), ("POST", "/append")):
        check(await client.request(method, f"{MEMORIES}/{name}{path}", json=MORE), 404, "not-found")
    again = await put(client, name)
    assert again.status_code == 201
    assert checked(again)["version"] != before["version"]


@pytest.mark.parametrize(
    ("change", "slug", "pointer"),
    [
        ({"key": None}, "invalid-request", "/key"),
        ({"keys": [[1]]}, "unknown-name", "/keys"),
        ({"dtype": "float8"}, "unknown-name", "/dtype"),
        ({"layout": "sbhd"}, "unknown-name", "/layout"),
        ({"layout": "bshd"}, "shape-mismatch", "/key"),
        ({"value": [[1], [2]]}, "shape-mismatch", "/value"),
        ({"value": [1, 2, 3]}, "shape-mismatch", "/value"),
        ({"labels": {"key": ["a", "b"]}}, "shape-mismatch", "/labels/key"),
        ({"labels": {"key": ["a", "b", 3]}}, "invalid-request", "/labels/key/2"),
        ({"labels": ["a", "b", "c"]}, "invalid-request", "/labels"),
        ({"labels": {"query": ["a"]}}, "unknown-name", "/labels/query"),
        ({"ttl_seconds": 0}, "invalid-request", "/ttl_seconds"),
        ({"ttl_seconds": -1}, "invalid-request", "/ttl_seconds"),
        ({"ttl_seconds": "1"}, "invalid-request", "/ttl_seconds"),
        ({"ttl_seconds": 1e10}, "invalid-request", "/ttl_seconds"),
        ({"durability": "none"}, "unknown-name", "/durability"),
        ({"note": "x" * 1001}, "invalid-request", "/note"),
        ({"note": 5}, "invalid-request", "/note"),
        ({"shards": 0}, "invalid-request", "/shards"),
        ({"shards": 257}, "invalid-request", "/shards"),
        ({"shards": 1.5}, "invalid-request", "/shards"),
        ({"key": [[1, True], [0, 0], [0, 0]]}, "invalid-request", "/key/0/1"),
        ({"key": [[1, 2], [3]]}, "invalid-request", "/key/1"),
    ],
)
async def test_a_put_that_is_wrong_stores_nothing(client, name, change, slug, pointer):
    problem = check(await put(client, name, {**HEROES, **change}), 422, slug)
    assert problem["errors"][0]["pointer"] == pointer
    check(await client.get(f"{MEMORIES}/{name}"), 404, "not-found")


async def test_a_note_of_a_thousand_characters_and_labels_that_are_null_are_fine(client, name):
    document = {**HEROES, "note": "字" * 1000, "labels": None, "dtype": None, "layout": None, "ttl_seconds": None}
    assert checked(await put(client, name, document))["note"] == "字" * 1000
    assert checked(await put(client, name, {**HEROES, "labels": {}}))["labels"] is False


@pytest.mark.parametrize("body", MALFORMED)
async def test_bodies_that_cannot_be_decoded_are_refused(client, name, body):
    for method, path in (("PUT", ""), ("POST", "/append")):
        await put(client, name)
        answer = await client.request(method, f"{MEMORIES}/{name}{path}", content=MALFORMED[body])
        check(answer, 400, "malformed-body")


async def test_a_part_of_a_memory_is_no_memory(client, name):
    problem = check(await put(client, name, Content_Range="bytes 0-9/100"), 400, "malformed-body")
    assert "Content-Range: bytes 0-9/100" in problem["detail"]
    check(await client.get(f"{MEMORIES}/{name}"), 404, "not-found")


async def test_a_name_twice_in_an_object_is_refused(client, name):
    twice = b'{"key": [[1]], "labels": {"key": ["a"], "key": ["b"]}}'
    for method, path in (("PUT", ""), ("POST", "/append")):
        answer = await client.request(method, f"{MEMORIES}/{name}{path}", content=twice)
        assert "/labels/key" in check(answer, 400, "malformed-body")["detail"]
        await put(client, name)


@pytest.mark.parametrize(
    ("coding", "compress"), [("gzip", gzip.compress), ("zstd", zstandard.ZstdCompressor().compress)]
)
async def test_bodies_may_be_compressed(client, name, coding, compress):
    headers = {"Content-Encoding": coding}
    body = compress(json.dumps(HEROES).encode())
    assert (await client.put(f"{MEMORIES}/{name}", content=body, headers=headers)).status_code == 201
    more = compress(json.dumps(MORE).encode())
    appended = await client.post(f"{MEMORIES}/{name}/append", content=more, headers=headers)
    assert checked(appended)["keys"] == 5
    file = compress(saved({"key": np.ones((4, 2))}, {}))
    assert (await client.put(f"{MEMORIES}/{name}", content=file, headers=headers | SEND)).status_code == 200


async def test_media_types_are_negotiated(client, name):
    path = f"{MEMORIES}/{name}"
    answer = await client.put(path, json=HEROES, headers={"Content-Type": "image/svg+xml"})
    check(answer, 415, "unsupported-media-type")
    for headers in ({"Accept": SAFETENSORS}, {"Accept": "text/event-stream"}):
        check(await client.put(path, json=HEROES, headers=headers), 406, "not-acceptable")
        check(await client.get(MEMORIES, headers=headers), 406, "not-acceptable")
    await put(client, name)
    check(await client.get(path, headers={"Accept": SAFETENSORS}), 406, "not-acceptable")
    check(await client.get(f"{path}/tensors", headers={"Accept": "application/json"}), 406, "not-acceptable")
