"""Plans: requests to a kernel without the addresses that differ from one call to the next of the same form."""

from array import array
from collections.abc import Hashable
from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attention_core.arrays import FloatArray
from attention_core.call import ResolvedCall
from attention_core.field_shapes import MATRIX_FIELDS, output_shape
from attention_core.kernel_forms import KernelNormalizer, PairFunction
from attention_core.native.leading import KeptArrays
from attention_core.native.library import FIELD_INDEX, Kernel, address_of, pack_call
from attention_core.native.request import KernelRequest, TaskRows
from attention_core.native.visibility import visibility
from attention_core.positions import Alibi

PAIR_COST = {"dot": 2, "squared_distance": 3, "absolute_distance": 3, "additive": 40}
"""About how many operations each feature of a pair takes."""

INTEGERS: dict[str, np.dtype[Any]] = dict.fromkeys(("ranked_keys", "ranked_counts"), np.dtype(np.int64))
"""Fields of the result that hold integers, with their type."""

MAX_PLANS = 256
"""Calls whose plan is kept; beyond it all are forgotten."""

_QUERY, _KEY, _VALUE = (FIELD_INDEX[name] for name in ("query", "key", "value"))
_PARTIAL_OUTPUT, _PARTIAL_STATE = FIELD_INDEX["partial_output"], FIELD_INDEX["partial_state"]
_KEYS, _MATRIX_KEYS = FIELD_INDEX["n_keys"], FIELD_INDEX["matrix_keys"]
_TASKS, _SPANS, _SPLIT_SPANS = (FIELD_INDEX[name] for name in ("n_tasks", "n_spans", "split_spans"))
_MAXIMUM, _UNSAFE = FIELD_INDEX["maximum"], FIELD_INDEX["unsafe"]


class Operands(NamedTuple):
    """The arrays that differ from one run of a plan to the next, as the kernel reads them."""

    query: FloatArray
    key: NDArray[Any]
    """In the compute type, or in the type in which the call stores numbers."""
    value: NDArray[Any] | None
    """In the compute type, or in the type in which the call stores numbers."""


class PlanInputs(NamedTuple):
    """What a plan is made from."""

    kernel: Kernel
    call: ResolvedCall
    pair: PairFunction
    normalizer: KernelNormalizer
    required: frozenset[str]
    """Names of the arrays to compute."""
    operands: Operands
    threads: int
    """Threads that share the tasks, ≥ 1."""


class Plan(NamedTuple):
    """A request without the addresses of its operands and results, with which it runs again and again."""

    packed: "array[int]"
    kept: KeptArrays
    """Arrays that the request points into."""
    results: list[tuple[str, int, tuple[int, ...], np.dtype[Any]]]
    """Fields of the result: name, index in the request, shape, type."""
    row_shape: tuple[int, ...]
    """(…, Lq)."""
    rows: TaskRows
    partial_numbers: tuple[int, int]
    """Numbers of partial outputs and of partial states, if each span of a row is a task."""
    operations_per_key: int
    """About how many floating-point operations all rows take for one key."""

    @property
    def n_keys(self) -> int:
        """Number of keys."""
        return self.packed[_KEYS]

    @property
    def operations(self) -> int:
        """About how many floating-point operations a run takes."""
        return self.operations_per_key * self.n_keys

    def with_keys(self, n_keys: int) -> "Plan":
        """Return the plan of a call with another number of keys, none of whose results has an axis of keys."""
        packed, division = self.packed[:], self.rows.divide(n_keys)
        packed[_KEYS] = packed[_MATRIX_KEYS] = n_keys
        packed[_TASKS], packed[_SPANS], packed[_SPLIT_SPANS] = division[1:]
        return self._replace(packed=packed, partial_numbers=self.rows.partial_numbers(n_keys))


