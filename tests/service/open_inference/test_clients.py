"""Unmodified clients of the protocol: tritonclient, with and without asyncio."""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import tritonclient.http as triton
import tritonclient.http.aio as triton_aio
from tritonclient.utils import InferenceServerException

from attention_core import SCORE_MODELS, Causal, Softmax, attend
from tests.server import Server

ENCODINGS = (None, "gzip", "deflate")

GENERATOR = np.random.default_rng(6)
QUERY, KEY, VALUE = (GENERATOR.normal(size=(2, 2, size, 4)).astype(np.float32) for size in (3, 5, 5))

PARAMETERS: dict[str, dict[str, Any]] = {
    "additive": {
        "query_weight": GENERATOR.normal(size=(3, 4)),
        "key_weight": GENERATOR.normal(size=(3, 4)),
        "score_vector": GENERATOR.normal(size=3),
        "hidden_bias": GENERATOR.normal(size=3),
    },
    "bilinear": {"weight": GENERATOR.normal(size=(4, 4))},
    "cosine": {"scale": np.array([2.0, 3.0])},
    "gaussian": {"bandwidth": np.array([0.5])},
    "trilinear": {"weight": GENERATOR.normal(size=12)},
    "expression": {"W": GENERATOR.normal(size=(4, 4)), "w": GENERATOR.normal(size=4)},
}
"""Tensor parameters; models that are not here have none, or have defaults for all."""

FORMULA = "q @ W @ k - w @ abs(q - k)"
"""Of the model expression."""

NUMPY = {"FP64": np.float64, "FP32": np.float32, "FP16": np.float16, "BF16": ml_dtypes.bfloat16}
CORE = {"FP64": "float64", "FP32": "float32", "FP16": "float16", "BF16": "bfloat16"}


@pytest.fixture(scope="module")
def sync(server: Server) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(server.url.removeprefix("http://")) as client:
        yield client


@pytest.fixture
async def aio(server: Server) -> AsyncIterator[triton_aio.InferenceServerClient]:
    async with triton_aio.InferenceServerClient(server.url.removeprefix("http://")) as client:
        yield client


def sent(arrays: dict[str, np.ndarray], datatype: str = "FP32", *, binary: bool = True) -> list[triton.InferInput]:
    inputs = []
    for name, array in arrays.items():
        tensor = triton.InferInput(name, list(array.shape), datatype)
        inputs.append(tensor.set_data_from_numpy(array.astype(NUMPY[datatype]), binary_data=binary))
    return inputs


def test_notes_of_rows_are_a_parameter_of_the_answer(sync: triton.InferenceServerClient) -> None:
    hidden = triton.InferInput("key_lengths", [2], "INT32")
    hidden.set_data_from_numpy(np.array([0, 5], np.int32))
    inputs = sent({"query": QUERY, "key": KEY, "value": VALUE})
    for binary in (True, False):
        result = sync.infer("dot_product", [*inputs, hidden], outputs=wanted("output", binary=binary))
        notes = json.loads(result.get_response()["parameters"]["notes"])
        assert notes[0] == "row [0, 0, 0]: no visible key; weights and output are zero"
        assert not result.as_numpy("output")[0].any()
    assert "parameters" not in sync.infer("dot_product", inputs).get_response()


def wanted(*names: str, binary: bool) -> list[triton.InferRequestedOutput]:
    return [triton.InferRequestedOutput(name, binary_data=binary) for name in names]


VECTORS = {"query": QUERY, "key": KEY, "value": VALUE}
EXPECTED = attend(**VECTORS)


def assert_expected(result: triton.InferResult, names: tuple[str, ...] = ("output", "weights", "scores")) -> None:
    assert [output["name"] for output in result.get_response()["outputs"]] == list(names)
    for name in names:
        array = result.as_numpy(name)
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, getattr(EXPECTED, name), strict=True)


def options(request: str | None, response: str | None) -> dict[str, Any]:
    return {"request_compression_algorithm": request, "response_compression_algorithm": response}


