"""The request of the README that is checked, and how to check it."""

from typing import Any

import httpx

README = {
    "query": [[2, 1, 1, 0]],
    "key": [[1.9, 1.5, 1.0, 0.3], [0.6, 1.1, 0.9, 2.0], [0.5, 1.0, 0.4, 0.4], [0.1, 0.5, 0.3, 0.6]],
    "value": [[1.0, 0.2, 0.0], [0.1, 1.0, 0.4], [0.2, 0.3, 1.0], [0.0, 0.1, 0.8]],
}


async def check(client: httpx.AsyncClient, request: Any, candidate: Any, **options: Any) -> dict[str, Any]:
    """Return the verdict of the service on a candidate."""
    response = await client.post("/v1/attention/check", json={"request": request, "candidate": candidate} | options)
    assert response.status_code == 200, response.text
    verdict: dict[str, Any] = response.json()
    return verdict
