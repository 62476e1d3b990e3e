"""Advice on wrong requests: names and values of other libraries are translated."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from pydantic import BaseModel

from attention_core.call import RESULT_FIELDS
from attention_core.hints import TABLE, Translation, Write, advise, as_json, did_you_mean, translation
from service.errors import Location
from service.schemas.attention import AttentionRequest
from service.schemas.places import own_names, scope_of

Steps = tuple[str, ...]


def advice_on_field(model: type[BaseModel], location: Location, write: Write) -> str:
    """Return what to send instead of an unknown field; `location` is Pydantic's."""
    *parents, name = location
    here = scope_of(model, tuple(parents), AttentionRequest)
    listed = f"Known fields are {', '.join(sorted(here.known))}."
    if here.within in RESULTS:
        return _advice_on_result(str(name), here.known) or listed
    if here.above:
        write = partial(as_json, above=here.above)
    own = own_names(AttentionRequest)
    return advise(str(name), sorted(here.known), kind="field", write=write, own=own, within=here.within) or listed


RESULTS = ("candidate", "partials")
"""Objects that hold fields of a result."""


def _advice_on_result(name: str, known: frozenset[str]) -> str:
    """Return the name here of a field of a result, if it is among the known ones."""
    row = translation(name, "include")
    if row is not None and all(value in known for _, value in row.places):
        return row.text(lambda _, value: f"'{value}'")
    return did_you_mean(name, sorted(known))


def advice_on_choice(received: Any, known: list[str] | tuple[str, ...], location: Location, write: Write) -> str:
    """Return the name to send instead of one that a field does not have."""
    otherwise = "Use one of these names."
    if not isinstance(received, str):
        return otherwise
    steps = [step for step in location if isinstance(step, str)]
    # The choices of a kind are listed under the object that it is the kind of.
    field = next((step for step in reversed(steps) if step != "kind"), "")
    if field == "include" and not set(known) <= set(RESULT_FIELDS):
        # Gradients, which are called by the names of what they belong to.
        return did_you_mean(received, known) or otherwise
    for kind in TABLE:
        if kind == field:
            return advise(received, known, kind=kind, write=write, own=own_names(AttentionRequest)) or otherwise
    return did_you_mean(received, known) or otherwise


def advice_on_value(location: Location, error: str, received: Any, write: Write) -> str:
    """Return the value to send instead of one that has another meaning elsewhere; empty without advice.

    :param location: of the value, as Pydantic writes it.
    :param error: the type of Pydantic's error.
    """
    steps = tuple(step for step in location if isinstance(step, str))
    for field, errors, words in VALUES:
        if error in errors and steps[-len(field) :] == field:
            said = words if isinstance(words, str) else words(received)
            return Translation("", said).text(write)
    return ""


def _about_mask(received: Any) -> str:
    if isinstance(received, str):
        row = translation(received, "field")
        return ANY_MASK if row is None else row.words
    if isinstance(received, np.ndarray) and received.dtype.kind == "b":
        return "Send the booleans as {mask.allowed}, where true = may see."
    return ANY_MASK


def _about_include(received: Any) -> str:
    row = translation(received, "include") if isinstance(received, str) else None
    return "Wrap it in brackets." + (f" {row.words}" if row is not None else "")


def _about_causal(received: Any) -> str:
    aligned = isinstance(received, str) and "right" in received.lower()
    beside = "{mask.offset=bottom_right}" if aligned else "{mask.offset}, where query 0 stands"
    return f"Send true or false, without quotes; beside it may stand {beside}."


ANY_MASK = (
    "Booleans go to {mask.allowed}, where true = may see: 1 becomes true and 0 false where 1 keeps a key. Numbers to "
    "be added go to {bias}, with null for minus infinity. A causal mask is {mask.causal=true}, and a condition on "
    "positions {mask.formula}."
)
BOOLEANS = "Booleans that say which keys are visible go to {mask.allowed}."
UNBOUNDED = "Leave it out, or send null, for an unbounded side, which is -1 elsewhere."

Words = str | Callable[[Any], str]
"""Words of a translation, or a function that makes them of the received value."""

VALUES: tuple[tuple[Steps, tuple[str, ...], Words], ...] = (
    (("mask",), ("model_type",), _about_mask),
    (("mask", "window", "left"), ("greater_than_equal",), UNBOUNDED),
    (("mask", "window", "right"), ("greater_than_equal",), UNBOUNDED),
    (
        ("mask", "window"),
        ("model_type",),
        "Send the sides by name, {mask.window.left} and {mask.window.right}; an unbounded one, -1 elsewhere, is null.",
    ),
    (("mask", "causal"), ("bool_type",), _about_causal),
    (
        ("mask", "allowed"),
        ("tensor_element", "tensor_type"),
        "Numbers to be added go to {bias}, with null for minus infinity; a causal mask is {mask.causal=true}.",
    ),
    (("mask", "key_lengths"), ("tensor_type",), "Send a list, with one length for each batch row."),
    (("mask", "key_lengths"), ("tensor_element",), BOOLEANS),
    (("mask", "prefix_lengths"), ("tensor_type",), "Send a list, with one length for each batch row."),
    (("score_modifier",), ("model_type",), "Send the formula by name, {score_modifier.formula}."),
    (("bias",), ("tensor_element",), BOOLEANS),
    (
        ("temperature",),
        ("greater_than",),
        "Towards 0 its limit is {normalizer.hardmax}, the meaning of 0 elsewhere.",
    ),
    (("softcap",), ("greater_than",), "Leave it out, or send null, for none, which is 0 elsewhere."),
    (("top_k",), ("greater_than_equal",), "Leave it out, or send null, for every visible key."),
    (("heads",), ("model_type",), "Send the counts by name, {heads.query} and {heads.key_value}."),
    (("labels",), ("model_type",), "Send the lists by name, {labels.query} and {labels.key}."),
    (("include",), ("list_type",), _about_include),
)
"""The place of a value, the types of Pydantic's errors about it, and the advice on them."""
