"""What every problem document holds, and bodies that are refused with one."""

from typing import Any

import httpx

from service.problems import PROBLEMS

MALFORMED = {
    "empty": b"",
    "broken": b'{"query": [[1, 2]',
    "trailing comma": b'{"query": [[1, 2],]}',
    "single quotes": b"{'query': [[1]]}",
    "bare NaN": b'{"query": [[NaN]], "key": [[1]]}',
    "bare Infinity": b'{"query": [[1]], "key": [[Infinity]]}',
    "bare -Infinity": b'{"query": [[1]], "key": [[-Infinity]]}',
    "not UTF-8": b'{"query": [["\xff"]]}',
    "lone surrogate": b'{"query": [[1]], "key": [["\\ud800"]]}',
    "lone surrogate beside a huge number": b'{"query": [[1e999]], "key": [["\\ud800"]]}',
    "two documents": b"{} {}",
    "65 levels": b'{"query": ' + b"[" * 65 + b"1" + b"]" * 65 + b"}",
    "250 000 levels": b"[" * 250_000,
    "250 000 objects": b'{"a":' * 250_000,
}


def check(response: httpx.Response, status: int, slug: str) -> dict[str, Any]:
    """Fail unless a response is a problem document of this kind; return the document."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = response.json()
    assert document["type"] == f"/problems/{slug}"
    assert document["status"] == status
    assert document["title"] == PROBLEMS[slug].title.en
    assert document["instance"] == response.headers["x-request-id"]
    assert "expected" in document["detail"]
    assert "received" in document["detail"]
    for secret in ("Traceback", "File ", "site-packages"):
        assert secret not in response.text
    return document
