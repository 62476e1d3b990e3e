"""Both clients, so that every test calls with and without asyncio."""

import itertools
from collections.abc import Awaitable, Callable
from operator import attrgetter
from typing import Any

import pytest

from attention_client import AsyncAttentionClient, AttentionClient

CallMethod = Callable[..., Awaitable[Any]]


@pytest.fixture(params=["sync", "asyncio"])
def call(request: pytest.FixtureRequest) -> CallMethod:
    """Call a method of a new client: ``await call(url, "attend", query, key, softcap=2)``, or "memories.put".

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
                return attrgetter(method)(client.with_options(**(call_options or {})))(*arguments, **options)
        async with AsyncAttentionClient(url, **(client_options or {})) as client:
            return await attrgetter(method)(client.with_options(**(call_options or {})))(*arguments, **options)

    return asked


_NUMBERS = itertools.count()


@pytest.fixture
def name() -> str:
    """The name of a memory that no other test has."""
    return f"memory-{next(_NUMBERS)}"
