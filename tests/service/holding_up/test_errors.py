"""Every error of every layer has the error format and a request id."""

import re

import httpx
import pytest

from service.problems import PROBLEMS
from tests.service.specification import OPERATIONS

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW")

PATHS = sorted({label.partition(" ")[2] for label in OPERATIONS} | {"/", "/docs", "/playground", "/static/none"})

BODIES = [b"", b"{", b"[1]", b"\xff" * 20_000]

HEADERS = [
    {},
    {"Accept": "text/csv"},
    {"Content-Encoding": "rot13"},
    {"Content-Type": "text/csv"},
    {"Request-Timeout": "x"},
]


def assert_problem(response: httpx.Response, path: str) -> None:
    """Fail unless an error is the document that its path promises."""
    problem = response.json()
    inference = path.startswith("/v2")
    assert response.headers["content-type"] == ("application/json" if inference else "application/problem+json")
    slug = problem["type"].removeprefix("/problems/")
    assert PROBLEMS[slug].status == problem["status"] == response.status_code
    assert problem["title"] == PROBLEMS[slug].title.en
    assert problem["detail"]
    assert problem["instance"] == response.headers["x-request-id"]
    assert ("error" in problem) is inference
    assert not inference or problem["error"] == problem["detail"]


@pytest.mark.parametrize("path", [*PATHS, "/nowhere", "/v2/nowhere", "/v1/attention/"])
async def test_every_error_of_every_route_and_method_has_the_format(client, report_figure, path):
    """Every path with every method, body and header: an error is a problem document with a request id."""
    concrete = re.sub(r"{\w+}", "none", path)
    seen = {}
    for method in METHODS:
        for body in BODIES if method == "POST" else BODIES[:1]:
            for headers in HEADERS if body == BODIES[1] else HEADERS[:1]:
                response = await client.request(method, concrete, content=body, headers=headers)
                assert response.headers["x-request-id"]
                seen[response.status_code] = seen.get(response.status_code, 0) + 1
                if response.status_code >= 400:
                    assert_problem(response, concrete)
                if response.status_code == 405:
                    assert response.headers["allow"]
    assert any(status >= 400 for status in seen)
    report_figure(f"{path}: {dict(sorted(seen.items()))}")
