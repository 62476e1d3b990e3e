"""From what was sent to what is computed: every check, every default, every cast, once."""

from typing import Any, NamedTuple

import numpy as np

from attention_core.arrays import FloatArray, IntArray
from attention_core.call import FIELDS, AttentionCall, Field, ResolvedCall
from attention_core.dtypes import DType, dtype_named, in_compute_type, positive_number
from attention_core.errors import CallError, InvalidValue, Path, ShapeMismatch, UnknownName
from attention_core.heads import check_heads, group_size, shape_repeated, unpack
from attention_core.interfaces import Features, LogSumExp, Normalizer, Position
from attention_core.masks import key_lengths_of, per_batch_row
from attention_core.normalizers import Softmax
from attention_core.scores import ScaledDotProduct
from attention_core.shapes import Shape, check_broadcastable, check_past, check_value, integers, scores_shape

FARTHEST = 2**53
"""The farthest offset: positions beyond it are no longer exact in float64, where angles and slopes are computed."""


DEFAULT_SCORE_MODEL = ScaledDotProduct()
DEFAULT_NORMALIZER = Softmax()

MATRICES: frozenset[Field] = frozenset(("scores", "weights"))
MATRICES_AND_OUTPUT: frozenset[Field] = MATRICES | {"output"}
"""What comes back if nobody says what, without a value and with one."""


class _Vectors(NamedTuple):
    """Queries, keys and values in the compute type, heads unpacked, past and new together, not yet grouped."""

    query: FloatArray
    key: FloatArray
    value: FloatArray | None
    past_length: int


def resolve(call: AttentionCall) -> ResolvedCall:
    """Return the call with arrays in the compute type, models bound and defaults decided.

    Raises CallError with the path of the first argument that is wrong.
    """
    dtype = dtype_named(call.dtype, call.query, call.key, call.value)
    vectors = _load_vectors(call, dtype)
    query, key, value, past_length = vectors
    group = group_size(query, key, value)
    scores = scores_shape(query, shape_repeated(key, group))
    if value is not None:
        check_value(shape_repeated(value, group if value.ndim == 4 else 1), key, scores)
    heads = scores[1] if len(scores) == 4 else None
    features = Features(query.shape[-1], key.shape[-1], heads)
    normalizer = _bind(call.normalizer or DEFAULT_NORMALIZER, "normalizer", heads, dtype.compute)
    mask = None if call.mask is None else call.mask.bind(scores)
    offset = _resolve_offset(call, scores, past_length)
    position = None if call.position is None else _bind(call.position, "position", features)
    if position is not None:
        query, key = _turn(position, query, key, offset)
    include = _resolve_include(call, normalizer)
    score_model = _bind(call.score_model or DEFAULT_SCORE_MODEL, "score_model", features, dtype.compute)
    softcap = None if call.softcap is None else _check_softcap(call.softcap, dtype)
    bias = None if call.bias is None else _load_bias(call.bias, scores, dtype)
    present = (vectors.key, vectors.value) if "present" in include and vectors.value is not None else None
    packed, top_k = call.heads is not None, _check_top_k(call.top_k, include)
    # Every field in its order, without its name: passing eighteen names takes as long as adding two small matrices.
    # fmt: off
    return ResolvedCall(
        query, key, value, score_model, normalizer, softcap, mask, offset, bias, position, packed, present, dtype,
        include, top_k, group, features, scores,
    )
    # fmt: on


def _load_vectors(call: AttentionCall, dtype: DType) -> _Vectors:
    """Cast query, key and value, unpack their heads and put the past before the new."""
    query, key = dtype.load(call.query, ("query",)), dtype.load(call.key, ("key",))
    value = None if call.value is None else dtype.load(call.value, ("value",))
    if call.heads is not None:
        check_heads(call.heads)
        query = unpack(query, call.heads.query, "query")
        key = unpack(key, call.heads.key_value, "key")
        value = None if value is None else unpack(value, call.heads.key_value, "value")
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
    """Raise InvalidValue unless past key and past value come together."""
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
    """Bind a score model, normalizer or position; an error about one of its parameters is put under `name`."""
    try:
        return model.bind(*arguments)
    except CallError as error:
        if error.path != ("key",):
            error.path = (name, *error.path)
        raise


