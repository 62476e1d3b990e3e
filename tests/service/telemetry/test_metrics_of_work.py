"""GET /metrics of a real server counts work: bytes that travel, operations and their seconds."""

import httpx
import numpy as np
import pytest
import safetensors.numpy

from tests.service.open_inference.inference import Tensor, body_of
from tests.service.telemetry.bodies import OTHER_MODEL, REQUEST
from tests.service.telemetry.scraping import scrape


def test_bytes_are_those_that_travelled(own, changes):
    content = b'{"query": [[1]], "key": [[1]]}'

    def chunks():
        yield content[:10]
        yield content[10:]

    with httpx.Client(base_url=own.url, headers={"Accept-Encoding": "gzip"}) as client:
        answer = client.post(
            "/v1/attention", content=content, headers={"Content-Type": "application/json; charset=utf-8"}
        )
        form = client.post(
            "/v1/attention", content=chunks(), headers={"Content-Type": "application/x-www-form-urlencoded"}
        )
        picture = client.post("/v1/attention", content=content, headers={"Accept": "image/svg+xml"})
        problem = client.post("/v1/attention", content=b"[]")
        vectors = [Tensor(name, "FP32", np.ones((3, 2))) for name in ("query", "key")]
        sent, headers = body_of(vectors, {"query", "key"}, parameters={"binary_data_output": True})
        binary = client.post(
            "/v2/models/cosine/infer", content=sent, headers=headers | {"Content-Type": "application/octet-stream"}
        )
        snapshot = client.head("/docs")
    assert [one.status_code for one in (answer, form, picture, problem, binary, snapshot)] == [
        200,
        200,
        200,
        422,
        200,
        200,
    ]
    assert picture.num_bytes_downloaded < len(picture.content), "it travels compressed"
    expected = {
        ("in", "application/json"): 3 * len(content) + 2,
        ("in", "application/octet-stream"): len(sent),
        ("in", "other"): 0,
        ("out", "application/json"): answer.num_bytes_downloaded + form.num_bytes_downloaded,
        ("out", "image/svg+xml"): picture.num_bytes_downloaded,
        ("out", "application/problem+json"): problem.num_bytes_downloaded,
        ("out", "application/octet-stream"): binary.num_bytes_downloaded,
    }
    for (direction, media_type), size in expected.items():
        assert changes("attention_bytes_total", direction=direction, media_type=media_type) == size, media_type


def test_tensors_and_events_have_their_media_types(own, changes):
    tensors = safetensors.numpy.save({"query": np.ones((2, 3)), "key": np.ones((4, 3))}, {"request": "{}"})
    with httpx.Client(base_url=own.url, headers={"Accept-Encoding": "identity"}) as client:
        kind = "application/vnd.safetensors"
        stored = client.post("/v1/attention", content=tensors, headers={"Content-Type": kind, "Accept": kind})
        events = client.post("/v1/attention", json=REQUEST, headers={"Accept": "text/event-stream"})
    assert [stored.status_code, events.status_code] == [200, 200]
    assert changes("attention_bytes_total", direction="in", media_type=kind) == len(tensors)
    assert changes("attention_bytes_total", direction="out", media_type=kind) == len(stored.content)
    assert changes("attention_bytes_total", direction="out", media_type="text/event-stream") == len(events.content)
    assert scrape(own.url).value("attention_in_flight") == 0


