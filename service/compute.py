"""The transport-neutral centre: bytes in, bytes out.

A request is first *prepared* (decoded, validated, resolved, its cost held against the budget) and then *completed*
(computed, encoded).  Between the two the gate knows what it will cost.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from attention_core import CallError, Cost, evaluate, predict, resolve
from attention_core.call import ResolvedCall
from attention_core.interfaces import Progress, ShouldStop
from service.codecs import json
from service.codecs.datatypes import BYTES_PER_NUMBER
from service.codecs.negotiate import JSON
from service.codecs.result import result_document
from service.errors import TooLarge
from service.schemas.attention import AttentionRequest
from service.schemas.parse import check_labels, from_call_error, parse
from service.settings import Settings


@dataclass(frozen=True, slots=True)
class Body:
    """The bytes of a request and what they are."""

    content: bytes
    media_type: str


@dataclass(frozen=True, slots=True)
class Reply:
    """The bytes of an answer and what they are."""

    content: bytes
    media_type: str


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


@dataclass(frozen=True, slots=True)
class PreparedAttention:
    """One attention call, ready to run, and how its result is to be written."""

    call: ResolvedCall
    cost: Cost
    key_labels: Sequence[str] | None
    decimals: int | None

    @property
    def operations(self) -> int:
        """Predicted floating-point operations."""
        return self.cost.operations

    def complete(self, should_stop: ShouldStop | None, progress: Progress | None = None) -> Reply:
        """Attend and write the result as JSON."""
        try:
            result = evaluate(self.call, should_stop=should_stop, progress=progress)
        except CallError as error:
            raise from_call_error(error) from None
        return Reply(json.encode(result_document(result, self.key_labels, self.decimals)), JSON)


@dataclass(frozen=True, slots=True)
class PreparedEstimate:
    """The cost of an attention call, ready to be told."""

    document: Mapping[str, Any]
    operations: int = 0

    def complete(self, should_stop: ShouldStop | None, progress: Progress | None = None) -> Reply:
        """Write the estimate; nothing is computed."""
        return Reply(json.encode(self.document), JSON)


def prepare_attention(body: Body, settings: Settings) -> PreparedAttention:
    """Read an attention request.

    Raises MalformedBody, InvalidRequest, or TooLarge when its cost exceeds the budget.
    """
    request, call = read_attention(body, settings)
    cost = predict(call)
    require_affordable(cost, call, settings)
    labels = None if request.labels is None else request.labels.key
    return PreparedAttention(call, cost, labels, request.decimals)


def prepare_estimate(body: Body, settings: Settings) -> PreparedEstimate:
    """Read an attention request and predict its cost; raises MalformedBody or InvalidRequest."""
    _, call = read_attention(body, settings)
    cost = predict(call)
    return PreparedEstimate(
        {
            "operations": cost.operations,
            "bytes": cost.bytes,
            "result_bytes": result_bytes(cost, call),
            "path": "dense",
            "allowed": not exceeded(cost, call, settings),
            "limits": {
                "max_operations": settings.max_operations,
                "max_result_bytes": settings.max_result_bytes,
                "bytes_in_flight": settings.bytes_in_flight,
            },
        }
    )


def read_attention(body: Body, settings: Settings) -> tuple[AttentionRequest, ResolvedCall]:
    """Decode, validate and resolve an attention request."""
    request = parse(AttentionRequest, json.decode(body.content, settings.max_json_depth))
    try:
        call = resolve(request.to_call())
    except CallError as error:
        raise from_call_error(error) from None
    if request.labels is not None:
        check_labels(request.labels, queries=call.query_length, keys=call.key_length)
    return request, call


def result_bytes(cost: Cost, call: ResolvedCall) -> int:
    """Return about how many bytes the answer takes as JSON."""
    return cost.result_numbers * BYTES_PER_NUMBER[call.dtype.name]


def exceeded(cost: Cost, call: ResolvedCall, settings: Settings) -> str | None:
    """Say which limit the predicted operations, memory or answer exceed, with the numbers; None if none."""
    if cost.operations > settings.max_operations:
        return (
            f"expected at most {settings.max_operations} operations; received a request that needs about "
            f"{cost.operations}. Send fewer queries or keys, or split the request."
        )
    size = result_bytes(cost, call)
    if size > settings.max_result_bytes:
        return (
            f"expected a result of at most {settings.max_result_bytes} bytes; received a request whose result needs "
            f"about {size} ({cost.result_numbers} numbers). Include fewer fields, or split the queries."
        )
    if cost.bytes > settings.bytes_in_flight:
        return (
            f"expected to hold at most {settings.bytes_in_flight} bytes; received a request that needs about "
            f"{cost.bytes} beside its inputs. Split the leading axes over several requests."
        )
    return None


def require_affordable(cost: Cost, call: ResolvedCall, settings: Settings) -> None:
    """Raise TooLarge when a limit would be exceeded."""
    detail = exceeded(cost, call, settings)
    if detail is not None:
        raise TooLarge(detail)
