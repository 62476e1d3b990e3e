"""The requests of /v1/memories, and what their responses hold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from urllib.parse import quote, urlencode

from numpy.typing import ArrayLike

from attention_client import safetensors
from attention_client.arguments import Document, check_memory_name, shared_dtype
from attention_client.calls import Call, preconditions
from attention_client.errors import InvalidArgument, NotFound, UnreadableAnswer
from attention_client.procedures import Procedure
from attention_client.responses import FloatArray, Reply, read_entity_tag, read_json
from attention_client.tensors import as_array
from attention_wire.safetensors import REQUEST

MEMORIES = "/v1/memories"

Durability = Literal["strict", "relaxed"]
"""When an append is acknowledged: once it is on the disk, or at most 100 ms before it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryDescription:
    """One version of a memory without its tensors.

    :param name: of the memory.
    :param version: opaque, and never used twice for a name.
    :param key_shape: (…, Lk, D), or packed (B, Lk, H·D), or in the layout bshd (B, Lk, H, D).
    :param value_shape: as `key_shape`; None without values.
    :param keys: number of keys, Lk.
    :param dtype: how numbers are stored.
    :param layout: order of the axes at rank 4, bhsd or bshd.
    :param bytes: of tensors and labels as they are stored.
    :param labels: whether the keys have labels.
    :param created: when the memory was put.
    :param modified: when this version was made.
    :param expires: when it is gone unless it is used before; None for never.
    :param ttl_seconds: as it was put; None for ever.
    :param durability: of appends, as it was put.
    :param note: as it was put; None for none.
    :param shards: as it was put; None for a number by its size, and from a service without shards.
    """

    name: str
    version: str
    key_shape: tuple[int, ...]
    value_shape: tuple[int, ...] | None
    keys: int
    dtype: str
    layout: str
    bytes: int
    labels: bool
    created: datetime
    modified: datetime
    expires: datetime | None
    ttl_seconds: float | None
    durability: Durability
    note: str | None
    shards: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryTensors:
    """The tensors of one version of a memory.

    :param key: keys, in the type of the memory; bfloat16 is held in float32.
    :param value: values; None for none.
    :param labels: a text for each key; None for none.
    :param version: of the memory.
    """

    key: FloatArray
    value: FloatArray | None
    labels: tuple[str, ...] | None
    version: str


@dataclass(frozen=True, slots=True)
class Page:
    """A part of the list of memories.

    :param memories: their descriptions.
    :param after: the name behind which the next part begins; None at the end of the list.
    """

    memories: list[MemoryDescription]
    after: str | None


def put(
    name: str,
    key: ArrayLike,
    value: ArrayLike | None,
    options: Mapping[str, Any],
    if_match: str | None = None,
    if_none_match: str | None = None,
) -> Call[MemoryDescription]:
    """Return a request to create or replace a memory.

    :param options: dtype, labels, layout, ttl_seconds, durability, note and shards; None is the default.

    The other parameters are those of `Memories.put`.  Raises InvalidArgument.
    """
    condition = preconditions(if_match=if_match, if_none_match=if_none_match)
    return _write("PUT", _path(name), _tensors_document(key, value, options), condition)


def append(
    name: str, key: ArrayLike, value: ArrayLike | None, options: Mapping[str, Any], if_match: str | None = None
) -> Call[MemoryDescription]:
    """Return a request to add keys behind those of a memory; parameters as for `put`."""
    condition = preconditions(if_match=if_match)
    return _write("POST", f"{_path(name)}/append", _tensors_document(key, value, options), condition)


def get(name: str) -> Call[MemoryDescription]:
    """Return a request for the description of a memory."""
    return Call("GET", _path(name), read_description)


def page(after: str | None) -> Call[Page]:
    """Return a request for the descriptions behind a name; None for the first of them."""
    query = "" if after is None else f"?{urlencode({'after': after}, quote_via=quote)}"
    return Call("GET", f"{MEMORIES}{query}", _read_page)


def tensors(name: str) -> Call[MemoryTensors]:
    """Return a request for the tensors of a memory."""
    return Call("GET", f"{_path(name)}/tensors", _read_tensors, headers={"Accept": safetensors.MEDIA_TYPE})


