"""The connection to Ray: settings, start, loss."""

import httpx

from tests.cluster.ground import RayCluster


async def test_a_server_beside_a_cluster_answers(ray_client: httpx.AsyncClient, ray_cluster: RayCluster) -> None:
    """A server that is connected to three nodes is ready."""
    assert len(ray_cluster.ask("alive")) == 3
    assert (await ray_client.get("/readyz")).status_code == 200
