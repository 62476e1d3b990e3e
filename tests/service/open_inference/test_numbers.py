"""Numbers of every datatype, those that are none, and tensors without any."""

import json
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from tests.service.open_inference.asking import KEYS, ONE, RAW_KEYS
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
