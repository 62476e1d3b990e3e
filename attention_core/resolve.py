"""Resolve a call: check every argument, cast arrays, resolve defaults and bind models, once for both paths."""

from dataclasses import replace
from math import inf
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attention_core.arrays import FloatArray, IntArray
from attention_core.call import LAYOUTS, RESULT_FIELDS, AttentionCall, ResolvedCall, ResultField
from attention_core.capabilities import supports_logsumexp
from attention_core.dtypes import DType, describe_range, resolve_dtype, to_compute_dtype
from attention_core.errors import ArgumentPath, CallError, InvalidValue, ShapeMismatch, UnknownName
from attention_core.execution_path import keeps_stored_vectors
from attention_core.heads import (
    check_heads,
    count_queries_per_kv_head,
    placeholder_with_repeated_heads,
    unpack_heads,
)
from attention_core.interfaces import FeatureSizes, Normalizer, Position
from attention_core.layouts import (
    HEADS_SECOND,
    HEADS_THIRD,
    check_layout,
    has_rank_four,
    name_sent_shapes,
    put_heads_second,
)
from attention_core.masks import find_key_lengths
from attention_core.normalizers import Softmax
from attention_core.notes import call_notes
from attention_core.objects import checked
from attention_core.scores import ScaledDotProduct
from attention_core.shapes import (
    Shape,
    Side,
    as_integers,
    check_broadcastable,
    check_past,
    check_value,
    infer_score_shape,
    require_value_per_key,
    shape_per_batch_row,
    shape_shared_or_per_row,
)

MAX_OFFSET = 2**53
"""Largest magnitude of an offset: float64, in which angles and ALiBi are computed, holds integers exactly up to it."""

DEFAULT_SCORE_MODEL = ScaledDotProduct()
DEFAULT_NORMALIZER = Softmax()

DEFAULT_FIELDS_WITHOUT_VALUE: frozenset[ResultField] = frozenset(("scores", "weights"))
DEFAULT_FIELDS: frozenset[ResultField] = DEFAULT_FIELDS_WITHOUT_VALUE | {"output"}
"""Fields that a call includes by default, without a value and with one."""


class _Vectors(NamedTuple):
    """Queries, keys and values, heads unpacked, past and new joined, not rotated; in the types of a `ResolvedCall`."""

    query: FloatArray
    """(…, Lq, Dq)."""
    key: NDArray[Any]
    """(…, Lk, Dk)."""
    value: NDArray[Any] | None
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
        if isinstance(error, ShapeMismatch):
            name_sent_shapes(error, call)
        if _fits_in_the_other_layout(call):
            error.advice += HEADS_THIRD if call.layout != "bshd" else HEADS_SECOND
        raise


def _fits_in_the_other_layout(call: AttentionCall) -> bool:
    """Return whether a call of rank 4 has nothing wrong if its axes 1 and 2 are read the other way around."""
    if call.layout not in (None, *LAYOUTS) or not has_rank_four(call):
        return False
    try:
        _resolve(replace(call, layout="bhsd" if call.layout == "bshd" else "bshd"))
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
    mask = None if call.mask is None else checked(call.mask, "mask").bind(score_shape)
    offset, key_positions = _resolve_positions(call, score_shape, past_length)
    position = None if call.position is None else _bind(call.position, "position", features)
    if position is not None:
        query, key = _rotate(position, query, key, offset, key_positions)
    include = _resolve_include(call, normalizer, len(score_shape))
    score_model = _bind(call.score_model or DEFAULT_SCORE_MODEL, "score_model", features, dtype.compute)
    modifier = call.score_modifier and checked(call.score_modifier, "score_modifier").bind(score_shape, dtype.compute)
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
        key_positions,
        call.layout or "bhsd",
        modifier,
    )


