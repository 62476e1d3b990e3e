"""What the Open Inference Protocol answers beside inferences, and its errors on every path and in every layer."""

import asyncio
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from attention_core import NORMALIZERS, POSITIONS, SCORE_MODELS
from attention_core.descriptions import parameters_of
from attention_wire.datatypes import DATATYPES
from service.codecs.open_inference.vocabulary import COMMON_INPUTS, FOREIGN, MODELS, OUTPUTS, SCALARS
from service.compute import Statistics, Stopwatch
from service.main import create_app
from service.routes import open_inference
from service.settings import Settings
from service.telemetry.metrics import MetricStore
from tests.server import running_server
from tests.service.open_inference.inference import Tensor, body_of
from tests.service.specification import DOCUMENT, component
from tests.service.telemetry.scraping import until_seen

PROBLEM = component("InferenceProblem")
PLAIN = {
    "inputs": [{"name": name, "shape": [1, 1], "datatype": "FP32", "data": [1]} for name in ("query", "key", "value")]
}
INFER = "/v2/models/dot_product/infer"

READINGS = ["/v2", "/v2/", "/v2/health/live", "/v2/health/ready", "/v2/models/stats",
            *(f"/v2/models/{model}{version}{call}" for model in SCORE_MODELS for version in ("", "/versions/1")
              for call in ("", "/ready", "/config", "/stats"))]  # fmt: skip

INPUTS = {"query", "key", "value", "allowed", "bias", "key_lengths", "query_segments", "key_segments", "offset",
          "past_key", "past_value", "sink", "alibi_slopes", "prefix_lengths", "key_allowed", "query_positions",
          "key_positions"}  # fmt: skip
PARAMETERS = {"causal", "offset", "window_left", "window_right", "softcap", "scale", "bandwidth", "normalizer",
              "temperature", "sink", "alpha", "formula", "query_heads", "key_value_heads", "layout",
              "memory", "memory_version", "append"}  # fmt: skip


def test_the_vocabulary_is_that_of_the_contract() -> None:
    """Every name of the contract, and besides these those of the parameters of whatever is registered."""
    assert list(MODELS) == list(SCORE_MODELS)
    assert set(MODELS["dot_product"]) >= INPUTS
    described = [parameters_of(one) for one in (*SCORE_MODELS.values(), *NORMALIZERS.values(), *POSITIONS.values())]
    assert set(MODELS["dot_product"]) - INPUTS <= {name for parameters in described for name in parameters}
    for name, model in SCORE_MODELS.items():
        tensors = {one.name for one in parameters_of(model).values() if one.kind not in ("formula", "named values")}
        assert set(MODELS[name]) == set(MODELS["dot_product"]) | tensors
    scalars = ("number", "boolean", "formula")
    numbers = {
        name
        for parameters in described[:-2]
        for name, one in parameters.items()
        if not one.axes and one.kind in scalars
    }
    assert set(SCALARS) == PARAMETERS | numbers - {"bias"}
    assert set(OUTPUTS) == {"output", "weights", "scores", "capped_scores", "modified", "logits", "mean_weights",
                            "logsumexp", "present_key", "present_value"}  # fmt: skip
    assert {"priority", "timeout", "binary_data_output", "content_type", "headers"} == FOREIGN
    assert set(DOCUMENT["components"]["schemas"]["Datatype"]["enum"]) == set(DATATYPES)


def test_a_name_of_the_protocol_leads_to_one_place() -> None:
    """Two parameters of one name need another `flat_name` each, or none."""
    fixed = {name: one.path for name, one in COMMON_INPUTS.items()} | SCALARS
    for field, registry in (("score_model", SCORE_MODELS), ("normalizer", NORMALIZERS), ("position", POSITIONS)):
        for member in registry.values():
            for one in parameters_of(member).values():
                name = one.name if one.flat_name is None else one.flat_name
                assert not name or fixed.setdefault(name, (field, one.name)) == (field, one.name), (member.name, name)


@pytest.mark.parametrize("path", READINGS)
async def test_readings_are_plain_json_for_get_and_head(client: httpx.AsyncClient, path: str) -> None:
    get = await client.get(path, headers={"Accept-Encoding": "gzip, deflate, br, zstd"})
    assert get.status_code == 200
    assert get.headers["content-type"] == "application/json"
    assert "content-encoding" not in get.headers
    assert "x-request-id" in get.headers
    head = await client.head(path)
    assert (head.status_code, head.content) == (200, b"")


