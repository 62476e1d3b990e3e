"""If-Match and If-None-Match on memories, row by row of RFC 9110, sections 13.1 and 13.2."""

import asyncio

import pytest

from service.errors import MalformedBody
from service.memories import ALWAYS, Precondition, read_precondition
from tests.service.memories.wire import HEROES, MEMORIES, MORE, checked, described, put, tag_of
from tests.service.problem_documents import check

CURRENT, OTHER, NO_TAG = '"{version}"', '"other"', '"a,b"'
"""Entity tags; the first becomes that of the memory."""


@pytest.fixture
def name(request):
    return "conditions." + "".join(one if one.isalnum() else "-" for one in request.node.name)[:110]


@pytest.mark.parametrize(
    ("if_match", "if_none_match", "expected"),
    [
        (None, None, ALWAYS),
        (b"*", None, Precondition(present=True)),
        (b" *\t", None, Precondition(present=True)),
        (b'"a"', None, Precondition(versions=("a",))),
        (b'"a","b" ,\t"c"', None, Precondition(versions=("a", "b", "c"))),
        (b',, "a",', None, Precondition(versions=("a",))),
        (b'W/"a"', None, Precondition(versions=())),
        (b'W/"a", "b"', None, Precondition(versions=("b",))),
        (b'"a,b"', None, Precondition(versions=("a,b",))),
        (b'""', None, Precondition(versions=("",))),
        (b'"\xe9"', None, Precondition(versions=("\xe9",))),
        (None, b"*", Precondition(absent=True)),
        (None, b'"a", W/"b"', Precondition(excluded=("a", "b"))),
        (b"*", b'"a"', Precondition(present=True, excluded=("a",))),
        (b'"a"', b"*", Precondition(versions=("a",), absent=True)),
    ],
)
def test_header_fields_are_read(if_match, if_none_match, expected):
    assert read_precondition(if_match, if_none_match) == expected


@pytest.mark.parametrize(
    "field",
    [
        b"",
        b",",
        b"a",
        b"'a'",
        b'"a',
        b'a"',
        b'"a" "b"',
        b'"a"b',
        b'w/"a"',
        b'W/ "a"',
        b'"a b"',
        b'"a", b',
        b'"\x7f"',
        b"W/*",
        b"**",
        b'*, "a"',
    ],
)
@pytest.mark.parametrize("names", ["If-Match", "If-None-Match"])
def test_a_field_that_is_malformed_is_named(field, names):
    fields = (field, None) if names == "If-Match" else (None, field)
    with pytest.raises(MalformedBody, match=f"expected {names}: "):
        read_precondition(*fields)


WRITES = [
    # If-Match, If-None-Match, and the statuses of a put over a memory and of a put where there is none
    ("*", None, 200, 412),
    (CURRENT, None, 200, 412),
    (OTHER, None, 412, 412),
    (f"{OTHER}, {CURRENT}", None, 200, 412),
    (f"W/{CURRENT}", None, 412, 412),
    (f"W/{CURRENT}, {CURRENT}", None, 200, 412),
    (None, "*", 412, 201),
    (None, CURRENT, 412, 201),
    (None, f"W/{CURRENT}", 412, 201),
    (None, OTHER, 200, 201),
    (None, f"{NO_TAG}, {OTHER}", 200, 201),
    (CURRENT, OTHER, 200, 412),
    (CURRENT, "*", 412, 412),
    (OTHER, OTHER, 412, 412),
    ("*", CURRENT, 412, 412),
]


def fields_of(if_match, if_none_match, version):
    named = {"If-Match": if_match, "If-None-Match": if_none_match}
    return {name: field.format(version=version) for name, field in named.items() if field is not None}


@pytest.mark.parametrize(("if_match", "if_none_match", "over", "new"), WRITES)
async def test_a_put_has_its_preconditions(client, name, if_match, if_none_match, over, new):
    before = checked(await put(client, name))
    fields = fields_of(if_match, if_none_match, before["version"])
    answer = await client.put(f"{MEMORIES}/{name}", json=HEROES, headers=fields)
    assert answer.status_code == over, answer.text
    if over == 412:
        check(answer, 412, "precondition-failed")
        assert answer.headers["etag"] == tag_of(before)
        assert await described(client, name) == before
    await client.delete(f"{MEMORIES}/{name}")
    answer = await client.put(f"{MEMORIES}/{name}", json=HEROES, headers=fields)
    assert answer.status_code == new
    if new == 412:
        check(answer, 412, "precondition-failed")
        assert "etag" not in answer.headers
        check(await client.get(f"{MEMORIES}/{name}"), 404, "not-found")


