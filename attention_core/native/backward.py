"""Run the forward and the backward pass of a call with a compiled kernel.

Results do not depend on the number of threads: a task takes a chunk of keys and all queries that see them, chunks
depend on the number of keys alone, and what several chunks contribute is added in their order (`backward.h`).
"""

from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite, prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attention_core.arrays import BoolArray, FloatArray
from attention_core.blockwise import Workers
from attention_core.blockwise.blas import one_blas_thread
from attention_core.call import ResolvedCall
from attention_core.capabilities import supports_kernel_normalizer, supports_pair_gradient
from attention_core.descriptions import Described, parameters_of
from attention_core.heads import repeat_kv_heads
from attention_core.interfaces import ProgressCallback, ScoreGradient, ShouldStop
from attention_core.kernel_forms import KernelNormalizer, PairFunction, PairGradient
from attention_core.native.forward import (
    find_unsafe_rows,
    has_head_tensors,
    has_values_of_query_heads,
    pair_function,
    project_rows,
    row_maximum,
)
from attention_core.native.leading import KeptArrays, contiguous, operand
from attention_core.native.library import DOMINANT_INTEGERS, FIELD_INDEX, GRADIENT_FIELDS, Kernel
from attention_core.native.plans import PAIR_COST, Operands, Plan, PlanInputs, add_arrays, make_plan
from attention_core.native.running import run_kernel
from attention_core.parameters import broadcast_over_pairs, sum_scalar_gradient
from attention_core.reductions import all_finite, sum_to_shape

MAX_CHUNKS = 4
"""Chunks of keys of a call: gradients of queries are held once for each of them."""

MIN_CHUNK_BLOCKS = 2
"""Blocks of keys of a chunk, if there are as many."""

NORMALIZER_PARAMETERS = {"softmax": {"temperature", "sink"}, "sigmoid": {"bias"}}
"""Parameters with a gradient, by kind of normalizer; no others have any."""

CENTRED_NORMALIZERS = {"softmax", "proportional"}
"""Kinds of normalizers whose ∂logits have the mean of ∂weights taken off."""

SLOPE_FACTORS = {"squared_distance": -2, "absolute_distance": -1}
"""Factors of the gradients of queries and keys that the kernel leaves to its caller, by kind of pair function."""

_N_TASKS, _GRADIENTS, _UNSAFE_ROWS = (FIELD_INDEX[name] for name in ("n_tasks", "gradients", "unsafe_rows"))

MIN_SCALE, MAX_SCALE = 1e-9, 1e9
"""Magnitudes of the scale, by which gradients are multiplied before they are summed."""


@dataclass(slots=True)
class KernelGradients:
    """The output of a call, and its gradients in the shapes that its inputs have in the resolved call."""

    output: FloatArray
    query: FloatArray
    key: FloatArray
    value: FloatArray
    bias: FloatArray | None
    score_model: dict[str, FloatArray]
    """Gradients of the score model's parameters by name."""
    normalizer: dict[str, FloatArray]
    """Gradients of the normalizer's parameters by name."""
    maximum: FloatArray | None
    """Largest logit of each row, (…, Lq): −∞ without a visible key; None if all are finite."""
    unsafe: BoolArray | None
    """Rows, (…, Lq), that are left to NumPy and are in no gradient, as `KernelResult.unsafe`; None for none."""
    score_modifier: Mapping[str, FloatArray] = field(default_factory=dict)
    """Empty: calls with a score modifier are left to NumPy."""


class _Forward(NamedTuple):
    """The forward pass of a call, ready to run or done."""

    request: "array[int]"
    """The packed call, with the addresses of all arrays."""
    plan: Plan
    operands: Operands
    pair: PairFunction
    normalizer: KernelNormalizer
    results: dict[str, FloatArray]
    """Output, divisor and, with a sink, logsumexp."""
    others: list[NDArray[Any]]
    """Other arrays that the request points into; the first begins with the maxima of all rows."""

    def maximum(self) -> FloatArray:
        """Return the largest logit of each row, (…, Lq)."""
        dtype, shape = self.operands.query.dtype, self.plan.row_shape
        return self.others[0][: prod(shape) * dtype.itemsize].view(dtype).reshape(shape)


