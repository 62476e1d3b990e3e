"""What is known of an inference before its numbers are, if all of them are raw: its JSON says everything else.

The counterpart of `service.compute.plans`: a client asks again and again with the same JSON before other tensors.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np

from attention_core import Cost, predict
from attention_core.arrays import FloatArray
from attention_core.call import ResolvedCall
from service.codecs.open_inference import InferenceRequest
from service.codecs.open_inference.framing import Limits
from service.codecs.open_inference.tensors import BINARY_SIZE
from service.compute.plans import MOST_BYTES, PLANS, VECTORS
from service.compute.requests import read_inference
from service.errors import ServiceError

MOST_RAW = 1 << 18
"""Of more bytes a request takes so long to compute that planning it does not matter."""

ZEROS = np.zeros(MOST_RAW, dtype=np.uint8)
"""The numbers of every request that is planned."""

ANNOUNCED = f'"{BINARY_SIZE}"'.encode()


@dataclass(frozen=True, slots=True)
class Place:
    """Where the numbers of a tensor lie among raw bytes, and what they are."""

    offset: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @classmethod
    def of(cls, array: FloatArray) -> "Place | None":
        """Return where an array lies among the zeros; None if it was made of others, or of these by copying."""
        offset = array.ctypes.data - ZEROS.ctypes.data
        inside = 0 <= offset <= MOST_RAW - array.nbytes
        return cls(offset, array.shape, array.dtype) if inside and array.size and array.flags.c_contiguous else None

    def read(self, raw: memoryview) -> FloatArray:
        """Return them, aligned, and uncopied if they are."""
        array: FloatArray = np.frombuffer(raw, self.dtype, prod(self.shape), self.offset).reshape(self.shape)
        return array if array.flags.aligned else array.copy()


@dataclass(frozen=True, slots=True)
class InferencePlan:
    """A request and its call, both of zeros, where the numbers of another will be, and what the call costs."""

    request: InferenceRequest
    call: ResolvedCall
    query: Place
    key: Place
    value: Place | None
    cost: Cost

    def call_of(self, raw: memoryview) -> ResolvedCall:
        """Return the call of a request with the same JSON."""
        value = None if self.value is None else self.value.read(raw)
        return self.call.with_vectors(self.query.read(raw), self.key.read(raw), value)


def inference_plan_of(model: str, head: bytes, raw: memoryview, limits: Limits, threads: int) -> InferencePlan | None:
    """Return the plan of a request; None if it has none, and everything is to be looked at.

    Wrong requests have no plan, so that their errors tell of their own numbers.
    """
    if not raw or len(raw) > MOST_RAW or len(head) > MOST_BYTES:
        return None
    # With tensors beside these three there is never a plan, and nothing to be looked for.
    if head.count(ANNOUNCED) > len(VECTORS):
        return None
    return _plan(model, head, len(raw), limits, threads)


@lru_cache(maxsize=PLANS)
def _plan(model: str, head: bytes, size: int, limits: Limits, threads: int) -> InferencePlan | None:
    """Return the plan of a request with so many raw bytes; None if it is refused, or if numbers come otherwise too."""
    try:
        request, call = read_inference(model, head, ZEROS.data[:size], limits)
    except ServiceError:
        return None
    query, key, value = (None if array is None else Place.of(array) for array in (call.query, call.key, call.value))
    if query is None or key is None or (value is None) != (call.value is None):
        return None
    if not set(request.inputs).issubset(VECTORS) or call.present is not None:
        return None
    return InferencePlan(request, call, query, key, value, predict(call, threads))
