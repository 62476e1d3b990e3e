"""Every lie that a header can tell is a 400, and nothing is made of it."""

import json
import struct
import tracemalloc
from typing import Any

import httpx
import numpy as np
import pytest
import safetensors
from hypothesis import given, settings
from hypothesis import strategies as st

from service.codecs.safetensors.framing import split
from service.errors import MalformedBody, TooLarge
from tests.sampling import draws
from tests.service.safetensors.stored import NUMPY, SEND, file, saved
from tests.service.wrong_questions import QUESTIONS

LIMIT = 1 << 20


def f32(shape: Any, begin: Any, end: Any, **members: Any) -> dict[str, Any]:
    """What a header says of a tensor."""
    return {"dtype": "F32", "shape": shape, "data_offsets": [begin, end], **members}


GOOD = {"query": f32([1, 2], 0, 8), "key": f32([1, 2], 8, 16)}
DATA = bytes(16)

LIES: dict[str, bytes] = {
    "nothing": b"",
    "seven bytes": bytes(7),
    "no header": bytes(8),
    "a header longer than the file": file(GOOD, DATA, 10**6),
    "a header of 2^64 - 1 bytes": file(GOOD, DATA, 2**64 - 1),
    "a header of 2^63 bytes": file(GOOD, DATA, 2**63),
    "a header that ends early": file(GOOD, DATA, 20),
    "a header that goes on in the data": file(GOOD, DATA, len(json.dumps(GOOD)) + 8),
    "a list": file([], b""),
    "a string": file(b'"header"', b""),
    "a space before it": file(b" " + json.dumps(GOOD).encode(), DATA),
    "a byte order mark": file(b"\xef\xbb\xbf" + json.dumps(GOOD).encode(), DATA),
    "not UTF-8": file(json.dumps(GOOD).encode().replace(b"query", b"quer\xff"), DATA),
    "a lone surrogate": file(json.dumps({**GOOD, "\ud800": f32([0], 16, 16)}).encode(), DATA),
    "zeros behind it": file(json.dumps(GOOD).encode() + bytes(4), DATA),
    "a comma too many": file(json.dumps(GOOD).encode()[:-1] + b",}", DATA),
    "a bare NaN": file({"query": f32([float("nan")], 0, 8)}, bytes(8)),
    "two objects": file(json.dumps(GOOD).encode() + b"{}", DATA),
    "nesting of 100": file(b'{"query": ' + b"[" * 100 + b"]" * 100 + b"}"),
    "nesting of 100 000": file(b'{"query": ' + b"[" * 100_000),
    "a name that comes twice": file(
        b'{"query":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"query":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}',
        bytes(8),
    ),
    "metadata that come twice": file(b'{"__metadata__":{},"__metadata__":{}}'),
    "a request that comes twice": file(b'{"__metadata__":{"request":"{}","request":"{\\"query\\":[[1]]}"}}'),
    "a member that comes twice": file(
        b'{"query":{"dtype":"F32","dtype":"F16","shape":[2],"data_offsets":[0,8]}}', bytes(8)
    ),
    "metadata that are a list": file({"__metadata__": []}),
    "metadata that are null": file({"__metadata__": None}),
    "metadata that are no strings": file({"__metadata__": {"request": {"query": [[1]]}}}),
    "a tensor that is a list": file({"query": [1]}),
    "a tensor that is null": file({"query": None}),
    "no dtype": file({"query": {"shape": [0], "data_offsets": [0, 0]}}),
    "no shape": file({"query": {"dtype": "F32", "data_offsets": [0, 0]}}),
    "no offsets": file({"query": {"dtype": "F32", "shape": [0]}}),
    "another member": file({"query": f32([2], 0, 8, strides=[1])}, bytes(8)),
    "an unknown dtype": file({"query": f32([2], 0, 8, dtype="F33")}, bytes(8)),
    "a dtype of eighths": file({"query": f32([8], 0, 8, dtype="F8_E4M3")}, bytes(8)),
    "a dtype of another protocol": file({"query": f32([2], 0, 8, dtype="FP32")}, bytes(8)),
    "a dtype in small letters": file({"query": f32([2], 0, 8, dtype="f32")}, bytes(8)),
    "a dtype that is a number": file({"query": f32([2], 0, 8, dtype=32)}, bytes(8)),
    "a dtype that is a list": file({"query": f32([2], 0, 8, dtype=["F32"])}, bytes(8)),
    "a negative size": file({"query": f32([-1, -2], 0, 8)}, bytes(8)),
    "a size with a fraction": file({"query": f32([2.0], 0, 8)}, bytes(8)),
    "a size that is a boolean": file({"query": f32([True, 2], 0, 8)}, bytes(8)),
    "a size that is a string": file({"query": f32(["2"], 0, 8)}, bytes(8)),
    "a size that is a long string": file({"query": f32(["2" * 100_000], 0, 8)}, bytes(8)),
    "a shape that is a number": file({"query": f32(2, 0, 8)}, bytes(8)),
    "a shape whose product overflows": file({"query": f32([2**4, 2**60 + 2], 0, 128)}, bytes(128)),
    "a shape whose bytes overflow": file({"query": f32([2**62 + 2], 0, 8)}, bytes(8)),
    "a shape beyond 64 bits": file({"query": f32([2**64 + 2], 0, 8)}, bytes(8)),
    "an empty shape of huge axes": file({"query": f32([0, 2**62, 2**62], 0, 0)}),
    "33 axes": file({"query": f32([1] * 33, 0, 4)}, bytes(4)),
    "too few bytes for the shape": file({"query": f32([3], 0, 8)}, bytes(8)),
    "too many bytes for the shape": file({"query": f32([1], 0, 8)}, bytes(8)),
    "offsets beyond the data": file({"query": f32([4], 0, 16)}, bytes(8)),
    "offsets far beyond the data": file({"query": f32([2**60], 0, 2**62)}, bytes(8)),
    "offsets that fall": file({"query": f32([0], 8, 0)}, bytes(8)),
    "a negative offset": file({"query": f32([2], -8, 0)}, bytes(8)),
    "an offset with a fraction": file({"query": f32([2], 0, 8.0)}, bytes(8)),
    "an offset that is a boolean": file({"query": f32([2], False, 8)}, bytes(8)),
    "one offset": file({"query": {"dtype": "F32", "shape": [0], "data_offsets": [0]}}),
    "three offsets": file({"query": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0, 0]}}),
    "a hole at the beginning": file({"query": f32([2], 8, 16)}, DATA),
    "a hole between two": file({"query": f32([1], 0, 4), "key": f32([2], 8, 16)}, DATA),
    "bytes behind the last": file(GOOD, DATA + b"x"),
    "bytes and no tensor": file({}, b"x"),
    "an overlap": file({"query": f32([3], 0, 12), "key": f32([2], 8, 16)}, DATA),
    "the same bytes twice": file({"query": f32([2], 0, 8), "key": f32([2], 0, 8)}, bytes(8)),
    "an empty one inside another": file({"query": f32([2], 0, 8), "key": f32([0], 4, 4)}, bytes(8)),
    "a name of too many dots": file({"a" + ".a" * 100: f32([0], 0, 0)}),
    "a request that is no JSON": file({"__metadata__": {"request": "{"}, **GOOD}, DATA),
    "a request with NaN": file({"__metadata__": {"request": '{"softcap": NaN}'}, **GOOD}, DATA),
    "a request nested 100 deep": file(
        {"__metadata__": {"request": '{"bias":' + "[" * 100 + "]" * 100 + "}"}, **GOOD}, DATA
    ),
}


