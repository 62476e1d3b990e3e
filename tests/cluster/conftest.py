"""A Ray cluster of three nodes with a CPU each, and the service beside it."""

import os
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from tests.cluster.ground import INSTALLED, TARGET, RayCluster
from tests.server import Server

MIN_OPERATIONS = 1
"""So that every call of a test runs on the cluster."""

MAX_OPERATIONS = 10**15
"""So that each task of a call may take minutes."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the tests that need Ray where it is not installed; with CI set they run, and fail."""
    if INSTALLED.exists() or os.environ.get("CI"):
        return
    for item in items:
        if "ray_cluster" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.skip(reason=f"needs Ray: make {TARGET}"))


@pytest.fixture(scope="session")
def ray_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RayCluster]:
    """The cluster of this test run."""
    directory = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        directory = directory.parent
    cluster = RayCluster(directory)
    yield cluster
    cluster.close()


@pytest.fixture(scope="session")
def ray_server(ray_cluster: RayCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that computes on the cluster."""
    settings = {"RAY_MIN_OPERATIONS": str(MIN_OPERATIONS), "MAX_OPERATIONS": str(MAX_OPERATIONS)}
    with ray_cluster.server(tmp_path_factory.mktemp("ray-server"), **settings) as server:
        yield server


@pytest.fixture
async def ray_client(ray_cluster: RayCluster, ray_server: Server) -> AsyncIterator[httpx.AsyncClient]:
    """A client of that server, while no test changes the nodes."""
    async with ray_cluster.client(ray_server) as client:
        yield client
