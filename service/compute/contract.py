"""Types that a transport and the centre exchange."""

from collections.abc import Callable, Iterable, Mapping
from time import perf_counter
from types import MappingProxyType
from typing import NamedTuple, Protocol, TypeVar

from attention_core import Workers
from attention_core.interfaces import ProgressCallback, ShouldStop
from service.cluster import Cluster
from service.codecs.negotiate import AS_IT_IS, JSON, WantedEncoding
from service.memories import MemoryAccess
from service.settings import Settings


class Body(NamedTuple):
    """The body of a request, and the negotiated form of its answer."""

    content: bytes
    media_type: str = JSON
    wanted: str = JSON
    """Media type of the answer."""
    encoding: str | None = None
    """Content coding of the body; None if it is not compressed."""
    wanted_encoding: WantedEncoding = AS_IT_IS
    """Content coding of the answer."""
    json_end: int | None = None
    """Byte at which the JSON of an inference ends and its raw tensors begin; None without raw tensors."""
    memories: MemoryAccess | None = None
    """Those that the request may reach; None for a body that comes from no server."""


NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class Stream(NamedTuple):
    """Bytes behind the content of an answer, which are made while they are sent."""

    length: int
    """Bytes of all pieces."""
    held_bytes: int
    """Bytes of memory that cannot be freed until the last piece is sent."""
    pieces: Iterable[bytes | memoryview]


class Reply(NamedTuple):
    """The body of an answer, its media type and further header fields about it."""

    content: bytes
    media_type: str
    headers: Mapping[str, str] = NO_HEADERS
    status: int = 200
    stream: Stream | None = None

    @property
    def held_bytes(self) -> int:
        """Bytes of memory that the answer takes until it is sent."""
        return len(self.content) + (0 if self.stream is None else self.stream.held_bytes)


class Meter(Protocol):
    """Counts computations, for the metrics."""

    def computed(self, score_model: str, path: str, operations: int, seconds: float) -> None:
        """Count one computation; the operations are those predicted."""
        ...


class Work(NamedTuple):
    """One computation: its score model, its path and its predicted operations."""

    score_model: str
    path: str
    operations: int


T = TypeVar("T")


class Run(NamedTuple):
    """How a request is completed."""

    workers: Workers
    """Threads that share the work; one pool for all requests of a process."""
    should_stop: ShouldStop | None = None
    progress: ProgressCallback | None = None
    meter: Meter | None = None
    cluster: Cluster | None = None
    """What computes large calls; None for this machine alone."""

    def measured(self, work: Work, compute: Callable[[], T]) -> T:
        """Compute, and count the work and its seconds."""
        started = perf_counter()
        result = compute()
        if self.meter is not None:
            self.meter.computed(work.score_model, work.path, work.operations, perf_counter() - started)
        return result


class Prepared(NamedTuple):
    """A request that has passed validation and stays within the limits."""

    operations: int
    """Predicted floating-point operations."""
    bytes: int
    """Predicted bytes that computing and the answer hold beside the inputs."""
    complete: Callable[[Run], Reply]
    """Computes and encodes; raises Stopped when ``run.should_stop`` answers True."""
    waits: bool = False
    """Whether completing waits for a disk or another process."""


Prepare = Callable[[Body, Settings], Prepared]
"""Decodes, validates and resolves a body, and predicts its cost; raises MustWait for a memory that is not at hand."""
