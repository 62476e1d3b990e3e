"""A small inference in both forms, and what every refusal of one must be."""

import re
from typing import Any

import httpx

from service.problems import PROBLEMS
from tests.service.specification import component

INFER = "/v2/models/dot_product/infer"
PROBLEM = component("InferenceProblem")

ONE = {"name": "query", "shape": [1, 1], "datatype": "FP32", "data": [1]}
KEYS = {"name": "key", "shape": [2, 1], "datatype": "FP32", "data": [3, 4]}
PLAIN = {"inputs": [ONE, KEYS]}
RAW_KEYS = {"name": "key", "shape": [2, 1], "datatype": "FP32", "parameters": {"binary_data_size": 8}}
RAW = {"inputs": [ONE, RAW_KEYS]}


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
