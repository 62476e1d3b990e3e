"""Tensors as Pydantic sees them: whole arrays, checked for rank, shape and element type, never number by number.

A codec hands over an array where the document spells one out, and the raw lists where it does not; only then are the
lists searched, to name the first offending element.
"""

import sys
from dataclasses import dataclass
from math import isfinite
from typing import Annotated, Any, Literal, LiteralString

import numpy as np
from numpy.typing import NDArray
from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from service.codecs.json import NON_FINITE, Extended, as_array
from service.schemas.components import component_reference, reference_within

MAX_FLOAT64 = sys.float_info.max
MAX_AXES = 32
"""NumPy's functions take no more, although its arrays may have 64."""

MAX_INTEGER = 2**53
"""float64 holds every integer up to this one."""

Index = tuple[int, ...]


def fault(kind: LiteralString, message: LiteralString, /, **context: Any) -> PydanticCustomError:
    """Return the error of a validator.

    :param kind: its type, by which `parse` recognises it.
    :param message: expected, received and what to change; names in braces stand for members of the context.
    :param context: `index` leads to the offending value, from the one that was validated.
    """
    return PydanticCustomError(kind, message, context)


Element = Literal["number", "integer", "boolean", "extended"]
"""What an array holds; an extended number may also be null for minus infinity, "NaN" or "Infinity"."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """What an array in a request must be; used as ``Annotated[NDArray[Any], Tensor(...)]``.

    With `min_rank` 0 a bare element does as well: a number stays what it is where `max_rank` bounds the rank, and
    becomes an array of rank 0 where any rank will do.  `names` are strings that are allowed instead.  Where any rank
    will do, `usual_rank` is the rank of a batch with heads.  Tensors that `shares_dtype` have one datatype, that of
    the call.
    """

    element: Element = "number"
    min_rank: int = 1
    max_rank: int | None = None
    names: tuple[str, ...] = ()
    usual_rank: int | None = None
    shares_dtype: bool = False

    @property
    def takes_number(self) -> bool:
        """Whether one number stands for itself."""
        return self.min_rank == 0 and self.max_rank is not None

    @property
    def is_any_rank(self) -> bool:
        """Whether an array of any rank will do, a bare element included."""
        return self.min_rank == 0 and self.max_rank is None

    @property
    def shown_rank(self) -> int:
        """The rank that a description shows."""
        return max(1, self.min_rank) if self.usual_rank is None else self.usual_rank

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Validate through `read` alone."""
        return core_schema.no_info_plain_validator_function(self.read)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Describe the nested lists that spell the array in JSON; open ranks refer to TENSOR_COMPONENTS."""
        choices = [{"type": "string", "enum": list(self.names)}] if self.names else []
        if self.max_rank is not None:
            choices += [_nested(_ELEMENTS[self.element], rank) for rank in range(self.min_rank, self.max_rank + 1)]
        else:
            choices += _BARE[self.element] if self.min_rank == 0 else []
            kinds = ("Tensor",) if self.min_rank == 2 else ("Vector", "Tensor")
            choices += [reference_within(f"{self.element.capitalize()}{kind}") for kind in kinds]
        return {"anyOf": choices} if len(choices) > 1 else choices[0]

    def read(self, value: Any) -> Any:
        """Return the array, the bare number or the name; raise an error that names the first offending index."""
        if isinstance(value, str) and self.names:
            return self._read_name(value)
        if self.min_rank == 0 and not isinstance(value, list | np.ndarray | Extended):
            return self._read_bare(value)
        array = value if isinstance(value, np.ndarray) else self._read_other(value)
        if (array.dtype.kind == "b") != (self.element == "boolean"):
            first, place = (array.flat[0].item(), (0,) * array.ndim) if array.size else (array, ())
            raise self._wrong_element(place, first)
        if array.ndim < self.min_rank or (self.max_rank is not None and array.ndim > self.max_rank):
            raise fault(
                "tensor_rank",
                "expected {expected}; received rank {rank}, shape {shape}. {advice}",
                expected=self.ranks,
                rank=array.ndim,
                shape=str(list(array.shape)),
                advice="Wrap it in more lists." if array.ndim < self.min_rank else "Remove the outer lists.",
            )
        if array.ndim > MAX_AXES:
            raise _too_many_axes(array.ndim)
        if self.element == "integer":
            return self._read_integers(array)
        return array if array.dtype.kind in "fb" else array.astype(np.float64)

    def _read_name(self, value: str) -> str:
        if value not in self.names:
            raise fault(
                "unknown_name",
                "expected {expected}; received '{received}'",
                expected=f"{_IN_WORDS[self.element]} or {' or '.join(self.names)}",
                known=self.names,
                received=value,
            )
        return value

    def _read_bare(self, value: Any) -> float | NDArray[Any]:
        """Return a bare element, checked as the one element of an array would be."""
        any_rank = self.max_rank is None
        # A tensor of rank 0 that was stored holds any float; a number beyond float64 in JSON has a type of its own.
        holds_any_float = self.element == "extended" or (self.element == "number" and any_rank)
        stored = holds_any_float and type(value) is float
        if not (stored or self._accepts(value)):
            wrong_type = any_rank and not _is_number(value)
            raise self._wrong_type(value) if wrong_type else self._wrong_element((), value)
        if any_rank:
            return np.asarray(NON_FINITE[value] if isinstance(value, str) else value, _BARE_DTYPES[self.element])
        if self.element == "integer":
            return int(self._read_integers(np.array(value)))
        return float(value)

    def _read_integers(self, array: NDArray[Any]) -> NDArray[Any]:
        """Return integers; a number such as 2.0 is one.  Positions are added to them, which must not overflow."""
        array = array.astype(np.float64) if array.dtype.kind == "f" else array
        # A float64 of this size may have been the integer beside it in the document.
        largest = MAX_INTEGER - 1 if array.dtype.kind == "f" else MAX_INTEGER
        wrong = np.argwhere((array != np.floor(array)) | (array > largest) | (array < -largest))
        if len(wrong):
            index = tuple(int(i) for i in wrong[0])
            raise self._wrong_element(index, array[index].item())
        return array.astype(np.int64)

    @property
    def ranks(self) -> str:
        """The allowed ranks in words."""
        if self.max_rank is None and self.min_rank == 0:
            return f"{_IN_WORDS[self.element].removesuffix(' or null')}, or nested lists of any rank"
        if self.max_rank is None:
            return f"nested lists of rank {self.min_rank} or more"
        return f"nested lists of rank {self.min_rank}" + (
            f" to {self.max_rank}" if self.max_rank > self.min_rank else ""
        )

    def _read_other(self, value: Any) -> NDArray[Any]:
        """Return what lists or extended numbers spell out, where this tensor allows it, or raise."""
        if isinstance(value, Extended):
            if self.element == "extended":
                return value.numbers
            value = value.lists()
        if not isinstance(value, list):
            raise self._wrong_type(value)
        shape = _shape_along_first(value)
        self._require_regular(value, shape)
        array = as_array(value)
        if array is None:
            raise _too_many_axes(len(shape))
        return array.numbers if isinstance(array, Extended) else array

    def _wrong_type(self, value: Any) -> PydanticCustomError:
        element = "number" if self.element == "extended" else self.element
        return fault(
            "tensor_type",
            "expected {ranks}; received {received}. Send {bare}nested lists of {element}s.",
            ranks=self.ranks,
            bare="" if self.min_rank else f"one {element} for all, or ",
            element=element,
            received=describe(value),
        )

    def _accepts(self, leaf: Any) -> bool:
        if self.element == "boolean":
            return isinstance(leaf, bool)
        if leaf is None or isinstance(leaf, str):
            return self.element == "extended" and leaf in NON_FINITE
        return isinstance(leaf, int | float) and not isinstance(leaf, bool) and abs(leaf) <= MAX_FLOAT64

    def _require_regular(self, value: list[Any], shape: Index) -> None:
        """Raise at the first index, in reading order, whose list or element is not what the shape promises."""
        stack: list[tuple[Index, Any]] = [((), value)]
        while stack:
            index, item = stack.pop()
            size = shape[len(index)] if len(index) < len(shape) else None
            detail = _irregularity(item, size)
            if detail:
                raise fault("tensor_shape", "{detail}", detail=detail, index=index)
            if isinstance(item, list):
                stack.extend(((*index, i), item[i]) for i in range(len(item) - 1, -1, -1))
            elif size is not None or not self._accepts(item):
                raise self._wrong_element(index, item)

    def _wrong_element(self, index: Index, leaf: Any) -> PydanticCustomError:
        if _is_number(leaf) and self.element != "boolean" and abs(leaf) > MAX_FLOAT64:
            return fault(
                "tensor_overflow",
                "expected a number that float64 can hold, at most 1.8e308; received a larger one. Scale it down.",
                index=index,
            )
        return fault(
            "tensor_element",
            "expected {element}; received {received}. {advice}",
            element=_IN_WORDS[self.element],
            received=describe(leaf),
            advice=_ADVICE[self.element],
            index=index,
        )


MAX_DESCRIBED_RANK = 5
"""Tensors are described to the last element up to this rank: batch, heads, length, features, and one to spare."""

_ADVICE: dict[Element, str] = {
    "number": "Replace it with a number; to hide a key use {mask.allowed} or {bias}.",
    "boolean": "Use true where the query may see the key and false where it may not.",
    "integer": "Use a number without a fraction, of at most 2^53 in size.",
    "extended": "Use a number, null for minus infinity, or the strings NaN and Infinity.",
}

_IN_WORDS: dict[Element, str] = {
    "number": "a number",
    "integer": "an integer",
    "boolean": "a boolean",
    "extended": "a number or null",
}

_ELEMENTS: dict[Element, JsonSchemaValue] = {
    "number": {"type": "number"},
    "integer": {"type": "integer"},
    "boolean": {"type": "boolean"},
    "extended": component_reference("ExtendedNumber"),
}


_BARE: dict[Element, list[JsonSchemaValue]] = {
    "boolean": [{"type": "boolean"}],
    "extended": [reference_within("NonFinite"), {"type": "number"}],
    "number": [{"type": "number"}],
}
"""A bare element in the place of an array of any rank; null there means that there is no array."""

_BARE_DTYPES: dict[Element, type[np.generic]] = {"boolean": np.bool_, "extended": np.float64, "number": np.float64}


def _list_of(items: JsonSchemaValue) -> JsonSchemaValue:
    return {"type": "array", "minItems": 1, "items": items}


def _nested(item: JsonSchemaValue, rank: int) -> JsonSchemaValue:
    return _list_of(_nested(item, rank - 1)) if rank else item


def _components(element: Element) -> dict[str, JsonSchemaValue]:
    """A vector is a list of elements; a tensor is spelt out rank by rank, since validators stumble over recursion."""
    name, item = element.capitalize(), _ELEMENTS[element]
    ranks = [_nested(item, rank) for rank in range(2, MAX_DESCRIBED_RANK + 1)]
    deeper = _nested({"type": "array", "items": {}}, MAX_DESCRIBED_RANK)
    return {
        f"{name}Vector": {"title": f"{name}Vector", "description": "Rank 1. 一维数组。", **_list_of(item)},
        f"{name}Tensor": {
            "title": f"{name}Tensor",
            "description": "Nested lists of rank 2 or more, all rows equally long. 二维或更高维数组，各行等长。",
            "anyOf": [*ranks, deeper],
        },
    }


OPEN_RANKS: tuple[Element, ...] = ("number", "boolean", "extended")
"""Elements of arrays whose rank is not fixed."""

TENSOR_COMPONENTS: dict[str, JsonSchemaValue] = {
    "NonFinite": {
        "title": "NonFinite",
        "description": "Not a number, and plus infinity. 非数与正无穷。",
        "type": "string",
        "enum": [name for name in NON_FINITE if name is not None],
    },
    "ExtendedNumber": {
        "title": "ExtendedNumber",
        "description": "A number; null is minus infinity. 数；null 表示负无穷。",
        # The strings come first: Pydantic's models take the first that fits, and "NaN" fits a number as well.
        "anyOf": [
            component_reference("NonFinite"),
            {"type": "number"},
            {"title": "minus infinity", "type": "null"},
        ],
    },
    **{name: schema for element in OPEN_RANKS for name, schema in _components(element).items()},
}
"""JSON Schemas of nested lists of any rank and of their elements, by component name."""

Vectors = Annotated[NDArray[Any], Tensor(min_rank=2, usual_rank=4, shares_dtype=True)]
"""Queries, keys or values, past ones among them."""

Bias = Annotated[NDArray[Any], Tensor("extended", min_rank=0, usual_rank=2)]
Booleans = Annotated[NDArray[Any], Tensor("boolean", min_rank=0, usual_rank=2)]
"""Bias and Booleans broadcast to the shape of the scores, from any rank: a bare element counts for every pair."""
Result = Annotated[NDArray[Any], Tensor("extended", usual_rank=4)]
"""An array of a response, or one that a client sends back."""

RowResult = Annotated[NDArray[Any], Tensor("extended", usual_rank=3)]
"""The same, with one number for each query."""

ParameterResult = Annotated[NDArray[Any], Tensor("extended", min_rank=0, usual_rank=2)]
"""An array of a response that may be one number."""

PerBatchRow = Annotated[NDArray[Any], Tensor("integer", min_rank=1, max_rank=2)]
"""Integers for each batch row, or for each position of each batch row."""

OnePerBatchRow = Annotated[NDArray[Any], Tensor("integer", min_rank=1, max_rank=1)]
"""One integer for each batch row."""

BooleansOfKeys = Annotated[NDArray[Any], Tensor("boolean", min_rank=1, max_rank=2)]
"""A boolean for each key, or for each key of each batch row."""


def _is_number(leaf: Any) -> bool:
    return isinstance(leaf, int | float) and not isinstance(leaf, bool)


def describe(value: Any) -> str:
    """Return the name of a JSON value in words, such as "the string 'a'"; a text is cut after 40 characters."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return f"the string {value[:40]!r}" + ("…" if len(value) > 40 else "")
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, np.ndarray):
        return f"a list of shape {list(value.shape)}"
    if isinstance(value, Extended):
        return f"a list of {len(value.numbers)}"
    if isinstance(value, float) and abs(value) >= MAX_INTEGER:
        return f"a number near {value}" if isfinite(value) else f"the number {value}"
    return f"a list of {len(value)}" if isinstance(value, list) else f"the number {value}"


def _too_many_axes(received: int) -> PydanticCustomError:
    return fault(
        "tensor_rank",
        "expected at most {most} axes; received {received}. Merge leading axes.",
        most=MAX_AXES,
        received=received,
    )


def _shape_along_first(value: Any) -> Index:
    """The shape that the first elements promise, which all others are held to."""
    shape = []
    while isinstance(value, list):
        shape.append(len(value))
        value = value[0] if value else None
    return tuple(shape)


def _irregularity(item: Any, size: int | None) -> str:
    """Return the fault of the nesting at an item; empty if there is none.

    :param size: elements of the list that the first index promises there; None where it promises an element.
    """
    if size is None and isinstance(item, list):
        return f"expected a number, as at the first index; received {describe(item)}. Nest all elements equally deep."
    if size is not None and isinstance(item, int | float):
        return (
            f"expected a list of {size}, as at the first index; received {describe(item)}. "
            "Nest all elements equally deep."
        )
    if item == []:
        return (
            "expected at least one element; received an empty list. JSON cannot tell the shape of an empty axis; the "
            "binary forms can."
        )
    if isinstance(item, list) and len(item) != size:
        return f"expected {size} elements, as at the first index; received {len(item)}. Make all rows equally long."
    return ""
