"""Who gets safetensors, and how much of it."""

import httpx
import numpy as np
import pytest
import zstandard

from service.compute import Body
from service.compute.merge import prepare_merge
from service.settings import Settings
from tests.service.safetensors.fitting import numbers
from tests.service.safetensors.stored import BOTH, SAFETENSORS, SEND, TAKE, loaded, saved
from tests.service.wrong_questions import QUESTIONS
from tests.service.wrong_requests import BASE as JSON_BASE


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("application/vnd.safetensors", "application/vnd.safetensors"),
        ("application/vnd.safetensors, application/json;q=0.9", "application/vnd.safetensors"),
        ("application/vnd.safetensors;q=0.5, application/json", "application/json"),
        ("application/*", "application/json"),
        ("application/json;q=0, application/*;q=0.1", "application/vnd.safetensors"),
        ("*/*", "application/json"),
    ],
)
async def test_accept_decides(client: httpx.AsyncClient, accept: str, media_type: str) -> None:
    for question in QUESTIONS.values():
        response = await client.post(question.path, json=question.asked(JSON_BASE), headers={"Accept": accept})
        assert (response.status_code, response.headers["content-type"]) == (200, media_type)


async def test_an_error_is_a_problem_document_all_the_same(client: httpx.AsyncClient) -> None:
    response = await client.post("/v1/attention", json={}, headers=TAKE)
    assert (response.status_code, response.headers["content-type"]) == (422, "application/problem+json")


async def test_the_result_is_predicted_in_binary(client: httpx.AsyncClient) -> None:
    """64 MiB are 2048 × 2048 numbers of four bytes four times over, and in JSON not even twice."""
    tensors = {"query": numbers(2048, 2), "key": numbers(2048, 2)}
    request = {"include": ["scores", "weights", "logits", "capped_scores"]}
    for path, headers in (("estimate", BOTH), ("estimate", SEND)):
        response = await client.post(f"/v1/attention/{path}", content=saved(tensors, request), headers=headers)
        document = loaded(response)[0] if headers is BOTH else response.json()
        assert document["result_bytes"] == 4 * 2048 * 2048 * (4 if headers is BOTH else 12)
        assert document["allowed"] == (headers is BOTH)


def test_what_is_made_wider_is_counted() -> None:
    """Partial results are merged in float64, whatever they are stored in."""
    partial = {"partials.0.output": numbers(6, 4), "partials.0.logsumexp": numbers(6)}
    bodies = [
        Body(saved({name: array.astype(dtype) for name, array in partial.items()}), SAFETENSORS)
        for dtype in (np.float64, np.float16)
    ]
    wide, narrow = (prepare_merge(body, Settings()).bytes for body in bodies)
    assert narrow - wide == 30 * 8


@pytest.mark.soak
async def test_a_body_may_be_larger_than_json_but_not_its_metadata(client: httpx.AsyncClient) -> None:
    large = {"query": np.zeros((1, 40 << 16), np.float32), "key": np.zeros((3, 40 << 16), np.float32)}
    content = saved(large)
    assert 32 << 20 < len(content) < 64 << 20
    assert (await client.post("/v1/attention", content=content, headers=SEND)).status_code == 200
    padded = saved({}, {"labels": {"query": [" " * (33 << 20)]}})
    response = await client.post("/v1/attention", content=padded, headers=SEND)
    assert (response.status_code, response.json()["type"]) == (413, "/problems/too-large")
    assert "header" in response.json()["detail"]


async def test_a_compressed_file_is_read_and_written(client: httpx.AsyncClient) -> None:
    tensors = {"query": numbers(40, 4), "key": numbers(50, 4), "mask.allowed": np.tri(40, 50, dtype=bool)}
    content = zstandard.ZstdCompressor().compress(saved(tensors))
    response = await client.post("/v1/attention", content=content, headers=BOTH | {"Content-Encoding": "zstd"})
    assert response.headers["content-encoding"] == "zstd"
    assert loaded(response)[1]["weights"].shape == (40, 50)
