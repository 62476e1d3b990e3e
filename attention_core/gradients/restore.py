"""Gradients in the shapes in which their inputs were given, in the types in which they are returned."""

from collections.abc import Mapping

import numpy as np

from attention_core.arrays import FloatArray
from attention_core.call import GRADIENT_FIELDS, AttentionCall, GradientField, ResolvedCall
from attention_core.gradients.accumulation import GradientAccumulator
from attention_core.gradients.call import GradientCall
from attention_core.heads import arrange_cache, arrange_output
from attention_core.native import KernelGradients
from attention_core.notes import MAX_NOTES, row_notes, storage_notes
from attention_core.reductions import sum_to_shape
from attention_core.resolve import rotation_positions
from attention_core.results import AttentionGradients

ResolvedGradients = KernelGradients | GradientAccumulator
"""Results of a backward pass, in the shapes and the type of the resolved call."""

_Vectors = dict[GradientField, FloatArray]


def as_given(call: GradientCall, found: ResolvedGradients) -> AttentionGradients:
    """Return gradients as their inputs were given: unrotated, packed, past apart, summed, in the storage type.

    :param call: the call.
    :param found: results of its backward pass.
    """
    sent, resolved = call.sent, call.resolved
    computed = _vectors_as_given(sent, resolved, found)
    stored = {name: resolved.dtype.store(array) for name, array in computed.items()}
    return AttentionGradients(
        output=stored["output"],
        query=stored["query"],
        key=stored["key"],
        value=stored["value"],
        past_key=stored.get("past_key"),
        past_value=stored.get("past_value"),
        bias=None if sent.bias is None or found.bias is None else found.bias.reshape(sent.bias.shape),
        score_model={name: np.asarray(gradient) for name, gradient in found.score_model.items()},
        normalizer={name: np.asarray(gradient) for name, gradient in found.normalizer.items()},
        score_modifier={name: np.asarray(gradient) for name, gradient in found.score_modifier.items()},
        dtype=resolved.dtype.name,
        notes=_notes(call, found, computed, stored),
    )


def _vectors_as_given(sent: AttentionCall, resolved: ResolvedCall, found: ResolvedGradients) -> _Vectors:
    """Return the output and the gradients of the vectors, in the compute type."""
    query, key = _rotate_back(resolved, found.query, found.key)
    past = resolved.key_length - sent.key.shape[1 if resolved.layout == "bshd" else -2]
    whole: Mapping[GradientField, FloatArray] = {
        "output": found.output,
        "query": query,
        "key": key[..., past:, :],
        "value": found.value[..., past:, :],
    }
    # A past has a head axis of its own, whether the new vectors are packed or not.
    vectors = {name: arrange_output(resolved, array) for name, array in whole.items()}
    if sent.past_key is not None:
        vectors["past_key"] = arrange_cache(resolved, key[..., :past, :])
        vectors["past_value"] = arrange_cache(resolved, found.value[..., :past, :])
    shapes = {name: np.shape(getattr(sent, name)) for name in vectors if name != "output"}
    return {name: sum_to_shape(array, shapes[name]) if name in shapes else array for name, array in vectors.items()}


def _rotate_back(call: ResolvedCall, query: FloatArray, key: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the gradients of query and key before rotation: rotated by the opposite angles."""
    if call.position is None:
        return query, key
    rows, columns = rotation_positions(query, key, call.offset, call.key_positions)
    return call.position.rotate(query, -rows), call.position.rotate(key, -columns)


def _notes(
    call: GradientCall,
    found: ResolvedGradients,
    computed: Mapping[GradientField, FloatArray],
    stored: Mapping[GradientField, FloatArray],
) -> tuple[str, ...]:
    """Return the notes of the call, on rows that see no key or are NaN, and on included fields beyond their type."""
    resolved = call.resolved
    overflow: tuple[str, ...] = ()
    if resolved.dtype.narrow:
        paths = {name: name if name == "output" else f"gradients.{name}" for name in GRADIENT_FIELDS}
        overflow = storage_notes(
            {paths[name]: array for name, array in computed.items() if name in call.include},
            {paths[name]: array for name, array in stored.items()},
            resolved.dtype,
            tuple(paths.values()),
        )
    max_rows = MAX_NOTES - len(resolved.notes) - len(overflow)
    of_rows = () if found.maximum is None else row_notes(found.maximum, resolved.normalizer, max_rows)
    return (*resolved.notes, *of_rows, *overflow)
