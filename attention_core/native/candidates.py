"""Sparse normalizers of a call whose keys are held in pieces: only keys near the maximum of a row may have a weight.

Each holder returns the logits of its range that are within the normalizer's reach of the largest of them.  The front
makes the weights from those of all ranges, exactly, and each holder then weighs its values.
"""

from collections.abc import Sequence
from dataclasses import replace
from math import isfinite, prod
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from attention_core.arrays import FloatArray
from attention_core.blockwise import Workers
from attention_core.call import ResolvedCall
from attention_core.field_shapes import output_shape
from attention_core.interfaces import ShouldStop
from attention_core.native.forward import KernelResult
from attention_core.native.key_ranges import evaluate_key_range, takes_key_ranges
from attention_core.native.library import Kernel
from attention_core.normalizers import Identity
from attention_core.reductions import all_finite
from attention_core.tiles import normalize

MAX_LOGITS = 1 << 24
"""Logits of a range, of all rows, that a holder looks at."""

MAX_CANDIDATES = 1 << 20
"""Keys of all rows that a holder returns."""

LOGITS = frozenset({"logits"})


class Candidates(NamedTuple):
    """Keys of a range that may have a weight: row by row, in ascending order."""

    maximum: FloatArray
    """Largest logit of each row, (rows); rows are those of all matrices in their order."""
    counts: NDArray[np.int64]
    """Candidates of each row, (rows)."""
    keys: NDArray[np.int64]
    """Their indices among all keys, (candidates)."""
    logits: FloatArray
    """(candidates)."""


class WeightedKeys(NamedTuple):
    """Keys of a range with weights above 0, row by row, in ascending order."""

    rows: NDArray[np.int64]
    keys: NDArray[np.int64]
    """Indices among all keys."""
    weights: FloatArray


def takes_candidates(kernel: Kernel, call: ResolvedCall, required: frozenset[str]) -> bool:
    """Return whether the output of a call can be made from candidates, and nothing else is required.

    :param kernel: the kernel, for the logits.
    :param call: as `without_keys` returns it.
    :param required: names of arrays.
    """
    is_sparse = isfinite(call.normalizer.reach()) and required == {"output"} and call.stored_value is not None
    return is_sparse and takes_key_ranges(kernel, _with_logits(call), LOGITS)


def find_candidates(
    kernel: Kernel, call: ResolvedCall, first_key: int, workers: Workers | None, should_stop: ShouldStop | None
) -> Candidates | None:
    """Return the candidates of a range; None where there are too many, or numbers that are not finite.

    :param kernel: the kernel.
    :param call: as for `evaluate_key_range`.
    :param first_key: as there.
    :param workers: threads that share the logits; None for the calling thread alone.
    :param should_stop: as there.

    Raises Stopped.
    """
    rows, n_keys = prod(call.score_shape[:-1]), call.stored_key.shape[-2]
    if rows * n_keys > MAX_LOGITS or call.value is None or not all_finite(call.value):
        return None
    partial = evaluate_key_range(kernel, _with_logits(call), LOGITS, first_key, workers, should_stop)
    if partial is None:
        return None
    logits = partial.matrices["logits"].reshape(rows, n_keys)
    maximum: FloatArray = logits.max(axis=-1)
    if not (maximum < np.inf).all():
        return None
    # A logit that rounding moves out of reach has a weight of about one rounding error at most.
    bound = np.where(np.isneginf(maximum), 0, maximum)
    slack = 32 * np.finfo(logits.dtype).eps * (1 + np.abs(bound))
    near = (logits >= (bound - call.normalizer.reach() - slack)[:, None]) & ~np.isneginf(logits)
    counts = near.sum(axis=-1)
    if counts.sum() > MAX_CANDIDATES:
        return None
    places = np.nonzero(near)
    return Candidates(maximum, counts, places[1] + first_key, logits[near])


def weigh_candidates(call: ResolvedCall, parts: Sequence[Candidates]) -> tuple[FloatArray, WeightedKeys]:
    """Return the largest logit of each row, (…, Lq), and all keys with a weight.

    :param call: as `without_keys` returns it.
    :param parts: of all ranges, in the order of the keys.
    """
    rows = prod(call.score_shape[:-1])
    of_rows = np.concatenate([np.repeat(np.arange(rows), part.counts) for part in parts])
    order = np.argsort(of_rows, kind="stable")
    of_rows = of_rows[order]
    keys, found = (np.concatenate([getattr(part, name) for part in parts])[order] for name in ("keys", "logits"))
    counts = np.bincount(of_rows, minlength=rows)
    places = np.arange(of_rows.size) - np.repeat(np.cumsum(counts) - counts, counts)
    logits = np.full((rows, max(1, int(counts.max(initial=0)))), -np.inf, found.dtype)
    logits[of_rows, places] = found
    maximum: FloatArray = np.maximum.reduce([part.maximum for part in parts])
    shape = (*call.score_shape[:-1], logits.shape[-1])
    weights = normalize(call.normalizer, logits.reshape(shape), maximum.reshape(*shape[:-1], 1))
    own = weights.reshape(logits.shape)[of_rows, places]
    has_weight = own > 0
    weighted = WeightedKeys(of_rows[has_weight], keys[has_weight], own[has_weight])
    return maximum.reshape(call.score_shape[:-1]), weighted


def keys_of_range(weighted: WeightedKeys, first_key: int, end_key: int) -> WeightedKeys:
    """Return the keys that are in a range."""
    own = (weighted.keys >= first_key) & (weighted.keys < end_key)
    return WeightedKeys(weighted.rows[own], weighted.keys[own], weighted.weights[own])


def apply_to_range(call: ResolvedCall, first_key: int, weighted: WeightedKeys) -> FloatArray:
    """Return the sums of the weighted values of a range, (rows, Dv).

    :param call: as for `evaluate_key_range`.
    :param first_key: as there.
    :param weighted: keys of the range.
    """
    value = call.stored_value
    if value is None:
        raise ValueError("expected values; received none")
    sums: FloatArray = np.zeros((prod(call.score_shape[:-1]), value.shape[-1]), call.dtype.compute)
    if not weighted.rows.size:
        return sums
    heads = np.arange(prod(value.shape[:-2])).reshape(value.shape[:-2])
    if call.queries_per_kv_head > 1 and value.ndim == 4:
        heads = np.repeat(heads, call.queries_per_kv_head, axis=1)
    of_matrix = np.broadcast_to(heads, call.score_shape[:-2]).reshape(-1)[weighted.rows // call.query_length]
    read = call.value
    if read is None:
        raise ValueError("expected values; received none")
    index = (*np.unravel_index(of_matrix, value.shape[:-2]), weighted.keys - first_key)
    weighed = weighted.weights[:, None] * read[index]
    starts = np.flatnonzero(np.diff(weighted.rows, prepend=-1))
    sums[weighted.rows[starts]] = np.add.reduceat(weighed, starts, axis=0)
    return sums


def merge_sums(call: ResolvedCall, maximum: FloatArray, sums: Sequence[FloatArray]) -> KernelResult:
    """Return the result of a call.

    :param call: as `without_keys` returns it.
    :param maximum: what `weigh_candidates` returned.
    :param sums: of all ranges, in the order of the keys.
    """
    output: FloatArray = np.add.reduce(sums).reshape(output_shape(call))
    return KernelResult({"output": output}, None if all_finite(maximum) else maximum, None)


def _with_logits(call: ResolvedCall) -> ResolvedCall:
    """Return a call with a normalizer for which a kernel computes logits."""
    return replace(call, normalizer=Identity())