def _resolve_offset(call: AttentionCall, scores: Shape, past_length: int) -> IntArray:
    """Return the position of query 0 among the keys, shaped to broadcast over the scores."""
    path: Path = ("offset",)
    if call.offset is None:
        return np.asarray(past_length)
    if isinstance(call.offset, str):
        if call.offset != "bottom_right":
            raise UnknownName(path, kind="an integer or a name", received=call.offset, known=("bottom_right",))
        lengths = key_lengths_of(call.mask)
        if lengths is None:
            return np.asarray(scores[-1] - scores[-2])
        return per_batch_row(integers(lengths, path), scores, scores[-2], path) - scores[-2]
    offsets = integers(np.asarray(call.offset), path)
    if np.any(np.abs(offsets) > FARTHEST):
        raise InvalidValue(
            path,
            expected=f"a position between −{FARTHEST} and {FARTHEST}",
            received=str(call.offset),
            advice="Positions are added to one another, and beyond that they overflow.",
        )
    if offsets.ndim == 0:
        return offsets
    batch = scores[0] if len(scores) > 2 else 1
    if offsets.shape != (batch,):
        raise ShapeMismatch(
            path,
            expected=f"an integer, a list of {batch} with one for each batch row, or bottom_right",
            received=f"shape {list(offsets.shape)}",
            advice="Axis 0 of the scores counts batch rows from rank 3 on.",
        )
    return per_batch_row(offsets, scores, scores[-2], path)


def _turn(position: Position, query: FloatArray, key: FloatArray, offset: IntArray) -> tuple[FloatArray, FloatArray]:
    """Return queries turned by i + offset and keys by j; what is not finite goes its way in silence, as everywhere."""
    rows = np.arange(query.shape[-2])[:, None] + offset
    with np.errstate(all="ignore"):
        return position.turn(query, rows[..., 0]), position.turn(key, np.arange(key.shape[-2]))


def _load_bias(bias: FloatArray, scores: Shape, dtype: DType) -> FloatArray:
    """Check that the bias broadcasts and convert it to the compute type; rank 2 at least."""
    check_broadcastable(bias, scores, ("bias",))
    return np.atleast_2d(in_compute_type(bias, dtype.compute, ("bias",)))


def _check_softcap(softcap: float, dtype: DType) -> float:
    advice = "Scores are squeezed between −softcap and softcap; leave it out for none."
    return positive_number(softcap, dtype.compute, ("softcap",), advice)


def _check_top_k(top_k: int | None, include: frozenset[Field]) -> int | None:
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


def _resolve_include(call: AttentionCall, normalizer: Normalizer) -> frozenset[Field]:
    """Return the fields to compute; raise for a name that is unknown or a field that this call cannot have."""
    if call.include is None:
        return MATRICES if call.value is None else MATRICES_AND_OUTPUT
    for index, name in enumerate(call.include):
        if name not in FIELDS:
            raise UnknownName(("include", index), kind="a field of the result", received=name, known=FIELDS)
        if name in ("output", "present") and call.value is None:
            raise InvalidValue(
                ("include", index),
                expected=f"a value, since {name} is included",
                received="no value",
                advice=f"Send value, or take {name} out of include.",
            )
        if name == "logsumexp" and not isinstance(normalizer, LogSumExp):
            raise InvalidValue(
                ("include", index),
                expected="softmax, the one normalizer with a logsumexp",
                received=normalizer.name,
                advice="Take logsumexp out of include, or choose softmax.",
            )
    return frozenset(call.include)