@pytest.mark.parametrize("case", LIES)
async def test_a_lie_is_a_400(client: httpx.AsyncClient, case: str) -> None:
    for question in ("attention", "compare") if case != "nothing" else QUESTIONS:
        response = await client.post(QUESTIONS[question].path, content=LIES[case], headers=SEND)
        assert (response.status_code, response.json()["type"]) == (400, "/problems/malformed-body"), response.text
        detail = response.json()["detail"]
        assert "expected" in detail
        assert "received" in detail
        assert len(detail) < 700


@pytest.mark.parametrize("case", [case for case in LIES if not case.startswith(("a request", "a name of"))])
def test_nothing_is_made_of_a_lie(case: str) -> None:
    content = LIES[case]
    tracemalloc.start()
    with pytest.raises(MalformedBody):
        split(content, LIMIT)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2 << 20, f"{peak} bytes"


def test_the_official_library_agrees_about_most_lies() -> None:
    """What it reads all the same is strange, but no lie: this service is stricter there."""
    read = []
    for case, content in LIES.items():
        try:
            safetensors.deserialize(content)
        except safetensors.SafetensorError:
            continue
        read.append(case)
    assert len(read) < len(LIES) / 4, read


def test_a_header_has_a_limit_of_its_own() -> None:
    content = file({"__metadata__": {"request": " " * 1000 + "{}"}})
    assert split(content, 2000)[0] == []
    with pytest.raises(TooLarge, match="at most 500 bytes"):
        split(content, 500)