async def test_the_server_names_its_extensions(client: httpx.AsyncClient) -> None:
    document = (await client.get("/v2")).json()
    assert (await client.get("/v2/")).json() == document
    assert set(document) == {"name", "version", "extensions"}
    assert document["extensions"] == ["binary_tensor_data", "statistics", "model_configuration"]


@pytest.mark.parametrize("model", SCORE_MODELS)
async def test_metadata_and_configuration_name_every_tensor(client: httpx.AsyncClient, model: str) -> None:
    metadata = (await client.get(f"/v2/models/{model}")).json()
    assert (await client.get(f"/v2/models/{model}/versions/1")).json() == metadata
    assert (metadata["name"], metadata["versions"]) == (model, ["1"])
    assert metadata["platform"]
    assert {tensor["name"] for tensor in metadata["inputs"]} == set(MODELS[model])
    assert [tensor["name"] for tensor in metadata["outputs"]] == list(OUTPUTS)
    for tensor in metadata["inputs"] + metadata["outputs"]:
        assert tensor["datatype"] in DATATYPES
        assert set(tensor["shape"]) == {-1}
    configuration = (await client.get(f"/v2/models/{model}/config")).json()
    assert configuration["max_batch_size"] == 0
    for side, kind in (("inputs", "input"), ("outputs", "output")):
        assert [(tensor["name"], f"TYPE_{tensor['datatype']}", tensor["shape"]) for tensor in metadata[side]] == [
            (tensor["name"], tensor["data_type"], tensor["dims"]) for tensor in configuration[kind]
        ]
    required = {tensor["name"] for tensor in configuration["input"] if not tensor.get("optional")}
    assert required == {"query"} | REQUIRED.get(model, set()), "a memory may have keys and values"


REQUIRED = {"additive": {"query_weight", "key_weight", "score_vector"}, "bilinear": {"weight"}, "trilinear": {"weight"}}


@pytest.mark.parametrize("left_out", [("offset",), ("query_positions", "key_positions")], ids=str)
@pytest.mark.parametrize("model", SCORE_MODELS)
async def test_what_the_metadata_names_is_taken_as_it_says(
    client: httpx.AsyncClient, model: str, left_out: tuple[str, ...]
) -> None:
    """Every −1 made a 3, without a past, which would lengthen the keys; an offset beside positions is refused."""
    metadata = (await client.get(f"/v2/models/{model}")).json()
    sizes = {"weight": 9} if model == "trilinear" else {}
    tensors = [
        Tensor(one["name"], one["datatype"], np.ones([sizes.get(one["name"], 3)] * len(one["shape"])))
        for one in metadata["inputs"]
        if not one["name"].startswith("past") and one["name"] not in left_out
    ]
    members = {"parameters": {"formula": "q @ k"}} if model == "expression" else {}
    content, headers = body_of(tensors, {tensor.name for tensor in tensors}, **members)
    response = await client.post(f"/v2/models/{model}/infer", content=content, headers=headers)
    assert response.status_code == 200, response.text


@pytest.mark.parametrize("options", [{}, {"content": b""}, {"json": {}}, {"json": {"ready": True}}])
async def test_the_repository_lists_every_model(client: httpx.AsyncClient, options: dict[str, Any]) -> None:
    response = await client.post("/v2/repository/index", **options)
    assert response.status_code == 200
    assert response.json() == [{"name": name, "version": "1", "state": "READY", "reason": ""} for name in SCORE_MODELS]


# --- errors -----------------------------------------------------------------------------------------------------------


