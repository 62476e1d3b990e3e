"""The transport-neutral centre: bytes in, bytes out.

A request is first *prepared* (decoded, validated, resolved, its cost held against the budget) and then *completed*
(computed, encoded).  Between the two the gate knows what it will cost.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Protocol

import numpy as np

from attention_core import CallError, Cost, evaluate, predict, resolve
from attention_core.call import FIELDS, AttentionResult, ResolvedCall
from attention_core.interfaces import Normalizer, Progress, ScoreModel, ShouldStop
from service.codecs import json
from service.codecs.negotiate import JSON
from service.errors import TooLarge
from service.schemas.attention import AttentionRequest
from service.schemas.parse import from_call_error, parse
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
    """One attention call, ready to run."""

    call: ResolvedCall
    cost: Cost

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
        return Reply(json.encode(result_document(result)), JSON)


def prepare_attention(body: Body, settings: Settings) -> PreparedAttention:
    """Read an attention request.

    Raises MalformedBody, InvalidRequest, or TooLarge when its cost exceeds the budget.
    """
    request = parse(AttentionRequest, json.decode(body.content, settings.max_json_depth))
    try:
        call = resolve(request.to_call())
    except CallError as error:
        raise from_call_error(error) from None
    cost = predict(call)
    require_affordable(cost, call, settings)
    return PreparedAttention(call, cost)


def require_affordable(cost: Cost, call: ResolvedCall, settings: Settings) -> None:
    """Raise TooLarge when the predicted operations or the predicted size of the answer exceed the budget."""
    if cost.operations > settings.max_operations:
        raise TooLarge(
            f"expected at most {settings.max_operations} operations; received a request that needs about "
            f"{cost.operations}. Send fewer queries or keys, or split the request."
        )
    size = cost.result_numbers * json.BYTES_PER_NUMBER[call.dtype.name]
    if size > settings.max_result_bytes:
        raise TooLarge(
            f"expected a result of at most {settings.max_result_bytes} bytes; received a request whose result needs "
            f"about {size} ({cost.result_numbers} numbers). Include fewer fields, or split the queries."
        )


def result_document(result: AttentionResult) -> dict[str, Any]:
    """Return the response as a document with arrays."""
    document: dict[str, Any] = {name: result.arrays[name] for name in FIELDS if name in result.arrays}
    document["score_model"] = as_used(result.score_model)
    document["normalizer"] = as_used(result.normalizer)
    document["dtype"] = result.dtype
    document["notes"] = list(result.notes)
    return document


def as_used(model: ScoreModel | Normalizer) -> Mapping[str, Any]:
    """Return name and parameters: scalars resolved, tensors as their shape, absent ones left out."""
    parameters = {field.name: getattr(model, field.name) for field in fields(model)}  # type: ignore[arg-type]
    return {"name": model.name} | {
        name: {"shape": list(value.shape)} if isinstance(value, np.ndarray) else value
        for name, value in parameters.items()
        if value is not None
    }
