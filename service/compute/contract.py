"""What passes between a transport and the centre."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from attention_core.interfaces import Progress, ShouldStop
from service.codecs.negotiate import JSON
from service.settings import Settings


@dataclass(frozen=True, slots=True)
class Body:
    """The bytes of a request, what they are, and what the answer is to be."""

    content: bytes
    media_type: str = JSON
    wanted: str = JSON


@dataclass(frozen=True, slots=True)
class Reply:
    """The bytes of an answer, what they are, and what else its headers say of them."""

    content: bytes
    media_type: str
    headers: Mapping[str, str] = field(default_factory=dict)


class Prepared(Protocol):
    """A request that is known to be right and affordable."""

    @property
    def operations(self) -> int:
        """Predicted floating-point operations."""
        ...

    def complete(self, should_stop: ShouldStop | None, progress: Progress | None = None) -> Reply:
        """Compute and encode; raises Stopped when `should_stop` answers True."""
        ...


Prepare = Callable[[Body, Settings], Prepared]
"""Decode, validate, resolve, estimate: what an endpoint does with a body before anything is computed."""
