"""Resolve a call: check every argument, cast arrays, resolve defaults and bind models, once for both paths."""

from dataclasses import replace
from math import inf
from typing import Any, NamedTuple

import numpy as np

from attention_core.arrays import FloatArray, IntArray
from attention_core.call import RESULT_FIELDS, AttentionCall, ResolvedCall, ResultField
from attention_core.capabilities import supports_logsumexp
from attention_core.dtypes import DType, describe_range, resolve_dtype, to_compute_dtype
from attention_core.errors import ArgumentPath, CallError, InvalidValue, ShapeMismatch, UnknownName
from attention_core.heads import check_heads, count_queries_per_kv_head, placeholder_with_repeated_heads, unpack_heads
from attention_core.interfaces import FeatureSizes, Normalizer, Position
from attention_core.masks import find_key_lengths
from attention_core.normalizers import Softmax
from attention_core.notes import call_notes
from attention_core.scores import ScaledDotProduct
from attention_core.shapes import (
    Shape,
    as_integers,
    check_broadcastable,
    check_past,
    check_value,
    infer_score_shape,
    shape_per_batch_row,
)

MAX_OFFSET = 2**53
"""Largest magnitude of an offset: float64, in which angles and ALiBi are computed, holds integers exactly up to it."""


DEFAULT_SCORE_MODEL = ScaledDotProduct()
DEFAULT_NORMALIZER = Softmax()

DEFAULT_FIELDS_WITHOUT_VALUE: frozenset[ResultField] = frozenset(("scores", "weights"))
DEFAULT_FIELDS: frozenset[ResultField] = DEFAULT_FIELDS_WITHOUT_VALUE | {"output"}
"""Fields that a call includes by default, without a value and with one."""


class _Vectors(NamedTuple):
    """Queries, keys and values in the compute type, heads unpacked, past and new joined, not rotated."""

    query: FloatArray
    """(…, Lq, Dq)."""
    key: FloatArray
    """(…, Lk, Dk)."""
    value: FloatArray | None
    """(…, Lk, Dv)."""
    past_length: int
    """P."""


def resolve(call: AttentionCall) -> ResolvedCall:
    """Return the checked call: arrays in the compute type, models bound, defaults resolved.

    :param call: the arguments of `attend`.

    Raises ShapeMismatch, InvalidValue or UnknownName (all `CallError`, a ValueError) with the path of the first wrong
    argument.
    """
    try:
        return _resolve(call)
    except CallError as error:
        if _fits_with_heads_third(call):
            error.advice += HEADS_THIRD
        raise


HEADS_THIRD = (
    " Read as (batch, length, heads, features) everything fits: transpose axes 1 and 2, since rank 4 is (batch, heads, "
    "length, features) here."
)


def _fits_with_heads_third(call: AttentionCall) -> bool:
    """Return whether a call of rank 4 has nothing wrong with axes 1 and 2 of its vectors exchanged."""
    given = {name: getattr(call, name) for name in ("query", "key", "value", "past_key", "past_value")}
    vectors: dict[str, Any] = {name: array for name, array in given.items() if array is not None}
    if any(array.ndim != 4 for array in vectors.values()):
        return False
    try:
        _resolve(replace(call, **{name: array.swapaxes(1, 2) for name, array in vectors.items()}))
    except CallError:
        return False
    return True


