"""Advice on wrong requests: names and values of other libraries are translated."""

import re
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any

import numpy as np
from pydantic import BaseModel

from attention_core.call import RESULT_FIELDS
from attention_core.errors import MAX_ECHOED
from attention_core.formulas import PARAMETERS, names_in
from attention_core.hints import (
    TABLE,
    Translation,
    Write,
    advise,
    as_json,
    did_you_mean,
    fill_places,
    split,
    translation,
)
from attention_core.hints.spelling import snake_case
from attention_core.rotary_scaling import KIND_PARAMETERS
from service.errors import Location
from service.schemas.attention import AttentionRequest
from service.schemas.fields import models_in
from service.schemas.places import ObjectScope, own_names, scope_of
from service.schemas.results import AttentionResponse

Steps = tuple[str, ...]


def advice_on_field(model: type[BaseModel], location: Location, write: Write, holder: Any = None) -> str:
    """Return what to send instead of an unknown field; `location` is Pydantic's, and `holder` the object it is in."""
    *parents, name = location
    here = scope_of(model, tuple(parents), AttentionRequest)
    kind = next((kind for kind in PARAMETERS if kind == here.within and "formula" in here.known), None)
    if kind is not None and isinstance(holder, Mapping) and is_parameter(str(name), holder.get("formula")):
        return advice_on_parameter(str(name), fill_places(PARAMETERS[kind], write))
    listed = f"Known fields are {', '.join(sorted(here.known))}."
    if here.within in RESULTS:
        return _advice_on_result(str(name), here, model, write) or listed
    row = translation(str(name), "field")
    quoted = [] if row is None else [known for known in sorted(here.known) if f"'{known}'" in row.words]
    if quoted:
        # The row is about this object, which is no attention request: about that of gradients.
        return f"Did you mean '{quoted[0]}'?"
    if here.above:
        write = partial(as_json, above=here.above)
    members = [model, *(member for one in model.model_fields.values() for member in models_in(one))]
    own = own_names(AttentionRequest if AttentionRequest in members else model)
    return advise(str(name), sorted(here.known), kind="field", write=write, own=own, within=here.within) or listed


def is_parameter(name: str, formula: Any) -> bool:
    """Return whether a name is that of a parameter in a formula, which may be wrong, or no text at all."""
    return isinstance(formula, str) and name in names_in(formula)


def advice_on_parameter(name: str, place: str) -> str:
    """Return where a parameter of a formula is sent; `place` is the object for it, as the request spells it."""
    return f'It is a parameter of the formula: put it into {place}, as "parameters": {{"{name[:40]}": …}}.'


RESULTS = ("candidate", "partials")
"""Objects that hold fields of a result."""


def _advice_on_result(name: str, here: ObjectScope, model: type[BaseModel], write: Write) -> str:
    """Return the name here of a field of a result, or where it belongs; empty without advice."""
    if here.within == "partials":
        advice = _advice_on_partial(name)
        if advice:
            return advice
    row = translation(name, "include")
    if row is not None and all(value in here.known for _, value in row.places):
        return row.text(lambda _, value: f"'{value}'")
    if name in model.model_fields:
        return f"Its place is '{name}', beside {here.within}."
    field = name if row is None else row.places[0][1]
    if here.within == "candidate" and field in RESULT_FIELDS and field not in here.known:
        return f"It is not checked: compare yours with what {write('include', field)} returns."
    return did_you_mean(name, sorted(here.known))


FLASHINFER_PARTIALS: Mapping[str, str] = dict.fromkeys(("v", "v_a", "v_b"), "output") | dict.fromkeys(
    ("s", "s_a", "s_b"), "logsumexp"
)
"""Arguments of FlashInfer's merge_state, and the names here."""


def _advice_on_partial(name: str) -> str:
    """Return the name here of a field of a partial, or that an answer has it and a merge does not; empty for others."""
    bare = snake_case(name)
    row = translation(name, "include")
    places = () if row is None else tuple(value for _, value in row.places)
    if bare in FLASHINFER_PARTIALS or places == ("logsumexp",):
        if FLASHINFER_PARTIALS.get(bare) == "output":
            return "Here it is 'output'."
        return "Here it is 'logsumexp', a natural logarithm; FlashInfer's has base 2: send \"log_base\": 2 beside it."
    if name in AttentionResponse.model_fields and name not in ("output", "logsumexp", "dtype"):
        return "Leave it out: a merge needs 'output' and 'logsumexp' of each answer alone."
    return ""


