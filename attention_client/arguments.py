"""Arguments of a call as the document of POST /v1/attention, with arrays in place of lists."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Unpack

from numpy.typing import ArrayLike, NDArray

from attention_client.errors import InvalidArgument
from attention_client.hints import advice
from attention_client.names import MEMORY_NAME, OUTPUTS, UNIONS, VECTORS, Path
from attention_client.schema import Options
from attention_client.tensors import as_array
from attention_wire.datatypes import BY_DTYPE
from attention_wire.documents import expand_name, pointer

Document = dict[str, Any]

POSITIONAL = ("query", "key", "value")


BESIDE_MEMORY = ("key", "value", "past_key", "past_value")
"""Arguments that a memory takes the place of; the first two are appended to it."""


def build_document(
    query: ArrayLike, key: ArrayLike | None = None, value: ArrayLike | None = None, **options: Unpack[Options]
) -> Document:
    """Return the document; arguments that are None are left out.

    :param query: queries, (…, Lq, D).
    :param key: keys, (…, Lk, D); None with a memory, unless they are appended to it.
    :param value: values, (…, Lk, Dv), or None.
    :param options: see `Options`.

    The dtype is the one that query, key and value share, else float64, unless it is given.  Raises InvalidArgument for
    what cannot be put on the wire, and TypeError for an unknown argument.
    """
    given: Document = {"query": query, "key": key, "value": value, **options}
    for name in options:
        if name not in Options.__annotations__:
            known = (*POSITIONAL, *Options.__annotations__)
            hint = advice(name, known, "field") or f" Known arguments are {', '.join(known)}."
            raise TypeError(f"unexpected keyword argument {name!r}.{hint}")
    memory = _memory_of(given)
    vectors = {name: as_array(given[name], f"/{name}") for name in VECTORS if given.get(name) is not None}
    dtype = shared_dtype([vectors[name] for name in POSITIONAL if name in vectors], given.pop("dtype", None))
    include = given.pop("include", None)
    rest = {name: member for name, member in given.items() if name not in (*VECTORS, "memory")}
    rest |= {name: expand_name(rest[name]) for name in UNIONS if name in rest}
    included = {} if include is None else {"include": list(include)}
    return {**vectors, **_convert(rest), **memory, "dtype": dtype, **included}


def shared_dtype(arrays: Iterable[NDArray[Any]], dtype: str | None) -> str:
    """Return the number type of a call.

    :param arrays: query, key and value.
    :param dtype: as the caller gives it; None for the one that the arrays share, else float64.

    Raises InvalidArgument for a type that does not exist.
    """
    if dtype is None:
        names = {array.dtype.name for array in arrays}
        return names.pop() if len(names) == 1 and names <= set(BY_DTYPE) else "float64"
    if dtype not in BY_DTYPE:
        hint = advice(str(dtype), BY_DTYPE, "dtype")
        raise InvalidArgument("/dtype", f"expected one of {', '.join(BY_DTYPE)}; received {dtype!r}.{hint}")
    return dtype


def _memory_of(given: Document) -> Document:
    """Return the document's member `memory`, or none; raises InvalidArgument unless there are keys or a memory."""
    memory, appends = given.get("memory"), bool(given.get("append"))
    if memory is None:
        if appends:
            raise InvalidArgument("/append", "expected a memory to append to; received none. Name it with memory=.")
        if given["key"] is None:
            raise InvalidArgument("/key", "expected keys, or memory= with the name of a memory; received neither.")
        return {}
    if appends and given["key"] is None:
        raise InvalidArgument("/key", "expected the keys to append; received none. Leave append out to read alone.")
    for name in BESIDE_MEMORY[2 * appends :]:
        if given.get(name) is not None:
            advice = "Leave out one of them." if appends else "Leave out one of them, or add append=True."
            raise InvalidArgument(
                f"/{name}", f"expected nothing beside memory, which has keys and values; received {name}. {advice}"
            )
    if isinstance(memory, str):
        memory = {"name": memory}
    elif isinstance(memory, tuple) and len(memory) == 2:
        memory = dict(zip(("name", "version"), memory, strict=True))
    if not isinstance(memory, Mapping):
        raise InvalidArgument("/memory", f"expected a name, or (name, version); received {memory!r:.80}.")
    check_memory_name(memory.get("name"), "/memory")
    return {"memory": {name: member for name, member in memory.items() if member is not None}}


def check_memory_name(name: Any, place: str = "/name") -> str:
    """Return the name of a memory; raises InvalidArgument for what cannot be one.

    :param place: JSON Pointer to the argument.
    """
    if not isinstance(name, str) or not MEMORY_NAME.fullmatch(name):
        raise InvalidArgument(
            place,
            "expected a name of 1 to 128 characters: ASCII letters and digits, behind the first also . _ and -; "
            f"received {str(name)[:80]!r}. Rename it.",
        )
    return name


def _convert(given: Mapping[str, Any], path: Path = ()) -> Document:
    """Return members with arrays for array-likes; None is dropped, and so are objects that hold nothing else."""
    converted: Document = {}
    for name, member in given.items():
        inside = (*path, name)
        if isinstance(member, Mapping):
            if (members := _convert(member, inside)) or not member:
                converted[name] = members
        elif isinstance(member, str | bool | int | float):
            converted[name] = member
        elif callable(member) and not hasattr(member, "__array__"):
            raise InvalidArgument(
                pointer(inside),
                "expected numbers, texts or mappings; received a function. Functions are not sent: write a formula, "
                "such as {'formula': 'score + slope * (j - p)'}.",
            )
        elif member is not None:
            array = as_array(member, pointer(inside))
            converted[name] = array if array.ndim else array.item()
    return converted


def check_include(include: Sequence[str] | None) -> Sequence[str]:
    """Return the results to ask for; empty for the default of the service.

    Raises InvalidArgument for an empty list and for a result that is not an array.
    """
    if include is None:
        return ()
    expected = f"expected one or more of {', '.join(OUTPUTS)}, which are arrays"
    if not include:
        raise InvalidArgument("/include", f"{expected}; received none.")
    for position, field in enumerate(include):
        if field not in OUTPUTS:
            hint = advice(str(field), OUTPUTS, "include")
            raise InvalidArgument(f"/include/{position}", f"{expected}; received {field!r}.{hint}")
    return include
