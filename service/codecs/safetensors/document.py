"""Tensors in their places: the document that a file stands for."""

from collections.abc import Mapping
from typing import Any

from service.codecs import json
from service.codecs.datatypes import BY_DTYPE
from service.codecs.safetensors.framing import StoredTensor, split
from service.errors import InvalidRequest, MalformedBody, Violation
from service.schemas.parse import pointer
from service.schemas.tensors import describe

REQUEST = "request"

VECTORS = ("query", "key", "value", "past_key", "past_value")
"""Tensors of an attention request that share one stored type, which is its dtype."""

REQUESTS_AT = ((), ("request",), ("base",))
OVERRIDES = "overrides"
"""Where an attention request, or a part of one, stands in the document of an endpoint."""

NAMED = ("score_model", "normalizer", "position")
"""Fields where a bare name stands for the object of that name."""

LONGEST_INDEX = 9
"""Digits of an index into a list."""

Path = tuple[str, ...]
Branch = dict[str, Any]
"""Steps to more steps, or to a StoredTensor."""


def read(content: bytes, *, header_limit: int, max_depth: int) -> Any:
    """Return the document; raises MalformedBody, InvalidRequest or TooLarge."""
    tensors, metadata = split(content, header_limit)
    document = json.decode(metadata.get(REQUEST, "{}").encode(), max_depth)
    # What is no object is refused by the schema, in its own words.
    return _grafted(document, _branches(tensors, max_depth), ()) if isinstance(document, dict) else document


def _branches(tensors: list[StoredTensor], max_depth: int) -> Branch:
    """Return the tensors by the steps of their dotted names."""
    root: Branch = {}
    for tensor in tensors:
        path = tuple(tensor.name.split("."))
        if len(path) > max_depth:
            raise MalformedBody("expected fewer dots in the name of a tensor; received more than JSON may nest.")
        inside = root
        for length, step in enumerate(path[:-1], start=1):
            inside = inside.setdefault(step, {})
            if isinstance(inside, StoredTensor):
                raise _twice(path[:length])
        if path[-1] in inside:
            raise _twice(path)
        inside[path[-1]] = tensor
    return root


def _grafted(value: Any, branch: Branch | StoredTensor, path: Path) -> Any:
    """Return a part of the document with the tensors that belong into it; null counts as absent, as everywhere."""
    if isinstance(branch, StoredTensor):
        if value is not None:
            raise _twice(path)
        return branch.array if branch.array.ndim else branch.array.item()
    if value is None:
        value = [] if all(map(_is_number, branch)) else {}
    elif isinstance(value, str) and path[-1] in NAMED:
        value = {"name": value}
    if isinstance(value, list):
        return _grafted_list(value, branch, path)
    if not isinstance(value, dict):
        raise _refused(
            path,
            f"expected an object, since there is a tensor {_dotted(branch)!r}; received {describe(value)}. "
            "Send an object, or leave it out.",
        )
    whole = value | {step: _grafted(value.get(step), part, (*path, step)) for step, part in branch.items()}
    if path in REQUESTS_AT or path[-1] == OVERRIDES:
        dtype = _shared_dtype(branch, whole.get("dtype"), path)
        if dtype is not None:
            whole["dtype"] = dtype
    return whole


def _grafted_list(value: list[Any], branch: Branch, path: Path) -> list[Any]:
    items = list(value)
    for step in sorted(branch, key=lambda step: int(step) if _is_index(step) else -1):
        if not _is_index(step) or int(step) > len(items):
            raise _refused(
                (*path, step),
                f"expected an index of the list, or the next one, {len(items)}; received {step[:40]!r} in the name of "
                "a tensor. Number the items from 0, and leave none out.",
            )
        index = int(step)
        if index == len(items):
            items.append(None)
        items[index] = _grafted(items[index], branch[step], (*path, step))
    return items


def _shared_dtype(branch: Mapping[str, Any], given: Any, path: Path) -> str | None:
    """Return the dtype that the vectors among the tensors are stored in, if there are any; raise InvalidRequest."""
    vectors = [branch[name] for name in VECTORS if isinstance(branch.get(name), StoredTensor)]
    for one in vectors:
        place, name = tuple(one.name.split(".")), one.name.rpartition(".")[2]
        first = vectors[0]
        if one.datatype.dtype is None:
            stored = ", ".join(datatype.stored for datatype in BY_DTYPE.values())
            raise _refused(
                place, f"expected {name} to be stored as one of {stored}; received {one.datatype.stored}. Convert it."
            )
        if one.datatype != first.datatype:
            raise _refused(
                place,
                f"expected {first.datatype.stored}, the stored type of {first.name.rpartition('.')[2]}; received "
                f"{one.datatype.stored} for {name}. query, key, value and past share one type.",
            )
    if not vectors:
        return None
    dtype = vectors[0].datatype.dtype
    if given is not None and not (isinstance(given, str) and given == dtype):
        raise _refused(
            (*path, "dtype"),
            f"expected {dtype}, since the stored type of {vectors[0].name} is {vectors[0].datatype.stored}; received "
            f"{describe(given)}. Leave dtype out, or store the tensors in it.",
        )
    return dtype


def _is_number(step: str) -> bool:
    return step.isascii() and step.isdecimal()


def _is_index(step: str) -> bool:
    return _is_number(step) and len(step) <= LONGEST_INDEX and (step == "0" or step[0] != "0")


def _dotted(branch: Branch) -> str:
    """Return the name of the first tensor below."""
    part: Any = branch
    while not isinstance(part, StoredTensor):
        part = next(iter(part.values()))
    return str(part.name)[:80]


def _twice(path: Path) -> InvalidRequest:
    name = ".".join(path)[:80]
    return _refused(path, f"expected {name!r} once; received a tensor and something else there. Leave out one of them.")


def _refused(path: Path, detail: str) -> InvalidRequest:
    return InvalidRequest([Violation(pointer(path), detail, "invalid-request")])