def delete(name: str, if_match: str | None = None) -> Call[None]:
    """Return a request to remove a memory."""
    condition = preconditions(if_match=if_match)
    return Call("DELETE", _path(name), lambda _: None, headers=condition, writes=True, is_conditional=bool(condition))


def list_all() -> Procedure[list[MemoryDescription]]:
    """Return all descriptions, page by page."""
    found: list[MemoryDescription] = []
    after: str | None = None
    while True:
        part: Page = yield page(after)
        found += part.memories
        after = part.after
        if after is None:
            return found


def remove(name: str, if_match: str | None = None) -> Procedure[None]:
    """Remove a memory; one that a lost attempt has removed is no error."""
    try:
        yield delete(name, if_match)
    except NotFound as error:
        if not error.may_have_changed:
            raise


def _path(name: str) -> str:
    return f"{MEMORIES}/{quote(check_memory_name(name), safe='')}"


def _tensors_document(key: ArrayLike, value: ArrayLike | None, options: Mapping[str, Any]) -> Document:
    """Return the body: keys and values as arrays, and the options that are not None."""
    arrays = {"key": as_array(key, "/key")}
    if value is not None:
        arrays["value"] = as_array(value, "/value")
    given = {name: option for name, option in options.items() if option is not None}
    labels = given.pop("labels", None)
    if labels is not None:
        given["labels"] = {"key": _texts(labels)}
    return {**given, **arrays, "dtype": shared_dtype(arrays.values(), given.get("dtype"))}


def _texts(labels: Sequence[str]) -> list[str]:
    if isinstance(labels, str):
        raise InvalidArgument("/labels", f"expected a text for each key; received the text {labels!r:.80}.")
    return [str(label) for label in labels]


def _write(method: str, path: str, document: Document, condition: Mapping[str, str]) -> Call[MemoryDescription]:
    return Call(
        method,
        path,
        read_description,
        safetensors.write(document),
        {"Content-Type": safetensors.MEDIA_TYPE, **condition},
        may_be_compressed=True,
        writes=True,
        is_conditional="If-Match" in condition or condition.get("If-None-Match") == "*",
    )


def read_description(reply: Reply) -> MemoryDescription:
    """Return the description that a response holds; raises UnreadableAnswer."""
    return _description_of(read_json(reply))


def _description_of(document: Any) -> MemoryDescription:
    try:
        value_shape = document["shape"]["value"]
        return MemoryDescription(
            key_shape=tuple(document["shape"]["key"]),
            value_shape=None if value_shape is None else tuple(value_shape),
            created=datetime.fromisoformat(document["created"]),
            modified=datetime.fromisoformat(document["modified"]),
            expires=None if document["expires"] is None else datetime.fromisoformat(document["expires"]),
            shards=document.get("shards"),
            **{name: document[name] for name in AS_THEY_ARE},
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UnreadableAnswer(f"expected the description of a memory; received something else: {error!r}") from None


AS_THEY_ARE = ("name", "version", "keys", "dtype", "layout", "bytes", "labels", "ttl_seconds", "durability", "note")
"""Members of a description that JSON holds as Python does."""


def _read_page(reply: Reply) -> Page:
    document = read_json(reply)
    memories, after = document.get("memories"), document.get("next")
    if not isinstance(memories, list) or not isinstance(after, str | None):
        raise UnreadableAnswer("expected a list of memories; received none.")
    return Page([_description_of(one) for one in memories], after)


def _read_tensors(reply: Reply) -> MemoryTensors:
    document, arrays = safetensors.read(reply.content, REQUEST)
    labels, version = (document.get("labels") or {}).get("key"), read_entity_tag(reply.headers.get("etag"))
    if "key" not in arrays or version is None:
        raise UnreadableAnswer("expected the tensor key, and a version as ETag; received one of them at most.")
    return MemoryTensors(
        key=arrays["key"],
        value=arrays.get("value"),
        labels=None if labels is None else tuple(labels),
        version=version,
    )
