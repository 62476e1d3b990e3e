"""Bodies of the Open Inference Protocol, byte by byte: those that are read, those that are refused, and the errors."""

import json
import time
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sampling import draws
from tests.service.open_inference.asking import INFER, KEYS, ONE, PLAIN, RAW, RAW_KEYS, assert_problem
from tests.service.open_inference.inference import HEADER, Tensor, body_of, float32, frame, outputs_of

# --- worked bytes -----------------------------------------------------------------------------------------------------

WORKED = (
    b'{"id":"42","inputs":[{"name":"q","shape":[1,2],"datatype":"FP32","parameters":{"binary_data_size":8}},'
    b'{"name":"mask","shape":[3],"datatype":"BOOL","parameters":{"binary_data_size":3}}],'
    b'"parameters":{"binary_data_output":true}}'
)
TENSORS = bytes.fromhex("0000803f 000000c0 010001")


async def test_the_worked_bytes(client: httpx.AsyncClient, ask: Callable[..., Any]) -> None:
    """The example of the protocol has other names than attention has: with those it is refused for them alone."""
    assert (len(WORKED), len(WORKED + TENSORS)) == (226, 237)
    response = await ask(WORKED + TENSORS, **{HEADER: "226"})
    problem = await assert_problem(client, response, 422, "'q'")
    assert problem["errors"][0]["pointer"] == "/inputs/0/name"
    named = WORKED.replace(b'"q"', b'"query"').replace(b'"mask"', b'"allowed"')
    keys = b'{"name":"key","shape":[3,2],"datatype":"FP32","data":[1,0,0,1,1,1]},'
    named = named.replace(b'{"name":"allowed"', keys + b'{"name":"allowed"')
    response = await ask(named + TENSORS, **{HEADER: str(len(named))})
    assert int(response.headers[HEADER]) + 2 * 3 * 4 == len(response.content)
    head = json.loads(response.content[: int(response.headers[HEADER])])
    assert head["id"] == "42"
    assert head["outputs"] == [
        {"name": name, "shape": [1, 3], "datatype": "FP32", "parameters": {"binary_data_size": 12}}
        for name in ("weights", "scores")
    ]
    arrays = outputs_of(response)
    assert arrays["scores"].tolist() == [[1, -2, -1]]
    np.testing.assert_allclose(arrays["weights"], [[1 / (1 + np.exp(-2)), 0, 1 / (1 + np.exp(2))]], rtol=1e-6)


async def test_json_and_bytes_mixed_and_each_output_as_it_is_wanted(ask: Callable[..., Any]) -> None:
    outputs = [{"name": "scores", "parameters": {"binary_data": False}}, {"name": "weights"}]
    content, headers = frame(RAW | {"outputs": outputs, "parameters": {"binary_data_output": True}}, float32(3, 4))
    response = await ask(content, **headers)
    assert outputs_of(response)["scores"].tolist() == [[3, 4]]
    scores, weights = json.loads(response.content[: int(response.headers[HEADER])])["outputs"]
    assert scores == {"name": "scores", "shape": [1, 2], "datatype": "FP32", "data": [3, 4]}
    assert set(weights) == {"name", "shape", "datatype", "parameters"}


@pytest.mark.parametrize("content_type", [None, "", "application/octet-stream", "text/plain", "image/png",
                                          "application/x-www-form-urlencoded", "nonsense"])  # fmt: skip
@pytest.mark.parametrize("accept", ["*/*", "text/html", "image/png;q=0"])
async def test_nothing_hangs_on_content_type_or_accept(
    ask: Callable[..., Any], content_type: str | None, accept: str
) -> None:
    headers = {"Accept": accept} | ({} if content_type is None else {"Content-Type": content_type})
    body = json.dumps(PLAIN).encode()
    for length in ({}, {HEADER: str(len(body))}):
        assert outputs_of(await ask(body, **headers, **length))["scores"].tolist() == [[3, 4]]


@pytest.mark.parametrize("padding", range(9))
async def test_tensors_may_begin_anywhere(ask: Callable[..., Any], padding: int) -> None:
    """Behind JSON of any length, and so at any alignment."""
    tensors = [Tensor(name, "FP64", np.arange(6.0).reshape(3, 2)) for name in ("query", "key", "value")]
    content, headers = body_of(tensors, {"query", "key", "value"}, id="x" * padding)
    assert outputs_of(await ask(content, **headers))["scores"].tolist() == [[1, 3, 5], [3, 13, 23], [5, 23, 41]]


