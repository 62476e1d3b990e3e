"""Transports that lose answers: of a request that the service has answered, or that it never received."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx


@dataclass
class Losses:
    """Which requests lose their answers.

    :param answers: methods of the next requests whose answers are lost after the service has sent them.
    :param requests: methods of the next requests that the service never receives.
    :param share: of all requests that are lost beside these, half of them before the service receives them.
    :param seed: of the choice.
    """

    answers: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    share: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def loses_request(self, request: httpx.Request) -> bool:
        """Return whether the service never receives a request."""
        return self._is_next(self.requests, request)

    def loses_answer(self, request: httpx.Request) -> bool:
        """Return whether the answer to a request is lost."""
        return self._is_next(self.answers, request)

    def _is_next(self, methods: list[str], request: httpx.Request) -> bool:
        if request.method in methods:
            methods.remove(request.method)
            return True
        return self._random.random() < self.share / 2


def broken(request: httpx.Request) -> httpx.ReadError:
    """Return the error of a connection that broke."""
    return httpx.ReadError("the connection broke", request=request)


class LosingTransport(httpx.HTTPTransport):
    """Loses answers of a client."""

    def __init__(self, losses: Losses) -> None:
        super().__init__()
        self._losses = losses

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; raise where it or its answer is to be lost."""
        if self._losses.loses_request(request):
            raise broken(request)
        response = super().handle_request(request)
        if self._losses.loses_answer(request):
            response.read()
            response.close()
            raise broken(request)
        return response


class AsyncLosingTransport(httpx.AsyncHTTPTransport):
    """Loses answers of a client with asyncio."""

    def __init__(self, losses: Losses) -> None:
        super().__init__()
        self._losses = losses

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; raise where it or its answer is to be lost."""
        if self._losses.loses_request(request):
            raise broken(request)
        response = await super().handle_async_request(request)
        if self._losses.loses_answer(request):
            await response.aread()
            await response.aclose()
            raise broken(request)
        return response


TRANSPORTS: dict[str, Callable[[Losses], httpx.BaseTransport | httpx.AsyncBaseTransport]] = {
    "sync": LosingTransport,
    "asyncio": AsyncLosingTransport,
}
