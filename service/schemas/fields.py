"""The fields of a request with their paths, and what the protocols that spell a request otherwise have to know of them.

Each field is declared once, in its Pydantic model; the names of the Open Inference Protocol, the tensors of a
safetensors file and the arguments of the client are made from these declarations.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from service.errors import FieldPath
from service.schemas.base import OneOf, name_of
from service.schemas.tensors import Tensor

SCALAR_TYPES = (bool, int, float, str)


@dataclass(frozen=True, slots=True)
class FlatName:
    """The name of a field where all fields of a request share one namespace; without it that is its own name.

    :param name: empty for a field that has none there.
    """

    name: str


@dataclass(frozen=True, slots=True)
class JsonOnly:
    """Marks a field that changes the JSON of an answer alone, and none of its arrays."""


@dataclass(frozen=True, slots=True)
class NamedTensors:
    """Marks an object that holds numbers, vectors and matrices under names that the request chooses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestField:
    """A field of a request that holds no object.

    :param path: names from the request to the field.
    :param flat_name: as of `FlatName`.
    :param member: the name of the score model, normalizer or position that it is a parameter of; None for all others.
    :param tensor: what its array must be; None where it takes no array.
    :param is_scalar: whether it may be one number, boolean or text.
    :param has_named_tensors: whether it is an object of tensors under names that the request chooses.
    """

    path: FieldPath
    flat_name: str
    member: str | None
    required: bool
    tensor: Tensor | None
    is_scalar: bool
    has_named_tensors: bool


@cache
def request_fields(model: type[BaseModel]) -> tuple[RequestField, ...]:
    """Return the fields of a request in the order of the models, parameters of every member of a union among them."""
    return tuple(_fields(model, (), None))


def _fields(model: type[BaseModel], above: FieldPath, member: str | None) -> Iterator[RequestField]:
    for name, info in model.model_fields.items():
        parts = list(parts_of(info))
        if JsonOnly() in parts:
            continue
        inside = models_in(info)
        for one in inside:
            yield from _fields(one, (*above, name), name_of(one) if len(inside) > 1 else member)
        if not inside and (member is None or name != "name"):
            tensor = next((part for part in parts if isinstance(part, Tensor)), None)
            scalar = any(part in SCALAR_TYPES for part in parts) if tensor is None else tensor.takes_number
            named = NamedTensors() in parts
            yield RequestField(
                path=(*above, name),
                flat_name=next((part.name for part in parts if isinstance(part, FlatName)), name),
                member=member,
                required=info.is_required(),
                tensor=tensor,
                is_scalar=scalar and not named,
                has_named_tensors=named,
            )


def parts_of(info: FieldInfo) -> Iterator[Any]:
    """Yield the types and the metadata of an annotation, however deep they stand in it, and its type as a whole."""
    parts = [info.annotation, *info.metadata]
    while parts:
        part = parts.pop()
        yield part
        parts += get_args(part)


def models_in(info: FieldInfo) -> list[type[BaseModel]]:
    """Return the models that a field may hold: those of a union, the one of an object or of a list, or none."""
    parts = list(parts_of(info))
    for part in parts:
        if isinstance(part, OneOf):
            return list(part.members)
    return [part for part in parts if isinstance(part, type) and issubclass(part, BaseModel)]
