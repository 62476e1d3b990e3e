"""Transports that lose answers: of a request that the service has answered, or that it never received."""

from collections.abc import Callable
from dataclasses import dataclass, field

import httpx


@dataclass
class Losses:
    """Which requests lose their answers.

    :param answers: methods of the next requests whose answers are lost after the service has sent them.
    :param requests: methods of the next requests that the service never receives.
    """

    answers: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def before(self, request: httpx.Request) -> None:
        """Raise for a request that is to be lost."""
        self._lose(self.requests, request)

    def after(self, request: httpx.Request) -> None:
        """Raise for a request whose answer is to be lost."""
        self._lose(self.answers, request)

    def _lose(self, methods: list[str], request: httpx.Request) -> None:
        if request.method in methods:
            methods.remove(request.method)
            raise httpx.ReadError("the connection broke", request=request)


class LosingTransport(httpx.HTTPTransport):
    """Loses answers of a client."""

    def __init__(self, losses: Losses) -> None:
        super().__init__()
        self._losses = losses

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; raise where it or its answer is to be lost."""
        self._losses.before(request)
        response = super().handle_request(request)
        if request.method in self._losses.answers:
            response.read()
            response.close()
            self._losses.after(request)
        return response


class AsyncLosingTransport(httpx.AsyncHTTPTransport):
    """Loses answers of a client with asyncio."""

    def __init__(self, losses: Losses) -> None:
        super().__init__()
        self._losses = losses

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; raise where it or its answer is to be lost."""
        self._losses.before(request)
        response = await super().handle_async_request(request)
        if request.method in self._losses.answers:
            await response.aread()
            await response.aclose()
            self._losses.after(request)
        return response


TRANSPORTS: dict[str, Callable[[Losses], httpx.BaseTransport | httpx.AsyncBaseTransport]] = {
    "sync": LosingTransport,
    "asyncio": AsyncLosingTransport,
}
