"""A document of POST /v1/attention as a request of the Open Inference Protocol V2."""

from collections.abc import Iterator, Mapping
from itertools import takewhile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attention_client.arguments import Document, check_include
from attention_client.errors import InvalidArgument
from attention_client.names import (
    ANY_RANK,
    BOOLEANS,
    INPUTS,
    INTEGERS,
    NAMED_TENSORS,
    OUTPUTS,
    PARAMETERS,
    VECTORS,
    Path,
)
from attention_client.tensors import round_tensor
from attention_wire.datatypes import RawTensor
from attention_wire.documents import pointer as pointer_of

NAME_OF_MEMORY = ("memory", "name")
"""Path of a name that may stand for its object: errors point to the object, as those of /v1 do."""

MAX_EXACT = 2**53
"""Largest integer up to which float64 holds every one."""


class Inference:
    """A request to a model, and the place in the document from which each of its parts was taken.

    Arrays become inputs, single numbers and names become parameters.  Members of the document that the protocol has no
    name for are collected in `options`, which is sent as JSON.
    """

    def __init__(self, document: Document) -> None:
        self.inputs: list[tuple[str, RawTensor]] = []
        self.parameters: Document = {}
        self.options: Document = {}
        self.outputs: list[str] = []
        self._origins: dict[str, Path] = {}
        self._option_paths: list[Path] = []
        for name in VECTORS:
            if name in document:
                self._add_input(name, round_tensor(document[name], document["dtype"], f"/{name}"), (name,))
        rest = {name: member for name, member in document.items() if name not in (*VECTORS, "dtype", "include")}
        self.model = _pop_model(rest)
        for path, leaf in _leaves(rest):
            self._add(path, leaf)
        for position, field in enumerate(check_include(document.get("include"))):
            for output in OUTPUTS[field]:
                self._origins[f"/outputs/{len(self.outputs)}"] = ("include", str(position))
                self.outputs.append(output)

    def _add(self, path: Path, leaf: Any) -> None:
        if path in ANY_RANK and not isinstance(leaf, np.ndarray) and np.asarray(leaf).dtype.kind in ANY_RANK[path]:
            leaf = np.asarray(leaf)
        is_array = isinstance(leaf, np.ndarray)
        name = _input_name(path)
        if is_array and name is not None:
            self._add_input(name, RawTensor.of(_accepted_type(leaf, path)), path)
        elif not is_array and path in PARAMETERS:
            self._origins[f"/parameters/{PARAMETERS[path]}"] = path if path != NAME_OF_MEMORY else path[:1]
            self.parameters[PARAMETERS[path]] = leaf
        else:
            _require_finite(leaf, path)
            self._option_paths.append(path)
            *parents, last = path
            inside = self.options
            for step in parents:
                inside = inside.setdefault(step, {})
            inside[last] = leaf.tolist() if is_array else leaf

    def _add_input(self, name: str, tensor: RawTensor, path: Path) -> None:
        self._origins[f"/inputs/{len(self.inputs)}"] = path
        self.inputs.append((name, tensor))

    def locate(self, pointer: str) -> str:
        """Return the JSON Pointer into the document that belongs to one into the request.

        The service points to the options as a whole: the result is what their places have in common.  It is empty, the
        whole document, for a part that was not sent.
        """
        part = "/".join(pointer.split("/")[:3])
        if part == "/parameters/options":
            common = takewhile(lambda steps: len(set(steps)) == 1, zip(*self._option_paths, strict=False))
            return pointer_of(tuple(steps[0] for steps in common))
        return pointer_of(self._origins.get(part, ()))


def _input_name(path: Path) -> str | None:
    """Return the name of the input that an array is; None for one that the options hold.

    A parameter of a formula has the name that the caller chose, unless that is the name of another input.
    """
    if path in INPUTS or path[0] != "score_model":
        return INPUTS.get(path)
    if path[:2] not in NAMED_TENSORS:
        return path[-1]
    own = path[2:]
    return ".".join(own) if own and own[0] not in (*VECTORS, *INPUTS.values()) else None


def _accepted_type(array: NDArray[Any], path: Path) -> NDArray[Any]:
    """Return numbers in a type that the service accepts for an input.

    Floats without a fraction are integers where the input takes these, as they are in JSON.  Raises InvalidArgument for
    numbers in place of booleans, for a fraction, and for integers beyond int64.
    """
    if path in BOOLEANS and array.dtype.kind != "b":
        raise InvalidArgument(
            pointer_of(path),
            f"expected booleans; received an array of {array.dtype}. Convert it, where True = may see: "
            "array.astype(bool) if 1 keeps a key.",
        )
    if path in INTEGERS and array.dtype.kind not in "iu":
        array = _without_fraction(array, path)
    if array.dtype.kind not in "iu" or (array.dtype == np.int32 and path in INTEGERS):
        return array
    if path not in INTEGERS:
        return array.astype(np.float64)
    if array.size and array.max() > np.iinfo(np.int64).max:
        raise InvalidArgument(pointer_of(path), f"expected integers within int64; received {array.max()}. Correct it.")
    return array.astype(np.int64)


def _require_finite(leaf: Any, path: Path) -> None:
    """Raise InvalidArgument for NaN and infinities in what the options hold, which are JSON."""
    numbers = np.asarray(leaf)
    if numbers.dtype.kind != "f" or np.isfinite(numbers).all():
        return
    index = tuple(int(step) for step in np.argwhere(~np.isfinite(numbers))[0])
    raise InvalidArgument(
        pointer_of((*path, *map(str, index))),
        f"expected a finite number; received {numbers[index]}. Infinity in a formula is written inf.",
    )


def _without_fraction(array: NDArray[Any], path: Path) -> NDArray[Any]:
    """Return floats as int64; raises InvalidArgument with the place of the first one that is no integer."""
    if array.dtype.kind != "f":
        raise InvalidArgument(pointer_of(path), f"expected integers; received an array of {array.dtype}. Convert it.")
    wrong = np.argwhere((array != np.floor(array)) | (np.abs(array) > MAX_EXACT))
    if len(wrong):
        where = tuple(int(i) for i in wrong[0])
        advice = "Use a number without a fraction, of at most 2^53 in size."
        raise InvalidArgument(
            pointer_of((*path, *map(str, where))), f"expected an integer; received {array[where]!s}. {advice}"
        )
    return array.astype(np.int64)


def _pop_model(document: Document) -> str:
    """Remove the name of the score model, which is a part of the path of the request, and return it."""
    parameters = document.pop("score_model", {"name": "scaled_dot_product"})
    name = parameters.get("name") if isinstance(parameters, dict) else None
    if not isinstance(name, str):
        advice = "Add 'name': 'expression'." if isinstance(parameters, dict) and "formula" in parameters else "Add one."
        raise InvalidArgument("/score_model", f"expected a name, or a mapping with a name; received neither. {advice}")
    # A session sends the same document again.
    rest = {member: value for member, value in parameters.items() if member != "name"}
    if rest:
        document["score_model"] = rest
    return name


def _leaves(members: Mapping[str, Any], path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yield the path and the value of each member that is not an object, or an empty one."""
    for name, member in members.items():
        if isinstance(member, Mapping) and member:
            yield from _leaves(member, (*path, name))
        else:
            yield (*path, name), member
