"""The form of a memory: the shapes of its tensors but for the number of keys, and their datatype."""

from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attention_core import BFLOAT16
from attention_wire.datatypes import BY_DTYPE, Datatype
from service.memories.errors import IncompatibleTensors
from service.memories.store import MemoryDescription, MemoryTensors

Shape = tuple[int, ...]

LAYOUTS = ("bhsd", "bshd")


@dataclass(frozen=True, slots=True)
class TensorForm:
    """A tensor with any number of keys.

    :param name: "key" or "value".
    :param datatype: of its bytes.
    :param leading: axes before that of the keys.
    :param trailing: axes behind it.
    """

    name: str
    datatype: Datatype
    leading: Shape
    trailing: Shape

    @property
    def outer(self) -> int:
        """Number of runs of consecutive keys, one for each leading index."""
        return prod(self.leading)

    @property
    def row_bytes(self) -> int:
        """Bytes of one key in one run."""
        return prod(self.trailing) * self.datatype.wire.itemsize

    @property
    def numpy_dtype(self) -> np.dtype[Any]:
        """NumPy type in which the house holds the datatype: float32 for bfloat16."""
        return np.dtype(np.float32) if self.datatype.name == "BF16" else self.datatype.wire.newbyteorder("=")

    @property
    def stored_dtype(self) -> np.dtype[Any]:
        """NumPy type of the numbers as they are stored: `BFLOAT16` for the bits of bfloat16."""
        return BFLOAT16 if self.datatype.name == "BF16" else self.datatype.wire.newbyteorder("=")

    def shape(self, keys: int) -> Shape:
        """Return the shape of a tensor with this number of keys."""
        return (*self.leading, keys, *self.trailing)

    def nbytes(self, keys: int) -> int:
        """Return the bytes of a tensor with this number of keys."""
        return self.outer * keys * self.row_bytes

    def check(self, array: NDArray[Any], keys: int) -> None:
        """Raise IncompatibleTensors unless an array has this form and number of keys."""
        if array.shape != self.shape(keys):
            raise IncompatibleTensors(self.name, f"shape {list(self.shape(keys))}", f"{list(array.shape)}")
        if array.dtype != self.numpy_dtype:
            raise IncompatibleTensors("dtype", f"{self.datatype.dtype} as {self.numpy_dtype}", f"{array.dtype}")


@dataclass(frozen=True, slots=True)
class MemoryForm:
    """The tensors of a memory with any number of keys.

    :param key: of the keys.
    :param value: of the values; None for none.
    :param labels: whether keys have labels.
    """

    key: TensorForm
    value: TensorForm | None
    labels: bool

    @property
    def tensors(self) -> tuple[TensorForm, ...]:
        """Its tensors, in the order in which files hold them."""
        return (self.key,) if self.value is None else (self.key, self.value)

    def nbytes(self, keys: int) -> int:
        """Return the bytes of tensors with this number of keys."""
        return sum(form.nbytes(keys) for form in self.tensors)

    def count(self, tensors: MemoryTensors) -> int:
        """Return the number of keys of tensors that have this form.

        Raises IncompatibleTensors.
        """
        dtype = self.key.datatype.dtype
        if tensors.dtype not in (None, dtype):
            raise IncompatibleTensors("dtype", f"{dtype}, the dtype of the memory", f"{tensors.dtype}")
        axis = len(self.key.leading)
        if tensors.key.ndim <= axis:
            raise IncompatibleTensors("key", f"rank {axis + 1 + len(self.key.trailing)}", f"rank {tensors.key.ndim}")
        keys = tensors.key.shape[axis]
        self.key.check(tensors.key, keys)
        if self.value is not None and tensors.value is not None:
            self.value.check(tensors.value, keys)
        elif self.value is not None or tensors.value is not None:
            raise IncompatibleTensors("value", *_presence(tensors.value, "values"))
        if self.labels != (tensors.labels is not None):
            raise IncompatibleTensors("labels.key", *_presence(tensors.labels, "labels"))
        if tensors.labels is not None and len(tensors.labels) != keys:
            raise IncompatibleTensors("labels.key", f"{keys} labels, one for each key", f"{len(tensors.labels)}")
        return keys


def _presence(received: object | None, noun: str) -> tuple[str, str]:
    """Return the expected and the received state of a part that is there although it should not be, or missing."""
    if received is None:
        return f"{noun}, as the memory has them", "none"
    return f"no {noun}, since the memory has none", noun


def form_of(tensors: MemoryTensors, dtype: str, layout: str) -> MemoryForm:
    """Return the form of the tensors of a put.

    :param tensors: keys, values and labels.
    :param dtype: storage type.
    :param layout: "bhsd" or "bshd", which matters at rank 4.

    Raises IncompatibleTensors.
    """
    if dtype not in BY_DTYPE:
        raise IncompatibleTensors("dtype", f"one of {', '.join(BY_DTYPE)}", repr(dtype))
    if layout not in LAYOUTS:
        raise IncompatibleTensors("layout", f"one of {', '.join(LAYOUTS)}", repr(layout))

    def tensor_form(name: str, array: NDArray[Any]) -> TensorForm:
        if array.ndim < 2:
            raise IncompatibleTensors(name, "rank 2 or more", f"shape {list(array.shape)}")
        axis = key_axis(array.ndim, layout)
        return TensorForm(name, BY_DTYPE[dtype], array.shape[:axis], array.shape[axis + 1 :])

    value = None if tensors.value is None else tensor_form("value", tensors.value)
    form = MemoryForm(tensor_form("key", tensors.key), value, tensors.labels is not None)
    form.count(tensors)
    return form


def form_of_description(description: MemoryDescription) -> MemoryForm:
    """Return the form of a memory as its description says it."""
    layout, value_shape = description.options.layout, description.value_shape
    value = None if value_shape is None else axes_without_keys(value_shape, layout)
    return _form(description.options.dtype, axes_without_keys(description.key_shape, layout), value, description.labels)


Axes = tuple[Shape, Shape]
"""The axes of a tensor before and behind that of the keys."""


def axes_without_keys(shape: Shape, layout: str) -> Axes:
    """Return the axes of a tensor before and behind that of the keys."""
    axis = key_axis(len(shape), layout)
    return shape[:axis], shape[axis + 1 :]


@lru_cache(maxsize=256)
def _form(dtype: str, key: Axes, value: Axes | None, labels: bool) -> MemoryForm:  # noqa: FBT001 - of a cache
    datatype = BY_DTYPE[dtype]
    return MemoryForm(
        TensorForm("key", datatype, *key), None if value is None else TensorForm("value", datatype, *value), labels
    )


def key_axis(rank: int, layout: str) -> int:
    """Return the axis of the keys of a tensor."""
    return 1 if layout == "bshd" and rank == 4 else rank - 2


def form_to_json(form: MemoryForm) -> dict[str, Any]:
    """Return a form as the catalogue holds it."""
    tensors = [{"name": one.name, "leading": one.leading, "trailing": one.trailing} for one in form.tensors]
    return {"dtype": form.key.datatype.dtype, "tensors": tensors, "labels": form.labels}


def form_from_json(document: dict[str, Any]) -> MemoryForm:
    """Return the form that `form_to_json` wrote."""
    datatype = BY_DTYPE[document["dtype"]]
    key, *value = (
        TensorForm(one["name"], datatype, tuple(one["leading"]), tuple(one["trailing"])) for one in document["tensors"]
    )
    return MemoryForm(key, value[0] if value else None, document["labels"])