async def test_members_and_parameters_of_other_servers_are_ignored(ask: Callable[..., Any]) -> None:
    numpy_style = {"content_type": "np", "headers": {"a": "b"}}
    request = {
        "model_name": "dot_product",
        "id": "a",
        "inputs": [ONE | {"parameters": numpy_style, "shared": 1}, KEYS],
        "outputs": [{"name": "scores", "parameters": numpy_style}],
        "parameters": numpy_style | {"sequence_id": 4, "sequence_start": True, "priority": 2, "timeout": 5},
    }
    response = await ask(request)
    assert response.json() == {
        "model_name": "dot_product",
        "model_version": "1",
        "id": "a",
        "outputs": [{"name": "scores", "shape": [1, 2], "datatype": "FP32", "data": [3, 4]}],
    }


# --- 400, and nothing allocated ---------------------------------------------------------------------------------------

LENGTHS = ["-1", "abc", "", "1e2", "0x10", "1.0", "+5", "99999999999", "9" * 400, "0", "-0"]


@pytest.mark.parametrize("length", LENGTHS)
async def test_the_length_of_the_json_must_be_one(
    client: httpx.AsyncClient, ask: Callable[..., Any], length: str
) -> None:
    content, _ = frame(RAW, float32(3, 4))
    await assert_problem(client, await ask(content, **{HEADER: length}), 400, HEADER)


@pytest.mark.parametrize("off", [-1, 1, 1_000_000])
async def test_the_length_of_the_json_must_be_right(
    client: httpx.AsyncClient, ask: Callable[..., Any], off: int
) -> None:
    content, headers = frame(RAW, float32(3, 4))
    await assert_problem(client, await ask(content, **{HEADER: str(int(headers[HEADER]) + off)}), 400)


@pytest.mark.parametrize("raw", [b"", b"1234567", b"123456789", b"1" * 100_000])
async def test_the_bytes_must_be_as_many_as_announced(
    client: httpx.AsyncClient, ask: Callable[..., Any], raw: bytes
) -> None:
    content, headers = frame(RAW, raw)
    await assert_problem(client, await ask(content, **headers), 400, "bytes")


async def test_bytes_that_nobody_announced_are_refused(client: httpx.AsyncClient, ask: Callable[..., Any]) -> None:
    content, headers = frame(PLAIN, b"\0")
    await assert_problem(client, await ask(content, **headers), 400, "expected 0 bytes")


def with_keys(**changed: Any) -> dict[str, Any]:
    tensor = RAW_KEYS | changed
    return {"inputs": [ONE, {name: value for name, value in tensor.items() if value is not ...}]}


MALFORMED: dict[str, dict[str, Any]] = {
    "overflowing": with_keys(shape=[2**4, 2**60 + 2]),
    "overflowing further": with_keys(shape=[2**62, 2**62, 2**62]),
    "beyond 64 bits": with_keys(shape=[2**64, 2]),
    "beyond float64": with_keys(shape=[10**400, 2]),
    "overflowing although empty": with_keys(shape=[0, 2**62, 2**62], parameters={"binary_data_size": 0}),
    "large although empty": with_keys(shape=[0, 2**40], parameters={"binary_data_size": 0}),
    "negative": with_keys(shape=[-2, -1]),
    "fraction": with_keys(shape=[2.5, 1]),
    "whole float": with_keys(shape=[2.0, 1]),
    "boolean size": with_keys(shape=[True, 2]),
    "no list": with_keys(shape=2),
    "nested shape": with_keys(shape=[[2, 1]]),
    "too many axes": with_keys(shape=[1] * 40 + [2, 1]),
    "other size": with_keys(shape=[3, 1]),
    "size of another datatype": with_keys(datatype="FP64"),
    "negative size": with_keys(parameters={"binary_data_size": -8}),
    "size as text": with_keys(parameters={"binary_data_size": "8"}),
    "size with a fraction": with_keys(parameters={"binary_data_size": 8.5}),
    "size beyond everything": with_keys(parameters={"binary_data_size": 2**63}),
    "both": with_keys(data=[3, 4]),
    "neither": with_keys(parameters=...),
    "unknown datatype": with_keys(datatype="FLOAT"),
    "text": with_keys(datatype="BYTES"),
    "duplicate input": {"inputs": [ONE, RAW_KEYS, ONE]},
    "duplicate output": with_keys() | {"outputs": [{"name": "scores"}, {"name": "scores"}]},
    "vectors of integers": with_keys(datatype="INT32"),
    "two datatypes": with_keys(datatype="FP16", shape=[4, 1]),
    "flag as a number": with_keys() | {"parameters": {"binary_data_output": 1}},
    "flag of an output as text": with_keys()
    | {"outputs": [{"name": "scores", "parameters": {"binary_data": "yes"}}]},
}  # fmt: skip


@pytest.mark.parametrize("case", MALFORMED)
async def test_what_is_badly_framed_is_a_400(client: httpx.AsyncClient, ask: Callable[..., Any], case: str) -> None:
    content, headers = frame(MALFORMED[case], float32(3, 4))
    await assert_problem(client, await ask(content, **headers), 400)