def _resolve(call: AttentionCall) -> ResolvedCall:
    dtype = resolve_dtype(call.dtype, call.query, call.key, call.value)
    vectors = _load_vectors(call, dtype)
    query, key, value, past_length = vectors
    queries_per_kv_head = count_queries_per_kv_head(query, key, value)
    score_shape = infer_score_shape(query, placeholder_with_repeated_heads(key, queries_per_kv_head))
    if value is not None:
        check_value(
            placeholder_with_repeated_heads(value, queries_per_kv_head if value.ndim == 4 else 1), key, score_shape
        )
    heads = score_shape[1] if len(score_shape) == 4 else None
    features = FeatureSizes(query.shape[-1], key.shape[-1], heads)
    normalizer = _bind(call.normalizer or DEFAULT_NORMALIZER, "normalizer", heads, dtype.compute)
    mask = None if call.mask is None else call.mask.bind(score_shape)
    offset = _resolve_offset(call, score_shape, past_length)
    position = None if call.position is None else _bind(call.position, "position", features)
    if position is not None:
        query, key = _rotate(position, query, key, offset)
    include = _resolve_include(call, normalizer)
    score_model = _bind(call.score_model or DEFAULT_SCORE_MODEL, "score_model", features, dtype.compute)
    modifier = None if call.score_modifier is None else call.score_modifier.bind(score_shape, dtype.compute)
    softcap = None if call.softcap is None else _check_softcap(call.softcap, dtype)
    bias = None if call.bias is None else _load_bias(call.bias, score_shape, dtype)
    present = (vectors.key, vectors.value) if "present" in include and vectors.value is not None else None
    top_k = _check_top_k(call.top_k, include)
    # Positional, in the order of the fields: see `ResolvedCall`.
    return ResolvedCall(
        query,
        key,
        value,
        score_model,
        normalizer,
        softcap,
        mask,
        offset,
        bias,
        position,
        call.heads is not None,
        present,
        dtype,
        include,
        top_k,
        queries_per_kv_head,
        features,
        score_shape,
        call_notes(call, score_shape, past_length),
        modifier,
    )


def _load_vectors(call: AttentionCall, dtype: DType) -> _Vectors:
    """Return query, key and value cast to the compute type, with heads unpacked and the past joined in front."""
    query, key = dtype.load(call.query, ("query",)), dtype.load(call.key, ("key",))
    value = None if call.value is None else dtype.load(call.value, ("value",))
    if call.heads is not None:
        check_heads(call.heads)
        query = unpack_heads(query, call.heads.query, "query")
        key = unpack_heads(key, call.heads.key_value, "key")
        value = None if value is None else unpack_heads(value, call.heads.key_value, "value")
    if call.past_key is None and call.past_value is None:
        return _Vectors(query, key, value, 0)
    past_key, past_value = _check_past(call)
    joined_key = _join(dtype.load(past_key, ("past_key",)), key, "past_key", "key")
    if value is None:
        raise InvalidValue(
            ("value",),
            expected="a value for each new key, since past_value is given",
            received="no value",
            advice="Send value, or leave past_key and past_value out.",
        )
    joined_value = _join(dtype.load(past_value, ("past_value",)), value, "past_value", "value")
    if past_key.shape[-2] != past_value.shape[-2]:
        raise ShapeMismatch(
            ("past_value",),
            expected=f"one value per past key: {past_key.shape[-2]}",
            received=f"{past_value.shape[-2]}, since past_value has shape {list(past_value.shape)}",
            advice="Send what an earlier answer returned as present_key and present_value.",
        )
    return _Vectors(query, joined_key, joined_value, past_key.shape[-2])


def _check_past(call: AttentionCall) -> tuple[FloatArray, FloatArray]:
    """Return past key and past value; raise InvalidValue unless both are given."""
    if call.past_key is None or call.past_value is None:
        missing, given = ("past_key", "past_value") if call.past_key is None else ("past_value", "past_key")
        raise InvalidValue(
            (missing,),
            expected=f"{missing}, since {given} is given",
            received="nothing",
            advice="Send both, or neither.",
        )
    return call.past_key, call.past_value


def _join(past: FloatArray, new: FloatArray, name: str, other: str) -> FloatArray:
    check_past(past, new, name, other)
    return np.concatenate([past, new], axis=-2)


def _bind(model: Any, name: str, *arguments: Any) -> Any:
    """Return a score model, normalizer or position, bound; errors about its parameters get a path under `name`."""
    try:
        return model.bind(*arguments)
    except CallError as error:
        if error.path != ("key",):
            error.path = (name, *error.path)
        raise


