"""What a person passes, in the words of /v1/attention, and where the Open Inference Protocol keeps each of it."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import takewhile
from typing import Any, Literal, TypedDict, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from service.client.errors import InvalidArgument
from service.client.framing import FLOATS, Tensor, as_array, rounded, tensor

DType = Literal["float64", "float32", "float16", "bfloat16"]

Field = Literal["scores", "capped_scores", "logits", "weights", "output", "logsumexp", "present"]
"""What can be asked for as arrays."""

Named = str | Mapping[str, Any]
"""A name, or a mapping with the name and parameters, which may be arrays: ``{"name": "softmax", "temperature": 2}``."""


class Window(TypedDict, total=False):
    """Keys to the left and right of a query's position; what is left out is unbounded."""

    left: int | None
    right: int | None


class Mask(TypedDict, total=False):
    """Which keys a query may see; everything given must allow it."""

    allowed: ArrayLike | None
    causal: bool | None
    offset: int | Literal["bottom_right"] | ArrayLike | None
    window: Window | None
    key_lengths: ArrayLike | None
    query_segments: ArrayLike | None
    key_segments: ArrayLike | None


class Heads(TypedDict):
    """How many heads are packed into the last axis of rank-3 inputs."""

    query: int
    key_value: int


class Options(TypedDict, total=False):
    """Everything beside query, key and value; None is the default of the service."""

    score_model: Named | None
    normalizer: Named | None
    softcap: float | None
    mask: Mask | None
    bias: ArrayLike | None
    position: Named | None
    heads: Heads | None
    past_key: ArrayLike | None
    past_value: ArrayLike | None
    dtype: DType | None
    include: Sequence[Field] | None


Document = dict[str, Any]
Path = tuple[str, ...]

VECTORS = ("query", "key", "value", "past_key", "past_value")
"""Tensors that share the number type of the call."""

INPUTS: dict[Path, str] = {
    ("mask", "allowed"): "allowed",
    ("bias",): "bias",
    ("mask", "key_lengths"): "key_lengths",
    ("mask", "query_segments"): "query_segments",
    ("mask", "key_segments"): "key_segments",
    ("mask", "offset"): "offset",
    ("normalizer", "sink"): "sink",
    ("position", "slopes"): "alibi_slopes",
}
"""Other arrays, and what the protocol calls them; those of a score model keep their names."""

PARAMETERS: dict[Path, str] = {
    ("mask", "causal"): "causal",
    ("mask", "offset"): "offset",
    ("mask", "window", "left"): "window_left",
    ("mask", "window", "right"): "window_right",
    ("softcap",): "softcap",
    ("score_model", "scale"): "scale",
    ("score_model", "bandwidth"): "bandwidth",
    ("normalizer", "name"): "normalizer",
    ("normalizer", "temperature"): "temperature",
    ("normalizer", "sink"): "sink",
    ("normalizer", "alpha"): "alpha",
    ("heads", "query"): "query_heads",
    ("heads", "key_value"): "key_value_heads",
}
"""Single numbers and names; what is neither here nor an array travels as `options`, and the service judges it."""

OUTPUTS: dict[str, tuple[str, ...]] = {
    field: (field,) if field != "present" else ("present_key", "present_value") for field in get_args(Field)
}
"""Fields, and the outputs that they are."""


def document(
    query: ArrayLike,
    key: ArrayLike,
    value: ArrayLike | None = None,
    *,
    score_model: Named | None = None,
    normalizer: Named | None = None,
    softcap: float | None = None,
    mask: Mask | None = None,
    bias: ArrayLike | None = None,
    position: Named | None = None,
    heads: Heads | None = None,
    past_key: ArrayLike | None = None,
    past_value: ArrayLike | None = None,
    dtype: DType | None = None,
    include: Sequence[Field] | None = None,
) -> Document:
    """Return the arguments as the document of /v1/attention, arrays in place; None is left out."""
    vectors = {"query": query, "key": key, "value": value, "past_key": past_key, "past_value": past_value}
    arrays = {name: as_array(array, f"/{name}") for name, array in vectors.items() if array is not None}
    if dtype is not None and dtype not in FLOATS:
        raise InvalidArgument("/dtype", f"expected one of {', '.join(FLOATS)}; received {dtype!r}.")
    given: Document = {
        "score_model": _object(score_model),
        "normalizer": _object(normalizer),
        "softcap": softcap,
        "mask": mask,
        "bias": bias,
        "position": _object(position),
        "heads": heads,
    }
    shared = shared_dtype(*(arrays[name] for name in VECTORS[:3] if name in arrays))
    chosen: Document = {} if include is None else {"include": list(include)}
    return {**arrays, **_read(given), "dtype": dtype or shared, **chosen}