def data(shape: list[int], numbers: Any, datatype: str = "FP32", name: str = "key") -> dict[str, Any]:
    return {"inputs": [ONE, {"name": name, "shape": shape, "datatype": datatype, "data": numbers}]}


UNFIT = {
    "too few": data([2, 1], [3]),
    "too many": data([2, 1], [3, 4, 5]),
    "nested otherwise": data([2, 1], [[3, 4]]),
    "ragged": data([3, 1], [[3], [4, 5]]),
    "half nested": data([2, 1], [3, [4]]),
    "no list": data([2, 1], 3),
    "an object": data([2, 1], {"0": 3}),
    "text": data([2, 1], ["3", 4]),
    "null": data([2, 1], [None, 4]),
    "booleans for numbers": data([2, 1], [True, False]),
    "numbers for booleans": data([1, 2], [1, 0], "BOOL", "allowed"),
    "a fraction for an integer": data([1], [0.5], "INT32", "key_lengths"),
    "beyond the integer": data([1], [2**31], "INT32", "key_lengths"),
    "below an unsigned integer": data([1], [-1], "UINT8", "key_lengths"),
    "not finite for an integer": data([1], ["NaN"], "INT32", "key_lengths"),
    "floats for integers": data([1], [1], "FP32", "key_lengths"),
    "numbers where booleans must be": data([1, 2], [1, 0], "INT8", "allowed"),
}  # fmt: skip


@pytest.mark.parametrize("case", UNFIT)
async def test_data_that_is_not_what_it_announces_is_a_400(
    client: httpx.AsyncClient, ask: Callable[..., Any], case: str
) -> None:
    await assert_problem(client, await ask(UNFIT[case]), 400, "inputs[1]")


UNREADABLE = {
    "empty": b"",
    "broken": b'{"inputs": [',
    "not UTF-8": b'{"inputs": ["\xff"]}',
    "nested 100 deep": json.dumps(PLAIN).replace("[3, 4]", "[" * 100 + "]" * 100).encode(),
    "nested 250 000 deep": b"[" * 250_000,
    "nested 250 000 deep beside NaN": b'{"a": NaN, "b": ' + b"[" * 250_000,
    "lone surrogate": b'{"id": "\\ud800", "inputs": []}',
    "lone surrogate beside NaN": b'{"id": "\\ud800", "inputs": [NaN]}',
    "other constants": b'{"inputs": [nan, inf]}',
    "nested 100 deep beside NaN": b'{"id": NaN, "inputs": ' + b"[" * 100 + b"]" * 100 + b"}",
}


@pytest.mark.parametrize("case", UNREADABLE)
async def test_what_is_no_json_is_a_400(client: httpx.AsyncClient, ask: Callable[..., Any], case: str) -> None:
    await assert_problem(client, await ask(UNREADABLE[case]), 400)


@pytest.mark.parametrize(("which", "one"), [("inputs", ONE), ("outputs", {})])
async def test_many_names_are_refused_in_little_time(ask: Callable[..., Any], which: str, one: dict[str, Any]) -> None:
    """Compared in pairs, 80 000 names take half a minute; looked up, less than two seconds."""
    named = [one | {"name": f"name-{number}"} for number in range(80_000)]
    started = time.process_time()
    response = await ask(PLAIN | {which: named})
    assert response.status_code == 422
    assert "'name-0'" in response.json()["detail"]
    assert time.process_time() - started < 10


# --- any bytes at all -------------------------------------------------------------------------------------------------

WHOLE, WHOLE_HEADERS = frame(RAW | {"parameters": {"causal": True, "options": '{"softcap": 3}'}}, float32(3, 4))


@settings(max_examples=draws(300))
@given(data=st.data())
async def test_any_bytes_are_answered_or_refused(app_client: httpx.AsyncClient, data: st.DataObject) -> None:
    """A body that was right but for some bytes, behind a header that was right but for some."""
    body = bytearray(WHOLE)
    for _ in range(data.draw(st.integers(0, 3))):
        start = data.draw(st.integers(0, len(body)))
        put = data.draw(st.binary(max_size=3) | st.sampled_from([b"[", b"{", b'"', b"NaN", b"-1", b"1e999", b"null"]))
        body[start : start + data.draw(st.integers(0, 4))] = put
    length = int(WHOLE_HEADERS[HEADER]) + data.draw(st.sampled_from([len(body) - len(WHOLE), 0, -1, 1]))
    encoding = data.draw(st.sampled_from([{}, {}, {"Content-Encoding": "gzip"}, {"Content-Encoding": "deflate"}]))
    response = await app_client.post(INFER, content=bytes(body), headers={HEADER: str(length)} | encoding)
    assert response.status_code in (200, 400, 413, 422), response.text
    if response.status_code != 200:
        await assert_problem(app_client, response, response.status_code)
