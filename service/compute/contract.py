"""What passes between a transport and the centre."""

from collections.abc import Callable, Mapping
from time import perf_counter
from types import MappingProxyType
from typing import NamedTuple, Protocol, TypeVar

from attention_core import Workers
from attention_core.interfaces import Progress, ShouldStop
from service.codecs.negotiate import AS_IT_IS, JSON, WantedEncoding
from service.settings import Settings


class Body(NamedTuple):
    """The bytes of a request, what they are, and what the answer is to be.

    With an `encoding` they are compressed in it.
    """

    content: bytes
    media_type: str = JSON
    wanted: str = JSON
    encoding: str | None = None
    wanted_encoding: WantedEncoding = AS_IT_IS


NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class Reply(NamedTuple):
    """The bytes of an answer, what they are, and what else its headers say of them."""

    content: bytes
    media_type: str
    headers: Mapping[str, str] = NO_HEADERS


class Meter(Protocol):
    """Whoever wants to know what was computed."""

    def computed(self, score_model: str, path: str, operations: int, seconds: float) -> None:
        """Something has been computed; the operations are those predicted."""
        ...


class Work(NamedTuple):
    """Something that is going to be computed: what scores, on which path, with how many operations."""

    score_model: str
    path: str
    operations: int


T = TypeVar("T")


class Run(NamedTuple):
    """How a request is completed: with which threads to share the work, when to stop, and whom to tell how far it is.

    The threads belong to whoever runs requests; all of them share the same, and the same `meter`.
    """

    workers: Workers
    should_stop: ShouldStop | None = None
    progress: Progress | None = None
    meter: Meter | None = None

    def measured(self, work: Work, compute: Callable[[], T]) -> T:
        """Compute, and tell the meter how long it took."""
        started = perf_counter()
        result = compute()
        if self.meter is not None:
            self.meter.computed(work.score_model, work.path, work.operations, perf_counter() - started)
        return result


class Prepared(Protocol):
    """A request that is known to be right and affordable."""

    @property
    def operations(self) -> int:
        """Predicted floating-point operations."""
        ...

    @property
    def bytes(self) -> int:
        """Predicted bytes that computing and the answer hold beside the inputs."""
        ...

    def complete(self, run: Run) -> Reply:
        """Compute and encode; raises Stopped when ``run.should_stop`` answers True."""
        ...


Prepare = Callable[[Body, Settings], Prepared]
"""Decode, validate, resolve, estimate: what an endpoint does with a body before anything is computed."""