def shared_dtype(*arrays: NDArray[Any]) -> str:
    """Return the number type that query, key and value all have, else float64."""
    names = {array.dtype.name for array in arrays}
    return names.pop() if len(names) == 1 and names <= set(FLOATS) else "float64"


def _object(value: Named | None) -> Named | None:
    return {"name": value} if isinstance(value, str) else value


def _read(given: Mapping[str, Any], path: Path = ()) -> Document:
    """Read what is array-like and drop None; objects of nothing but None are dropped as well."""
    read: Document = {}
    for name, member in given.items():
        inside = (*path, name)
        if isinstance(member, Mapping):
            if (members := _read(member, inside)) or not member:
                read[name] = members
        elif isinstance(member, str | bool | int | float):
            read[name] = member
        elif member is not None:
            array = as_array(member, pointer_to(inside))
            read[name] = array if array.ndim else array.item()
    return read


def pointer_to(path: Path) -> str:
    """Return the JSON Pointer of a place in the document."""
    return "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in path)


class Placed:
    """A document taken apart into what the protocol carries, remembering where each part came from."""

    def __init__(self, whole: Document) -> None:
        self.tensors: list[Tensor] = []
        self.parameters: Document = {}
        self.options: Document = {}
        self._origin: dict[str, Path] = {}
        self._optional: list[Path] = []
        for name in VECTORS:
            if name in whole:
                self._add(rounded(name, whole[name], whole["dtype"], f"/{name}"), (name,))
        rest = {name: member for name, member in whole.items() if name not in (*VECTORS, "dtype", "include")}
        self.model = _take_model(rest)
        for path, leaf in _leaves(rest):
            self._place(path, leaf)
        self.outputs: list[str] = []
        for position, field in enumerate(require_arrays(whole.get("include"))):
            for output in OUTPUTS[field]:
                self._origin[f"/outputs/{len(self.outputs)}"] = ("include", str(position))
                self.outputs.append(output)

    def _place(self, path: Path, leaf: Any) -> None:
        if isinstance(leaf, np.ndarray) and (path in INPUTS or path[0] == "score_model"):
            self._add(tensor(INPUTS.get(path, path[-1]), leaf), path)
        elif not isinstance(leaf, np.ndarray) and path in PARAMETERS:
            self._origin[f"/parameters/{PARAMETERS[path]}"] = path
            self.parameters[PARAMETERS[path]] = leaf
        else:
            self._optional.append(path)
            *parents, last = path
            inside = self.options
            for step in parents:
                inside = inside.setdefault(step, {})
            inside[last] = leaf.tolist() if isinstance(leaf, np.ndarray) else leaf

    def _add(self, one: Tensor, path: Path) -> None:
        self._origin[f"/inputs/{len(self.tensors)}"] = path
        self.tensors.append(one)

    def located(self, pointer: str) -> str:
        """Return where in the document of /v1/attention that is which the service points to in the request.

        Of what travels as options the service points to all at once: that is what they have in common.  What is
        missing stands nowhere: that is the whole.
        """
        part = "/".join(pointer.split("/")[:3])
        if part == "/parameters/options":
            together = takewhile(lambda steps: len(set(steps)) == 1, zip(*self._optional, strict=False))
            return pointer_to(tuple(steps[0] for steps in together))
        return pointer_to(self._origin.get(part, ()))


def _take_model(rest: Document) -> str:
    """Take the name of the score model, which the path of the request carries, out of a document."""
    parameters = rest.pop("score_model", {"name": "scaled_dot_product"})
    name = parameters.pop("name", None) if isinstance(parameters, dict) else None
    if not isinstance(name, str):
        raise InvalidArgument("/score_model", "expected a name, or a mapping with a name; received neither.")
    if parameters:
        rest["score_model"] = parameters
    return name


def _leaves(inside: Mapping[str, Any], path: Path = ()) -> Iterator[tuple[Path, Any]]:
    for name, member in inside.items():
        if isinstance(member, Mapping) and member:
            yield from _leaves(member, (*path, name))
        else:
            yield (*path, name), member


def require_arrays(include: Sequence[str] | None) -> Sequence[str]:
    """Return the fields to name in a request, all of them arrays; none names the default of the service."""
    if include is None:
        return ()
    known = f"expected one or more of {', '.join(OUTPUTS)}, which are arrays"
    if not include:
        raise InvalidArgument("/include", f"{known}; received none.")
    for position, field in enumerate(include):
        if field not in OUTPUTS:
            raise InvalidArgument(f"/include/{position}", f"{known}; received {field!r}.")
    return include
