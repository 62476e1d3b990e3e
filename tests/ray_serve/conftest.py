"""One Serve for all tests."""

import os
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from tests.cluster.ground import INSTALLED, TARGET
from tests.ray_serve.ground import Served, running_serve


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serve with the file that is published; without Ray the tests are skipped, and with CI set they fail."""
    if not INSTALLED.exists() and not os.environ.get("CI"):
        pytest.skip(f"needs Ray: make {TARGET}")
    with running_serve(tmp_path_factory.mktemp("serve")) as running:
        yield running


@pytest.fixture
async def replicas(served: Served) -> AsyncIterator[httpx.AsyncClient]:
    """A client of Serve."""
    async with httpx.AsyncClient(base_url=served.url, timeout=180) as client:
        yield client
