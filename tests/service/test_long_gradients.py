"""Gradients of a long sequence over HTTP: in much less memory than the scores would take."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
import safetensors.numpy

from attention_core import Gaussian, ScaledDotProduct, differentiate
from tests.processes import peak_mib, resident_mib
from tests.server import Server, running_server

LENGTH, FEATURES = 8192, 32
SCORES_MIB = 4 * LENGTH**2 / 2**20
"""A matrix of float32 scores; the backward pass has three of them where they exist."""

SENT = "application/vnd.safetensors"

MODELS = {"scaled_dot_product": ScaledDotProduct(), "gaussian": Gaussian()}
"""One that a kernel differentiates where there is one, and one that NumPy does."""


@pytest.fixture
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose memory is that of one request."""
    with running_server(tmp_path_factory.mktemp("long"), COMPUTE_THREADS="2", DEADLINE_SECONDS="600") as server:
        yield server


@pytest.mark.soak
@pytest.mark.parametrize("score_model", MODELS)
def test_gradients_of_a_long_sequence_take_little_memory(own: Server, score_model: str, report_figure: Any) -> None:
    rng = np.random.default_rng(8)
    query, key, value, upstream = (rng.standard_normal((LENGTH, FEATURES), np.float32) for _ in range(4))
    arrays = {"request.query": query, "request.key": key, "request.value": value, "output_gradient": upstream}
    document = {"request": {"score_model": score_model}}
    content = safetensors.numpy.save(arrays, {"request": json.dumps(document)})
    headers = {"Content-Type": SENT}
    with httpx.Client(base_url=own.url, timeout=600) as client:
        cost = client.post("/v1/attention/gradients/estimate", content=content, headers=headers).json()
        before = resident_mib(own.process.pid)
        response = client.post("/v1/attention/gradients", content=content, headers=headers | {"Accept": SENT})
    assert response.status_code == 200, response.text
    grown = peak_mib(own.process.pid) - before
    report_figure(f"gradients of {LENGTH} × {LENGTH} scores over HTTP, {score_model}: {grown:.0f} MiB at most")
    # Beside the predicted bytes, the body is held, decoded, and the answer is written.
    assert grown < cost["bytes"] / 2**20 + 4 * len(content) / 2**20 + 8
    assert grown < SCORES_MIB / 1.5
    found = safetensors.numpy.load(response.content)
    rows = slice(100, 164)
    part = differentiate(query[rows], key, value, upstream[rows], score_model=MODELS[score_model])
    np.testing.assert_allclose(found["gradients.query"][rows], part.query, rtol=0, atol=1e-5)
