"""Ask the service for what a case computed, and compare."""

from typing import Any

import httpx
import numpy as np


def _as_array(nested: Any) -> np.ndarray:
    """Return the numbers of an answer: null is minus infinity."""
    leaves = np.array(nested, dtype=object)
    return np.array([-np.inf if leaf is None else float(leaf) for leaf in leaves.ravel()]).reshape(leaves.shape)


async def assert_same_results(client: httpx.AsyncClient, case: dict[str, Any]) -> None:
    """Fail unless the service answers the request of a case with its results, within its tolerance."""
    response = await client.post(case["path"], json=case["request"])
    assert response.status_code == 200, response.text
    assert case["expected"]
    for name, expected in case["expected"].items():
        found = response.json()
        for step in name.split("."):
            found = found[step]
        received, wanted = _as_array(found), _as_array(expected)
        assert received.shape == wanted.shape, name
        np.testing.assert_allclose(received, wanted, rtol=0, atol=case["tolerance"], err_msg=name)
