"""Arguments of a call as the document of POST /v1/attention, with arrays in place of lists."""

from collections.abc import Mapping, Sequence
from typing import Any, Unpack

from numpy.typing import ArrayLike

from attention_client.errors import InvalidArgument
from attention_client.hints import advice
from attention_client.names import OUTPUTS, UNIONS, VECTORS, Path
from attention_client.schema import Options
from attention_client.tensors import as_array
from attention_wire.datatypes import BY_DTYPE
from attention_wire.documents import expand_name, pointer

Document = dict[str, Any]

POSITIONAL = ("query", "key", "value")


def build_document(
    query: ArrayLike, key: ArrayLike, value: ArrayLike | None = None, **options: Unpack[Options]
) -> Document:
    """Return the document; arguments that are None are left out.

    :param query: queries, (…, Lq, D).
    :param key: keys, (…, Lk, D).
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
    vectors = {name: as_array(given[name], f"/{name}") for name in VECTORS if given.get(name) is not None}
    dtype, include = given.pop("dtype", None), given.pop("include", None)
    if dtype is None:
        names = {vectors[name].dtype.name for name in POSITIONAL if name in vectors}
        dtype = names.pop() if len(names) == 1 and names <= set(BY_DTYPE) else "float64"
    elif dtype not in BY_DTYPE:
        hint = advice(str(dtype), BY_DTYPE, "dtype")
        raise InvalidArgument("/dtype", f"expected one of {', '.join(BY_DTYPE)}; received {dtype!r}.{hint}")
    rest = {name: member for name, member in given.items() if name not in VECTORS}
    rest |= {name: expand_name(rest[name]) for name in UNIONS if name in rest}
    included = {} if include is None else {"include": list(include)}
    return {**vectors, **_convert(rest), "dtype": dtype, **included}


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