def advice_on_choice(received: Any, known: list[str] | tuple[str, ...], location: Location, write: Write) -> str:
    """Return the name to send instead of one that a field does not have."""
    otherwise = "Use one of these names."
    if not isinstance(received, str):
        return otherwise
    if location[-1:] == ("score_model",) and _is_formula(received):
        return Translation("", f"A formula goes to {{score_model.expression.formula={received}}}.").text(write)
    steps = [step for step in location if isinstance(step, str)]
    # The choices of a kind are listed under the object that it is the kind of.
    field = next((step for step in reversed(steps) if step != "kind"), "")
    if field == "include" and not set(known) <= set(RESULT_FIELDS):
        return _advice_on_gradient(received, known) or otherwise
    for kind in TABLE:
        if kind == field:
            return advise(received, known, kind=kind, write=write, own=own_names(AttentionRequest)) or otherwise
    return did_you_mean(received, known) or otherwise


GRADIENT_OF = re.compile(r"^(?:grad(?:ient)?s?_(?:of_)?|d_?)|_(?:grad|gradient)s?$")
"""What others add to the name of an input to name its gradient, as in grad_query, dq or bias_grad."""


def _advice_on_gradient(received: str, known: Collection[str]) -> str:
    """Return the name of a gradient, which is that of the input that it belongs to; empty if none is like it."""
    asked = did_you_mean(received, known)
    bare = GRADIENT_OF.sub("", snake_case(received))
    if asked or bare in known:
        return asked or f"Did you mean '{bare}'?"
    row = translation(bare, "field")
    if row is not None and row.places and row.places[0][0] in known:
        return f"Did you mean '{row.places[0][0]}'?"
    if bare in ("grad", "grads", "gradient", "gradients"):
        return "Name the inputs whose gradients to return, such as query, or leave include out for all."
    inside = [split(place)[0][0] for place in own_names(AttentionRequest).find(bare)]
    return f"It comes with '{inside[0]}'." if inside and inside[0] in known else ""


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


def _is_formula(text: str) -> bool:
    """Return whether a text that stands where a name or an object must be is a formula that an error may repeat."""
    return len(text) <= MAX_ECHOED and re.search(r"[^\w\s.:-]", text) is not None and not re.search(r"[{}]", text)


def _about_modifier(received: Any) -> str:
    if isinstance(received, str) and _is_formula(received):
        return f"A formula goes to {{score_modifier.formula={received}}}."
    return "Send the formula and its parameters by name, {score_modifier.formula} and {score_modifier.parameters}."


def _about_mask(received: Any) -> str:
    if isinstance(received, str):
        if _is_formula(received):
            return f"A formula goes to {{mask.formula={received}}}."
        row = translation(received, "field")
        return ANY_MASK if row is None else row.words
    if isinstance(received, np.ndarray) and received.dtype.kind == "b":
        return "Send the booleans as {mask.allowed}, where true = may see."
    return ANY_MASK


def _about_include(received: Any) -> str:
    row = translation(received, "include") if isinstance(received, str) else None
    return "Wrap it in brackets." + (f" {row.words}" if row is not None else "")


def _about_partials(received: Any) -> str:
    if isinstance(received, Mapping) and received and all(isinstance(one, Mapping) for one in received.values()):
        return "Send its members in a list, without their names."
    return "Wrap it in brackets."


def _about_scaling(received: Any) -> str:
    kind = received if isinstance(received, str) and received in KIND_PARAMETERS else "yarn"
    return f"Send its parts by name: {{position.rotary.scaling.kind={kind}}}, with {{position.rotary.scaling.factor}}."


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
    (("score_modifier",), ("model_type",), _about_modifier),
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
    (("mask", "prefix_lengths"), ("tensor_type", "tensor_rank"), "Send a list, with one length for each batch row."),
    (("mask", "key_allowed"), ("tensor_element",), "Numbers to be added go to {bias}."),
    (("mask", "key_allowed"), ("tensor_type",), "Send a list, with one boolean for each key."),
    (("mask", "key_allowed"), ("tensor_rank",), "Booleans that differ by query or by head go to {mask.allowed}."),
    (("positions",), ("model_type",), "Send the lists by name, {positions.query} and {positions.key}."),
    (("rotary", "scaling"), ("model_type",), _about_scaling),
    (("mask", "key_lengths"), ("tensor_element",), BOOLEANS),
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
    (("partials",), ("list_type",), _about_partials),
)
"""The place of a value, the types of Pydantic's errors about it, and the advice on them."""
