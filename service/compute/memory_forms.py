"""The checked calls of an inference that reads a memory or appends to it, by the form of the memory.

RESULTS.md, "Memories": 40 µs of a decoding step, and of a read in float16.
"""

from collections.abc import Hashable, Mapping
from typing import NamedTuple

from attention_core import Cost, predict
from attention_core.arrays import FloatArray
from attention_core.call import ResolvedCall
from service.codecs.open_inference import InferenceRequest
from service.codecs.open_inference.places import write_place
from service.compute.buffer_views import BufferView, same_numbers
from service.compute.memory_calls import OpenMemory, fits_length, open_memory, with_zeros
from service.compute.requests import ReadRequest, resolve_call, resolve_request
from service.memories import MemoryAccess
from service.schemas.attention import AttentionRequest

ANY_LENGTH_FIELDS = frozenset(
    ("query", "key", "value", "memory", "append", "dtype", "include", "score_model", "normalizer", "softcap", "layout")
)
"""Fields of a request whose checked call serves every number of keys: none of them speaks of single keys."""

MAX_MEMORY_FORMS = 16
"""Forms of memories that are kept for one inference."""


def fits_any_length(request: AttentionRequest) -> bool:
    """Return whether the checked call of a request serves every number of keys, but for its zeros."""
    return request.model_fields_set <= ANY_LENGTH_FIELDS


PRICE_STEPS = 64
"""A cost serves this part more keys: a decoding step, which has one key more than the last, predicts none."""

RESULTS_WITHOUT_KEYS = frozenset(("output", "logsumexp"))
"""Fields of the result whose sizes do not depend on the number of keys."""


def keys_of_price(keys: int) -> range:
    """Return the numbers of keys that share a cost: from the first to the last at most 1 / PRICE_STEPS more."""
    step = 1 << max(0, (keys - 1).bit_length() - PRICE_STEPS.bit_length())
    last = -(-keys // step) * step
    return range(last - step + 1, last + 1)


class CheckedForm(NamedTuple):
    """A call with zeros for query, key and value, and what it costs."""

    call: ResolvedCall
    cost: Cost
    priced: range
    """Numbers of keys that have this cost."""


class CachedMemoryRequest(NamedTuple):
    """A valid inference that reads a memory or appends to it, with zeros for its vectors."""

    inference: InferenceRequest
    request: AttentionRequest
    views: Mapping[str, BufferView]
    fits_any_length: bool
    """Whether its call is the same for every number of keys, but for its zeros."""
    forms: dict[Hashable, CheckedForm | None]
    """Its call by the form of the memory and the number of threads; None where it depends on the numbers."""

    def resolve(self, raw: memoryview, memories: MemoryAccess | None, threads: int) -> tuple[ReadRequest, Cost]:
        """Return the request with its raw tensors, its call and what that costs.

        :param raw: the raw tensors.
        :param memories: those that the request may reach.
        :param threads: compute threads, of which the cost depends.

        Raises InvalidRequest, or what opening a memory raises.
        """
        vectors = {name: view.read(raw) for name, view in self.views.items()}
        request = self.request.model_copy(update=vectors) if self.request.append else self.request
        memory = open_memory(request, memories, may_append=True)
        if memory is None:
            raise RuntimeError("the cache holds requests that name a memory")
        found = None if memory.appends and not self.fits_any_length else self._find(memory, threads)
        if found is None:
            return self._resolve_anew(vectors, memory, threads)
        query = found.call.dtype.load(vectors["query"], ("query",))
        if memory.appends:
            return ReadRequest(request, found.call.with_query(query), memory), found.cost
        call = memory.with_tensors(found.call, query)
        if call is None:
            return self._resolve_anew(vectors, memory, threads)
        return ReadRequest(request, call, memory), found.cost

    def _resolve_anew(
        self, vectors: Mapping[str, FloatArray], memory: OpenMemory, threads: int
    ) -> tuple[ReadRequest, Cost]:
        request = self.request.model_copy(update=vectors)
        memory = memory.for_request(request)
        call = resolve_request(request, memory, write_place)
        return ReadRequest(request, call, memory), predict(call, threads)

    def _find(self, memory: OpenMemory, threads: int) -> CheckedForm | None:
        """Return the call with zeros for the keys that a memory has, or will have; None for one to be checked."""
        place = (memory.form, threads, None if self.fits_any_length else memory.keys)
        try:
            found = self.forms[place]
        except KeyError:
            found = self._check(memory, threads)
            if len(self.forms) >= MAX_MEMORY_FORMS:
                self.forms.clear()
            self.forms[place] = found
        if found is None or memory.keys in found.priced:
            return found
        serves = fits_length(found.call, memory.keys)
        self.forms[place] = found = (
            _priced(found.call, memory.keys, threads) if serves else self._check(memory, threads)
        )
        return found

    def _check(self, memory: OpenMemory, threads: int) -> CheckedForm | None:
        """Return the call of a form of memories; None where it depends on the numbers."""
        call = resolve_call(memory.call(with_zeros=True), memory, write_place)
        if self.fits_any_length:
            # Nothing but their type can change the numbers of the query, which half types compute in float32.
            as_sent = call.present is None
        else:
            as_sent = same_numbers(call.query, self.request.query, as_sent=call.layout == "bhsd")
        is_read_as_kept = memory.appends or memory.with_tensors(call) is not None
        if not (as_sent and is_read_as_kept):
            return None
        if self.fits_any_length and fits_length(call, memory.keys):
            return _priced(call, memory.keys, threads)
        return CheckedForm(call, predict(call, threads), range(memory.keys, memory.keys + 1))


def _priced(call: ResolvedCall, keys: int, threads: int) -> CheckedForm:
    """Return a call that serves any number of keys with the cost of a number of them."""
    shared = keys_of_price(keys)
    if call.include <= RESULTS_WITHOUT_KEYS:
        first, last = (predict(with_zeros(call, n_keys), threads) for n_keys in (shared[0], shared[-1]))
        # Where the path changes in between, fewer keys may cost more.
        if first.path == last.path:
            return CheckedForm(call, last, shared)
    return CheckedForm(call, predict(with_zeros(call, keys), threads), range(keys, keys + 1))
