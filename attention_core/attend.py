"""The door: check, choose a path, run, cast back."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from attention_core.arrays import FloatArray
from attention_core.blockwise import Workers, evaluate_tiled
from attention_core.buffers import take_rows_as_they_lie
from attention_core.call import AttentionCall, AttentionResult, Diagnostics, Field, Heads, Offset, Ranking, ResolvedCall
from attention_core.cost import choose_path, tile_sizes
from attention_core.dense import evaluate_dense
from attention_core.diagnostics import diagnose, rank
from attention_core.heads import pack
from attention_core.interfaces import Mask, Normalizer, Position, Progress, ScoreModel, ShouldStop
from attention_core.notes import row_notes
from attention_core.resolve import resolve


def attend(
    query: ArrayLike,
    key: ArrayLike,
    value: ArrayLike | None = None,
    *,
    score_model: ScoreModel | None = None,
    normalizer: Normalizer | None = None,
    softcap: float | None = None,
    mask: Mask | None = None,
    offset: Offset | None = None,
    bias: ArrayLike | None = None,
    position: Position | None = None,
    heads: Heads | None = None,
    past_key: ArrayLike | None = None,
    past_value: ArrayLike | None = None,
    dtype: str | None = None,
    include: tuple[Field, ...] | None = None,
    top_k: int | None = None,
    workers: Workers | None = None,
    should_stop: ShouldStop | None = None,
    progress: Progress | None = None,
) -> AttentionResult:
    """Soft attention: score every key for every query, turn scores into weights, mix the values.

    ::

        query, key    = turned by their positions, if rotary
        scores        = a(query, key)
        capped_scores = softcap · tanh(scores / softcap)
        logits        = capped_scores + bias + ALiBi, and −∞ where the mask hides a key
        weights       = normalizer(logits)
        output        = weights · value

    >>> from attention_core import attend
    >>> result = attend([[1.0, 0.0]], [[2.0, 0.0], [0.0, 2.0]], [[10.0], [20.0]])
    >>> result.weights.round(3).tolist()
    [[0.804, 0.196]]
    >>> result.output.round(2).tolist()
    [[11.96]]

    Shapes: query (…, Lq, Dq), key (…, Lk, Dk), value (…, Lk, Dv); leading axes broadcast.  The matrices are
    (…, Lq, Lk), output (…, Lq, Dv), logsumexp (…, Lq).  At rank 4, (B, H, L, D), key and value may have fewer heads:
    each serves Hq/Hkv query heads in a row.

    :param score_model: a(q, k); default `ScaledDotProduct()`, that is q·k/√D.  See `attention_core.scores`.
    :param normalizer: logits to weights; default `Softmax()`.  See `attention_core.normalizers`.
    :param softcap: squeezes scores between −softcap and softcap, before bias and mask.
    :param mask: which keys a query may see, as in ``Causal() & KeyLengths(lengths)``.  See `attention_core.masks`.
    :param offset: position of query 0 among the keys, for `Causal`, `Window` and positions: an integer, one per batch
        row, or "bottom_right"; default the length of the past, which is 0 without a cache.
    :param bias: numbers added to the scores, broadcast right-aligned to their shape; −∞ hides a key.
    :param position: `Alibi()` or `Rotary()`.  See `attention_core.positions`.
    :param heads: how many heads are packed into the last axis of rank-3 inputs; output comes back packed.
    :param past_key: keys (…, P, Dk) that come before the new ones, unturned; together with past_value (…, P, Dv).
    :param dtype: "float64", "float32", "float16" or "bfloat16": inputs are rounded to it, results are returned in it;
        half types compute in float32.  A bfloat16 is held in a float32 array.  Default: what query, key and value all
        are, else float64.
    :param include: fields of the result, any of `attention_core.call.FIELDS`; logsumexp is softmax's alone.  Default:
        scores and weights, and output when there is a value.  What is not asked for may not be computed.
    :param top_k: how many keys of each row the ranking names; default every visible one.
    :param workers: threads that share the tiles of a large call of which no matrix is asked back; default this one.
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
        as_floats(query),
        as_floats(key),
        None if value is None else as_floats(value),
        score_model,
        normalizer,
        softcap,
        mask,
        offset,
        None if bias is None else as_floats(bias),
        position,
        heads,
        None if past_key is None else as_floats(past_key),
        None if past_value is None else as_floats(past_value),
        dtype,
        include,
        top_k,
    )
    return evaluate(resolve(call), workers=workers, should_stop=should_stop, progress=progress)


def evaluate(
    call: ResolvedCall,
    *,
    workers: Workers | None = None,
    should_stop: ShouldStop | None = None,
    progress: Progress | None = None,
) -> AttentionResult:
    """Run a call that `resolve` has checked, for callers that look at its cost in between; see `attend`."""
    with np.errstate(all="ignore"):
        take_rows_as_they_lie(call.key_length)
        if choose_path(call) == "tiled":
            fields, maximum = evaluate_tiled(call, tile_sizes(call), workers or Workers(1), should_stop, progress)
        else:
            fields, maximum = evaluate_dense(call, should_stop, progress)
        return AttentionResult(
            _stored(call, fields),
            call.score_model,
            call.normalizer,
            call.dtype.name,
            row_notes(maximum, call.normalizer),
            _diagnostics(call, fields),
            _ranking(call, fields),
        )


def _stored(call: ResolvedCall, fields: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    """Return the arrays asked for, rounded once to the storage type; logsumexp stays in the compute type."""
    arrays: dict[str, FloatArray] = {
        name: array if name == "logsumexp" else call.dtype.store(array)
        for name in call.include
        if (array := fields.get(name)) is not None
    }
    if "output" in arrays and call.packed:
        arrays["output"] = pack(arrays["output"])
    if call.present is not None:
        arrays["present_key"], arrays["present_value"] = map(call.dtype.store, call.present)
    return arrays


def _diagnostics(call: ResolvedCall, fields: Mapping[str, FloatArray]) -> Diagnostics | None:
    if "diagnostics" not in call.include:
        return None
    return diagnose(fields["weights"], fields["logits"], call.normalizer)


def _ranking(call: ResolvedCall, fields: Mapping[str, FloatArray]) -> Ranking | None:
    if "ranking" not in call.include:
        return None
    ranking = rank(fields["weights"], fields["scores"], fields["logits"], call.top_k)
    store = call.dtype.store
    return replace(ranking, scores=store(ranking.scores), weights=store(ranking.weights))


def as_floats(array: ArrayLike) -> FloatArray:
    """Return the array itself if it holds floats, else its numbers as float64."""
    numbers: np.ndarray[Any, np.dtype[Any]] = np.asarray(array)
    return numbers if numbers.dtype.kind == "f" else numbers.astype(np.float64)
