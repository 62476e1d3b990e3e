"""Read a safetensors file as a document of /v1: its JSON with the tensors inserted at their dotted places."""

from collections.abc import Mapping
from typing import Any

from attention_wire.datatypes import BY_DTYPE
from attention_wire.documents import expand_name
from attention_wire.safetensors import REQUEST
from service.codecs import json
from service.codecs.safetensors.framing import StoredTensor, split
from service.errors import DuplicateName, FieldPath, InvalidRequest, MalformedBody
from service.schemas.attention import UNIONS, VECTORS
from service.schemas.tensors import describe

REQUESTS_AT = ((), ("request",), ("base",))
OVERRIDES = "overrides"
"""Paths of attention requests in the documents of the endpoints, and the last step of paths of partial ones."""

MAX_INDEX_DIGITS = 9
"""Maximum digits of an index into a list."""

Branch = dict[str, Any]
"""A tree of steps whose leaves are StoredTensors."""


def read(content: bytes, *, header_limit: int, max_depth: int) -> Any:
    """Return the document.

    :param content: the file.
    :param header_limit: bytes of its header.
    :param max_depth: levels of nesting of its JSON, and of the places of its tensors.

    Raises MalformedBody, InvalidRequest or TooLarge.
    """
    tensors, metadata = split(content, header_limit)
    try:
        document = json.decode(metadata.get(REQUEST, "{}").encode(), max_depth)
    except DuplicateName as error:
        raise DuplicateName(error.path, within=f"the JSON of {REQUEST} in the metadata") from None
    # The schema refuses a document that is not an object.
    return _insert(document, _branches(tensors, max_depth), ()) if isinstance(document, dict) else document


def _branches(tensors: list[StoredTensor], max_depth: int) -> Branch:
    """Return the tree of the tensors by the steps of their dotted names."""
    root: Branch = {}
    for tensor in tensors:
        path = tuple(tensor.name.split("."))
        if len(path) > max_depth:
            raise MalformedBody("expected fewer dots in the name of a tensor; received more than JSON may nest.")
        inside = root
        for length, step in enumerate(path[:-1], start=1):
            inside = inside.setdefault(step, {})
            if isinstance(inside, StoredTensor):
                raise _duplicate(path[:length])
        if path[-1] in inside:
            raise _duplicate(path)
        inside[path[-1]] = tensor
    return root


def _insert(value: Any, branch: Branch | StoredTensor, path: FieldPath) -> Any:
    """Return a part of the document with the tensors below it inserted; null counts as absent."""
    if isinstance(branch, StoredTensor):
        if value is not None:
            raise _duplicate(path)
        return branch.array if branch.array.ndim else branch.array.item()
    if value is None:
        value = [] if all(map(_is_number, branch)) else {}
    elif isinstance(value, str) and path[-1] in UNIONS:
        value = expand_name(value)
    if isinstance(value, list):
        return _insert_into_list(value, branch, path)
    if not isinstance(value, dict):
        raise InvalidRequest.at(
            path,
            f"expected an object, since there is a tensor {_dotted(branch)!r}; received {describe(value)}. "
            "Send an object, or leave it out.",
        )
    whole = value | {step: _insert(value.get(step), part, (*path, step)) for step, part in branch.items()}
    if path in REQUESTS_AT or path[-1] == OVERRIDES:
        dtype = _shared_dtype(branch, whole.get("dtype"), path)
        if dtype is not None:
            whole["dtype"] = dtype
    return whole


def _insert_into_list(value: list[Any], branch: Branch, path: FieldPath) -> list[Any]:
    items = list(value)
    for step in sorted(branch, key=lambda step: int(step) if _is_index(step) else -1):
        if not _is_index(step) or int(step) > len(items):
            missing = ".".join(map(str, (*path, len(items))))
            raise InvalidRequest.at(
                (*path, step),
                f"expected an index of the list, or the next one: {missing} is missing; received {step[:40]!r} in the "
                "name of a tensor. Number the items from 0, and leave none out.",
            )
        index = int(step)
        if index == len(items):
            items.append(None)
        items[index] = _insert(items[index], branch[step], (*path, step))
    return items


def _shared_dtype(branch: Mapping[str, Any], given: Any, path: FieldPath) -> str | None:
    """Return the dtype in which query, key, value and past are stored; None if none of them is a tensor.

    :param given: the dtype in the document; raises InvalidRequest if it is another one, or if the tensors differ.
    :param path: of the attention request.
    """
    vectors = [branch[name] for name in VECTORS if isinstance(branch.get(name), StoredTensor)]
    if not vectors:
        return None
    first, expected = vectors[0], vectors[0].datatype
    for one in vectors:
        place, name = tuple(one.name.split(".")), one.name.rpartition(".")[2]
        received = one.datatype.safetensors_name
        if one.datatype.dtype is None:
            floats = ", ".join(datatype.safetensors_name for datatype in BY_DTYPE.values())
            raise InvalidRequest.at(
                place, f"expected {name} to be stored as one of {floats}; received {received}. Convert it."
            )
        if one.datatype != expected:
            raise InvalidRequest.at(
                place,
                f"expected {expected.safetensors_name}, the stored type of {first.name.rpartition('.')[2]}; received "
                f"{received} for {name}. query, key, value and past share one type.",
            )
    if given is not None and not (isinstance(given, str) and given == expected.dtype):
        raise InvalidRequest.at(
            (*path, "dtype"),
            f"expected {expected.dtype}, since the stored type of {first.name} is {expected.safetensors_name}; "
            f"received {describe(given)}. Leave dtype out, or store the tensors in it.",
        )
    return expected.dtype


def _is_number(step: str) -> bool:
    return step.isascii() and step.isdecimal()


def _is_index(step: str) -> bool:
    return _is_number(step) and len(step) <= MAX_INDEX_DIGITS and (step == "0" or step[0] != "0")


def _dotted(branch: Branch) -> str:
    """Return the name of the first tensor below."""
    part: Any = branch
    while not isinstance(part, StoredTensor):
        part = next(iter(part.values()))
    return str(part.name)[:80]


def _duplicate(path: FieldPath) -> InvalidRequest:
    name = ".".join(path)[:80]
    return InvalidRequest.at(
        path, f"expected {name!r} once; received a tensor and something else there. Leave out one of them."
    )