def assert_problem(response: httpx.Response, status: int, slug: str) -> None:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    problem = response.json()
    PROBLEM.validate(problem)
    assert problem["type"].endswith(f"/problems/{slug}")
    assert problem["error"] == problem["detail"]
    assert problem["instance"] == response.headers["x-request-id"]


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/v2/nothing"), ("GET", "/v2/models"), ("GET", "/v2/models/"), ("GET", "/v2/models/nothing"),
     ("GET", "/v2/models/additive/"), ("GET", "/v2/models/additive/versions/2"), ("GET", "/v2/models/additive/nothing"),
     ("GET", "/v2/models/additive/versions/2/ready"), ("GET", "/v2/models/nothing/config"),
     ("GET", "/v2/models/additive/versions/0/stats"), ("POST", "/v2/models/nothing/infer"),
     ("POST", "/v2/models/additive/versions/11/infer"), ("POST", "/v2/repository/models/additive/load"),
     ("GET", "/v2/systemsharedmemory/status"), ("GET", "/v2//"), ("GET", "/v2/%00"), ("GET", "/v2/models/%2F")],
)  # fmt: skip
async def test_unknown_paths_models_and_versions_are_a_404(client: httpx.AsyncClient, method: str, path: str) -> None:
    assert_problem(await client.request(method, path), 404, "not-found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [("GET", INFER, "POST"), ("HEAD", INFER, "POST"), ("PUT", "/v2/models/additive/versions/1/infer", "POST"),
     ("POST", "/v2", "GET, HEAD"), ("POST", "/v2/", "GET, HEAD"), ("DELETE", "/v2/health/live", "GET, HEAD"),
     ("POST", "/v2/models/stats", "GET, HEAD"), ("GET", "/v2/repository/index", "POST"),
     ("POST", "/v2/models/additive", "GET, HEAD")],
)  # fmt: skip
async def test_other_methods_are_a_405(client: httpx.AsyncClient, method: str, path: str, allowed: str) -> None:
    response = await client.request(method, path)
    assert response.headers["allow"] == allowed
    if method == "HEAD":
        assert (response.status_code, response.headers["content-type"]) == (405, "application/json")
    else:
        assert_problem(response, 405, "method-not-allowed")


async def test_paths_that_only_begin_alike_speak_as_all_others_do(client: httpx.AsyncClient) -> None:
    for path in ("/v2x", "/v22/models", "/v1/v2/"):
        assert (await client.get(path)).headers["content-type"] == "application/problem+json"


@pytest.mark.soak
async def test_a_public_prefix_changes_nothing(tmp_path: Path) -> None:
    """Whether a proxy strips it or not."""
    with running_server(tmp_path, "--root-path", "/attention") as server:
        async with httpx.AsyncClient(base_url=server.url) as client:
            for path in ("/v2/nothing", "/attention/v2/nothing", "/attention/v2/models/nothing/infer"):
                assert_problem(await client.post(path), 404, "not-found")
            for path in ("/v1/nothing", "/attention/v1/nothing"):
                assert (await client.get(path)).headers["content-type"] == "application/problem+json"
            for path in (INFER, f"/attention{INFER}"):
                assert (await client.post(path, json=PLAIN)).status_code == 200


@pytest.mark.parametrize(
    "path", ["/v2/health/ready", "/v2/models/additive/ready", "/v2/models/additive/versions/1/ready"]
)
async def test_not_ready_is_a_503(app_client: httpx.AsyncClient, path: str) -> None:
    app_client._transport.app.state.service.ready = False
    response = await app_client.get(path)
    assert_problem(response, 503, "draining")
    assert response.json()["ready"] is False
    assert response.json().get("live") is ("health" in path or None)
    assert int(response.headers["retry-after"]) >= 1
    assert (await app_client.get("/v2/health/live")).json() == {"live": True, "ready": False}
    assert {model["state"] for model in (await app_client.post("/v2/repository/index")).json()} == {"UNAVAILABLE"}
    assert (await app_client.get("/v2/models/nothing/ready")).status_code == 404


