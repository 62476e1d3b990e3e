"""From what was sent to what is computed: every check, every default, every cast, once."""

import numpy as np

from attention_core.arrays import FloatArray
from attention_core.call import FIELDS, AttentionCall, Field, ResolvedCall
from attention_core.dtypes import DType, dtype_named
from attention_core.errors import CallError, InvalidValue, UnknownName
from attention_core.interfaces import Features, LogSumExp, Normalizer, ScoreModel
from attention_core.normalizers import Softmax
from attention_core.scores import ScaledDotProduct
from attention_core.shapes import Shape, check_broadcastable, check_value, scores_shape


def resolve(call: AttentionCall) -> ResolvedCall:
    """Return the call with arrays in the compute type, models bound and defaults decided.

    Raises CallError with the path of the first argument that is wrong.
    """
    dtype = dtype_named(call.dtype, call.query, call.key, call.value)
    scores = scores_shape(call.query, call.key)
    if call.value is not None:
        check_value(call.value, call.key, scores)
    features = Features(call.query.shape[-1], call.key.shape[-1])
    normalizer = bind_normalizer(call.normalizer)
    return ResolvedCall(
        query=dtype.load(call.query, ("query",)),
        key=dtype.load(call.key, ("key",)),
        value=None if call.value is None else dtype.load(call.value, ("value",)),
        score_model=bind_score_model(call.score_model, features, dtype),
        normalizer=normalizer,
        mask=None if call.mask is None else call.mask.bind(scores),
        offset=np.asarray(call.offset or 0),
        bias=None if call.bias is None else load_bias(call.bias, scores, dtype),
        dtype=dtype,
        include=resolve_include(call, normalizer),
        features=features,
        scores=scores,
    )


def bind_score_model(model: ScoreModel | None, features: Features, dtype: DType) -> ScoreModel:
    """Bind the score model; an error about one of its parameters is put under ``score_model``."""
    try:
        return (model or ScaledDotProduct()).bind(features, dtype.compute)
    except CallError as error:
        if error.path != ("key",):
            error.path = ("score_model", *error.path)
        raise


def bind_normalizer(normalizer: Normalizer | None) -> Normalizer:
    """Bind the normalizer; an error about one of its parameters is put under ``normalizer``."""
    try:
        return (normalizer or Softmax()).bind()
    except CallError as error:
        error.path = ("normalizer", *error.path)
        raise


def load_bias(bias: FloatArray, scores: Shape, dtype: DType) -> FloatArray:
    """Check that the bias broadcasts and convert it to the compute type; rank 2 at least."""
    check_broadcastable(bias, scores, ("bias",))
    return np.atleast_2d(bias).astype(dtype.compute, copy=False)


def resolve_include(call: AttentionCall, normalizer: Normalizer) -> frozenset[Field]:
    """Return the fields to compute; raise for a name that is unknown or a field that this call cannot have."""
    if call.include is None:
        return frozenset(("scores", "weights", "output") if call.value is not None else ("scores", "weights"))
    for index, name in enumerate(call.include):
        if name not in FIELDS:
            raise UnknownName(("include", index), kind="a field of the result", received=name, known=FIELDS)
        if name == "output" and call.value is None:
            raise InvalidValue(
                ("include", index),
                expected="a value to mix, since output is included",
                received="no value",
                advice="Send value, or take output out of include.",
            )
        if name == "logsumexp" and not isinstance(normalizer, LogSumExp):
            raise InvalidValue(
                ("include", index),
                expected="softmax, the one normalizer with a logsumexp",
                received=normalizer.name,
                advice="Take logsumexp out of include, or choose softmax.",
            )
    return frozenset(call.include)