def _load_vectors(call: AttentionCall, dtype: DType) -> _Vectors:
    """Return query, key and value cast to the compute type, with heads unpacked and the past joined in front."""
    if call.layout is not None:
        check_layout(call)
    load = dtype.load_stored if dtype.narrow and keeps_stored_vectors(call) else dtype.load
    query, key = dtype.load(call.query, ("query",)), load(call.key, ("key",))
    value = None if call.value is None else load(call.value, ("value",))
    if call.heads is not None:
        check_heads(call.heads)
        query = unpack_heads(query, call.heads.query, "query")
        key = unpack_heads(key, call.heads.key_value, "key")
        value = None if value is None else unpack_heads(value, call.heads.key_value, "value")
    if call.layout is not None:
        query, key = put_heads_second(call, query), put_heads_second(call, key)
        value = None if value is None else put_heads_second(call, value)
    if call.past_key is None and call.past_value is None:
        return _Vectors(query, key, value, 0)
    past_key, past_value = _check_past(call)
    past_key = put_heads_second(call, dtype.load(past_key, ("past_key",)))
    joined_key = _join(call, past_key, key, "past_key", "key")
    if value is None:
        raise InvalidValue(
            ("value",),
            expected="a value for each new key, since past_value is given",
            received="no value",
            advice="Send value, or leave past_key and past_value out.",
        )
    past_value = put_heads_second(call, dtype.load(past_value, ("past_value",)))
    joined_value = _join(call, past_value, value, "past_value", "value")
    require_value_per_key(value, key)
    if past_key.shape[-2] != past_value.shape[-2]:
        raise ShapeMismatch(
            ("past_value",),
            expected=f"one value per past key: {past_key.shape[-2]}",
            received=f"{past_value.shape[-2]}, since past_value has {{past_value.shape}}",
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


def _join(call: AttentionCall, past: FloatArray, new: FloatArray, name: str, other: str) -> FloatArray:
    check_past(past, new, name, other, heads_third=call.layout == "bshd")
    return np.concatenate([past, new], axis=-2)


def _bind(model: Any, name: str, *arguments: Any) -> Any:
    """Return a score model, normalizer or position, bound; errors about its parameters get a path under `name`."""
    bind = checked(model, name).bind
    try:
        return bind(*arguments)
    except CallError as error:
        if error.path != ("key",):
            error.path = (name, *error.path)
        raise


def _resolve_positions(call: AttentionCall, score_shape: Shape, past_length: int) -> tuple[IntArray, IntArray | None]:
    """Return the position of each query minus its index, and the positions of all keys, shaped for the scores.

    The second is None where key j has position j.  Raises InvalidValue for an offset beside positions.
    """
    positions = call.positions
    if positions is None or (positions.query is None and positions.key is None):
        return _resolve_offset(call, score_shape, past_length), None
    if call.offset is not None:
        raise InvalidValue(
            ("offset",),
            expected="nothing beside {positions}, which say where queries and keys stand",
            received=str(call.offset),
            advice="Leave out one of the two.",
        )
    n_queries = score_shape[-2]
    offset = np.asarray(past_length)
    if positions.query is not None:
        offset = _load_positions(positions.query, score_shape, "query") - np.arange(n_queries)[:, None]
    if positions.key is None:
        return offset, None
    return offset, _load_positions(positions.key, score_shape, "key").swapaxes(-1, -2)


def _load_positions(given: IntArray, score_shape: Shape, side: Side) -> IntArray:
    """Return positions of queries or keys, shaped (…, length, 1).

    Raises ShapeMismatch for another shape, InvalidValue for numbers that are no integers of at most `MAX_OFFSET`.
    """
    path: ArgumentPath = ("positions", side)
    numbers = as_integers(np.asarray(given), path)
    past = ", past and new," if side == "key" else ""
    shaped = shape_shared_or_per_row(numbers, score_shape, side, path, f"Give every {side}{past} a position.")
    wrong = np.argwhere((numbers > MAX_OFFSET) | (numbers < -MAX_OFFSET))
    if len(wrong):
        where = tuple(int(i) for i in wrong[0])
        raise _too_far((*path, *where), numbers[where])
    return shaped.astype(np.int64)


def _too_far(path: ArgumentPath, received: object) -> InvalidValue:
    return InvalidValue(
        path,
        expected=f"a position between −{MAX_OFFSET} and {MAX_OFFSET}",
        received=str(received),
        advice="Positions are added to one another, and beyond that they overflow.",
    )


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
        return shape_per_batch_row(as_integers(lengths, path), score_shape, path, per_query=True) - score_shape[-2]
    offsets = as_integers(np.asarray(call.offset), path)
    if np.any(np.abs(offsets) > MAX_OFFSET):
        raise _too_far(path, call.offset)
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
    return shape_per_batch_row(offsets, score_shape, path)


def _rotate(
    position: Position, query: FloatArray, key: FloatArray, offset: IntArray, key_positions: IntArray | None
) -> tuple[FloatArray, FloatArray]:
    """Return queries and keys rotated by their positions; non-finite values propagate without NumPy warnings."""
    rows, columns = rotation_positions(query, key, offset, key_positions)
    with np.errstate(all="ignore"):
        return position.rotate(query, rows), position.rotate(key, columns)


def rotation_positions(
    query: FloatArray, key: FloatArray, offset: IntArray, key_positions: IntArray | None
) -> tuple[IntArray, IntArray]:
    """Return the positions by which queries and keys are rotated, (…, Lq) and (…, Lk).

    :param query: (…, Lq, Dq).
    :param key: (…, Lk, Dk).
    :param offset: position of each query minus its index, as in `ResolvedCall.offset`.
    :param key_positions: (…, 1, Lk); None where key j has position j.
    """
    rows = np.arange(query.shape[-2])[:, None] + offset
    return rows[..., 0], np.arange(key.shape[-2]) if key_positions is None else key_positions[..., 0, :]


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


def _resolve_include(call: AttentionCall, normalizer: Normalizer, rank: int) -> frozenset[ResultField]:
    """Return the included fields.

    :param call: the call, for its include and its value.
    :param normalizer: the call's normalizer, or the default.
    :param rank: number of axes of the scores.

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
        if name == "mean_weights" and rank != 4:
            raise InvalidValue(
                ("include", index),
                expected="heads to average over: rank 4, (batch, heads, length, features), or rank 3 with {heads}",
                received=f"scores of rank {rank}",
                advice="Ask for {include=weights}, or give the heads an axis of their own.",
            )
    return frozenset(call.include)
