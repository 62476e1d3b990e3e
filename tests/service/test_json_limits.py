"""Long JSON: any number of arrays, as many axes as NumPy's functions take, and values counted outside of strings."""

import json
import math
import sys
import time
from typing import Any

import httpx
import numpy as np
import pytest
from pydantic import ValidationError

from service.codecs.json import decode, native
from service.codecs.json.cut import cut_arrays
from service.codecs.json.decode import MAX_PLAIN_VALUES, decode_plain
from service.codecs.negotiate import OCTETS
from service.codecs.open_inference.framing import Limits, decode_head
from service.codecs.registry import BY_SUFFIX
from service.compute import Body, decoding_bytes
from service.errors import MalformedBody, TooLarge
from service.settings import MAX_JSON_DEPTH, Settings
from tests.compare import assert_close

ATTENTION, MERGE = "/v1/attention", "/v1/attention/merge"

LONG = httpx.Timeout(60)

INFER = "/v2/models/scaled_dot_product/infer"

AT_MOST_AXES = 32

SAFETENSORS = BY_SUFFIX[".safetensors"]


def partials(count: int, rows: int, columns: int) -> bytes:
    """A merge of equal partials."""
    one = json.dumps({"output": [[0.5, 0.25] * (columns // 2)] * rows, "logsumexp": [1.5] * rows}).encode()
    return b'{"partials":[' + b",".join([one] * count) + b"]}"


@pytest.mark.parametrize(("count", "rows", "columns"), [(127, 4, 64), (128, 4, 64), (129, 4, 64), (252, 32, 512)])
async def test_any_number_of_partials_is_merged(client, count, rows, columns):
    response = await client.post(MERGE, content=partials(count, rows, columns), timeout=LONG)
    assert response.status_code == 200, response.text
    merged = response.json()
    assert_close(merged["output"], [[0.5, 0.25] * (columns // 2)] * rows, 1e-12)
    assert_close(merged["logsumexp"], [1.5 + math.log(count)] * rows, 1e-12)


def many_arrays(count: int) -> bytes:
    return json.dumps({str(name): [[0.5, name + 0.25] * 8] * 4 for name in range(count)}).encode()


@pytest.mark.parametrize("count", [1, 255, 256, 257, 10_000])
def test_no_array_is_left_for_the_parser_of_small_documents(count):
    rest, arrays, refused = cut_arrays(many_arrays(count))
    assert len(arrays) == count
    assert len(rest) < 50 * count
    assert b"[0.5" not in rest
    assert refused is None


@pytest.mark.alone
def test_eight_times_as_many_arrays_take_eight_times_as_long():
    row = [0.5, 0.25] * 16
    seconds = {}
    for count in (250, 2000):
        body = json.dumps({str(name): [row] * 8 for name in range(count)}).encode()
        times = []
        for _ in range(7):
            started = time.thread_time()
            decode(body, 64)
            times.append(time.thread_time() - started)
        seconds[count] = min(times)
    # By way of lists the later arrays take four times as long each.
    assert seconds[2000] < 8 * 2.5 * seconds[250]


def nested(value: Any, levels: int) -> Any:
    for _ in range(levels):
        value = [value]
    return value


def attention_of(axes: int) -> dict[str, Any]:
    vectors = {"query": [[1.0, 2.0]], "key": [[1.0, 0.5], [0.0, 1.0]], "value": [[3.0], [4.0]]}
    return {name: nested(vector, axes - 2) for name, vector in vectors.items()}


REQUESTS = {
    "attention": lambda axes: (ATTENTION, attention_of(axes), "/query"),
    "sorted": lambda axes: (ATTENTION, attention_of(axes) | {"normalizer": "sparsemax"}, "/query"),
    "ranking": lambda axes: (ATTENTION, attention_of(axes) | {"include": ["ranking", "output"]}, "/query"),
    "bias": lambda axes: (ATTENTION, attention_of(axes) | {"bias": nested([[None, 0]], axes - 2)}, "/query"),
    "merge": lambda axes: (
        MERGE, {"partials": [{"output": nested([[4.0]], axes - 2), "logsumexp": nested([0], axes - 2)}]},
        "/partials/0/output"),
    "check": lambda axes: (
        "/v1/attention/check",
        {"request": attention_of(axes), "candidate": {"output": nested([[4.0]], axes - 2)}}, "/request/query"),
}  # fmt: skip


@pytest.mark.parametrize("request_of", REQUESTS.values(), ids=REQUESTS)
async def test_tensors_have_as_many_axes_as_numpy_computes_with(client, request_of):
    """Of axes of length 1 any number changes nothing but the nesting."""
    path, document, _ = request_of(2)
    expected = np.array((await client.post(path, json=document)).json().get("output", 0)).ravel().tolist()
    for axes in (8, 9, 31, AT_MOST_AXES):
        path, document, _ = request_of(axes)
        for padding in ("", " " * 5000):
            response = await client.post(path, content=json.dumps(document) + padding)
            assert response.status_code == 200, response.text
            assert np.array(response.json().get("output", 0)).ravel().tolist() == expected
    for axes in (AT_MOST_AXES + 1, 40, 60):
        path, document, place = request_of(axes)
        response = await client.post(path, json=document)
        assert response.status_code == 422, response.text
        assert response.json()["type"] == "/problems/shape-mismatch"
        (first, *_) = response.json()["errors"]
        assert first["pointer"] == place
        assert first["detail"] == f"expected at most {AT_MOST_AXES} axes; received {axes}. Merge leading axes."


@pytest.mark.parametrize("levels", [65, 255, 1100, 100_000])
async def test_text_nested_deeper_than_the_limit_is_refused_for_that(client, levels):
    for core in (b"1", b"1e400", b'"a"'):
        for opening, closing in ((b"[", b"]"), (b'{"query":', b"}"), (b'[{"query":', b"}]")):
            body = b'{"query":' + opening * levels + core + closing * levels + b"}"
            response = await client.post(ATTENTION, content=body)
            assert response.status_code == 400, response.text
            assert "expected at most 64 levels of nesting" in response.json()["detail"]


def test_no_more_levels_are_allowed_than_every_parser_manages():
    with pytest.raises(ValidationError, match="254"):
        Settings(max_json_depth=MAX_JSON_DEPTH + 1)
    for opening, closing in (("[", "]"), ('{"a":', "}"), ('[{"a":', "}]")):
        for core in ("1", "1e400"):
            levels = MAX_JSON_DEPTH // len(closing)
            assert decode((opening * levels + core + closing * levels).encode(), MAX_JSON_DEPTH) is not None


REPEATED = {"strings": (b'"a"', 1), "lists in lists": (b"[[[[[[[[]]]]]]]]", 9), "objects": (b'{"a":{}}', 3),
            "words": (b"null,\"x\"", 2)}  # fmt: skip
"""What a list may be full of, and how many values each is."""


@pytest.mark.parametrize(("item", "values"), REPEATED.values(), ids=REPEATED)
async def test_more_values_than_may_become_objects_are_refused_for_their_number(client, item, values):
    count = MAX_PLAIN_VALUES // values + 1
    body = b'{"query":[' + b",".join([item] * count) + b"]}"
    response = await client.post(ATTENTION, content=body, timeout=LONG)
    assert response.status_code == 413, response.text
    detail = response.json()["detail"]
    assert detail.startswith(f"expected at most {MAX_PLAIN_VALUES} values in JSON beside arrays of numbers; received ")
    assert abs(int(detail.partition("received ")[2].partition(".")[0]) - count * values) <= 4


@pytest.mark.parametrize(
    ("end", "shown"),
    [(b',"x"]]}', "'\"x\"]]}' stands"), (b",1e400]]}", "'1e400]]}' stands"), (b"],[0.5]]}", "']]}' stands"),
     (b"", "the text ends")],
    ids=["a string", "a number beyond float64", "a short row", "the end"],
)  # fmt: skip
def test_of_a_very_long_array_the_place_where_it_is_none_is_told(end, shown):
    body = b'{"query":[[' + b",".join([b"0.5"] * (MAX_PLAIN_VALUES + 1)) + end
    with pytest.raises(TooLarge) as refused:
        decode(body, 64)
    assert "The list at byte 9 is no rectangular array" in str(refused.value)
    assert f"where {shown}: correct it." in str(refused.value)


def test_without_compiled_code_it_is_the_server_that_takes_no_more(monkeypatch):
    monkeypatch.setattr(native.library, "_library", None)
    monkeypatch.setattr(native, "AVAILABLE", False)
    body = b'{"query":[' + b",".join([b"0.5"] * (MAX_PLAIN_VALUES + 1)) + b"]}"
    with pytest.raises(TooLarge, match=r"no compiled code .* received 2000002\. Send long tensors as safetensors"):
        decode(body, 64)


def test_many_short_arrays_are_arrays_all_the_same(monkeypatch):
    # The package has a function of the name of this module.
    monkeypatch.setattr(sys.modules["service.codecs.json.decode"], "MAX_PLAIN_VALUES", 20_000)
    short = [[1, 2, 3, 4, 5, 6, 7, 8]] * 3
    body = json.dumps({str(name): short[: name % 4 or 1] for name in range(1700)}, separators=(",", ":")).encode()
    assert body.count(b",") > 20_000
    document = decode(body, 64)
    assert document["6"].tolist() == short[:2]
    assert {type(array) for array in document.values()} == {np.ndarray}


LENGTH = 100_000


def safetensors_of(raw: bytes) -> bytes:
    entry = {"dtype": "U8", "shape": [len(raw)], "data_offsets": [0, len(raw)]}
    header = json.dumps({"bias": entry}).encode()
    # A length with the byte of a quote in it would begin a string.
    header = header.ljust(0x2222)
    return len(header).to_bytes(8, "little") + header + raw


def test_room_is_asked_for_numbers_and_not_for_commas_in_strings_or_raw_tensors():
    settings = Settings()

    def beside(body: Body) -> int:
        """Return the reserved bytes without the copies of the body."""
        return decoding_bytes(body, settings) - 2 * len(body.content)

    for letter in ("x", ",", ":", "[", '"', "\\"):
        content = json.dumps({"labels": {"query": [letter * LENGTH]}}).encode()
        assert beside(Body(content)) == 2 * 256
    numbers = json.dumps({"query": [[1] * LENGTH]}).encode()
    assert beside(Body(numbers)) == 256 + 16 * (LENGTH - 1)
    for byte in (b",", b'"', b":", b"\x00"):
        raw = byte * LENGTH
        few = beside(Body(safetensors_of(b"\x01"), SAFETENSORS))
        assert beside(Body(safetensors_of(raw), SAFETENSORS)) == few
        head = b'{"id":"a,b"}'
        assert beside(Body(head + raw, OCTETS, json_end=len(head))) == 256
        assert beside(Body(head + raw, OCTETS, json_end=10**9)) >= 256
    for content in (b"", b"\x01", bytes(8), b"\xff" * 8):
        assert beside(Body(content, SAFETENSORS)) == 0


async def test_a_label_of_commas_is_a_label(client):
    label = "," * 3_000_000
    request = attention_of(2) | {"labels": {"query": [label], "key": ["a:b", "c,d"]}, "include": ["ranking"]}
    response = await client.post(ATTENTION, json=request, timeout=LONG)
    assert response.status_code == 200, response.text
    assert {one["label"] for one in response.json()["ranking"][0]} == {"a:b", "c,d"}


async def test_a_v2_tensor_may_be_one_of_many_arrays(client):
    """Shapes and data of an inference are arrays too, whatever comes beside them."""
    data = [0.5] * 2000
    vectors = [
        {"name": name, "shape": [1000, 2], "datatype": "FP64", "data": data} for name in ("query", "key", "value")
    ]
    parameters = {f"sequence_{index}": index for index in range(300)}
    response = await client.post(INFER, json={"inputs": vectors, "parameters": parameters}, timeout=LONG)
    assert response.status_code == 200, response.text
    body = json.dumps({"inputs": vectors}).encode()
    assert len(decode_plain(body, 64)["inputs"]) == len(decode(body, 64)["inputs"]) == 3


@pytest.mark.parametrize("count", [10, 2000, MAX_PLAIN_VALUES + 1])
def test_a_bare_nan_costs_a_v2_array_nothing(count):
    """Outside of strings, in as long an array as any."""
    text = b'{"id":"NaN, Infinity: \\"NaN","data":[Infinity,NaN' + b",0.5" * count + b'],"lowest":[-Infinity]}'
    document = decode_head(text, Limits(size=len(text), depth=64))
    assert document["id"] == 'NaN, Infinity: "NaN'
    assert document["lowest"] == ["-Infinity"]
    data = document["data"]
    assert (data if isinstance(data, list) else data.lists())[:3] == ["Infinity", "NaN", 0.5]


@pytest.mark.parametrize(
    "text", [b"{NaN:1}", b'{"a":{Infinity : 1}}', b'{"a":-NaN}', b'{"a":[NaN NaN]}', b'{"a":1NaN}']
)
def test_what_is_no_json_beside_a_bare_nan_stays_none(text):
    with pytest.raises(MalformedBody, match="strict JSON"):
        decode_head(text, Limits(size=100, depth=64))
