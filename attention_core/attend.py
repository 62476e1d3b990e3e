"""The entry points of the forward pass: check a call, choose a path, run it, round the results."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike

from attention_core.arrays import FloatArray
from attention_core.blockwise import Workers, evaluate_tiled
from attention_core.call import AttentionCall, Heads, Layout, Offset, Positions, ResolvedCall, ResultField
from attention_core.dense import evaluate_dense, list_ranked_fields, list_required_matrices
from attention_core.diagnostics import diagnose, gather_ranking, rank_keys
from attention_core.dtypes import BFLOAT16
from attention_core.execution_path import choose_path
from attention_core.head_average import evaluate_with_mean
from attention_core.heads import arrange_cache, arrange_output
from attention_core.interfaces import Mask, Normalizer, Position, ProgressCallback, ScoreModel, ShouldStop
from attention_core.native import Kernel, KernelResult, evaluate_with_kernel, find_scorer, selected_kernel
from attention_core.notes import MAX_NOTES, row_notes, storage_notes
from attention_core.resolve import resolve
from attention_core.results import AttentionResult, Diagnostics, Ranking
from attention_core.score_modifier import ScoreModifier
from attention_core.tile_sizes import choose_tile_sizes


class EvaluateWithKernel(Protocol):
    """Evaluates a call with a kernel, in this process or elsewhere: `attention_core.native.evaluate_with_kernel`."""

    def __call__(
        self,
        kernel: Kernel,
        call: ResolvedCall,
        required: frozenset[str],
        workers: Workers | None,
        should_stop: ShouldStop | None,
        progress: ProgressCallback | None,
    ) -> KernelResult | None:
        """Return the required arrays of a call; None for a call that is left to NumPy."""
        ...


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
    positions: Positions | None = None,
    dtype: str | None = None,
    include: tuple[ResultField, ...] | None = None,
    top_k: int | None = None,
    layout: Layout | None = None,
    score_modifier: ScoreModifier | None = None,
    workers: Workers | None = None,
    should_stop: ShouldStop | None = None,
    progress: ProgressCallback | None = None,
) -> AttentionResult:
    """Compute soft attention: score every key for every query, normalize the scores, average the values.

    ::

        query, key    = rotated by their positions, if rotary
        scores        = a(query, key)
        capped_scores = softcap · tanh(scores / softcap)
        modified      = score_modifier(capped_scores + bias + ALiBi), or that sum itself
        logits        = modified, and −∞ where the mask hides a key
        weights       = normalizer(logits)
        output        = weights · value

    >>> from attention_core import attend
    >>> result = attend([[1.0, 0.0]], [[2.0, 0.0], [0.0, 2.0]], [[10.0], [20.0]])
    >>> result.weights.round(3).tolist()
    [[0.804, 0.196]]
    >>> result.output.round(2).tolist()
    [[11.96]]

    Leading axes (…) broadcast.  At rank 4, (B, H, L, D), key and value may have fewer heads than query: each key and
    value head serves Hq/Hkv consecutive query heads (grouped-query attention).

    :param query: (…, Lq, Dq).  Floats keep their type, other numbers become float64, here and for every array.  Query,
        key, value and past may be bits of bfloat16 numbers, of the type `BFLOAT16`.
    :param key: (…, Lk, Dk).
    :param value: (…, Lk, Dv); default none, with which there is no output.
    :param score_model: a(q, k); default `ScaledDotProduct()`, that is q·k/√D.  See `attention_core.scores`.
    :param normalizer: maps logits to weights; default `Softmax()`.  See `attention_core.normalizers`.
    :param softcap: bounds scores to (−softcap, softcap), before bias and mask; a number > 0; default none.
    :param mask: which keys a query may see, as in ``Causal() & KeyLengths(lengths)``; default all of them.  See
        `attention_core.masks`.
    :param offset: position of query 0 among the keys, for `Causal`, `Window` and positions: an integer, one integer
        per batch row (B), or "bottom_right"; default the length of the past, which is 0 without a cache.
    :param bias: added to the scores, to whose shape (…, Lq, Lk) it broadcasts right-aligned; −∞ hides a key; default
        none.
    :param position: `Alibi()` or `Rotary()`; default none.  See `attention_core.positions`.
    :param heads: how many heads are packed into the last axis of rank-3 inputs (B, L, H·D); output comes back packed,
        (B, Lq, Hq·Dv).  Default: heads, if any, have an axis of their own.
    :param past_key: cached keys (…, P, Dk), before rotation, that precede `key`; default none.
    :param past_value: cached values (…, P, Dv); default none; given if and only if `past_key` is.
    :param positions: positions of queries and of keys, past and new, in the place of i + offset and j; without an
        offset; default none.
    :param dtype: storage type, "float64", "float32", "float16" or "bfloat16": inputs are rounded to it, results are
        returned in it.  Half types compute in float32; a bfloat16 is returned in a float32 array.  Keys and values that
        are float16 or `BFLOAT16` arrays are read in place, two bytes a number, where a kernel needs no other form of
        them.  Default: the type that query, key and value share, else float64.
    :param include: fields of the result, any of `attention_core.call.RESULT_FIELDS`; logsumexp needs softmax.
        Default: scores and weights, and output when there is a value.  Fields left out may not be computed.
    :param top_k: maximum keys of each row in the ranking, ≥ 1; default every visible key.
    :param layout: order of the axes of query, key, value, past, present and output: "bhsd", the default, or "bshd",
        (B, L, H, D), which needs rank 4 and no packed heads.
    :param score_modifier: changes capped scores + bias + ALiBi by a formula of the score and the positions, before the
        mask; −∞ hides a key; default none.
    :param workers: threads that share the tiles of a large call without matrices in `include`; default the calling
        thread alone.
    :param should_stop: called between tiles, from one thread at a time; True ends the call with `Stopped`; default
        none.
    :param progress: called after each tile with the numbers of tiles done and in total; default none.

    Returns an `AttentionResult` with the fields of `include`: matrices (…, Lq, Lk), output (…, Lq, Dv), logsumexp
    (…, Lq), and at rank 4 or with packed heads mean_weights (B, Lq, Lk), the weights averaged over the query heads.

    Edge cases: a row without a visible key has weights 0, output 0 and logsumexp −∞.  NaN or ±∞ in a key or value that
    a query may not see does not change its results.  NaN or +∞ among a row's visible logits make that row, and no
    other, NaN.  ``result.notes`` names both kinds of row, and the fields whose finite numbers exceed the storage type.

    Raises ShapeMismatch, InvalidValue or UnknownName (all `CallError`, a ValueError) with the path of the first
    offending element, the expected and the received value, and advice; `Stopped`.

    Vaswani et al. 2017, "Attention Is All You Need", equation 1, with any score function as in Luong, Pham & Manning
    2015, "Effective Approaches to Attention-based Neural Machine Translation", section 3.1.
    """
    # Positional, in the order of the fields: see `ResolvedCall`.
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
        positions,
        layout,
        score_modifier,
    )
    return evaluate(resolve(call), workers=workers, should_stop=should_stop, progress=progress)


def evaluate(
    call: ResolvedCall,
    *,
    workers: Workers | None = None,
    should_stop: ShouldStop | None = None,
    progress: ProgressCallback | None = None,
    evaluate_kernel: EvaluateWithKernel | None = None,
) -> AttentionResult:
    """Run a call that `resolve` has checked; `attend` is ``evaluate(resolve(call))``.

    Separate from `resolve` so that a caller can look at the call's cost, `attention_core.predict`, before running it.

    :param call: what `resolve` returned.
    :param workers: threads that share the tiles of a call on the tiled path; default the calling thread alone.
    :param should_stop: called between tiles, from one thread at a time; True ends the call with `Stopped`; default
        none.
    :param progress: called after each tile with the numbers of tiles done and in total; default none.
    :param evaluate_kernel: evaluates what a compiled kernel computes; default `evaluate_with_kernel`, in this process.

    Returns an `AttentionResult` with the fields of ``call.include``, rounded to the storage type.

    Raises `Stopped`; InvalidValue for logits for which the normalizer has no weights (proportional: negative ones).
    """
    if "mean_weights" in call.include:
        each = evaluate_fields if evaluate_kernel is None else partial(evaluate_fields, evaluate_kernel=evaluate_kernel)
        fields, maximum = evaluate_with_mean(each, call, workers, should_stop, progress)
    else:
        fields, maximum = evaluate_fields(call, workers, should_stop, progress, evaluate_kernel)
    arrays, ranking = _to_storage(call, fields), _ranking(call, fields)
    stored = _stored_ranking(call, ranking)
    overflow_notes: tuple[str, ...] = ()
    if call.dtype.narrow:
        overflow_notes = storage_notes({**fields, **_ranked(ranking)}, {**arrays, **_ranked(stored)}, call.dtype)
    max_rows = MAX_NOTES - len(call.notes) - len(overflow_notes)
    of_rows = () if maximum is None else row_notes(maximum, call.normalizer, max_rows)
    return AttentionResult(
        arrays,
        call.score_model,
        call.normalizer,
        call.dtype.name,
        (*call.notes, *of_rows, *overflow_notes),
        _diagnostics(call, fields),
        stored,
    )


def evaluate_fields(
    call: ResolvedCall,
    workers: Workers | None,
    should_stop: ShouldStop | None,
    progress: ProgressCallback | None,
    evaluate_kernel: EvaluateWithKernel | None = None,
) -> tuple[Mapping[str, FloatArray], FloatArray | None]:
    """Return the arrays that the included fields need, and the maximum of every row: by a kernel if there is one.

    :param call: what `resolve` returned.
    :param workers: threads that share a large call; None for the calling thread alone.
    :param should_stop: called between tiles, or about every 10 ms; None for never.
    :param progress: called as often, with the numbers done and in total; None for never.
    :param evaluate_kernel: evaluates what a kernel computes; None for `evaluate_with_kernel`.

    The arrays are in the compute type, and the maximum, (…, Lq), is None if it is finite in every row.  Rows with NaN
    or ∞ among a kernel's numbers are computed again with NumPy.

    Raises `Stopped`; InvalidValue for logits for which the normalizer has no weights.
    """
    kernel = selected_kernel()
    if kernel is not None and call.score_modifier is None and "modified" in call.include:
        return _evaluate_with_modified(call, workers, should_stop, progress, evaluate_kernel)
    result = scorer = None
    if kernel is not None:
        required = list_required_matrices(call.include)
        ranked = list_ranked_fields(call) if "ranking" in call.include else None
        with np.errstate(all="ignore"):
            run = evaluate_kernel or evaluate_with_kernel
            result = run(kernel, call, ranked or required, workers, should_stop, progress)
            if ranked is not None and result is not None and result.unsafe is not None:
                # Rows that NumPy computes again are ranked with the others, by their weights.
                result = run(kernel, call, required, workers, should_stop, None)
    if result is not None and result.unsafe is None:
        return result.fields, result.maximum
    if result is not None:
        progress = None  # the kernel has reported the end
    with np.errstate(all="ignore"):
        is_tiled = choose_path(call) == "tiled"
        if kernel is not None and result is None:
            scorer = find_scorer(kernel, call, None if is_tiled else workers)
        if is_tiled:
            workers = workers or Workers(1)
            fields, maximum = evaluate_tiled(call, choose_tile_sizes(call), workers, should_stop, progress, scorer)
        else:
            fields, maximum = evaluate_dense(call, should_stop, progress, scorer)
    if result is None:
        return fields, maximum
    for name, array in result.fields.items():
        array[result.unsafe] = fields[name][result.unsafe]
    return result.fields, result.maximum


def _evaluate_with_modified(
    call: ResolvedCall,
    workers: Workers | None,
    should_stop: ShouldStop | None,
    progress: ProgressCallback | None,
    evaluate_kernel: EvaluateWithKernel | None,
) -> tuple[Mapping[str, FloatArray], FloatArray | None]:
    """Return what `evaluate_fields` does for a call that includes modified scores without a modifier.

    A kernel has none: they are its logits where a key is visible, and NumPy's where it is not, so that asking for them
    changes no bit of another field.
    """
    others = replace(call, include=call.include - {"modified"} | frozenset[ResultField]({"logits"}))
    fields, maximum = evaluate_fields(others, workers, should_stop, progress, evaluate_kernel)
    alone = replace(call, include=frozenset[ResultField]({"modified"}))
    with np.errstate(all="ignore"):
        modified, _ = evaluate_dense(alone, should_stop, None, None)
    logits = fields["logits"]
    return {**fields, "modified": np.where(np.isneginf(logits), modified["modified"], logits)}, maximum


def _to_storage(call: ResolvedCall, fields: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    """Return the included arrays, rounded once to the storage type; logsumexp stays in the compute type."""
    arrays: dict[str, FloatArray] = {
        name: array if name == "logsumexp" else call.dtype.store(array)
        for name in call.include
        if (array := fields.get(name)) is not None
    }
    arranged = call.has_packed_heads or call.layout != "bhsd"
    if "output" in arrays and arranged:
        arrays["output"] = arrange_output(call, arrays["output"])
    if call.present is not None:
        arrays["present_key"], arrays["present_value"] = map(call.dtype.store, call.present)
        if arranged:
            for name in ("present_key", "present_value"):
                arrays[name] = arrange_cache(call, arrays[name])
    return arrays


def _diagnostics(call: ResolvedCall, fields: Mapping[str, FloatArray]) -> Diagnostics | None:
    if "diagnostics" not in call.include:
        return None
    with np.errstate(all="ignore"):
        return diagnose(fields["weights"], fields["logits"], call.normalizer)


def _ranking(call: ResolvedCall, fields: Mapping[str, FloatArray]) -> Ranking | None:
    if "ranking" not in call.include:
        return None
    if "ranked_keys" in fields:
        return gather_ranking(fields)
    with np.errstate(all="ignore"):
        return rank_keys(fields["weights"], fields["scores"], fields["logits"], call.top_k)


def _stored_ranking(call: ResolvedCall, ranking: Ranking | None) -> Ranking | None:
    """Return a ranking with its numbers in the storage type."""
    if ranking is None:
        return None
    store = call.dtype.store
    return replace(ranking, scores=store(ranking.scores), weights=store(ranking.weights))


def _ranked(ranking: Ranking | None) -> Mapping[str, FloatArray]:
    """Return the numbers that a ranking shows, under its name."""
    if ranking is None:
        return {}
    shown = np.arange(ranking.scores.shape[-1]) < ranking.counts[..., None]
    return {"ranking": np.concatenate((ranking.scores[shown], ranking.weights[shown]))}


def as_floats(array: ArrayLike) -> FloatArray:
    """Return the array itself if its dtype is floating or `BFLOAT16`, else a float64 copy."""
    numbers: np.ndarray[Any, np.dtype[Any]] = np.asarray(array)
    return numbers if numbers.dtype.kind == "f" or numbers.dtype == BFLOAT16 else numbers.astype(np.float64)