_plans: dict[Hashable, Plan] = {}
"""Plans of calls without arrays beside query, key and value: a small call takes longer to plan than to compute
(benchmarks/RESULTS.md, "a plan for each form of a call").  One plan serves every number of keys, where that changes
neither strides nor results: a decoding step, whose keys have grown by one, takes 60 µs less ("Memories" there)."""

FIELDS_WITH_KEYS = MATRIX_FIELDS | {"ranking"}
"""Fields of the result whose arrays may have an axis of keys."""


def find_plan(given: PlanInputs) -> Plan | None:
    """Return the plan of a call, which may be that of an earlier call of the same form; None for a call of NumPy."""
    signature = _signature(given)
    plan = None if signature is None else _plans.get(signature)
    if plan is None:
        plan = make_plan(given)
        if plan is not None and signature is not None:
            if len(_plans) >= MAX_PLANS:
                _plans.clear()
            _plans[signature] = plan
    elif plan.n_keys != given.call.key_length:
        plan = _plans[signature] = plan.with_keys(given.call.key_length)
    return plan


def count_plans() -> int:
    """Return how many plans are kept."""
    return len(_plans)


def forget_plans() -> None:
    """Forget all plans."""
    _plans.clear()


def _signature(given: PlanInputs) -> Hashable | None:
    """Return everything that a plan depends on; None for a call with other arrays than query, key and value."""
    call, pair, normalizer = given.call, given.pair, given.normalizer
    scalars = (pair.scale, normalizer.parameter, normalizer.sink)
    if call.mask is not None or call.bias is not None or isinstance(call.position, Alibi):
        return None
    if pair.query_terms is not None or pair.score_vector is not None or any(map(_is_array, scalars)):
        return None
    query, key, value = given.operands
    # An axis of one element has no stride in a request.
    n_keys = call.key_length if given.required & FIELDS_WITH_KEYS else call.key_length > 1
    layouts = (query.shape, query.strides, n_keys, *_rows_layout(key))
    values = None if value is None else _rows_layout(value)
    form = (given.kernel.name, given.threads, call.dtype.name, call.score_shape[:-1], call.queries_per_kv_head)
    return (form, layouts, values, pair.kind, scalars, normalizer.kind, call.softcap, given.required, call.top_k)


def _rows_layout(array: NDArray[Any]) -> tuple[Hashable, ...]:
    """Return how keys or values lie in memory, whatever their number."""
    shape = array.shape
    return shape[:-2], shape[-1], array.strides, array.itemsize


def _is_array(value: object) -> bool:
    return isinstance(value, np.ndarray)


def make_plan(given: PlanInputs) -> Plan | None:
    """Return the plan of a call; None for a call that is left to NumPy."""
    request = fill_request(given)
    if request is None:
        return None
    call, results = given.call, result_shapes(given.call, given.required)
    operations_per_key = count_pair_operations(given) * prod(call.score_shape[:-1])
    has_matrices = not MATRIX_FIELDS.isdisjoint(results)
    rows = request.share_among(given.threads, given.kernel, operations_per_key, has_matrices=has_matrices)
    return Plan(
        pack_call(request.fields),
        request.kept,
        [(name, FIELD_INDEX[name], shape, INTEGERS.get(name, call.dtype.compute)) for name, shape in results.items()],
        call.score_shape[:-1],
        rows,
        rows.partial_numbers(call.key_length),
        operations_per_key,
    )


