"""Attention requests whose keys and values come from a memory."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import AbstractContextManager
from copy import copy
from dataclasses import replace
from math import prod
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from attention_core import Positions, Rotary, Stopped
from attention_core.call import AttentionCall, ResolvedCall
from attention_core.dtypes import DTYPES, DType
from attention_core.interfaces import ShouldStop
from attention_wire.documents import pointer
from service.cluster import MemoryVersion, SpreadMemory
from service.compute.contract import Reply
from service.compute.memory_errors import errors_at
from service.errors import InvalidRequest, Location
from service.memories import MEMORY_VERSION_FIELD, MemoryAccess, MemorySnapshot, MemoryTensors, Precondition
from service.memories.errors import VersionMismatch
from service.memories.form import axes_without_keys, form_of_description
from service.schemas.attention import AttentionRequest
from service.schemas.memory_reference import MemoryReference
from service.schemas.parse import call_errors
from service.settings import Settings

MAX_NAMES = 1000
"""Names among which a misspelt one is looked for."""

NO_SERVICE = (
    "expected key and value, since this is computed without a service, and only a service keeps memories; received "
    "memory. Send the request to a running service, or send key and value."
)

ZERO = bytes(8)
"""A number of any type, which stands for all keys."""

REFERENCE_BYTES = 8
"""Bytes of each number where everything is computed in float64."""

Resolve = Callable[[AttentionCall], ResolvedCall]


def open_memory(
    request: AttentionRequest,
    access: MemoryAccess | None,
    within: Location = (),
    *,
    may_append: bool = False,
) -> "OpenMemory | None":
    """Return the memory of a request at its present version; None for a request that has its own keys.

    :param request: a valid attention request.
    :param access: the memories that it may reach.
    :param within: path of the request in a larger one.
    :param may_append: whether the endpoint appends; others refuse a request that does.

    Raises MustWait, InvalidRequest, PreconditionFailed, Conflict, DamagedMemory, MemoriesUnavailable or TooLarge.
    """
    reference = request.memory
    if reference is None:
        return None
    if request.append and not may_append:
        raise InvalidRequest.at(
            (*within, "append"),
            "expected no append, since nothing but /v1/attention and inferences append; received true. Append with "
            "POST /v1/memories/{name}/append first, and leave append out.",
        )
    if access is None:
        raise InvalidRequest.at((*within, "memory"), NO_SERVICE, "unknown-name")
    with errors_at((*within, "memory"), lambda: access.names(MAX_NAMES)):
        snapshot = access.open(reference.name, reference.version)
        access.require(snapshot.description)
    return OpenMemory(request, reference, access, within, snapshot)


class NewKeys(NamedTuple):
    """What a request appends, and the number of keys in it."""

    tensors: MemoryTensors
    keys: int


class OpenMemory:
    """The memory of one attention request, and what the request appends to it.

    Everything is checked, and priced, with zeros in the place of the keys that there will be; `append` comes then.
    """

    __slots__ = (
        "_access",
        "_has_appended",
        "_new",
        "_reference",
        "_request",
        "_reserved_bytes",
        "_snapshot",
        "_within",
    )

    def __init__(
        self,
        request: AttentionRequest,
        reference: MemoryReference,
        access: MemoryAccess,
        within: Location,
        snapshot: MemorySnapshot,
    ) -> None:
        self._request = request
        self._reference = reference
        self._access = access
        self._within = within
        self._snapshot = snapshot
        self._has_appended = False
        self._reserved_bytes = 0
        self._new = self._to_append() if request.append else None

    def for_request(self, request: AttentionRequest) -> "OpenMemory":
        """Return this memory, with the bytes that it has reserved, for a request that differs in its numbers alone."""
        other = copy(self)
        other._request = request
        return other

    @property
    def appends(self) -> bool:
        """Whether the request appends."""
        return self._new is not None

    @property
    def used(self) -> dict[str, Any]:
        """What an answer says of the memory."""
        about = self._snapshot.description
        return {"name": about.name, "version": about.version, "keys": about.keys}

    @property
    def headers(self) -> Mapping[str, str]:
        """Header fields of the answer."""
        return {MEMORY_VERSION_FIELD: self._snapshot.description.version}

    @property
    def spread(self) -> SpreadMemory | None:
        """The memory as its shards know it; None for one that no other process reads."""
        place, about = self._access.memories.place, self._snapshot.description
        if place is None:
            return None
        version = MemoryVersion(self._access.found_name(self._reference.name), about.version, about.keys)
        return SpreadMemory(place, version, about.bytes, about.options.shards)

    def waits(self, settings: Settings) -> bool:
        """Return whether computing waits for a disk or another process."""
        shards = self._snapshot.description.options.shards
        return self.appends or (bool(settings.ray_address) and shards is not None and shards > 1)

    @property
    def labels(self) -> Sequence[str] | None:
        """A label for each key: those of the request, or of the memory; None for none."""
        given = self._request.labels
        if given is not None and given.key is not None and not self.appends:
            return given.key
        return self._snapshot.labels

    @property
    def form(self) -> Hashable:
        """What the check of a request depends on, of all that the memory holds, but for the number of keys."""
        about = self._snapshot.description
        dtype, layout = about.options.dtype, about.options.layout
        value_shape = None if about.value_shape is None else axes_without_keys(about.value_shape, layout)
        return dtype, layout, axes_without_keys(about.key_shape, layout), value_shape

    def call(self, *, with_zeros: bool = False) -> AttentionCall:
        """Return the call; raises MustWait where keys and values are to be converted, and TooLarge for too many.

        :param with_zeros: whether one zero stands for all keys and values, as it does before an append.
        """
        request, about = self._request, self._snapshot.description
        form = form_of_description(about)
        dtype = DTYPES[request.dtype or about.options.dtype]
        if self._converts(dtype):
            self.reserve(dtype.compute.itemsize)
        if self.is_pending or with_zeros:
            zero = np.zeros((), form.key.stored_dtype)
            key = np.broadcast_to(zero, form.key.shape(self.keys))
            value = None if form.value is None else np.broadcast_to(zero, form.value.shape(self.keys))
        else:
            key, value = self._snapshot.key, self._snapshot.value
        wanted = request.layout or "bhsd"
        call = request.to_call(self._arranged(key, wanted), None if value is None else self._arranged(value, wanted))
        call.dtype = dtype.name
        return call if self._new is None else self._with_offset(call, self.keys - self._new.keys)

    def reserve(self, itemsize: int) -> None:
        """Wait until the request may hold all keys and values with this many bytes a number.

        Raises MustWait on an event loop, and TooLarge for more than all requests may hold.
        """
        self._access.require_thread()
        form = form_of_description(self._snapshot.description)
        size = itemsize * sum(prod(one.shape(self.keys)) for one in form.tensors)
        if size > self._reserved_bytes:
            self._access.reserve(size - self._reserved_bytes)
            self._reserved_bytes = size

    @property
    def is_pending(self) -> bool:
        """Whether the request appends and has not yet."""
        return self._new is not None and not self._has_appended

    def call_to_run(self, checked: ResolvedCall, resolve: Resolve, should_stop: ShouldStop | None) -> ResolvedCall:
        """Append what the request brings, and return its call, with the keys that there are now.

        Between the check of the request and this another one may have changed the memory: then this request is checked
        again, unless it asks for a version.

        :param checked: the call of `call`, which is returned by a request that does not append.
        :param resolve: checks a call.
        :param should_stop: ends the attempts.

        Raises InvalidRequest, PreconditionFailed, Conflict, TooLarge, InsufficientStorage or Stopped; nothing is
        appended then.
        """
        if self._new is None:
            return checked
        name = self._reference.name
        with self.errors():
            while not self._has_appended:
                if should_stop is not None and should_stop():
                    raise Stopped("the deadline passed before the append")
                seen = Precondition(versions=(self._snapshot.description.version,))
                try:
                    self._snapshot = self._access.append_and_read(name, self._new.tensors, seen)
                    self._has_appended = True
                except VersionMismatch:
                    self._snapshot = self._access.open(name, self._reference.version, anew=True)
                    self._access.require(self._snapshot.description)
                    self._new = self._to_append()
                    checked = resolve(self.call())
        return self.with_tensors(checked) or resolve(self.call())

    def with_tensors(self, checked: ResolvedCall, query: NDArray[Any] | None = None) -> ResolvedCall | None:
        """Return a call that was checked with zeros, with the tensors of the memory; None where it has changed them.

        :param checked: the call, with as many zeros, or with any number of them that `fits_length` allows.
        :param query: as `ResolvedCall.replace_inputs` takes it; default that of the call.

        A decoding step takes 0.1 ms less than with a second check.
        """
        kept = self._snapshot.value
        key = self._arranged(self._snapshot.key, checked.layout)
        value = None if kept is None else self._arranged(kept, checked.layout)
        if query is None:
            query = checked.query.swapaxes(1, 2) if checked.layout == "bshd" else checked.query
        call = checked.replace_inputs(query, key, value)
        are_read = _is_one_zero(checked.stored_key, call.stored_key)
        are_read = are_read and _is_one_zero(checked.stored_value, call.stored_value)
        if checked.present is not None or not are_read:
            return None
        keys = call.stored_key.shape[-2]
        if keys != checked.key_length:
            call.score_shape = (*checked.score_shape[:-1], keys)
            call.offset = np.asarray(keys - self._new.keys if self._new is not None else 0)
        return call

    def errors(self) -> AbstractContextManager[None]:
        """Translate errors of the memory."""
        return errors_at((*self._within, "memory"), self._known_names)

    def _converts(self, dtype: DType) -> bool:
        """Return whether keys and values are copied for the call: to another type, or turned by their positions."""
        kept = self._snapshot.description.options.dtype
        turned = self._request.position is not None and self._request.position.core is Rotary
        return turned or dtype.name != kept

    @property
    def keys(self) -> int:
        """Number of keys of the call."""
        return self._snapshot.description.keys + (self._new.keys if self._new is not None and self.is_pending else 0)

    def _with_offset(self, call: AttentionCall, before: int) -> AttentionCall:
        """Return the call with `before`, the length before the append, as its offset, unless the request has one."""
        if call.positions is None or (call.positions.query is None and call.positions.key is None):
            return call if call.offset is not None else replace(call, offset=before)
        if call.offset is not None or call.positions.query is not None:
            return call
        # An offset beside positions is an error: query i stands where it would with that offset.
        axis = -2 if call.layout != "bshd" else 1
        positions = before + np.arange(call.query.shape[axis])
        return replace(call, positions=Positions(positions, call.positions.key))

    def _arranged(self, array: NDArray[Any], wanted: str) -> NDArray[Any]:
        """Return keys or values in a layout, with an axis for the batch where the query has one."""
        request, layout = self._request, self._snapshot.description.options.layout
        if array.ndim == 3 and request.query.ndim == 4 and request.heads is None:
            array, layout = array[None], "bhsd"
        return array.swapaxes(1, 2) if array.ndim == 4 and layout != wanted else array

    def _to_append(self) -> "NewKeys":
        """Return new keys, values and labels in the type of the memory; raise InvalidRequest for what cannot fit."""
        request, about = self._request, self._snapshot.description
        dtype = DTYPES[about.options.dtype]
        if request.dtype is not None and request.dtype != dtype.name:
            raise InvalidRequest.at(
                (*self._within, "dtype"),
                f"expected {dtype.name}, the dtype of the memory, since the request appends to it; received "
                f"{request.dtype}. Send the tensors in {dtype.name}.",
            )

        def stored(name: str, array: NDArray[Any]) -> NDArray[Any]:
            if array.dtype == dtype.stored == dtype.numpy_dtype:
                return array
            dtype.load(array, (name,))
            return dtype.round(array)

        with call_errors(pointer(self._within)), self.errors():
            # The schema requires a key beside append.
            key = stored("key", cast("NDArray[Any]", request.key))
            value = None if request.value is None else stored("value", request.value)
            labels = None if request.labels is None else request.labels.key
            tensors = MemoryTensors(key, value, labels, dtype.name)
            return NewKeys(tensors, form_of_description(about).count(tensors))

    def _known_names(self) -> list[str]:
        return self._access.names(MAX_NAMES)


def _is_one_zero(zeros: NDArray[Any] | None, array: NDArray[Any] | None) -> bool:
    """Return whether `zeros` is the one zero of `OpenMemory.call` still, in the shape of an array (…, Lk, D)."""
    if zeros is None or array is None:
        return zeros is array
    if zeros.shape != array.shape and (zeros.shape[:-2], zeros.shape[-1]) != (array.shape[:-2], array.shape[-1]):
        return False
    return zeros.dtype == array.dtype and not any(zeros.strides)


def fits_length(checked: ResolvedCall, keys: int) -> bool:
    """Return whether a call that was checked with zeros serves another number of keys; not so for few of them.

    Notes on the order of axes depend on the number of keys where it is at most that of the queries.

    :param checked: the call of a request in which nothing but the zeros goes by the number of keys.
    :param keys: the number of keys.
    """
    return not checked.notes and 0 < checked.query_length < min(keys, checked.key_length)


def with_zeros(checked: ResolvedCall, keys: int) -> ResolvedCall:
    """Return a call that was checked with zeros, with another number of them, to predict its cost."""
    return replace(
        checked,
        stored_key=_zeros(checked.stored_key, keys),
        stored_value=None if checked.stored_value is None else _zeros(checked.stored_value, keys),
        score_shape=(*checked.score_shape[:-1], keys),
    )


def _zeros(zeros: NDArray[Any], keys: int) -> NDArray[Any]:
    """Return the one zero of an array (…, Lk, D) as an array with another number of keys."""
    shape = (*zeros.shape[:-2], keys, zeros.shape[-1])
    return np.ndarray(shape, zeros.dtype, ZERO, strides=(0,) * zeros.ndim)


def with_version(reply: Reply, memory: OpenMemory | None) -> Reply:
    """Return an answer that names the version of the memory it was computed from, if there is one."""
    return reply if memory is None else reply._replace(headers={**reply.headers, **memory.headers})
