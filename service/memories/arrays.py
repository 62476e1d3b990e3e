"""Keys, values and labels of a memory as arrays: those of a segment as they lie, or buffers with room for appends."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from service.memories.files import Buffer
from service.memories.form import MemoryForm, TensorForm
from service.memories.segment import MAX_READ_BYTES, Rows, decode_labels
from service.memories.store import MemoryDescription

MIN_SPARE_KEYS = 64
"""Keys that a buffer has room for beyond those that it is made for; half of those if that is more."""

STRING_BYTES = 60
"""Bytes that a string takes beside its characters, with its place in a list."""


def numbers(form: TensorForm, raw: NDArray[np.uint8]) -> NDArray[Any]:
    """Return the numbers of (outer, keys, bytes of a key) in their shape, as they are stored; a view."""
    return raw.reshape(-1).view(form.stored_dtype).reshape(form.shape(raw.shape[1]))


class GrowingTensor:
    """A tensor that keys are appended to; views of it stay as they are.

    :param form: of the tensor.
    :param array: its first keys, which are never written to.
    :param room: number of keys that a buffer has room for at least, once there is one.
    """

    def __init__(self, form: TensorForm, array: NDArray[Any], room: int) -> None:
        self._axis = len(form.leading)
        self._form = form
        self._array = array
        self._keys = array.shape[self._axis]
        self._room = room
        self.is_buffer = False

    @property
    def nbytes(self) -> int:
        """Bytes of its array, spare room included."""
        return self._array.nbytes

    def append(self, more: NDArray[Any]) -> None:
        """Write keys behind those that are there, where no view reaches."""
        keys = self._keys + more.shape[self._axis]
        if not self.is_buffer or keys > self._array.shape[self._axis]:
            room = max(self._room, keys)
            grown = np.empty(self._form.shape(room + max(MIN_SPARE_KEYS, room // 2)), self._array.dtype)
            grown[self._range(0, self._keys)] = self._array[self._range(0, self._keys)]
            self._array, self.is_buffer = grown, True
        self._array[self._range(self._keys, keys)] = more
        self._keys = keys

    def view(self, keys: int | None = None) -> NDArray[Any]:
        """Return the first keys, read-only; by default all so far."""
        view = self._array[self._range(0, self._keys if keys is None else keys)]
        view.flags.writeable = False
        return view

    def _range(self, first: int, end: int) -> tuple[slice, ...]:
        return (*(slice(None),) * self._axis, slice(first, end))


class LabelsView(Sequence[str]):
    """The first labels of a list that others are appended to.

    :param labels: at least `keys` of them.
    :param keys: number of labels in view.
    """

    def __init__(self, labels: list[str], keys: int) -> None:
        self._labels = labels
        self._keys = keys

    def __len__(self) -> int:
        """Return the number of labels."""
        return self._keys

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        """Return one label, or a list of some."""
        places = range(self._keys)[index]
        return self._labels[places] if isinstance(places, int) else [self._labels[place] for place in places]


class GrowingLabels:
    """Labels that others are appended to; they are read from JSON when a snapshot asks for them."""

    def __init__(self) -> None:
        self._encoded: list[Buffer] = []
        self._labels: list[str] = []
        self._mutex = threading.Lock()
        self.nbytes = 0
        """Bytes of memory, about."""

    def append(self, encoded: Buffer) -> None:
        """Add the labels of one part."""
        with self._mutex:
            self._encoded.append(encoded)
            self.nbytes += len(encoded)

    def first(self, keys: int) -> LabelsView:
        """Return the labels of the first keys."""
        with self._mutex:
            for encoded in self._encoded:
                decoded = decode_labels(encoded)
                self._labels += decoded
                self.nbytes += STRING_BYTES * len(decoded)
            self._encoded.clear()
        return LabelsView(self._labels, keys)


class MemoryArrays:
    """The arrays of one memory.

    :param form: of the memory.
    :param rows: its first keys.
    :param room: number of keys to have room for at least, once keys are appended.
    """

    def __init__(self, form: MemoryForm, rows: Rows, room: int) -> None:
        self._form = form
        self._is_mapped = form.nbytes(rows.keys) > MAX_READ_BYTES
        self.keys = rows.keys
        self._tensors = [
            GrowingTensor(one, numbers(one, raw), room) for one, raw in zip(form.tensors, rows.tensors, strict=True)
        ]
        self.described: tuple[object, object, ArraySnapshot] | None = None
        """The row and the end that were read last, and the snapshot of them."""
        self.labels = GrowingLabels() if form.labels else None
        if self.labels is not None:
            self.labels.append(rows.labels)

    @property
    def nbytes(self) -> int:
        """Bytes of memory that other processes do not share; a mapped segment takes none."""
        labels = 0 if self.labels is None else self.labels.nbytes
        if self._is_mapped and not self._tensors[0].is_buffer:
            return labels
        return labels + sum(tensor.nbytes for tensor in self._tensors)

    def append(self, rows: Rows) -> None:
        """Add keys."""
        for tensor, form, raw in zip(self._tensors, self._form.tensors, rows.tensors, strict=True):
            tensor.append(numbers(form, raw))
        if self.labels is not None:
            self.labels.append(rows.labels)
        self.keys += rows.keys

    def views(self, keys: int | None = None) -> tuple[NDArray[Any], NDArray[Any] | None]:
        """Return the first keys and values, read-only; by default all so far."""
        key, *value = (tensor.view(keys) for tensor in self._tensors)
        return key, value[0] if value else None


@dataclass(frozen=True, slots=True)
class ArraySnapshot:
    """A `MemorySnapshot` whose arrays are views: of a mapped or read segment, or of a buffer behind whose keys others
    may be appended.  Files that are removed stay readable for as long as they are mapped.
    """

    description: MemoryDescription
    key: NDArray[Any]
    value: NDArray[Any] | None
    growing_labels: GrowingLabels | None

    @property
    def labels(self) -> Sequence[str] | None:
        """A text for each key; None for none."""
        return None if self.growing_labels is None else self.growing_labels.first(self.description.keys)
