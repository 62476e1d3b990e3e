"""The door: check, choose a path, run, cast back."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from attention_core.arrays import FloatArray
from attention_core.call import AttentionCall, AttentionResult, Field, ResolvedCall
from attention_core.dense import evaluate_dense
from attention_core.interfaces import Mask, Normalizer, Progress, ScoreModel, ShouldStop
from attention_core.notes import row_notes
from attention_core.resolve import resolve


def attend(
    query: ArrayLike,
    key: ArrayLike,
    value: ArrayLike | None = None,
    *,
    score_model: ScoreModel | None = None,
    normalizer: Normalizer | None = None,
    mask: Mask | None = None,
    offset: int | None = None,
    bias: ArrayLike | None = None,
    dtype: str | None = None,
    include: tuple[Field, ...] | None = None,
    should_stop: ShouldStop | None = None,
    progress: Progress | None = None,
) -> AttentionResult:
    """Soft attention: score every key for every query, turn scores into weights, mix the values.

    ::

        scores  = a(query, key)
        logits  = scores + bias, and −∞ where the mask hides a key
        weights = normalizer(logits)
        output  = weights · value

    >>> from attention_core import attend
    >>> result = attend([[1.0, 0.0]], [[2.0, 0.0], [0.0, 2.0]], [[10.0], [20.0]])
    >>> result.weights.round(3).tolist()
    [[0.804, 0.196]]
    >>> result.output.round(2).tolist()
    [[11.96]]

    Shapes: query (…, Lq, Dq), key (…, Lk, Dk), value (…, Lk, Dv); leading axes broadcast.  scores, logits and weights
    are (…, Lq, Lk), output (…, Lq, Dv), logsumexp (…, Lq).

    :param score_model: a(q, k); default `ScaledDotProduct()`, that is q·k/√D.  See `attention_core.scores`.
    :param normalizer: logits to weights; default `Softmax()`.  See `attention_core.normalizers`.
    :param mask: which keys a query may see, as in ``Causal() & Allowed(array)``.  See `attention_core.masks`.
    :param offset: position of query 0 among the keys, for `Causal`; default 0, "top left".
    :param bias: numbers added to the scores, broadcast right-aligned to their shape; −∞ hides a key.
    :param dtype: "float64" or "float32": inputs are rounded to it, results are returned in it.  Default: float32 if
        query, key and value all are, else float64.
    :param include: fields of the result, any of scores, logits, weights, output, logsumexp (softmax only).  Default:
        scores and weights, and output when there is a value.  What is not asked for may not be computed.
    :param should_stop: asked between tiles; when it answers True the call ends with `Stopped`.
    :param progress: told after each tile how many are done, of how many.

    Edge cases: a row without a visible key has weights 0, output 0 and logsumexp −∞.  NaN or ±∞ in a key or value that
    a query may not see has no influence on it.  NaN or +∞ among a row's visible logits make that row, and no other,
    NaN.  Both kinds of row are named in ``result.notes``.

    Raises ShapeMismatch, InvalidValue or UnknownName (all `CallError`, a ValueError) with a path to the first
    offending element, what was expected, what came and what to change; `Stopped`.

    Vaswani et al. 2017, "Attention Is All You Need", equation 1, with the score a function of one's choice as in Luong,
    Pham & Manning 2015, section 3.1.
    """
    call = AttentionCall(
        query=as_floats(query),
        key=as_floats(key),
        value=None if value is None else as_floats(value),
        score_model=score_model,
        normalizer=normalizer,
        mask=mask,
        offset=offset,
        bias=None if bias is None else as_floats(bias),
        dtype=dtype,
        include=include,
    )
    return evaluate(resolve(call), should_stop=should_stop, progress=progress)


def evaluate(
    call: ResolvedCall, *, should_stop: ShouldStop | None = None, progress: Progress | None = None
) -> AttentionResult:
    """Run a call that `resolve` has checked, for callers that look at its cost in between; see `attend`."""
    with np.errstate(all="ignore"):
        fields, maximum = evaluate_dense(call, should_stop, progress)
    return AttentionResult(
        arrays={name: call.dtype.store(array) for name, array in fields.items()},
        score_model=call.score_model,
        normalizer=call.normalizer,
        dtype=call.dtype.name,
        notes=row_notes(maximum),
    )


def as_floats(array: ArrayLike) -> FloatArray:
    """Return the array itself if it holds floats, else its numbers as float64."""
    numbers: np.ndarray[Any, np.dtype[Any]] = np.asarray(array)
    return numbers if numbers.dtype.kind == "f" else numbers.astype(np.float64)
