"""Many clients that each send as much as they may."""

import asyncio
import collections

import httpx
import pytest

from service.settings import Settings
from tests.operations import Limit
from tests.processes import peak_mib
from tests.server import running_server
from tests.service.holding_up.large_bodies import JSON_BYTES

pytestmark = pytest.mark.alone

CLIENTS = 64

CUT_OFF = "cut off"
"""What may become of a client that has been refused and goes on sending whatever it is told."""


OCTETS = Settings.model_fields["max_body_bytes"].default - 1


def dense_json():
    """A body of many short numbers: nothing takes more memory to decode."""
    row = b"[" + b"1," * 63 + b"1]"
    head, tail = b'{"include": ["logsumexp"], "key": [' + row + b'], "query": [', b"]}"
    rows = (JSON_BYTES - len(head) - len(tail)) // (len(row) + 1)
    body = head + b",".join([row] * rows) + tail
    return body + b" " * (JSON_BYTES - len(body)), {"Content-Type": "application/json"}, "/v1/attention"


def raw_tensors():
    """A body of raw float32 numbers."""
    rows = (OCTETS - 4096) // 256
    head = (
        b'{"inputs": [{"name": "query", "shape": [%d, 64], "datatype": "FP32", "parameters": {"binary_data_size": %d}},'
        b'{"name": "key", "shape": [4, 64], "datatype": "FP32", "parameters": {"binary_data_size": 1024}}],'
        b'"outputs": [{"name": "logsumexp", "parameters": {"binary_data": true}}]}' % (rows, rows * 256)
    )
    content = head + bytes(rows * 256 + 1024)
    headers = {"Inference-Header-Content-Length": str(len(head))}
    return content, headers, "/v2/models/scaled_dot_product/infer"


async def pieces(content):
    """Piece by piece, as a client that has the body in a file: asyncio copies all that is left at every write."""
    for start in range(0, len(content), 1 << 17):
        yield content[start : start + (1 << 17)]


@pytest.mark.soak
@pytest.mark.parametrize("kind", [dense_json, raw_tensors])
async def test_many_clients_just_under_the_limit_fit_into_a_small_container(tmp_path, report_figure, kind):
    """64 clients, each a byte under the body limit: the process never holds 1 GiB, refuses some, lives on."""
    content, headers, path = kind()
    with running_server(tmp_path, COMPUTE_THREADS="2") as server:
        idle = peak_mib(server.process.pid)
        limits = httpx.Limits(max_connections=CLIENTS + 1)
        async with httpx.AsyncClient(base_url=server.url, timeout=120, limits=limits) as client:

            async def one():
                try:
                    sized = {**headers, "Content-Length": str(len(content))}
                    return (await client.post(path, content=pieces(content), headers=sized)).status_code
                except httpx.TransportError:
                    return CUT_OFF

            statuses = collections.Counter(await asyncio.gather(*(one() for _ in range(CLIENTS))))
            assert (await client.get("/livez")).status_code == 200
        peak = peak_mib(server.process.pid)
        report_figure(
            f"64 clients, {len(content) / 2**20:.0f} MiB each ({kind.__name__}): {dict(statuses)}, "
            f"peak {peak:.0f} MiB, idle {idle:.0f} MiB"
        )
        assert set(statuses) <= {200, 408, 429, 504, CUT_OFF}
        assert statuses[200]
        assert statuses[429]
        assert peak < Limit.CONTAINER.number
        assert server.stop()[0] == 0
