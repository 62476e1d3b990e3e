"""What is known of a small request before its numbers are, worked out once, as a database plans a query.

Two requests have the same form if they differ in nothing but the numbers of query, key and value.  Validation, checks,
defaults and cost depend on the form alone, as long as nothing about the numbers is changed but their type: they are
done once for each form, with zeros, and kept.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from attention_core import Cost, InvalidValue, predict
from attention_core.call import ResolvedCall
from service.compute.requests import resolve_document
from service.errors import InvalidRequest
from service.schemas.attention import AttentionRequest

VECTORS = ("query", "key", "value")

MOST_NUMBERS = 1 << 17
"""Of more numbers a request takes so long to compute that planning it does not matter."""

MOST_BYTES = 4096
"""Nor may there be more beside the vectors, which is kept: names of options and labels."""

PLANS = 256
"""So many are kept, those that were asked for last."""

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """A request and its call, both of zeros, and what the call costs."""

    request: AttentionRequest
    call: ResolvedCall
    cost: Cost


def plan_of(document: Any, threads: int) -> tuple[Plan, ResolvedCall] | None:
    """Return the plan of a JSON request and its call; None if it has none, and everything is to be looked at.

    Wrong requests have no plan, so that their errors tell of their own numbers.
    """
    if not isinstance(document, dict):
        return None
    query, key, value = (_numbers(document.get(name)) for name in VECTORS)
    if query is None or key is None or (value is None) != (document.get("value") is None):
        return None
    if query.size + key.size + (0 if value is None else value.size) > MOST_NUMBERS:
        return None
    try:
        # Of what comes beside the vectors an array, or a number beyond float64, cannot be written: these are no form.
        rest = orjson.dumps({name: member for name, member in document.items() if name not in VECTORS})
    except TypeError:
        return None
    if len(rest) > MOST_BYTES:
        return None
    plan = _plan(query.shape, key.shape, None if value is None else value.shape, rest, threads)
    if plan is None:
        return None
    load = plan.call.dtype.load
    try:
        loaded = load(query, ("query",)), load(key, ("key",)), None if value is None else load(value, ("value",))
    except InvalidValue:
        return None
    return plan, plan.call.with_vectors(*loaded)


def _numbers(member: Any) -> NDArray[np.float64] | None:
    """Return numbers as the call takes them."""
    if not isinstance(member, np.ndarray) or member.dtype.kind == "b":
        return None
    return member if member.dtype.kind == "f" else member.astype(np.float64)


@lru_cache(maxsize=PLANS)
def _plan(query_shape: Shape, key_shape: Shape, value_shape: Shape | None, rest: bytes, threads: int) -> Plan | None:
    """Return the plan of a form, None if it is refused, or if more than their type is changed about the numbers."""
    # Only numbers that have the type of the call already are seen to be taken as they are.
    for kind in (np.float64, np.float32):
        query, key = np.broadcast_to(kind(0), query_shape), np.broadcast_to(kind(0), key_shape)
        value = None if value_shape is None else np.broadcast_to(kind(0), value_shape)
        document = orjson.loads(rest) | {"query": query, "key": key, "value": value}
        try:
            request, call = resolve_document(document)
        except InvalidRequest:
            return None
        if call.query is query and call.key is key and call.value is value and call.present is None:
            return Plan(request, call, predict(call, threads))
        if call.dtype.name != "float32":
            return None
    return None
