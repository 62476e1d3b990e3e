"""Calls on a cluster: the same bytes as without one."""

import itertools

import httpx
import pytest

from tests import calls
from tests.sampling import every

INCLUDED = (["output"], ["scores", "capped_scores", "logits", "weights", "output"], ["ranking", "diagnostics", "output"])


def metric(text: str, name: str) -> float:
    """A number of /metrics."""
    return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(name))


async def both(client: httpx.AsyncClient, ray_client: httpx.AsyncClient, path: str, **request):
    """The answers of a server without a cluster and one with it."""
    return [await one.post(path, timeout=120, **request) for one in (client, ray_client)]


# Every combination of the product in one, or every second of two, takes too long.
@pytest.mark.parametrize("point", every(16, list(itertools.product(calls.combinations(), INCLUDED))[::173]))
async def test_every_kind_of_call_has_the_same_bits(client, ray_client, point):
    one, include = point
    local, spread = await both(client, ray_client, "/v1/attention", json={**one.request(), "include": include})
    assert spread.content == local.content
    assert spread.status_code == local.status_code == 200
    assert spread.headers["attention-kernel"] == local.headers["attention-kernel"]
