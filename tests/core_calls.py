"""Calls of the core from wire documents, built by hand so that no code of the service is trusted."""

import numpy as np

from attention_core import (
    NORMALIZERS,
    POSITIONS,
    SCORE_MODELS,
    Allowed,
    AttentionCall,
    Causal,
    FormulaMask,
    Heads,
    KeyAllowed,
    KeyLengths,
    Positions,
    PrefixLengths,
    RotaryScaling,
    ScoreModifier,
    Segments,
    Window,
)
from attention_core.formulas import PerHead
from tests import oracle


def core_call(request, include=None):
    """The core's call of a wire document."""
    model = oracle.named(request.get("score_model"), "scaled_dot_product")
    normalizer = oracle.named(request.get("normalizer"), "softmax")
    position = oracle.named(request.get("position"), None)
    arrays = {
        name: None if request.get(name) is None else np.array(request[name], float)
        for name in ("query", "key", "value", "past_key", "past_value")
    }
    heads = request.get("heads")
    bias = request.get("bias")
    offset = (request.get("mask") or {}).get("offset")
    return AttentionCall(
        **arrays,
        score_model=SCORE_MODELS[model["name"]](**core_parameters(model)),
        normalizer=NORMALIZERS[normalizer["name"]](**core_parameters(normalizer)),
        softcap=request.get("softcap"),
        mask=core_mask(request.get("mask") or {}),
        offset=np.array(offset) if isinstance(offset, list) else offset,
        bias=None if bias is None else with_infinities(bias),
        position=None if position is None else core_position(position),
        heads=None if heads is None else Heads(**heads),
        dtype=request.get("dtype"),
        include=include,
        positions=core_positions(request.get("positions")),
        layout=request.get("layout"),
        score_modifier=None
        if request.get("score_modifier") is None
        else ScoreModifier(*_formula(request["score_modifier"])),
    )


def core_position(position):
    """The core's position of a wire object."""
    parameters = core_parameters(position)
    if "scaling" in parameters:
        parameters["scaling"] = RotaryScaling(**parameters["scaling"])
    return POSITIONS[position["name"]](**parameters)


def core_positions(positions):
    """The core's positions of a wire object."""
    given = {side: np.array(numbers) for side, numbers in (positions or {}).items() if numbers is not None}
    return Positions(**given) if given else None


def core_mask(mask):
    """The core's mask of a wire object."""
    masks = []
    if mask.get("causal"):
        masks.append(Causal())
    if mask.get("window"):
        masks.append(Window(**mask["window"]))
    if mask.get("prefix_lengths") is not None:
        masks.append(PrefixLengths(np.array(mask["prefix_lengths"])))
    if mask.get("key_allowed") is not None:
        masks.append(KeyAllowed(np.array(mask["key_allowed"])))
    if mask.get("key_lengths") is not None:
        masks.append(KeyLengths(np.array(mask["key_lengths"])))
    if mask.get("query_segments") is not None:
        masks.append(Segments(np.array(mask["query_segments"]), np.array(mask["key_segments"])))
    if mask.get("allowed") is not None:
        masks.append(Allowed(np.array(mask["allowed"])))
    if mask.get("formula") is not None:
        masks.append(FormulaMask(*_formula(mask)))
    combined = None
    for one in masks:
        combined = one if combined is None else combined & one
    return combined


def core_parameters(model):
    """The parameters of a wire object as the core's class takes them."""
    return {name: _core_value(value) for name, value in model.items() if name != "name" and value is not None}


def _core_value(value):
    if isinstance(value, list):
        return np.array(value, float)
    if not isinstance(value, dict):
        return value
    return PerHead(np.array(value["per_head"], float)) if "per_head" in value else core_parameters(value)


def _formula(given):
    """Text and parameters of a wire object with a formula."""
    parameters = given.get("parameters") or {}
    return given["formula"], {name: _formula_parameter(value) for name, value in parameters.items()}


def _formula_parameter(value):
    if isinstance(value, dict):
        return PerHead(np.array(value["per_head"]))
    return np.array(value) if isinstance(value, list) else value


def with_infinities(nested):
    """An array of nested lists in which null is minus infinity."""
    leaves = [-np.inf if leaf is None else leaf for leaf in _leaves(nested)]
    return np.array(leaves, float).reshape(oracle.shape(nested))


def _leaves(nested):
    return [leaf for item in nested for leaf in _leaves(item)] if isinstance(nested, list) else [nested]