@pytest.mark.parametrize("binary_out", [True, False])
@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("response_encoding", ENCODINGS)
@pytest.mark.parametrize("request_encoding", ENCODINGS)
def test_sync(
    sync: triton.InferenceServerClient,
    request_encoding: str | None,
    response_encoding: str | None,
    binary_in: bool,
    binary_out: bool,
) -> None:
    inputs, encodings = sent(VECTORS, binary=binary_in), options(request_encoding, response_encoding)
    outputs = wanted("weights", "output", binary=binary_out)
    result = sync.infer("scaled_dot_product", inputs, outputs=outputs, request_id="7", **encodings)
    assert result.get_response()["id"] == "7"
    assert_expected(result, ("weights", "output"))
    assert_expected(sync.infer("scaled_dot_product", inputs, model_version="1", **encodings))


@pytest.mark.parametrize("binary_out", [True, False])
@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("response_encoding", ENCODINGS)
@pytest.mark.parametrize("request_encoding", ENCODINGS)
async def test_aio(
    aio: triton_aio.InferenceServerClient,
    request_encoding: str | None,
    response_encoding: str | None,
    binary_in: bool,
    binary_out: bool,
) -> None:
    inputs, encodings = sent(VECTORS, binary=binary_in), options(request_encoding, response_encoding)
    outputs = wanted("weights", "output", binary=binary_out)
    result = await aio.infer("scaled_dot_product", inputs, outputs=outputs, request_id="7", **encodings)
    assert result.get_response()["id"] == "7"
    assert_expected(result, ("weights", "output"))
    assert_expected(await aio.infer("scaled_dot_product", inputs, model_version="1", **encodings))


@pytest.mark.parametrize("datatype", NUMPY)
@pytest.mark.parametrize("model", SCORE_MODELS)
def test_every_model_in_every_datatype(sync: triton.InferenceServerClient, model: str, datatype: str) -> None:
    parameters = PARAMETERS.get(model, {})
    inputs = [*sent(VECTORS, datatype), *sent(parameters, "FP64")]
    outputs = wanted("logsumexp", "weights", "output", "scores", binary=True)
    is_written = model == "expression"
    scalars = {"causal": True, "temperature": 0.5} | ({"formula": FORMULA} if is_written else {})
    result = sync.infer(model, inputs, outputs=outputs, parameters=scalars)
    plain = {name: float(array[0]) if array.shape == (1,) else array for name, array in parameters.items()}
    own = {"formula": FORMULA, "parameters": plain} if is_written else plain
    expected = core_result(SCORE_MODELS[model](**own), CORE[datatype])
    for name in ("weights", "output", "scores"):
        array = result.as_numpy(name)
        assert array.dtype == NUMPY[datatype]
        np.testing.assert_array_equal(array.astype(np.float64), getattr(expected, name).astype(np.float64))
    logsumexp = result.as_numpy("logsumexp")
    assert logsumexp.dtype == (np.float64 if datatype == "FP64" else np.float32)
    np.testing.assert_array_equal(logsumexp, expected.logsumexp, strict=True)


def core_result(score_model: Any, dtype: str) -> Any:
    vectors = {name: array.astype(np.float64) for name, array in VECTORS.items()}
    include = ("logsumexp", "weights", "output", "scores")
    return attend(**vectors, score_model=score_model, normalizer=Softmax(temperature=0.5), mask=Causal(), dtype=dtype,
                  include=include)  # fmt: skip


def test_several_at_once(sync: triton.InferenceServerClient, server: Server) -> None:
    with triton.InferenceServerClient(server.url.removeprefix("http://"), concurrency=4) as client:
        pending = [client.async_infer("scaled_dot_product", sent(VECTORS)) for _ in range(12)]
        for one in pending:
            assert_expected(one.get_result())


def test_what_clients_add_of_their_own_is_ignored(sync: triton.InferenceServerClient) -> None:
    ours = {"sequence_id": 3, "sequence_start": True, "sequence_end": True, "priority": 1, "timeout": 1_000_000}
    assert_expected(sync.infer("scaled_dot_product", sent(VECTORS), **ours))


