"""Records of requests in the log of a server."""

import json
from typing import Any

import httpx

from tests.server import Server

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
"""The id of a trace and of its span, as a caller sends them."""


def record_of(server: Server, request_id: str) -> dict[str, Any]:
    """Return the record of a request, which follows its answer."""
    httpx.get(f"{server.url}/livez")
    [line] = [line for line in server.log.read_text().splitlines() if f'"request_id":"{request_id}"' in line]
    record: dict[str, Any] = json.loads(line)
    return record
