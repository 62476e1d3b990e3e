"""How the tests of the protocol send bodies."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.service.open_inference.asking import INFER


@pytest.fixture
async def ask(client: httpx.AsyncClient) -> Callable[..., Any]:
    async def send(content: Any, path: str = INFER, **headers: str) -> httpx.Response:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        return await client.post(path, content=body, headers={name.replace("_", "-"): v for name, v in headers.items()})

    return send
