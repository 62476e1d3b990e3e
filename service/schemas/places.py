"""Places of an attention request, made from its schema, and the scope of a location of Pydantic's among them."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from attention_core.hints import OwnNames
from service.errors import Location
from service.schemas.base import name_of
from service.schemas.fields import models_in, parts_of
from service.schemas.tensors import Tensor


@cache
def own_names(model: type[BaseModel]) -> OwnNames:
    """Return the places of a request, to search for names in them."""
    return OwnNames(tuple(dict.fromkeys(_places(model, ""))))


def _places(model: type[BaseModel], above: str) -> Iterator[str]:
    """Yield every place, objects before their members; the name of an object is no place in it."""
    fields = ((name, field) for name, field in model.model_fields.items() if name != "name")
    for name, field in fields:
        place = above + name
        yield place
        yield from (f"{place}={choice}" for choice in _choices(field))
        members = models_in(field)
        for member in members:
            inside = place if len(members) == 1 else f"{place}.{name_of(member)}"
            if len(members) > 1:
                yield inside
            yield from _places(member, f"{inside}.")


def _choices(field: FieldInfo) -> Iterator[str]:
    """Yield the strings that a field may be, or that its list may hold, apart from names of objects."""
    for part in parts_of(field):
        if isinstance(part, Tensor):
            yield from part.names
        elif get_origin(part) is Literal:
            yield from (choice for choice in get_args(part) if isinstance(choice, str))


@dataclass(frozen=True, slots=True)
class ObjectScope:
    """An object of a document.

    :param known: the names of its fields.
    :param within: the field that holds it; empty for the document itself, and for an attention request in it.
    :param above: the fields that lead to the attention request, for an object outside of it.
    """

    known: frozenset[str]
    within: str = ""
    above: tuple[str, ...] = ()


def scope_of(model: type[BaseModel], location: Location, request: type[BaseModel]) -> ObjectScope:
    """Return the scope of the object at a location of Pydantic's, where a union's tag follows its field.

    :param request: the model of an attention request, which may be part of a larger one.
    """
    candidates, within = {"": model}, ""
    for step in location:
        if step in candidates:
            candidates = {"": candidates[str(step)]}
        elif "" in candidates and step in candidates[""].model_fields:
            field = candidates[""].model_fields[str(step)]
            members, within = models_in(field), str(step)
            names = [name_of(member) for member in members] if len(members) > 1 else [""] * len(members)
            candidates = dict(zip(names, members, strict=True))
    here = candidates.get("")
    known = frozenset(name for member in candidates.values() for name in member.model_fields)
    if here is request:
        return ObjectScope(known)
    above = next((name for name, field in model.model_fields.items() if request in models_in(field)), None)
    outside = above is not None and above not in location
    return ObjectScope(known, within, (above,) if outside and above else ())
