"""Score some rows of a call with a compiled kernel, for normalizers that need whole rows and stay in NumPy.

The bits of a logit depend on its query, its key, their positions and the options alone, as in `forward`.
"""

from array import array
from itertools import pairwise
from math import prod

import numpy as np

from attention_core.arrays import FloatArray, LeadingSlices
from attention_core.blockwise import Workers
from attention_core.call import ResolvedCall
from attention_core.capabilities import supports_kernel_normalizer, supports_online
from attention_core.heads import repeat_kv_heads
from attention_core.kernel_forms import KernelNormalizer
from attention_core.native.forward import has_head_tensors, pair_function
from attention_core.native.leading import contiguous
from attention_core.native.library import CONSTANTS, FIELD_INDEX, Kernel, address_of
from attention_core.native.plans import Operands, Plan, PlanInputs, find_plan
from attention_core.native.request import rows_per_task
from attention_core.native.running import run_kernel
from attention_core.native.visibility import with_ranged_masks

LOGITS = frozenset({"logits"})
"""Fields that make a plan one of matrices; which of them are written differs from one part of a call to the next."""

INTEGER_BYTES = 8
"""Bytes of an integer, and of a number of a matrix, in a request."""

POINTERS_TO_MATRICES = tuple(
    FIELD_INDEX[name]
    for name in (
        *("query_at", "key_at", "scale", "query_terms_at", "key_terms_at", "score_vector_at", "bias_at"),
        *("slopes", "query_position_at", "key_position_at", "range_at", "temperature"),
    )
)
"""Fields that point to a number of eight bytes for each matrix."""

_QUERY, _KEY, _QUERY_TERMS, _BIAS = (FIELD_INDEX[name] for name in ("query", "key", "query_terms", "bias"))
_INTEGERS_OF_QUERIES = tuple(FIELD_INDEX[name] for name in ("first_key", "end_key", "query_position"))
_QUERY_STRIDE, _BIAS_STRIDE = FIELD_INDEX["query_stride"], FIELD_INDEX["bias_row_stride"]
_MATRICES, _QUERIES = FIELD_INDEX["n_matrices"], FIELD_INDEX["n_queries"]
_GROUP, _TASK_ROWS, _N_TASKS = (FIELD_INDEX[name] for name in ("group", "task_rows", "n_tasks"))
_SPLIT_SPANS = FIELD_INDEX["split_spans"]
_NORMALIZER = FIELD_INDEX["normalizer"]


class KernelScorer:
    """Scores any rows of a call; threads may share it."""

    def __init__(self, given: PlanInputs, plan: Plan, *, applies_whole_mask: bool, workers: Workers | None) -> None:
        """Prepare the request of the whole call, of which `score_rows` takes parts."""
        self.applies_whole_mask = applies_whole_mask
        self._call, self._kernel, self._operands = given.call, given.kernel, given.operands
        self._plan, self._workers = plan, workers
        packed = plan.packed[:]
        packed[_QUERY], packed[_KEY] = address_of(given.operands.query), address_of(given.operands.key)
        packed[_NORMALIZER] = CONSTANTS["scores_only"]
        self._whole = packed

    def score_rows(self, leading: LeadingSlices, rows: slice, arrays: dict[str, FloatArray]) -> None:
        """Fill arrays with the scores of some rows and all keys, logits without the masks that show no ranges.

        :param leading: block of the leading axes, whose heads share one key and value head unless it is the whole.
        :param rows: the queries.
        :param arrays: by name, "scores", "capped_scores" or "logits": each (…, q, k), contiguous.
        """
        shape = self._call.score_shape
        sizes = [part.stop - part.start for part in (*leading, rows)]
        if sizes == list(shape[:-1]):
            self._run(self._whole[:], {FIELD_INDEX[name]: address_of(one) for name, one in arrays.items()})
            return
        matrices = np.arange(prod(shape[:-2])).reshape(shape[:-2])[leading].reshape(-1)
        if not matrices.size or not sizes[-1]:
            return
        ends = [0, *(np.flatnonzero(np.diff(matrices) != 1) + 1).tolist(), matrices.size]
        for begin, end in pairwise(ends):
            addresses = {
                FIELD_INDEX[name]: address_of(one) + begin * (one.nbytes // matrices.size)
                for name, one in arrays.items()
            }
            self._run(self._part(int(matrices[begin]), end - begin, rows), addresses)

    def _part(self, first: int, count: int, rows: slice) -> "array[int]":
        """Return the request for some rows of matrices in succession."""
        part, size = self._whole[:], self._call.dtype.compute.itemsize
        for field in POINTERS_TO_MATRICES:
            if part[field]:
                part[field] += INTEGER_BYTES * first
        # Bytes from the numbers of a query to those of the next.
        steps = {_QUERY: part[_QUERY_STRIDE] * size, _BIAS: part[_BIAS_STRIDE] * size, _QUERY_TERMS: size}
        for field, step in (*steps.items(), *((field, INTEGER_BYTES) for field in _INTEGERS_OF_QUERIES)):
            if part[field]:
                part[field] += step * rows.start
        n_rows, threads = rows.stop - rows.start, 1 if self._workers is None else self._workers.threads
        group = min(self._call.queries_per_kv_head, count)
        task_rows = rows_per_task(count // group, group * n_rows, threads, self._kernel.tile_rows)
        part[_MATRICES], part[_QUERIES] = count, n_rows
        part[_GROUP], part[_TASK_ROWS], part[_SPLIT_SPANS] = group, task_rows, CONSTANTS["whole_rows"]
        part[_N_TASKS] = count // group * -(-group * n_rows // task_rows)
        return part

    def _run(self, request: "array[int]", addresses: dict[int, int]) -> None:
        """Run a request whose results are at addresses, given by field."""
        for field, address in addresses.items():
            request[field] = address
        n_rows = request[_MATRICES] * request[_QUERIES]
        operations = self._plan.operations // prod(self._call.score_shape[:-1]) * n_rows
        run_kernel(self._kernel, request, self._call.dtype.compute.char, operations, self._workers)


def find_scorer(kernel: Kernel, call: ResolvedCall, workers: Workers | None) -> KernelScorer | None:
    """Return a scorer for a call whose normalizer needs whole rows; None where NumPy scores.

    NumPy scores what `evaluate_with_kernel` leaves to it for other reasons than its normalizer.

    :param kernel: the kernel.
    :param call: any call.
    :param workers: threads that share the rows of each part; None for the calling thread alone.
    """
    if supports_kernel_normalizer(call.normalizer) or supports_online(call.normalizer):
        return None
    if call.queries_per_kv_head > 1 and has_head_tensors(call.score_model):
        call = repeat_kv_heads(call)
    pair = pair_function(kernel, call)
    if pair is None:
        return None
    ranged = with_ranged_masks(call)
    operands = Operands(contiguous(pair.queries), contiguous(pair.keys), None)
    threads = 1 if workers is None else workers.threads
    given = PlanInputs(kernel, ranged, pair, KernelNormalizer("none"), LOGITS, operands, threads)
    plan = find_plan(given)
    return None if plan is None else KernelScorer(given, plan, applies_whole_mask=ranged is call, workers=workers)