async def test_a_defect_is_a_500_that_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: Any) -> Any:
        raise RuntimeError("secret of the insides")

    monkeypatch.setattr(open_inference, "prepare_infer", broken)
    transport = httpx.ASGITransport(app=create_app(Settings()), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
        response = await client.post(INFER, json=PLAIN)
        counted = (await client.get("/v2/models/dot_product/stats")).json()["model_stats"][0]
    assert_problem(response, 500, "internal")
    assert "secret" not in response.text
    assert counted["inference_stats"]["fail"]["count"] == 1
    assert counted["inference_count"] == 0


@pytest.mark.parametrize("seconds", ["soon", "0", "-1"])
async def test_an_unreadable_timeout_is_a_400(client: httpx.AsyncClient, seconds: str) -> None:
    assert_problem(await client.post(INFER, json=PLAIN, headers={"Request-Timeout": seconds}), 400, "malformed-body")


async def test_a_result_that_would_be_too_large_is_a_413(client: httpx.AsyncClient) -> None:
    """The bytes of an answer depend on its form: too many as JSON may be few enough as raw bytes."""
    vectors = [Tensor(name, "FP16", np.zeros((4000, 1), np.float16)) for name in ("query", "key")]
    for binary, status in ((False, 413), (True, 200)):
        content, headers = body_of(
            vectors, {"query", "key"}, outputs=[{"name": "weights", "parameters": {"binary_data": binary}}]
        )
        response = await client.post(INFER, content=content, headers=headers)
        assert response.status_code == status, response.text
    assert len(response.content) > 4000 * 4000 * 2
    many = [Tensor(name, "FP16", np.zeros((8000, 1), np.float16)) for name in ("query", "key")]
    content, headers = body_of(many, {"query", "key"}, parameters={"binary_data_output": True})
    assert_problem(await client.post(INFER, content=content, headers=headers), 413, "too-large")


async def test_no_answer_of_any_call_waits_for_another_connection(client: httpx.AsyncClient) -> None:
    """One connection carries refusals, whose body was not even read, and answers alike."""
    for _ in range(3):
        for content, headers, status in ((b"{", {}, 400), (b"x" * 100_000, {"Content-Encoding": "br"}, 415)):
            assert (await client.post(INFER, content=content, headers=headers)).status_code == status
        assert (await client.post(INFER, json=PLAIN)).status_code == 200
        assert (await client.get("/v2/health/ready")).status_code == 200


SLOW = [
    Tensor(name, "FP32", np.full(shape, 0.5))
    for name, shape in (("query", (12_000, 1)), ("key", (1500, 1)), ("query_weight", (64, 1)), ("key_weight", (64, 1)),
                        ("score_vector", (64,)))
]  # fmt: skip
SLOW_INFER = "/v2/models/additive/infer"


@pytest.mark.alone
async def test_load_and_time_are_refused_as_everywhere(tmp_path: Path) -> None:
    settings = {"COMPUTE_THREADS": "1", "QUEUE_SIZE": "1", "BODY_TIMEOUT_SECONDS": "0.5"}
    content, headers = body_of(SLOW, {"query", "key"}, outputs=[{"name": "logsumexp"}], parameters={"softcap": 3})
    with running_server(tmp_path, **settings) as server:
        async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
            slow = [asyncio.create_task(client.post(SLOW_INFER, content=content, headers=headers)) for _ in range(2)]
            await until_seen(server.url, lambda now: now.value("attention_queued") == 1)
            refused = await client.post(SLOW_INFER, content=content, headers=headers)
            assert_problem(refused, 429, "queue-full")
            assert int(refused.headers["retry-after"]) >= 1
            assert [response.status_code for response in await asyncio.gather(*slow)] == [200, 200]
            started = time.monotonic()
            late = await client.post(SLOW_INFER, content=content, headers=headers | {"Request-Timeout": "0.05"})
            assert_problem(late, 504, "deadline-exceeded")
            assert time.monotonic() - started < 1.5
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(f"POST {INFER} HTTP/1.1\r\nHost: a\r\nContent-Length: 30\r\n\r\n{{".encode())
            answer = await asyncio.wait_for(reader.readuntil(b"}"), 10)
            assert answer.startswith(b"HTTP/1.1 408 ")
            assert b"content-type: application/json\r\n" in answer
            assert b'"error":"expected the whole body in time' in answer
            writer.close()
            stages = (await client.get("/v2/models/additive/stats")).json()["model_stats"][0]["inference_stats"]
            assert stages["success"]["count"] == 2
            assert stages["fail"]["count"] == 2
            assert stages["queue"]["ns"] > 0.5 * stages["compute_infer"]["ns"] / 2, "the second waited for the first"


# --- statistics -------------------------------------------------------------------------------------------------------


def test_statistics_are_counted_from_many_threads_and_read_whole_meanwhile() -> None:
    statistics, watch = Statistics(MetricStore()), Stopwatch(10, 20, 30, 40, 50, 60)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as threads:
            work = [threads.submit(_record_often, statistics, watch) for _ in range(4)]
            while not all(one.done() for one in work):
                [counted] = statistics.document("cosine")["model_stats"]
                counts = {counted["inference_stats"][name]["count"] for name in COUNTED_TOGETHER}
                assert len(counts) == 1, "a request was half counted"
    finally:
        sys.setswitchinterval(interval)
    [counted] = statistics.document("cosine")["model_stats"]
    assert counted["inference_count"] == counted["execution_count"] == 8000
    stages = counted["inference_stats"]
    spent = {name: stages[name]["ns"] / 8000 for name in COUNTED_TOGETHER if name != "success"}
    assert spent == {"queue": 20, "compute_input": 10, "compute_infer": 10, "compute_output": 10}
    [untouched] = statistics.document("gaussian")["model_stats"]
    assert untouched["last_inference"] == 0


COUNTED_TOGETHER = ("success", "queue", "compute_input", "compute_infer", "compute_output")


def _record_often(statistics: Statistics, watch: Stopwatch) -> None:
    for _ in range(2000):
        statistics.record("cosine", watch, succeeded=True)
