"""Numbers of every datatype, those that are none, and tensors without any."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import ml_dtypes
import numpy as np
import pytest

from service.codecs.open_inference.vocabulary import ACCEPTED, MODELS
from tests.service.open_inference.asking import KEYS, ONE, RAW_KEYS, assert_problem
from tests.service.open_inference.inference import HEADER, Tensor, body_of, float32, frame, outputs_of

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


# --- integers ---------------------------------------------------------------------------------------------------------

BEYOND = {
    "INT8": (-129, 128), "INT16": (-(2**15) - 1, 2**15), "INT32": (-(2**31) - 1, 2**31),
    "INT64": (-(2**63) - 1, 2**63), "UINT8": (-1, 256), "UINT16": (-1, 2**16), "UINT32": (-1, 2**32),
    "UINT64": (-1, 2**64),
}  # fmt: skip
"""The integers beside the range of each datatype."""


@pytest.mark.parametrize("rows", [2, 2000], ids=["short", "long"])
@pytest.mark.parametrize("datatype", BEYOND)
async def test_an_integer_beyond_its_datatype_is_a_400_with_its_index(
    client: httpx.AsyncClient, ask: Callable[..., Any], datatype: str, rows: int
) -> None:
    """In a body of either length, which is read by another reader; also alone, and beside a fraction."""
    for wrong in (*BEYOND[datatype], 0.5, 1e300, 10**30):
        for first in (0, 0.0):
            numbers = [first] * (rows - 1) + [wrong]
            lengths = {"name": "key_lengths", "shape": [rows], "datatype": datatype, "data": numbers}
            response = await ask({"inputs": [ONE, KEYS, lengths]})
            words = (f"inputs[2].data: expected {datatype} numbers, integers from", f"as element {rows - 1}.")
            await assert_problem(client, response, 400, *words)


@pytest.mark.parametrize("number", [2**53 + 1, 2**63 - 1, -(2**53) - 1, -(2**63)])
@pytest.mark.parametrize("rows", [1, 2000], ids=["short", "long"])
async def test_an_integer_beyond_2_to_the_53_is_a_422_that_quotes_what_was_sent(
    client: httpx.AsyncClient, ask: Callable[..., Any], number: int, rows: int
) -> None:
    offset = {"name": "offset", "shape": [rows], "datatype": "INT64", "data": [number] * rows}
    await assert_problem(client, await ask({"inputs": [ONE, KEYS, offset]}), 422, f"received the number {number}.")
    body = {"query": [[1]], "key": [[1]], "mask": {"offset": [number] * rows}}
    response = await client.post("/v1/attention", json=body)
    assert response.status_code == 422
    assert f"received the number {number}." in response.json()["detail"]


async def test_an_integer_that_a_fraction_beside_it_rounds_is_a_400(
    client: httpx.AsyncClient, ask: Callable[..., Any]
) -> None:
    """Segments 2^53 and 2^53 + 1 are different documents, although float64 rounds them to one number."""
    for numbers in ([2**53 + 1, 0.0], [-(2**53) - 1, 0.0]):
        segments = [{"name": name, "shape": [len(data)], "datatype": "INT64", "data": data}
                    for name, data in (("query_segments", [2**53]), ("key_segments", numbers))]  # fmt: skip
        response = await ask({"inputs": [ONE, KEYS, *segments]})
        await assert_problem(client, response, 400, "inputs[3].data: expected INT64 numbers", "as element 0")


async def test_a_number_beyond_float64_is_no_integer_either(client: httpx.AsyncClient, ask: Callable[..., Any]) -> None:
    body = json.dumps({"inputs": [ONE, KEYS, {"name": "offset", "shape": [1], "datatype": "INT64", "data": [7]}]})
    await assert_problem(client, await ask(body.replace("[7]", "[1e400]").encode()), 400, "expected INT64 numbers")


@pytest.mark.parametrize("binary", [True, False], ids=["raw", "JSON"])
@pytest.mark.parametrize("datatype", ["INT8", "INT16", "UINT8", "UINT16", "UINT32", "UINT64"])
@pytest.mark.parametrize("name", ["key_lengths", "query_segments", "key_segments", "offset"])
async def test_integers_come_in_the_two_datatypes_that_are_documented(
    client: httpx.AsyncClient, ask: Callable[..., Any], name: str, datatype: str, binary: bool
) -> None:
    raw = np.array([2], datatype.lower()).tobytes()
    tensor = {"name": name, "shape": [1], "datatype": datatype}
    tensor |= {"parameters": {"binary_data_size": len(raw)}} if binary else {"data": [2]}
    content, headers = frame({"inputs": [ONE, KEYS, tensor]}, *([raw] if binary else []))
    words = (f"inputs[2].datatype: expected one of INT64, INT32 for {name}; received {datatype}",)
    await assert_problem(client, await ask(content, **headers), 400, *words)


@pytest.mark.parametrize("number", [2**63, 2**64 - 1])
async def test_no_raw_unsigned_integer_turns_negative(
    client: httpx.AsyncClient, ask: Callable[..., Any], number: int
) -> None:
    raw = np.array([number], np.uint64).tobytes()
    tensor = {"name": "offset", "shape": [1], "datatype": "UINT64", "parameters": {"binary_data_size": 8}}
    content, headers = frame({"inputs": [ONE, KEYS, tensor]}, raw)
    await assert_problem(client, await ask(content, **headers), 400, "received UINT64")


@pytest.mark.parametrize("datatype", ["INT8", "INT64", "UINT64"])
async def test_numbers_come_as_floats(client: httpx.AsyncClient, ask: Callable[..., Any], datatype: str) -> None:
    bias = {"name": "bias", "shape": [1, 2], "datatype": datatype, "data": [1, 2]}
    words = ("expected one of FP64, FP32, FP16, BF16 for bias",)
    await assert_problem(client, await ask({"inputs": [ONE, KEYS, bias]}), 400, *words)


@pytest.mark.parametrize("model", MODELS)
async def test_the_metadata_show_a_datatype_that_is_read(client: httpx.AsyncClient, model: str) -> None:
    inputs = (await client.get(f"/v2/models/{model}")).json()["inputs"]
    for one in inputs:
        assert one["datatype"] in ACCEPTED[MODELS[model][one["name"]].content]


@pytest.mark.parametrize("number", [70000, -65520, 1e300])
async def test_a_number_beyond_float16_is_a_422_at_its_place(
    client: httpx.AsyncClient, ask: Callable[..., Any], number: float
) -> None:
    query, key = (one | {"datatype": "FP16"} for one in (ONE, KEYS))
    response = await ask({"inputs": [query, key | {"data": [3, number]}]})
    problem = await assert_problem(client, response, 422, "float16 (at most 65504)")
    assert problem["errors"][0]["pointer"] == "/inputs/1/data/1"


@pytest.mark.parametrize("numbers", [[2, 1], [1, 0], [1.0, 0.0]])
async def test_no_number_is_a_boolean(client: httpx.AsyncClient, ask: Callable[..., Any], numbers: list[float]) -> None:
    allowed = {"name": "allowed", "shape": [1, 2], "datatype": "BOOL", "data": numbers}
    response = await ask({"inputs": [ONE, KEYS, allowed]})
    await assert_problem(client, response, 400, "inputs[2].data: expected true and false", "as element 0")
