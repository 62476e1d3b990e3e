"""Both clients, so that every test asks with and without asyncio."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from service.client import AsyncAttentionClient, AttentionClient

Ask = Callable[..., Awaitable[Any]]


@pytest.fixture(params=["sync", "asyncio"])
def ask(request: pytest.FixtureRequest) -> Ask:
    """Call a method of a client made for this call alone: ``await ask(url, "attend", query, key, timeout=2)``.

    `made` are arguments of the client, `using` those of ``with_options``.
    """

    async def asked(
        url: str, method: str, *arguments: Any, made: dict[str, Any] | None = None, using: Any = None, **options: Any
    ) -> Any:
        if request.param == "sync":
            with AttentionClient(url, **(made or {})) as client:
                return getattr(client.with_options(**(using or {})), method)(*arguments, **options)
        async with AsyncAttentionClient(url, **(made or {})) as client:
            return await getattr(client.with_options(**(using or {})), method)(*arguments, **options)

    return asked