def test_every_other_call(sync: triton.InferenceServerClient) -> None:
    assert sync.is_server_live()
    assert sync.is_server_ready()
    assert sync.is_model_ready("additive")
    assert sync.is_model_ready("additive", "1")
    assert not sync.is_model_ready("additiv")
    assert not sync.is_model_ready("additive", "2")
    assert sync.get_server_metadata()["name"] == "attention-service"
    assert sync.get_model_metadata("additive")["name"] == "additive"
    assert sync.get_model_config("additive")["max_batch_size"] == 0
    assert [model["name"] for model in sync.get_model_repository_index()] == list(SCORE_MODELS)
    assert len(sync.get_inference_statistics()["model_stats"]) == len(SCORE_MODELS)
    assert sync.get_inference_statistics("bilinear")["model_stats"][0]["name"] == "bilinear"


async def test_every_other_call_with_asyncio(aio: triton_aio.InferenceServerClient) -> None:
    assert await aio.is_server_live()
    assert await aio.is_server_ready()
    assert await aio.is_model_ready("additive")
    assert not await aio.is_model_ready("additiv")
    assert (await aio.get_server_metadata())["extensions"]
    assert (await aio.get_model_metadata("additive", "1"))["versions"] == ["1"]
    assert (await aio.get_model_config("additive"))["name"] == "additive"
    assert len(await aio.get_model_repository_index()) == len(SCORE_MODELS)
    assert (await aio.get_inference_statistics("bilinear"))["model_stats"]


def test_statistics_count_what_was_asked(sync: triton.InferenceServerClient) -> None:
    def counted() -> dict[str, Any]:
        return sync.get_inference_statistics("laplacian")["model_stats"][0]

    before = counted()
    for _ in range(3):
        sync.infer("laplacian", sent(VECTORS))
    with pytest.raises(InferenceServerException):
        sync.infer("laplacian", sent({"query": QUERY, "key": VALUE[..., :2]}))
    after = counted()
    assert after["inference_count"] - before["inference_count"] == 3
    assert after["execution_count"] - before["execution_count"] == 3
    assert after["last_inference"] > 1_700_000_000_000
    stages = (after["inference_stats"], before["inference_stats"])
    rose = {
        stage: tuple(stages[0][stage][unit] - stages[1][stage][unit] for unit in ("count", "ns")) for stage in stages[0]
    }
    assert {stage: count for stage, (count, _) in rose.items()} == {
        "success": 3, "fail": 1, "queue": 4, "compute_input": 3, "compute_infer": 3, "compute_output": 3,
        "cache_hit": 0, "cache_miss": 0,
    }  # fmt: skip
    parts = sum(rose[stage][1] for stage in ("compute_input", "compute_infer", "compute_output"))
    assert 0 < parts <= rose["success"][1]
    assert all(ns > 0 for stage, (count, ns) in rose.items() if count and stage != "queue")


@pytest.mark.parametrize(
    ("call", "status"),
    [
        (lambda client: client.infer("nothing", sent(VECTORS)), "404"),
        (lambda client: client.infer("additive", sent(VECTORS)), "422"),
        (lambda client: client.infer("dot_product", sent(VECTORS), model_version="3"), "404"),
        (lambda client: client.infer("dot_product", sent(VECTORS), parameters={"casual": True}), "422"),
        (lambda client: client.load_model("dot_product"), "404"),
        (lambda client: client.unload_model("dot_product"), "404"),
        (lambda client: client.get_log_settings(), "404"),
        (lambda client: client.get_trace_settings(), "404"),
        (lambda client: client.get_system_shared_memory_status(), "404"),
    ],
)  # fmt: skip
def test_errors_reach_the_caller(sync: triton.InferenceServerClient, call: Any, status: str) -> None:
    with pytest.raises(InferenceServerException) as raised:
        call(sync)
    assert raised.value.status() == status
    assert "expected" in raised.value.message()


def test_shared_memory_is_refused(sync: triton.InferenceServerClient) -> None:
    inputs = sent(VECTORS)
    inputs[0].set_shared_memory("region", 96)
    with pytest.raises(InferenceServerException) as raised:
        sync.infer("dot_product", inputs)
    assert raised.value.status() == "400"
    output = triton.InferRequestedOutput("output")
    output.set_shared_memory("region", 96)
    with pytest.raises(InferenceServerException) as raised:
        sync.infer("dot_product", sent(VECTORS), outputs=[output])
    assert raised.value.status() == "422"