def _resolve_offset(call: AttentionCall, score_shape: Shape, past_length: int) -> IntArray:
    """Return the position of query 0 among the keys, shaped to broadcast to the scores."""
    path: ArgumentPath = ("offset",)
    if call.offset is None:
        return np.asarray(past_length)
    if isinstance(call.offset, str):
        if call.offset != "bottom_right":
            raise UnknownName(
                path, expected="an integer or a name", kind="offset", received=call.offset, known=("bottom_right",)
            )
        lengths = find_key_lengths(call.mask)
        if lengths is None:
            return np.asarray(score_shape[-1] - score_shape[-2])
        return shape_per_batch_row(as_integers(lengths, path), score_shape, score_shape[-2], path) - score_shape[-2]
    offsets = as_integers(np.asarray(call.offset), path)
    if np.any(np.abs(offsets) > MAX_OFFSET):
        raise InvalidValue(
            path,
            expected=f"a position between −{MAX_OFFSET} and {MAX_OFFSET}",
            received=str(call.offset),
            advice="Positions are added to one another, and beyond that they overflow.",
        )
    if offsets.ndim == 0:
        return offsets
    batch = score_shape[0] if len(score_shape) > 2 else 1
    if offsets.shape != (batch,):
        raise ShapeMismatch(
            path,
            expected=f"an integer, a list of {batch} with one for each batch row, or bottom_right",
            received=f"shape {list(offsets.shape)}",
            advice="Axis 0 of the scores counts batch rows from rank 3 on.",
        )
    return shape_per_batch_row(offsets, score_shape, score_shape[-2], path)


def _rotate(position: Position, query: FloatArray, key: FloatArray, offset: IntArray) -> tuple[FloatArray, FloatArray]:
    """Return queries rotated by i + offset and keys by j; non-finite values propagate without NumPy warnings."""
    rows = np.arange(query.shape[-2])[:, None] + offset
    with np.errstate(all="ignore"):
        return position.rotate(query, rows[..., 0]), position.rotate(key, np.arange(key.shape[-2]))


def _load_bias(bias: FloatArray, score_shape: Shape, dtype: DType) -> FloatArray:
    """Return the bias in the compute type, with rank 2 or more.

    Raises ShapeMismatch unless it broadcasts to the scores, InvalidValue for a number beyond the compute type's range.
    """
    check_broadcastable(bias, score_shape, ("bias",))
    return np.atleast_2d(to_compute_dtype(bias, dtype.compute, ("bias",)))


def _check_softcap(softcap: float, dtype: DType) -> float:
    """Return the softcap; raise InvalidValue unless it is finite and greater than 0 in the compute type."""
    with np.errstate(over="ignore", under="ignore"):
        converted = float(dtype.compute.type(softcap))
    if not 0 < converted < inf:
        raise InvalidValue(
            ("softcap",),
            expected=f"a finite number greater than 0, {describe_range(dtype.compute)}",
            received=str(softcap),
            advice="Scores are squeezed between −softcap and softcap; leave it out for none.",
        )
    return softcap


def _check_top_k(top_k: int | None, include: frozenset[ResultField]) -> int | None:
    if top_k is None:
        return None
    if "ranking" not in include:
        raise InvalidValue(
            ("top_k",),
            expected="ranking among the included fields, since top_k cuts the ranking short",
            received="no ranking",
            advice="Add ranking to include, or leave top_k out.",
        )
    if top_k < 1:
        raise InvalidValue(
            ("top_k",), expected="at least 1", received=str(top_k), advice="Leave top_k out for every visible key."
        )
    return top_k


def _resolve_include(call: AttentionCall, normalizer: Normalizer) -> frozenset[ResultField]:
    """Return the included fields.

    Raises UnknownName for an unknown field, InvalidValue for one that this call cannot have.
    """
    if call.include is None:
        return DEFAULT_FIELDS_WITHOUT_VALUE if call.value is None else DEFAULT_FIELDS
    for index, name in enumerate(call.include):
        if name not in RESULT_FIELDS:
            raise UnknownName(
                ("include", index), expected="a field of the result", kind="include", received=name, known=RESULT_FIELDS
            )
        if name in ("output", "present") and call.value is None:
            raise InvalidValue(
                ("include", index),
                expected=f"a value, which {{include={name}}} needs",
                received="no value",
                advice=f"Send {{value}}, or leave out {{include={name}}}.",
            )
        if name == "logsumexp" and not supports_logsumexp(normalizer):
            raise InvalidValue(
                ("include", index),
                expected="softmax, the one normalizer with a logsumexp",
                received=normalizer.name,
                advice="Leave out {include=logsumexp}, or choose {normalizer.softmax}.",
            )
    return frozenset(call.include)