class _Gradients:
    """The fields of `struct gradients` for a call, and the arrays that the kernel fills."""

    def __init__(self, kernel: Kernel, call: ResolvedCall, forward: _Forward, output_gradient: FloatArray) -> None:
        self.call, self.forward = call, forward
        self.fields = GRADIENT_FIELDS.copy()
        self._kept = KeptArrays()
        leading, n_queries, n_keys = call.score_shape[:-2], call.query_length, call.key_length
        dtype, repeats = call.dtype.compute, call.queries_per_kv_head
        self.groups = (leading[0], leading[1] // repeats) if repeats > 1 else leading
        given = operand(contiguous(output_gradient), leading, 2)
        self.fields["output_gradient"] = self._kept.keep(given.array)
        self.fields["output_gradient_at"] = self._kept.keep_starts(given)
        self.fields["output_gradient_stride"] = given.strides[0]
        self.fields["finite"] = int(all_finite(forward.operands.query) and all_finite(output_gradient))
        blocks = -(-n_keys // kernel.key_block)
        chunk_blocks = -(-blocks // min(MAX_CHUNKS, -(-blocks // MIN_CHUNK_BLOCKS)))
        chunks = -(-blocks // chunk_blocks)
        self.fields["chunk_keys"], self.fields["n_chunks"] = chunk_blocks * kernel.key_block, chunks
        self.fields["chunks_done"] = self._kept.keep(np.zeros(prod(self.groups), np.int64))
        features, width = forward.operands.query.shape[-1], output_gradient.shape[-1]
        self.rows = (chunks, *leading, n_queries)
        self.query = self._add("query", np.empty((*leading, n_queries, features), dtype))
        self._add("query_partial", np.empty((chunks - 1, *self.query.shape), dtype))
        self.key = self._add("key", np.empty((*self.groups, n_keys, features), dtype))
        self.value = self._add("value", np.empty((*self.groups, n_keys, width), dtype))
        self.query_dot = self._add("query_dot", np.empty((*leading, n_queries), dtype))
        pair = forward.pair
        self.score_dot = None if pair.kind == "dot" else self._add("score_dot", np.zeros(self.rows, dtype))
        self.query_terms = self.key_terms = self.score_vector = None
        if pair.query_terms is not None:
            self.query_terms = self._add("query_terms", np.zeros(self.rows, dtype))
            self.key_terms = self._add("key_terms", np.zeros((*self.groups, n_keys), dtype))
        if pair.score_vector is not None:
            self.score_vector = self._add("score_vector", np.zeros((chunks, *leading, features), dtype))
        self.parameter: FloatArray | None = None
        kind = forward.normalizer.kind
        if kind in NORMALIZER_PARAMETERS:
            self.parameter = self._add("parameter", np.zeros(self.rows, dtype))
        if kind in CENTRED_NORMALIZERS:
            self._add("rest", np.zeros(self.rows, dtype))
            self.fields["dominant"] = self._kept.keep(np.zeros((*leading, n_queries, DOMINANT_INTEGERS), np.int64))
        self.bias = None if call.bias is None else self._add_bias(call.bias)

    def _add(self, name: str, gradient: FloatArray) -> FloatArray:
        self.fields[name] = self._kept.keep(gradient)
        return gradient

    def _add_bias(self, bias: FloatArray) -> FloatArray:
        """Return an array for the gradient of the bias: in its shape, or a number for each key or query of a matrix."""
        leading, dtype = self.call.score_shape[:-2], self.call.dtype.compute
        if bias.shape[-2] == 1:
            return self._add("bias_keys", np.zeros((*leading, self.call.key_length), dtype))
        if bias.shape[-1] == 1:
            return self._add("bias_rows", np.zeros(self.rows, dtype))
        pairs = self._add("bias_pairs", np.zeros(bias.shape, dtype))
        places = operand(pairs, leading, 2)
        self.fields["bias_at"], self.fields["bias_row_stride"] = self._kept.keep_starts(places), places.strides[0]
        own = (*(1,) * (len(self.groups) + 2 - bias.ndim), *bias.shape[:-2])
        self.fields["all_groups"] = int(any(of == 1 < size for of, size in zip(own, self.groups, strict=True)))
        return pairs

    def request(self) -> "array[int]":
        """Return the packed call that runs the backward pass, before the forward pass has run."""
        packed = self.forward.request[:]
        packed[_GRADIENTS] = self._kept.keep(np.array(list(self.fields.values()), np.int64))
        packed[_N_TASKS] = int(self.fields["n_chunks"]) * (1 if self.fields["all_groups"] else prod(self.groups))
        return packed

    def bias_gradient(self) -> FloatArray | None:
        """Return ∂bias in the shape of the bias."""
        bias = self.call.bias
        if bias is None or self.bias is None:
            return None
        if self.fields["bias_keys"]:
            return sum_to_shape(self.bias[..., None, :], bias.shape)
        if self.fields["bias_rows"]:
            return sum_to_shape(self.bias.sum(axis=0)[..., None], bias.shape)
        return self.bias

    def pair_gradient(self) -> PairGradient:
        """Return the gradients of the pair function."""
        factor = SLOPE_FACTORS.get(self.forward.pair.kind)
        if factor is not None:
            self.query *= factor
            self.key *= factor
        return PairGradient(
            self.query,
            self.key,
            self.query_dot if self.score_dot is None else self.score_dot.sum(axis=0),
            None if self.query_terms is None else self.query_terms.sum(axis=0),
            self.key_terms,
            None if self.score_vector is None else self.score_vector.sum(axis=0),
        )


def differentiate_with_kernel(
    kernel: Kernel,
    call: ResolvedCall,
    output_gradient: FloatArray,
    workers: Workers | None,
    should_stop: ShouldStop | None,
    progress: ProgressCallback | None,
) -> KernelGradients | None:
    """Return the output and the gradients of a call; None for a call that is left to NumPy.

    Left to NumPy are what `evaluate_with_kernel` leaves to it, calls whose rows are all unsafe, factors of the scores
    that are very small or large, distances that overflow, and score models that do not say how they are differentiated.
    So are the unsafe rows of other calls: they contribute nothing to the gradients returned.

    :param kernel: the kernel.
    :param call: any call with values.
    :param output_gradient: gradient of the loss with respect to the output, in its shape.
    :param workers: threads that share the tasks; None for the calling thread alone.
    :param should_stop: called about every 10 ms while a large call runs, from one thread at a time.
    :param progress: called as often, once the forward pass is done, with the numbers of tasks done and in total.

    Raises Stopped.
    """
    value, shared = call.value, call.queries_per_kv_head
    if value is None:
        raise ValueError("a call without values has no output to differentiate")
    if shared > 1 and (has_head_tensors(call.score_model) or has_values_of_query_heads(call)):
        repeated = repeat_kv_heads(call)
        found = differentiate_with_kernel(kernel, repeated, output_gradient, workers, should_stop, progress)
        if found is not None:
            found.key = _sum_shared_heads(found.key, shared)
            found.value = _sum_shared_heads(found.value, shared) if value.ndim == 4 else found.value
        return found
    forward = _prepare_forward(kernel, call, value, 1 if workers is None else workers.threads)
    if forward is None:
        return None
    gradients = _Gradients(kernel, call, forward, output_gradient)
    backward, kind = gradients.request(), call.dtype.compute.char
    run_kernel(kernel, forward.request, kind, forward.plan.operations, workers, should_stop)
    if forward.request[_UNSAFE_ROWS] == prod(forward.plan.row_shape):
        return None
    of_features = 3 * PAIR_COST[forward.pair.kind] * forward.operands.query.shape[-1]
    operations = (of_features + 4 * output_gradient.shape[-1]) * prod(call.score_shape)
    run_kernel(kernel, backward, kind, operations, workers, should_stop, progress)
    of_model = _score_model_gradients(kernel, call, gradients)
    of_rows = forward.request, forward.plan, forward.others[0], call.dtype.compute
    maximum, unsafe = row_maximum(*of_rows), find_unsafe_rows(*of_rows)
    return KernelGradients(
        forward.results["output"],
        sum_to_shape(of_model.queries, call.query.shape),
        sum_to_shape(of_model.keys, call.key.shape),
        sum_to_shape(gradients.value, value.shape),
        gradients.bias_gradient(),
        dict(of_model.parameters),
        _normalizer_gradients(gradients, output_gradient, unsafe),
        maximum,
        unsafe,
    )


def _sum_shared_heads(gradient: FloatArray, shared: int) -> FloatArray:
    """Return the gradient of key or value heads, (B, Hkv, …), from that of `shared` copies of each, (B, Hq, …)."""
    batch, heads = gradient.shape[:2]
    return gradient.reshape(batch, heads // shared, shared, *gradient.shape[2:]).sum(axis=2)


def _prepare_forward(kernel: Kernel, call: ResolvedCall, value: FloatArray, threads: int) -> _Forward | None:
    """Return the forward pass of a call, whose values are given; None for a call that is left to NumPy."""
    if not (supports_pair_gradient(call.score_model) and supports_kernel_normalizer(call.normalizer)):
        return None
    normalizer, pair = call.normalizer.kernel_normalizer(), pair_function(kernel, call)
    if normalizer is None or pair is None or not _is_covered(call, pair, normalizer):
        return None
    operands = Operands(contiguous(pair.queries), contiguous(pair.keys), contiguous(value))
    required = frozenset({"output", "divisor"} if normalizer.sink is None else {"output", "divisor", "logsumexp"})
    plan = make_plan(PlanInputs(kernel, call, pair, normalizer, required, operands, threads))
    if plan is None:
        return None
    request = plan.packed[:]
    results, others = add_arrays(request, plan, operands)
    return _Forward(request, plan, operands, pair, normalizer, results, others)


def _is_covered(call: ResolvedCall, pair: PairFunction, normalizer: KernelNormalizer) -> bool:
    """Return whether the kernel's backward pass has the gradients of a call, parameters included."""
    if pair.query_terms is not None and pair.kind != "dot":
        # Σ score · ∂score has the terms in it, of which only products of vectors are told apart.
        return False
    if not _has_only(call.normalizer, NORMALIZER_PARAMETERS.get(normalizer.kind, set())):
        return False
    if pair.kind == "squared_distance" and not isfinite(_largest(pair.queries) + _largest(pair.keys)):
        # An infinite difference times ∂score = 0 would be NaN.
        return False
    sizes = np.abs(np.asarray(pair.scale, np.float64))
    return bool(((sizes > MIN_SCALE) & (sizes < MAX_SCALE)).all())


def _largest(vectors: FloatArray) -> FloatArray:
    """Return the largest magnitude of the finite numbers among vectors."""
    return np.max(np.abs(vectors), initial=0, where=np.isfinite(vectors))


def _has_only(model: object, names: set[str]) -> bool:
    """Return whether a model is described, and has no other parameters than these."""
    return isinstance(model, Described) and set(parameters_of(type(model))) <= names


def _score_model_gradients(kernel: Kernel, call: ResolvedCall, gradients: _Gradients) -> ScoreGradient:
    """Return the gradients of queries, keys and the score model's parameters, with the leading axes of the scores."""
    if not supports_pair_gradient(call.score_model):
        raise ValueError("the forward pass has been prepared for score models with a gradient alone")
    # Numbers that are not finite belong to hidden rows, whose gradients are 0.
    queries, keys = (
        array if all_finite(array) else np.where(np.isfinite(array), array, 0) for array in (call.query, call.key)
    )
    # BLAS sums the products of a parameter's gradient in an order that depends on its number of threads.
    with one_blas_thread():
        return call.score_model.backward_pair_function(
            queries, keys, gradients.pair_gradient(), lambda rows, weight: project_rows(kernel, rows, weight)
        )


def _normalizer_gradients(
    gradients: _Gradients, output_gradient: FloatArray, unsafe: BoolArray | None
) -> dict[str, FloatArray]:
    """Return ∂T = −Σ z · ∂z / T and ∂sink = −(weight of the sink) · Σ ∂output · output, or ∂bias of sigmoid.

    With m, the largest logit of a row, Σ z · ∂z = Σ (z − m) · ∂z + m · Σ ∂z, where Σ ∂z is 0 but for a sink.
    """
    forward = gradients.forward
    if gradients.parameter is None:
        return {}
    total = gradients.parameter.sum()
    if forward.normalizer.kind == "sigmoid":
        return {"bias": np.asarray(total)}
    sink, inverse = forward.normalizer.sink, forward.normalizer.parameter
    if sink is None:
        return {"temperature": np.asarray(-total * inverse)}
    mean = np.einsum("...d,...d->...", output_gradient, forward.results["output"])[..., None]
    per_row = mean * np.exp(broadcast_over_pairs(sink) - forward.results["logsumexp"][..., None])
    maximum = forward.maximum()[..., None]
    if unsafe is not None:
        per_row[unsafe] = 0
    total += (np.where(np.isfinite(maximum), maximum, 0) * per_row).sum() * inverse
    return {"temperature": np.asarray(-total * inverse), "sink": sum_scalar_gradient(-per_row, sink)}
