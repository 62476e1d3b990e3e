"""Bodies of the Open Inference Protocol, byte by byte: what is read, what is refused, and how."""

import gzip
import json
import re
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import ml_dtypes
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.problems import PROBLEMS
from tests.server import Server, running_server
from tests.service.open_inference.inference import HEADER, Tensor, body_of, float32, frame, outputs_of
from tests.service.specification import component

INFER = "/v2/models/dot_product/infer"
PROBLEM = component("InferenceProblem")

ONE = {"name": "query", "shape": [1, 1], "datatype": "FP32", "data": [1]}
KEYS = {"name": "key", "shape": [2, 1], "datatype": "FP32", "data": [3, 4]}
PLAIN = {"inputs": [ONE, KEYS]}
RAW_KEYS = {"name": "key", "shape": [2, 1], "datatype": "FP32", "parameters": {"binary_data_size": 8}}
RAW = {"inputs": [ONE, RAW_KEYS]}


@pytest.fixture
async def ask(client: httpx.AsyncClient) -> Callable[..., Any]:
    async def send(content: Any, path: str = INFER, **headers: str) -> httpx.Response:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        return await client.post(path, content=body, headers={name.replace("_", "-"): v for name, v in headers.items()})

    return send


async def assert_problem(
    client: httpx.AsyncClient, response: httpx.Response, status: int, *words: str
) -> dict[str, Any]:
    """Fail unless the answer is a problem that clients of the protocol understand, and the server is well."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    assert "content-encoding" not in response.headers
    problem = response.json()
    PROBLEM.validate(problem)
    assert problem["error"] == problem["detail"]
    assert PROBLEMS[problem["type"].removeprefix("/problems/")].status == status
    assert problem["instance"] == response.headers["x-request-id"]
    assert re.search("expected .*; received .*\\. ", problem["detail"], re.DOTALL), problem["detail"]
    for word in words:
        assert word in problem["detail"]
    assert (await client.get("/v2/health/live")).status_code == 200
    return problem


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


# --- numbers that are none --------------------------------------------------------------------------------------------

PATTERNS = {
    "FP64": (np.uint64, [0x7FF8000000000000, 0xFFF8000000000001, 0x7FF0000000000001, 0x7FF0000000000000,
                         0xFFF0000000000000, 0x8000000000000000, 0x0000000000000001]),
    "FP32": (np.uint32, [0x7FC00000, 0xFFC00001, 0x7F800001, 0x7F800000, 0xFF800000, 0x80000000, 0x00000001]),
    "FP16": (np.uint16, [0x7E00, 0xFE01, 0x7C00, 0xFC00, 0x8000, 0x0001]),
    "BF16": (np.uint16, [0x7FC0, 0xFFC1, 0x7F80, 0xFF80, 0x8000, 0x0001]),
}  # fmt: skip
"""NaN with and without a payload (where the type computes in itself a signalling one too), ±∞, −0 and the least."""


@pytest.mark.parametrize("datatype", PATTERNS)
async def test_numbers_travel_bit_for_bit(ask: Callable[..., Any], datatype: str) -> None:
    kind, patterns = PATTERNS[datatype]
    raw = np.array(patterns, kind).tobytes()
    shape, size = [1, len(patterns)], {"binary_data_size": len(raw)}
    names = ("query", "key", "value", "past_key", "past_value")
    inputs = [{"name": name, "shape": shape, "datatype": datatype, "parameters": size} for name in names]
    outputs = [{"name": name, "parameters": {"binary_data": True}} for name in ("present_key", "present_value")]
    content, headers = frame({"inputs": inputs, "outputs": outputs}, *[raw] * 5)
    response = await ask(content, **headers)
    assert response.status_code == 200, response.text
    assert response.content[int(response.headers[HEADER]) :] == raw * 4


async def test_a_hidden_nan_harms_nobody_and_a_visible_one_its_row_alone(ask: Callable[..., Any]) -> None:
    inputs = [
        {"name": "query", "shape": [2, 1], "datatype": "FP32", "data": [1, 2]},
        RAW_KEYS,
        RAW_KEYS | {"name": "value"},
    ]
    content, headers = frame({"inputs": inputs, "parameters": {"causal": True}}, float32(1, np.nan), float32(5, np.inf))
    response = await ask(content, **headers)
    output, weights, scores = response.json()["outputs"]
    assert output["data"] == [5, "NaN"]
    assert weights["data"] == [1, 0, "NaN", "NaN"]
    assert scores["data"] == [1, "NaN", 2, "NaN"]


async def test_what_json_has_no_number_for_is_a_string(ask: Callable[..., Any]) -> None:
    bias = {"name": "bias", "shape": [1, 2], "datatype": "FP32", "data": ["Infinity", "-Infinity"]}
    request = {"inputs": [ONE, KEYS, bias], "outputs": [{"name": "logits"}]}
    assert (await ask(request)).json()["outputs"][0]["data"] == ["Infinity", "-Infinity"]


async def test_bare_constants_are_read_as_the_strings(ask: Callable[..., Any]) -> None:
    request = json.dumps({"inputs": [ONE, KEYS], "outputs": [{"name": "scores"}]})
    for constant, score in (("NaN", "NaN"), ("Infinity", "Infinity"), ("-Infinity", "-Infinity")):
        for sent in (constant, f'"{constant}"'):
            response = await ask(request.replace("[3, 4]", f"[3, {sent}]").encode())
            assert response.json()["outputs"][0]["data"] == [3, score]


# --- nothing at all ---------------------------------------------------------------------------------------------------

EMPTY = {
    "no keys": ([2, 3], [0, 3], [0, 4]),
    "no queries": ([0, 3], [2, 3], [2, 4]),
    "neither": ([0, 3], [0, 3], [0, 4]),
    "no batch": ([0, 2, 2, 3], [0, 2, 2, 3], [0, 2, 2, 4]),
    "no value features": ([2, 3], [2, 3], [2, 0]),
}


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("case", EMPTY)
async def test_empty_tensors(ask: Callable[..., Any], case: str, binary: bool) -> None:
    tensors = [Tensor(name, "FP32", np.ones(shape, np.float32))
               for name, shape in zip(("query", "key", "value"), EMPTY[case], strict=True)]  # fmt: skip
    query, key, value = (tensor.array.shape for tensor in tensors)
    names = {tensor.name for tensor in tensors} if binary else set()
    outputs = [{"name": name} for name in ("output", "weights", "logsumexp")]
    content, headers = body_of(tensors, names, outputs=outputs, parameters={"binary_data_output": binary})
    arrays = outputs_of(await ask(content, **headers))
    assert arrays["output"].shape == (*query[:-1], value[-1])
    assert arrays["weights"].shape == (*query[:-1], key[-2])
    assert arrays["logsumexp"].shape == query[:-1]
    if case == "no keys":
        assert not arrays["output"].any()
        assert np.isneginf(arrays["logsumexp"]).all()


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


# --- 422, with the place ----------------------------------------------------------------------------------------------


def with_parameters(**parameters: Any) -> dict[str, Any]:
    return PLAIN | {"parameters": parameters}


def options(**fields: Any) -> dict[str, Any]:
    return with_parameters(options=json.dumps(fields))


def beside(name: str, shape: list[int], numbers: Any, datatype: str = "FP32") -> dict[str, Any]:
    return {"inputs": [ONE, KEYS, {"name": name, "shape": shape, "datatype": datatype, "data": numbers}]}


SLOPES = beside("alibi_slopes", [1], [1])["inputs"]

WRONG: dict[str, tuple[Any, str, str]] = {
    "no object": ([1], "invalid-request", ""),
    "no inputs": ({}, "invalid-request", "/inputs"),
    "inputs no list": ({"inputs": 3}, "invalid-request", "/inputs"),
    "input no object": ({"inputs": [3]}, "invalid-request", "/inputs/0"),
    "no name": ({"inputs": [{"shape": [1], "datatype": "FP32", "data": [1]}]}, "invalid-request", "/inputs/0/name"),
    "no datatype": ({"inputs": [{"name": "key", "shape": [1], "data": [1]}]}, "invalid-request", "/inputs/0/datatype"),
    "no shape": ({"inputs": [{"name": "key", "datatype": "FP32", "data": [1]}]}, "invalid-request", "/inputs/0/shape"),
    "id a number": (PLAIN | {"id": 3}, "invalid-request", "/id"),
    "no key": ({"inputs": [ONE]}, "invalid-request", "/inputs"),
    "input misspelt": (beside("valeu", [2, 1], [1, 2]), "unknown-name", "/inputs/2/name"),
    "input of another model": (beside("weight", [1, 1], [1]), "unknown-name", "/inputs/2/name"),
    "output misspelt": (PLAIN | {"outputs": [{"name": "weigths"}]}, "unknown-name", "/outputs/0/name"),
    "output without value": (PLAIN | {"outputs": [{"name": "scores"}, {"name": "output"}]}, "invalid-request",
                             "/outputs/1"),
    "classes instead of numbers": (PLAIN | {"outputs": [{"name": "scores", "parameters": {"classification": 3}}]},
                                   "invalid-request", "/outputs/0/parameters/classification"),
    "parameter misspelt": (with_parameters(casual=True), "unknown-name", "/parameters/casual"),
    "odd parameter": (with_parameters(**{"a/b~": 1}), "unknown-name", "/parameters/a~1b~0"),
    "parameter of another model": (with_parameters(scale=2), "unknown-name", "/parameters/scale"),
    "flag as text": (with_parameters(causal="yes"), "invalid-request", "/parameters/causal"),
    "temperature zero": (with_parameters(temperature=0), "invalid-request", "/parameters/temperature"),
    "normalizer misspelt": (with_parameters(normalizer="sofmax"), "unknown-name", "/parameters/normalizer"),
    "parameter of another normalizer": (with_parameters(normalizer="entmax", temperature=2), "unknown-name",
                                        "/parameters/temperature"),
    "window to the wrong side": (with_parameters(window_left=-1), "invalid-request", "/parameters/window_left"),
    "offset misspelt": (with_parameters(offset="bottom_rigth"), "unknown-name", "/parameters/offset"),
    "offset with a fraction": (with_parameters(offset=1.5), "invalid-request", "/parameters/offset"),
    "half of the heads": (with_parameters(query_heads=2), "invalid-request", "/parameters"),
    "key of another size": ({"inputs": [ONE, KEYS | {"shape": [1, 2]}]}, "shape-mismatch", "/inputs/1/shape"),
    "rank 1": ({"inputs": [ONE, KEYS | {"shape": [2]}]}, "shape-mismatch", "/inputs/1/shape"),
    "one value too few": (beside("value", [1, 1], [1]), "shape-mismatch", "/inputs/2/shape"),
    "mask of another shape": (beside("allowed", [1, 3], [True] * 3, "BOOL"), "shape-mismatch", "/inputs/2/shape"),
    "too long a length": (beside("key_lengths", [1], [3], "INT64"), "invalid-request", "/inputs/2/data/0"),
    "half of the segments": (beside("key_segments", [2], [1, 1], "INT64"), "invalid-request", "/inputs"),
    "half of the past": (beside("past_key", [1, 1], [1]), "invalid-request", "/inputs"),
    "too large for the datatype": (beside("bias", [1, 2], [0, 70000], "FP16"), "invalid-request", "/inputs/2/data/1"),
    "too large, nested": (beside("bias", [1, 2], [[0, 1e39]]), "invalid-request", "/inputs/2/data/0/1"),
    "too large for float64": (PLAIN | {"inputs": [ONE, KEYS | {"data": [1e308 * 10, 1]}]}, "invalid-request",
                              "/inputs/1/data/0"),
    "sink not finite": (beside("sink", [1], ["NaN"]), "invalid-request", "/inputs/2/data"),
    "twice": (beside("sink", [1], [1]) | {"parameters": {"sink": 1}}, "invalid-request", "/inputs/2/name"),
    "slopes for another position": (options(position="rotary") | {"inputs": SLOPES},
                                    "unknown-name", "/inputs/2/data"),
    "options no text": (with_parameters(options={"softcap": 1}), "invalid-request", "/parameters/options"),
    "options no JSON": (with_parameters(options="{"), "invalid-request", "/parameters/options"),
    "options no object": (with_parameters(options="[1]"), "invalid-request", "/parameters/options"),
    "option misspelt": (options(softcpa=1), "unknown-name", "/parameters/options"),
    "option misspelt further in": (options(mask={"casual": True}), "unknown-name", "/parameters/options"),
    "mask no object": (options(mask=3), "invalid-request", "/parameters/options"),
    "mask no object beside a scalar": (options(mask=3) | {"parameters": {"options": '{"mask": 3}', "causal": True}},
                                       "invalid-request", "/parameters/options"),
    "tensor among the options": (options(key=[[1]]), "unknown-name", "/parameters/options"),
    "outputs among the options": (options(include=["weights"]), "unknown-name", "/parameters/options"),
    "dtype against the datatype": (options(dtype="float64"), "invalid-request", "/parameters/options"),
    "dtype a list": (options(dtype=[1, 2]), "invalid-request", "/parameters/options"),
    "model against the path": (options(score_model="gaussian"), "invalid-request", "/parameters/options"),
    "model a list": (options(score_model={"name": [1, 2]}), "invalid-request", "/parameters/options"),
    "normalizer a list": (options(normalizer={"name": [1, 2]}), "invalid-request", "/parameters/options"),
    "parameters no object": (PLAIN | {"parameters": [1]}, "invalid-request", "/parameters"),
    "logsumexp of another normalizer": (with_parameters(normalizer="relu") | {"outputs": [{"name": "logsumexp"}]},
                                        "invalid-request", "/outputs/0"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
async def test_what_is_wrong_is_a_422_at_its_place(
    client: httpx.AsyncClient, ask: Callable[..., Any], case: str
) -> None:
    request, slug, pointer = WRONG[case]
    body = json.dumps(request).replace("Infinity,", "1e400,").encode() if "float64" in case else request
    problem = await assert_problem(client, await ask(body), 422)
    assert problem["type"] == f"/problems/{slug}", problem
    assert problem["errors"][0]["pointer"] == pointer, problem
    if case.endswith("misspelt"):
        assert "Did you mean" in problem["detail"]


async def test_a_raw_tensor_has_no_elements_to_point_to(client: httpx.AsyncClient, ask: Callable[..., Any]) -> None:
    lengths = {"name": "key_lengths", "shape": [1], "datatype": "INT32", "parameters": {"binary_data_size": 4}}
    content, headers = frame({"inputs": [ONE, KEYS, lengths]}, b"\3\0\0\0")
    problem = await assert_problem(client, await ask(content, **headers), 422)
    assert problem["errors"][0]["pointer"] == "/inputs/2"


# --- what wins --------------------------------------------------------------------------------------------------------


async def test_scalars_win_over_options_and_leave_the_rest_of_them(ask: Callable[..., Any]) -> None:
    fields = {"mask": {"causal": False, "offset": 1}, "normalizer": {"name": "entmax", "alpha": 2}, "softcap": 9}
    request = options(**fields)
    request["parameters"] |= {"causal": True, "alpha": 1, "softcap": 30}
    same = with_parameters(causal=True, offset=1, normalizer="entmax", alpha=1, softcap=30)
    assert (await ask(request)).json() == (await ask(same)).json()
    request["parameters"]["normalizer"] = "softmax"
    del request["parameters"]["alpha"]
    same = with_parameters(causal=True, offset=1, softcap=30)
    assert (await ask(request)).json() == (await ask(same)).json()


async def test_a_tensor_of_one_number_is_a_number(ask: Callable[..., Any]) -> None:
    for name, parameter in (("sink", 2), ("offset", 1)):
        for shape in ([1], []):
            datatype = "INT64" if name == "offset" else "FP32"
            one = await ask(beside(name, shape, [parameter], datatype) | {"parameters": {"causal": True}})
            other = await ask(with_parameters(**{name: parameter}, causal=True))
            assert one.status_code == 200, one.text
            assert one.json() == other.json()


# --- compression ------------------------------------------------------------------------------------------------------

COMPRESS = {"gzip": gzip.compress, "deflate": zlib.compress}
DECOMPRESS = {"gzip": gzip.decompress, "deflate": zlib.decompress}


@pytest.mark.parametrize("encoding", COMPRESS)
async def test_the_only_encoding_that_a_client_names_is_used(server: Server, encoding: str) -> None:
    """And its header tells the length of the JSON before compression."""
    content, headers = frame(RAW | {"parameters": {"binary_data_output": True}}, float32(3, 4))
    headers |= {"Content-Encoding": encoding, "Accept-Encoding": encoding}
    with httpx.stream("POST", server.url + INFER, content=COMPRESS[encoding](content), headers=headers) as response:
        raw = b"".join(response.iter_raw())
    assert response.headers["content-encoding"] == encoding
    assert "Accept-Encoding" in response.headers["vary"]
    plain = DECOMPRESS[encoding](raw)
    assert plain[int(response.headers[HEADER]) :][8:] == float32(3, 4)


ACCEPTED = {"gzip, deflate, br, zstd": "gzip", "deflate, gzip;q=0.5": "deflate", "gzip;q=0": None, "br": None,
            "identity, gzip;q=0.5": None, "*": None, "": None}  # fmt: skip


@pytest.mark.parametrize("accepted", ACCEPTED)
async def test_other_answers_are_compressed_where_it_pays(client: httpx.AsyncClient, accepted: str) -> None:
    many = [
        Tensor(name, "FP32", np.random.default_rng(1).normal(size=(64, 16)).astype(np.float32))
        for name in ("query", "key")
    ]
    for binary, pays in ((True, False), (False, True)):
        content, headers = body_of(many, {"query", "key"}, parameters={"binary_data_output": binary})
        response = await client.post(INFER, content=content, headers=headers | {"Accept-Encoding": accepted})
        assert response.headers.get("content-encoding") == (ACCEPTED[accepted] if pays else None)
        assert outputs_of(response)["scores"].shape == (64, 64)
        small = await client.post(INFER, json=PLAIN, headers={"Accept-Encoding": "gzip, deflate"})
        assert "content-encoding" not in small.headers


BROKEN: dict[str, Callable[[bytes], bytes]] = {
    "cut short": lambda compressed: compressed[:-1],
    "nothing": lambda compressed: b"",
    "not compressed": lambda compressed: b'{"inputs": []}',
    "with more behind it": lambda compressed: compressed + b"more",
    "damaged": lambda compressed: compressed[:-6] + b"\0\0" + compressed[-4:],
}


@pytest.mark.parametrize("encoding", COMPRESS)
@pytest.mark.parametrize("case", BROKEN)
async def test_broken_compression_is_a_400(
    client: httpx.AsyncClient, ask: Callable[..., Any], case: str, encoding: str
) -> None:
    compressed = BROKEN[case](COMPRESS[encoding](json.dumps(PLAIN).encode()))
    await assert_problem(client, await ask(compressed, Content_Encoding=encoding), 400, encoding)


@pytest.mark.parametrize("encoding", COMPRESS)
async def test_a_bomb_is_a_413(client: httpx.AsyncClient, ask: Callable[..., Any], encoding: str) -> None:
    bomb = COMPRESS[encoding](b" " * (200 << 20))
    await assert_problem(client, await ask(bomb, Content_Encoding=encoding), 413, "100 times")


async def test_zeros_are_no_bomb(ask: Callable[..., Any]) -> None:
    tensors = [Tensor(name, "FP32", np.zeros((64, 64), np.float32)) for name in ("query", "key")]
    content, headers = body_of(tensors, {"query", "key"})
    compressed = gzip.compress(content)
    assert len(content) > 100 * len(compressed)
    assert not outputs_of(await ask(compressed, **headers, Content_Encoding="gzip"))["scores"].any()


async def test_the_body_limit_holds_after_decompression_too(tmp_path: Path) -> None:
    body = json.dumps(PLAIN).encode()
    noise = np.random.default_rng(2).integers(0, 4, 40_000, np.uint8).tobytes().translate(bytes(range(32, 48)) * 16)
    limits = {"MAX_BODY_BYTES": "40000", "MAX_JSON_BYTES": "20000", "MAX_DECOMPRESSION_RATIO": "3"}
    with running_server(tmp_path, **limits) as small:
        async with httpx.AsyncClient(base_url=small.url) as client:
            for content, status in ((body, 200), (body + b" " * 20_000, 413), (noise + b" ", 413)):
                response = await client.post(
                    INFER, content=gzip.compress(content), headers={"Content-Encoding": "gzip"}
                )
                assert response.status_code == status, response.text
            plain = await client.post(INFER, content=noise + b" ")
            await assert_problem(client, plain, 413, "at most 40000 bytes")
            tensors = [Tensor("query", "FP32", np.ones((1, 1))), Tensor("key", "FP32", np.ones((7500, 1)))]
            content, headers = body_of(tensors, {"key"}, outputs=[{"name": "weights"}])
            assert (await client.post(INFER, content=content, headers=headers)).status_code == 200
            nested, _ = body_of(tensors, set())
            await assert_problem(client, await client.post(INFER, content=nested), 413, "at most 20000 bytes of JSON")


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "snappy"])
async def test_another_encoding_is_a_415(client: httpx.AsyncClient, ask: Callable[..., Any], encoding: str) -> None:
    await assert_problem(client, await ask(PLAIN, Content_Encoding=encoding), 415, "gzip or deflate")


async def test_bfloat16_is_the_upper_half_of_float32(ask: Callable[..., Any]) -> None:
    numbers = np.array([[1.0], [-2.5], [3e38], [1e-40]], ml_dtypes.bfloat16)
    assert Tensor("key", "BF16", numbers).as_binary()[1] == b"".join(
        np.float32(number).tobytes()[2:] for number in numbers.ravel()
    )
    content, headers = body_of(
        [Tensor("query", "BF16", np.ones((1, 1), ml_dtypes.bfloat16)), Tensor("key", "BF16", numbers)],
        {"query", "key"},
        outputs=[{"name": "scores"}],
    )
    response = await ask(content, **headers)
    assert response.json()["outputs"][0]["data"] == [1, -2.5, 3e38, 9e-41]


# --- any bytes at all -------------------------------------------------------------------------------------------------

WHOLE, WHOLE_HEADERS = frame(RAW | {"parameters": {"causal": True, "options": '{"softcap": 3}'}}, float32(3, 4))


@settings(
    max_examples=300,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
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
