"""Resolve a call whose gradients are wanted: check everything before anything is computed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from attention_core.arrays import FloatArray
from attention_core.call import GRADIENT_FIELDS, AttentionCall, GradientField, ResolvedCall
from attention_core.errors import InvalidValue, ShapeMismatch, UnknownName
from attention_core.field_shapes import output_shape
from attention_core.gradients.accumulation import zero_parameter_gradients
from attention_core.heads import arranged_shape, restore_output
from attention_core.layouts import name_axes
from attention_core.resolve import resolve

PARAMETER_FIELDS: tuple[GradientField, ...] = ("score_model", "score_modifier", "normalizer")
"""Fields with a gradient for each parameter of a model, by its name; no parameter has one in some models."""

OPTIONAL_INPUTS: tuple[GradientField, ...] = ("past_key", "past_value", "bias")
"""Inputs of a call that may be absent, and have no gradient then."""


@dataclass(frozen=True, slots=True)
class GradientCall:
    """A checked call of the backward pass; treat as immutable."""

    sent: AttentionCall
    """The call as it was given, in whose shapes gradients are returned."""
    resolved: ResolvedCall
    """The same call, checked."""
    output_gradient: FloatArray
    """Gradient of the loss with respect to the output, in the compute type, heads unpacked: (…, Lq, Dv)."""
    include: frozenset[GradientField]
    """Fields that the caller wants; the others may be None or empty in the result."""
    sizes: Mapping[GradientField, int]
    """Numbers of each field that this call has."""


def resolve_gradients(
    call: AttentionCall, output_gradient: FloatArray, include: Sequence[GradientField] | None = None
) -> GradientCall:
    """Return the checked call of `differentiate`.

    :param call: the arguments of the forward pass; `include` and `top_k` of it are ignored.
    :param output_gradient: gradient of the loss with respect to the output, in its shape; or one number, of rank 0, for
        all of it.
    :param include: any of `attention_core.call.GRADIENT_FIELDS`, each once; default all that the call has.

    Raises what `resolve` raises; InvalidValue for a call without value, for a normalizer without a slope (hardmax), and
    for an included input that was not given; UnknownName; ShapeMismatch for an output gradient of another shape.
    """
    if call.value is None:
        raise InvalidValue(
            ("value",),
            expected="a value for each key, since gradients are those of the output",
            received="no value",
            advice="Send {value}.",
        )
    with np.errstate(all="ignore"):
        resolved = resolve(replace(call, include=("output",), top_k=None))
        resolved.widen()
        score_model, normalizer, score_modifier = zero_parameter_gradients(resolved)
        loaded = _load_output_gradient(output_gradient, resolved)
    sizes: dict[GradientField, int] = {"output": loaded.size, "query": call.query.size, "key": call.key.size}
    sizes["value"] = call.value.size
    for name in OPTIONAL_INPUTS:
        given: FloatArray | None = getattr(call, name)
        if given is not None:
            sizes[name] = given.size
    sizes["score_model"], sizes["normalizer"] = _count_numbers(score_model), _count_numbers(normalizer)
    if call.score_modifier is not None:
        sizes["score_modifier"] = _count_numbers(score_modifier)
    return GradientCall(call, resolved, loaded, _resolve_include(include, sizes), sizes)


def _count_numbers(parameters: Mapping[str, FloatArray]) -> int:
    """Return how many numbers the gradients of some parameters have."""
    return sum(gradient.size for gradient in parameters.values())


def _load_output_gradient(gradient: FloatArray, call: ResolvedCall) -> FloatArray:
    """Return the gradient of the output in the compute type, (…, Lq, Dv); raise ShapeMismatch for another shape."""
    path = ("output_gradient",)
    shape = output_shape(call)
    if gradient.ndim == 0:
        return np.broadcast_to(call.dtype.load(gradient, path), shape)
    expected = arranged_shape(call, shape)
    if gradient.shape != expected:
        axes = name_axes(expected, call.layout)
        raise ShapeMismatch(
            path,
            expected=f"the shape of the output, {list(expected)}{axes}, or one number for all of it",
            received=f"shape {list(gradient.shape)}",
            advice="Send the gradient of the loss with respect to the output, one number for each of its elements.",
        )
    return restore_output(call, call.dtype.load(gradient, path), "output_gradient")


def _resolve_include(
    include: Sequence[GradientField] | None, sizes: Mapping[GradientField, int]
) -> frozenset[GradientField]:
    """Return the included fields; raise UnknownName or InvalidValue for one that the call does not have."""
    if include is None:
        return frozenset(sizes)
    for index, name in enumerate(include):
        path = ("include", index)
        if name not in GRADIENT_FIELDS:
            raise UnknownName(
                path, expected="the output or a gradient", kind="include", received=name, known=GRADIENT_FIELDS
            )
        if name in include[:index]:
            raise InvalidValue(path, expected="each field once", received=f"{name} twice", advice="Remove one.")
        if name not in sizes:
            raise InvalidValue(
                path,
                expected=f"a request with {name}, whose gradient is asked for",
                received=f"one without {name}",
                advice=f"Send {{{name}}}, or leave {name} out of include.",
            )
    return frozenset(include)
