"""Both clients, so that every test calls with and without asyncio."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from attention_client import AsyncAttentionClient, AttentionClient

CallMethod = Callable[..., Awaitable[Any]]


@pytest.fixture(params=["sync", "asyncio"])
def call(request: pytest.FixtureRequest) -> CallMethod:
    """Call a method of a new client: ``await call(url, "attend", query, key, softcap=2)``.

    `client_options` are arguments of the client, `call_options` those of ``with_options``.
    """

    async def asked(
        url: str,
        method: str,
        *arguments: Any,
        client_options: dict[str, Any] | None = None,
        call_options: Any = None,
        **options: Any,
    ) -> Any:
        if request.param == "sync":
            with AttentionClient(url, **(client_options or {})) as client:
                return getattr(client.with_options(**(call_options or {})), method)(*arguments, **options)
        async with AsyncAttentionClient(url, **(client_options or {})) as client:
            return await getattr(client.with_options(**(call_options or {})), method)(*arguments, **options)

    return asked