ARRAYS = {
    name: (np.arange(6).reshape(2, 3) % 2).astype(dtype) if name == "BOOL" else np.arange(6).reshape(2, 3).astype(dtype)
    for name, dtype in NUMPY.items()
}


@pytest.mark.parametrize("padding", range(9))
@pytest.mark.parametrize("stored", NUMPY)
def test_every_type_is_read_where_it_lies(stored: str, padding: int) -> None:
    array = ARRAYS[stored]
    header = {"x" * (1 + padding): {"dtype": stored, "shape": [2, 3], "data_offsets": [0, array.nbytes]}}
    content = file(header, array.tobytes())
    [tensor], _ = split(content, LIMIT)
    np.testing.assert_array_equal(tensor.array.astype(np.float64), array.astype(np.float64))
    assert tensor.array.flags.aligned
    lies_aligned = (struct.unpack("<Q", content[:8])[0] + 8) % array.itemsize == 0
    if stored not in ("BF16", "BOOL"):
        assert np.shares_memory(tensor.array, np.frombuffer(content, np.uint8)) == lies_aligned


@settings(max_examples=draws(200))
@given(data=st.data())
def test_files_of_the_official_library_are_read_as_they_are(data: st.DataObject) -> None:
    shapes = st.lists(st.integers(0, 3), max_size=4)
    names = st.text(max_size=8).filter(lambda name: name != "__metadata__")
    tensors = {
        name: ARRAYS[data.draw(st.sampled_from(list(NUMPY)))].ravel()[np.zeros(data.draw(shapes), int)]
        for name in data.draw(st.lists(names, max_size=4, unique=True))
    }
    read, metadata = split(saved(tensors, {"a": "ä\n"}), LIMIT)
    assert json.loads(metadata["request"]) == {"a": "ä\n"}
    assert {one.name for one in read} == set(tensors)
    for one in read:
        expected = tensors[one.name]
        assert one.array.shape == expected.shape
        np.testing.assert_array_equal(one.array.astype(np.float64), expected.astype(np.float64))


REQUEST = saved(
    {"query": np.ones((2, 2), np.float32), "key": np.ones((3, 2), np.float32), "mask.allowed": np.ones((2, 3), bool)},
    {"softcap": 3, "mask": {"causal": True}},
)


@settings(max_examples=draws(300))
@given(data=st.data())
async def test_any_bytes_are_answered_or_refused(app_client: httpx.AsyncClient, data: st.DataObject) -> None:
    body = bytearray(REQUEST)
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(body)))
        put = data.draw(st.binary(max_size=3) | st.sampled_from([b"[", b"{", b'"', b"NaN", b"-1", b"9" * 30, b"."]))
        body[start : start + data.draw(st.integers(0, 4))] = put
    if data.draw(st.booleans()):  # a header that is as long as it says gets farther
        end = bytes(body).rfind(b"}", 8) + 1
        body[:8] = struct.pack("<Q", max(end - 8, 0))
    response = await app_client.post("/v1/attention", content=bytes(body), headers=SEND)
    assert response.status_code in (200, 400, 413, 422), response.text
