"""Tensors as Pydantic sees them: whole arrays, checked for rank, shape and element type, never number by number.

A codec hands over an array where the document spells one out, and the raw lists where it does not; only then are the
lists searched, to name the first offending element.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from attention_core.errors import did_you_mean
from service.codecs.json import MOST_DIMENSIONS, NON_FINITE, Extended, as_array

LARGEST = sys.float_info.max
LARGEST_INTEGER = 2**53
"""Up to here float64 holds every integer."""

Index = tuple[int, ...]
Element = Literal["number", "integer", "boolean", "extended"]
"""What an array holds; an extended number may also be null for minus infinity, "NaN" or "Infinity"."""

COMPONENTS_AT = "#/components/schemas/"


@dataclass(frozen=True, slots=True)
class Tensor:
    """What an array in a request must be; used as ``Annotated[NDArray[Any], Tensor(...)]``.

    With `min_rank` 0 a bare number does as well; `names` are strings that stand for themselves.
    """

    element: Element = "number"
    min_rank: int = 1
    max_rank: int | None = None
    names: tuple[str, ...] = ()

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Validate through `read` alone."""
        return core_schema.no_info_plain_validator_function(self.read)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Describe the nested lists that spell the array in JSON; open ranks refer to TENSOR_COMPONENTS."""
        choices = [{"type": "string", "enum": list(self.names)}] if self.names else []
        if self.max_rank is not None:
            choices += [_nested(_ELEMENTS[self.element], rank) for rank in range(self.min_rank, self.max_rank + 1)]
        else:
            kinds = ("Tensor",) if self.min_rank == 2 else ("Vector", "Tensor")
            choices += [component_reference(f"{self.element.capitalize()}{kind}") for kind in kinds]
        if len(choices) > 1:
            return {"anyOf": choices}
        return {"allOf": choices} if "$ref" in choices[0] else choices[0]

    def read(self, value: Any) -> Any:
        """Return the array, the bare number or the name; raise an error that names the first offending index."""
        if isinstance(value, str) and self.names:
            return self._read_name(value)
        if self.min_rank == 0 and not isinstance(value, list | np.ndarray | Extended):
            return self._read_number(value)
        array = value if isinstance(value, np.ndarray) else self._read_other(value)
        if (array.dtype.kind == "b") != (self.element == "boolean"):
            first, place = (array.flat[0].item(), (0,) * array.ndim) if array.size else (array, ())
            raise self._wrong_element(place, first)
        if array.ndim < self.min_rank or (self.max_rank is not None and array.ndim > self.max_rank):
            raise PydanticCustomError(
                "tensor_rank",
                "expected {expected}; received rank {rank}, shape {shape}. {advice}",
                {
                    "expected": self.ranks,
                    "rank": array.ndim,
                    "shape": str(list(array.shape)),
                    "advice": "Wrap it in more lists." if array.ndim < self.min_rank else "Remove the outer lists.",
                },
            )
        if self.element == "integer":
            return self._read_integers(array)
        return array if array.dtype.kind in "fb" else array.astype(np.float64)

    def _read_name(self, value: str) -> str:
        if value not in self.names:
            raise PydanticCustomError(
                "unknown_name",
                "expected {element} or {known}; received '{received}'. {advice}",
                {
                    "element": _IN_WORDS[self.element],
                    "known": " or ".join(self.names),
                    "received": value[:40],
                    "advice": did_you_mean(value, self.names) or "Use one of these.",
                },
            )
        return value

    def _read_number(self, value: Any) -> int | float:
        """Return a bare number, checked as the one element of an array would be."""
        if not self._accepts(value):
            raise self._wrong_element((), value)
        if self.element == "integer":
            return int(self._read_integers(np.array(value)))
        return float(value)

    def _read_integers(self, array: NDArray[Any]) -> NDArray[Any]:
        """Return integers; a number such as 2.0 is one.  Positions are added to them, which must not overflow."""
        array = array.astype(np.float64) if array.dtype.kind == "f" else array
        wrong = np.argwhere((array != np.floor(array)) | (array > LARGEST_INTEGER) | (array < -LARGEST_INTEGER))
        if len(wrong):
            index = tuple(int(i) for i in wrong[0])
            raise self._wrong_element(index, float(array[index]))
        return array.astype(np.int64)

    @property
    def ranks(self) -> str:
        """The allowed ranks in words."""
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
            raise PydanticCustomError(
                "tensor_type",
                "expected {ranks}; received {received}. Send nested lists of {element}s.",
                {
                    "ranks": self.ranks,
                    "element": "number" if self.element == "extended" else self.element,
                    "received": describe(value),
                },
            )
        shape = _shape_along_first(value)
        for index, problem in _irregularities(value, shape, self._accepts):
            raise self._irregular(index, problem)
        array = as_array(value)
        if array is None:
            detail = (
                f"expected at most {MOST_DIMENSIONS} levels of lists; received {len(shape)}. Remove the outer lists."
            )
            raise self._irregular((), _Irregular(detail))
        return array.numbers if isinstance(array, Extended) else array

    def _accepts(self, leaf: Any) -> bool:
        if self.element == "boolean":
            return isinstance(leaf, bool)
        if leaf is None or isinstance(leaf, str):
            return self.element == "extended" and leaf in NON_FINITE
        return isinstance(leaf, int | float) and not isinstance(leaf, bool) and abs(leaf) <= LARGEST

    def _irregular(self, index: Index, problem: Any) -> PydanticCustomError:
        if isinstance(problem, _Irregular):
            return PydanticCustomError("tensor_shape", "{detail}", {"detail": problem.detail, "index": index})
        return self._wrong_element(index, problem)

    def _wrong_element(self, index: Index, leaf: Any) -> PydanticCustomError:
        number = isinstance(leaf, int | float) and not isinstance(leaf, bool)
        if number and self.element != "boolean" and abs(leaf) > LARGEST:
            return PydanticCustomError(
                "tensor_overflow",
                "expected a number that float64 can hold, at most 1.8e308; received a larger one. Scale it down.",
                {"index": index},
            )
        return PydanticCustomError(
            "tensor_element",
            "expected {element}; received {received}. {advice}",
            {
                "element": _IN_WORDS[self.element],
                "received": describe(leaf),
                "advice": _ADVICE[self.element],
                "index": index,
            },
        )


DEEPEST_DESCRIBED = 5
"""Tensors are described to the last element up to this rank: batch, heads, length, features, and one to spare."""

_ADVICE: dict[Element, str] = {
    "number": "Replace it with a number; to hide a key use mask or bias.",
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
    "extended": {"anyOf": [{"type": ["number", "null"]}, {"enum": ["NaN", "Infinity"]}]},
}


def component_reference(name: str) -> JsonSchemaValue:
    """Return a reference to a component of the OpenAPI document."""
    return {"$ref": f"{COMPONENTS_AT}{name}"}


def _list_of(items: JsonSchemaValue) -> JsonSchemaValue:
    return {"type": "array", "minItems": 1, "items": items}


def _nested(item: JsonSchemaValue, rank: int) -> JsonSchemaValue:
    return _list_of(_nested(item, rank - 1)) if rank else item


def _components(element: Element) -> dict[str, JsonSchemaValue]:
    """A vector is a list of elements; a tensor is spelt out rank by rank, since validators stumble over recursion."""
    name, item = element.capitalize(), _ELEMENTS[element]
    ranks = [_nested(item, rank) for rank in range(2, DEEPEST_DESCRIBED + 1)]
    deeper = _nested({"type": "array"}, DEEPEST_DESCRIBED)
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
    name: schema for element in OPEN_RANKS for name, schema in _components(element).items()
}
"""JSON Schemas of nested lists of any rank, by component name."""

Numbers = Annotated[NDArray[Any], Tensor(min_rank=2)]
Bias = Annotated[NDArray[Any], Tensor("extended")]
Booleans = Annotated[NDArray[Any], Tensor("boolean")]
Result = Annotated[NDArray[Any], Tensor("extended")]
"""What a response holds; it can be sent back wherever extended numbers are read."""

VectorPerHead = Annotated[NDArray[Any], Tensor(min_rank=1, max_rank=2)]
MatrixPerHead = Annotated[NDArray[Any], Tensor(min_rank=2, max_rank=3)]
NumberPerHead = Annotated[float | NDArray[Any], Tensor(min_rank=0, max_rank=1)]
"""Parameters that may have a leading axis with one entry for each query head."""

PerBatchRow = Annotated[NDArray[Any], Tensor("integer", min_rank=1, max_rank=2)]
"""Integers for each batch row, or for each position of each batch row."""


@dataclass(frozen=True, slots=True)
class _Irregular:
    """A place where the nesting itself is wrong."""

    detail: str


def describe(value: Any) -> str:
    """Name a JSON value the way the person who sent it would; long text is cut."""
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
    return f"a list of {len(value)}" if isinstance(value, list) else f"the number {value}"


def _shape_along_first(value: Any) -> Index:
    """The shape that the first elements promise, which all others are held to."""
    shape = []
    while isinstance(value, list):
        shape.append(len(value))
        value = value[0] if value else None
    return tuple(shape)


def _irregularities(value: Any, shape: Index, accepts: Callable[[Any], bool]) -> Iterator[tuple[Index, Any]]:
    """Walk in reading order; yield each index whose list or leaf is not what the shape promises."""
    stack: list[tuple[Index, Any]] = [((), value)]
    while stack:
        index, item = stack.pop()
        depth = len(index)
        if depth == len(shape):
            if isinstance(item, list):
                yield (
                    index,
                    _Irregular(
                        f"expected a number, as at the first index; received {describe(item)}. "
                        "Nest all elements equally deep."
                    ),
                )
            elif not accepts(item):
                yield index, item
        elif not isinstance(item, list):
            yield (
                index,
                (
                    item
                    if not isinstance(item, int | float)
                    else _Irregular(
                        f"expected a list of {shape[depth]}, as at the first index; received {describe(item)}. "
                        "Nest all elements equally deep."
                    )
                ),
            )
        elif not item:
            yield (
                index,
                _Irregular(
                    "expected at least one element; received an empty list. JSON cannot tell the shape "
                    "of an empty axis; the binary forms can."
                ),
            )
        elif len(item) != shape[depth]:
            yield (
                index,
                _Irregular(
                    f"expected {shape[depth]} elements, as at the first index; received {len(item)}. "
                    "Make all rows equally long."
                ),
            )
        else:
            stack.extend(((*index, i), item[i]) for i in range(len(item) - 1, -1, -1))