@pytest.mark.parametrize("method", ["append", "delete"])
@pytest.mark.parametrize(("if_match", "if_none_match", "over", "_"), WRITES)
async def test_an_append_and_a_deletion_have_the_same(client, name, method, if_match, if_none_match, over, _):
    """Where there is no memory the answer is 404 whatever the preconditions (RFC 9110, 13.2.1)."""
    before = checked(await put(client, name))
    fields = fields_of(if_match, if_none_match, before["version"])

    async def act():
        if method == "delete":
            return await client.delete(f"{MEMORIES}/{name}", headers=fields)
        return await client.post(f"{MEMORIES}/{name}/append", json=MORE, headers=fields)

    answer = await act()
    if over == 412:
        check(answer, 412, "precondition-failed")
        assert answer.headers["etag"] == tag_of(before)
        assert await described(client, name) == before
    else:
        assert answer.status_code == (204 if method == "delete" else 200)
    await client.delete(f"{MEMORIES}/{name}")
    check(await act(), 404, "not-found")


@pytest.mark.parametrize("path", ["", "/tensors"])
@pytest.mark.parametrize(
    ("if_match", "if_none_match", "status"),
    [
        (None, CURRENT, 304),
        (None, f"W/{CURRENT}", 304),
        (None, f"{OTHER},{CURRENT}", 304),
        (None, "*", 304),
        (None, OTHER, 200),
        (CURRENT, None, 200),
        ("*", None, 200),
        (f"W/{CURRENT}", None, 412),
        (OTHER, None, 412),
        (OTHER, CURRENT, 412),
        (CURRENT, CURRENT, 304),
    ],
)
async def test_a_reader_has_304_for_what_it_has(client, name, path, if_match, if_none_match, status):
    before = checked(await put(client, name))
    fields = fields_of(if_match, if_none_match, before["version"])
    for method in ("GET", "HEAD"):
        answer = await client.request(method, f"{MEMORIES}/{name}{path}", headers=fields)
        assert answer.status_code == status
        assert answer.headers["etag"] == tag_of(before)
        if status == 304:
            assert answer.content == b""
            assert answer.headers["cache-control"] == "private, no-cache"
            assert not {"content-type", "content-length"} & set(answer.headers)
    await client.delete(f"{MEMORIES}/{name}")
    check(await client.get(f"{MEMORIES}/{name}{path}", headers=fields), 404, "not-found")


@pytest.mark.parametrize("field", ["If-Match", "If-None-Match"])
async def test_a_malformed_precondition_is_refused_and_changes_nothing(client, name, field):
    before = checked(await put(client, name))
    for method, path in (("PUT", ""), ("DELETE", ""), ("POST", "/append"), ("GET", ""), ("GET", "/tensors")):
        fields = {field: before["version"]}
        answer = await client.request(method, f"{MEMORIES}/{name}{path}", json=MORE, headers=fields)
        assert field in check(answer, 400, "malformed-body")["detail"]
    assert await described(client, name) == before


async def test_fields_on_several_lines_are_one_list(client, name):
    before = checked(await put(client, name))
    lines = [("If-Match", OTHER), ("If-Match", tag_of(before))]
    answer = await client.put(f"{MEMORIES}/{name}", json=HEROES, headers=lines)
    assert answer.status_code == 200


async def test_of_many_writers_with_one_version_one_wins(client, name):
    before = checked(await put(client, name))
    fields = {"If-Match": tag_of(before)}
    answers = await asyncio.gather(
        *(client.post(f"{MEMORIES}/{name}/append", json=MORE, headers=fields) for _ in range(8))
    )
    assert sorted(answer.status_code for answer in answers) == [200, *[412] * 7]
    assert (await described(client, name))["keys"] == before["keys"] + 2