def test_what_is_computed_is_counted_by_score_model_and_path(own, changes):
    tiled = {"query": [[0.5]] * 400, "key": [[0.25]] * 400, "value": [[1.0]] * 400, "include": ["output"]}
    bodies = {
        "/v1/attention": [REQUEST, REQUEST | OTHER_MODEL, tiled],
        "/v1/attention/estimate": [tiled],
        "/v1/attention/check": [{"request": REQUEST, "candidate": {"output": [[3.0]]}}],
        "/v1/attention/explain": [{"request": REQUEST, "query_index": 0, "key_index": 0}],
        "/v1/attention/compare": [{"base": REQUEST, "variants": [{"label": "a", "overrides": OTHER_MODEL}]}],
        "/v1/attention/gradients": [{"request": REQUEST | OTHER_MODEL, "output_gradient": 1}],
        "/v1/attention/gradients/estimate": [{"request": REQUEST, "output_gradient": 1}],
        "/v1/attention/merge": [{"partials": [{"output": [[1.0]], "logsumexp": [0.0]}] * 2}],
    }  # fmt: skip
    predicted = 0
    with httpx.Client(base_url=own.url) as client:
        for path, requests in bodies.items():
            for body in requests:
                assert client.post(path, json=body).status_code == 200, path
        for body in bodies["/v1/attention"]:
            predicted += client.post("/v1/attention/estimate", json=body).json()["operations"]
    counted = {
        ("scaled_dot_product", "dense"): 2,
        ("gaussian", "dense"): 2,
        ("scaled_dot_product", "tiled"): 1,
        ("scaled_dot_product", "reference"): 2,
        ("gaussian", "gradients"): 1,
        ("none", "merge"): 1,
    }
    for (model, path), times in counted.items():
        labels = {"score_model": model, "path": path}
        assert changes("attention_compute_seconds_count", **labels) == times, labels
        assert 0 < changes("attention_compute_seconds_sum", **labels) < 5
    assert changes("attention_operations_total") > predicted > 0


def test_operations_are_those_that_the_estimate_predicts(own, changes):
    with httpx.Client(base_url=own.url) as client:
        predicted = client.post("/v1/attention/estimate", json=REQUEST).json()["operations"]
        client.post("/v1/attention", json=REQUEST)
    assert changes("attention_operations_total") == predicted > 0


def test_statistics_of_v2_are_the_same_numbers(own, changes):
    vectors = [Tensor(name, "FP32", np.ones((300, 8))) for name in ("query", "key")]
    content, headers = body_of(vectors, {"query", "key"})
    for _ in range(4):
        assert httpx.post(f"{own.url}/v2/models/laplacian/infer", content=content, headers=headers).status_code == 200
    assert httpx.post(f"{own.url}/v2/models/laplacian/infer", content=b"{}").status_code == 422
    route = "/v2/models/{model}/infer"
    [counted] = httpx.get(f"{own.url}/v2/models/laplacian/stats").json()["model_stats"]
    stages = counted["inference_stats"]
    assert stages["success"]["count"] == changes("attention_requests_total", route=route, method="POST", status="200")
    assert stages["fail"]["count"] == changes("attention_requests_total", route=route, method="POST", status="422")
    assert stages["queue"]["count"] == 5
    labels = {"score_model": "laplacian", "path": "dense"}
    assert counted["execution_count"] == changes("attention_compute_seconds_count", **labels) == 4


def test_seconds_of_v2_are_those_of_the_metrics(own):
    """Both clocks are read for each request; a process that loses its core between them is asked again.

    On a busy machine the steps between the two clocks take a tenth of a millisecond: little of a long computation.
    """
    tensors = [Tensor(name, "FP32", np.ones((1500, 8))) for name in ("query", "key")]
    outputs = [{"name": "weights", "parameters": {"binary_data": True}}]
    content, headers = body_of(tensors, {"query", "key"}, outputs=outputs)

    def totals():
        [counted] = httpx.get(f"{own.url}/v2/models/gaussian/stats").json()["model_stats"]
        seconds = scrape(own.url).value("attention_compute_seconds_sum", score_model="gaussian", path="dense")
        return counted["inference_stats"]["compute_infer"]["ns"], seconds * 1e9

    apart = []
    for _ in range(20):
        before = totals()
        assert httpx.post(f"{own.url}/v2/models/gaussian/infer", content=content, headers=headers).status_code == 200
        by_stats, by_metrics = (after - earlier for after, earlier in zip(totals(), before, strict=True))
        apart.append(by_stats / by_metrics)
        if apart[-1] == pytest.approx(1, rel=0.05):
            return
    raise AssertionError(f"the two are never the same: {apart}")