def fill_request(given: PlanInputs, first_key: int = 0) -> KernelRequest | None:
    """Return the request of a call, not yet divided into tasks; None for a call that is left to NumPy.

    :param given: the call; its operands and its pair function may be those of a range of its keys.
    :param first_key: index of the first key that they have.
    """
    call, pair, operands = given.call, given.pair, given.operands
    visible = visibility(call)
    if visible is None or not _is_in_range(given):
        return None
    repeats = call.queries_per_kv_head
    request = KernelRequest(call)
    request.set_vectors("query", operands.query)
    request.set_vectors("key", operands.key, repeats, first_key)
    request.set_pair_function(pair, repeats, first_key)
    request.set_normalizer(given.normalizer)
    request.set_logit_steps(call, visible)
    request.fields["group"] = repeats
    if operands.value is not None:
        request.set_vectors("value", operands.value, repeats if operands.value.ndim == 4 else 1, first_key)
        request.fields["n_value_features"] = operands.value.shape[-1]
    ranks, asks_for_matrices = "ranking" in given.required, not MATRIX_FIELDS.isdisjoint(given.required)
    request.fields["n_ranked"] = _ranked_keys(call) if ranks else 0
    takes_steps = call.softcap or call.bias is not None or isinstance(call.position, Alibi)
    is_plain = not (asks_for_matrices or takes_steps or visible.allowed is not None or pair.query_terms is not None)
    request.fields["plain"] = int(is_plain)
    return request


def count_pair_operations(given: PlanInputs) -> int:
    """Return about how many operations a pair of a call takes."""
    value = given.operands.value
    return PAIR_COST[given.pair.kind] * given.pair.queries.shape[-1] + (0 if value is None else 2 * value.shape[-1])


def _ranked_keys(call: ResolvedCall) -> int:
    """Return how many keys of each row are ranked."""
    return call.top_k or call.key_length


def _is_in_range(given: PlanInputs) -> bool:
    """Return whether factors are finite in the compute type, and none becomes 0 by rounding."""
    tiny = np.finfo(given.call.dtype.compute).tiny
    for factor in (given.pair.scale, given.normalizer.parameter):
        numbers = np.asarray(factor, np.float64)
        rounded = numbers.astype(given.call.dtype.compute)
        if not (np.isfinite(rounded) & ((numbers == 0) | (np.abs(rounded) >= tiny))).all():
            return False
    return True


def result_shapes(call: ResolvedCall, required: frozenset[str]) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the required fields, by name."""
    shapes: dict[str, tuple[int, ...]] = {}
    shapes.update((name, call.score_shape) for name in MATRIX_FIELDS if name in required)
    shapes.update((name, call.score_shape[:-1]) for name in ("logsumexp", "divisor") if name in required)
    if "output" in required and call.stored_value is not None:
        shapes["output"] = output_shape(call)
    if "ranking" in required:
        ranked = (*call.score_shape[:-1], _ranked_keys(call))
        shapes.update(ranked_keys=ranked, ranked_weights=ranked, ranked_counts=call.score_shape[:-1])
    return shapes


def add_arrays(
    packed: "array[int]", plan: Plan, operands: Operands
) -> tuple[dict[str, NDArray[Any]], list[NDArray[Any]]]:
    """Write the addresses of operands and new arrays into a request.

    Returns the results, and the other arrays: first the bytes of the maximum of every row and of whether it is unsafe.
    """
    dtype = operands.query.dtype
    packed[_QUERY], packed[_KEY] = address_of(operands.query), address_of(operands.key)
    if operands.value is not None:
        packed[_VALUE] = address_of(operands.value)
    arrays: dict[str, NDArray[Any]] = {}
    for name, index, shape, kind in plan.results:
        arrays[name] = np.empty(shape, kind)
        packed[index] = address_of(arrays[name])
    rows = prod(plan.row_shape)
    others: list[NDArray[Any]] = [np.empty(rows * (dtype.itemsize + 1), np.uint8)]
    packed[_MAXIMUM] = address_of(others[0])
    packed[_UNSAFE] = packed[_MAXIMUM] + rows * dtype.itemsize
    if plan.partial_numbers[1]:
        others += [np.empty(plan.partial_numbers[0] + 1, dtype), np.empty(plan.partial_numbers[1], dtype)]
        packed[_PARTIAL_OUTPUT], packed[_PARTIAL_STATE] = map(address_of, others[1:])
    return arrays, others
