"""Everything that /v1/memories does: put, append, describe, list, download, delete."""

from collections.abc import Sequence

from attention_core.arrays import FloatArray
from attention_core.dtypes import DTYPES, DType
from attention_wire.datatypes import BY_DTYPE
from service.codecs import json
from service.codecs.negotiate import JSON
from service.compute.contract import Body, Prepared, Reply, Run
from service.compute.documents import read_document
from service.compute.memory_download import download, held_bytes
from service.compute.memory_errors import errors_on_path
from service.compute.memory_shapes import require_fitting
from service.errors import InvalidRequest
from service.memories import (
    NAME,
    NAME_IN_WORDS,
    MemoryAccess,
    MemoryDescription,
    MemoryName,
    MemoryOptions,
    MemoryTensors,
    entity_tag,
)
from service.memories.errors import IncompatibleTensors, MemoryNotFound
from service.schemas.memories import MemoryAppendRequest, MemoryLabelsSchema, MemoryRequest, describe_memory
from service.schemas.parse import call_errors, parse
from service.settings import Settings

CACHING = "private, no-cache"
"""Caches keep an answer for its owner alone, and ask with its ETag before they use it."""


def require_writable_name(access: MemoryAccess, name: str) -> None:
    """Raise NotFound where no memories are kept, InvalidRequest for a text that cannot be the name of a memory."""
    with errors_on_path():
        access.memories.require_kept()
    if not NAME.fullmatch(name):
        raise InvalidRequest.at(
            "/name",
            f"expected {NAME_IN_WORDS}; received {name[:200]!r} in the path. Choose another name.",
        )


def require_name(access: MemoryAccess, name: str) -> None:
    """Raise NotFound where no memories are kept, and for a text that cannot be the name of a memory."""
    with errors_on_path():
        access.memories.require_kept()
        if not NAME.fullmatch(name):
            raise MemoryNotFound(MemoryName(access.owner, name))


def prepare_put(access: MemoryAccess, name: str, location: str, body: Body, settings: Settings) -> Prepared:
    """Read a memory to create or replace.

    :param access: memories of the request.
    :param name: of the memory.
    :param location: path of the memory, for the answer to a new one.

    Raises MalformedBody, InvalidRequest or TooLarge.
    """
    request = parse(MemoryRequest, read_document(body, settings))
    require_fitting(request.key, request.value, request.layout)
    options = MemoryOptions(
        dtype=request.dtype or "float64",
        layout=request.layout or "bhsd",
        ttl_seconds=request.ttl_seconds,
        durability=request.durability or "strict",
        note=request.note,
        shards=request.shards,
    )
    tensors = _tensors(request, options.dtype)
    if tensors.labels is not None:
        _check_labels(tensors.labels, _count_keys(request))

    def complete(_: Run) -> Reply:
        """Store the memory."""
        with errors_on_path():
            described, is_new = access.put(name, tensors, options)
        reply = described_reply(described)
        return reply._replace(status=201, headers={**reply.headers, "Location": location}) if is_new else reply

    return Prepared(0, _stored_bytes(tensors), complete, waits=True)


def prepare_append(access: MemoryAccess, name: str, body: Body, settings: Settings) -> Prepared:
    """Read keys to append to a memory, whose dtype decides how numbers are rounded.

    Raises MustWait, MalformedBody, InvalidRequest, TooLarge, NotFound, or another error of the memory.
    """
    access.require_thread()
    request = parse(MemoryAppendRequest, read_document(body, settings))
    with errors_on_path():
        dtype = access.describe(name).options.dtype
    received = request.dtype or dtype
    if received != dtype:
        raise InvalidRequest.at(
            "/dtype",
            f"expected {dtype}, the dtype of the memory, which safetensors calls {BY_DTYPE[dtype].safetensors_name}; "
            f"received {received}, {BY_DTYPE[received].safetensors_name}. Store the tensors in that type, or send "
            "JSON, whose numbers are rounded to it.",
        )
    tensors = _tensors(request, dtype)

    def complete(_: Run) -> Reply:
        """Append the keys; numbers of JSON are rounded again if a memory of another dtype has taken the place."""
        current, known = tensors, dtype
        with errors_on_path():
            while True:
                try:
                    return described_reply(access.append(name, current))
                except IncompatibleTensors:
                    before, known = known, access.describe(name).options.dtype
                    if known == before or request.dtype is not None:
                        raise
                    current = _tensors(request, known)

    return Prepared(0, _stored_bytes(tensors), complete, waits=True)


def prepare_delete(access: MemoryAccess, name: str, _: Body, __: Settings) -> Prepared:
    """Prepare the removal of a memory."""

    def complete(_: Run) -> Reply:
        """Remove the memory."""
        with errors_on_path():
            access.delete(name)
        return Reply(b"", JSON, status=204)

    return Prepared(0, 0, complete, waits=True)


def prepare_download(access: MemoryAccess, name: str, _: Body, settings: Settings) -> Prepared:
    """Prepare the tensors of a memory as a safetensors file; raises MustWait, NotFound, or an error of the memory."""
    access.require_thread()
    with errors_on_path():
        described = access.describe(name)
    unchanged = _unchanged(access, described)
    if unchanged is not None:
        return Prepared(0, 0, lambda _: unchanged)

    def complete(_: Run) -> Reply:
        """Open the memory."""
        with errors_on_path():
            snapshot = access.open(name)
        found = snapshot.description
        return _unchanged(access, found) or download(snapshot, _validators(found))

    return Prepared(0, min(held_bytes(described), settings.bytes_in_flight), complete, waits=True)


def read_description(access: MemoryAccess, name: str) -> Reply:
    """Return the description of a memory, or 304 to a client that has it; raises what `errors_on_path` raises."""
    with errors_on_path():
        described = access.describe(name)
    return _unchanged(access, described) or described_reply(described)


def read_list(access: MemoryAccess, limit: int, after: str) -> Reply:
    """Return the descriptions of the first memories whose names sort behind a text.

    :param access: memories of the request.
    :param limit: maximum number of descriptions.
    :param after: empty for the start of the list.

    Raises NotFound where no memories are kept, or an error of the store.
    """
    with errors_on_path():
        found = access.list(limit + 1, after)
    document = {
        "memories": [describe_memory(one) for one in found[:limit]],
        "next": found[limit - 1].name if len(found) > limit else None,
    }
    return Reply(json.encode(document), JSON, {"Cache-Control": CACHING})


def described_reply(described: MemoryDescription) -> Reply:
    """Return the answer with a description."""
    return Reply(json.encode(describe_memory(described)), JSON, _validators(described))


def _validators(described: MemoryDescription) -> dict[str, str]:
    return {"ETag": entity_tag(described.version), "Cache-Control": CACHING}


def _unchanged(access: MemoryAccess, described: MemoryDescription) -> Reply | None:
    """Return 304 where If-None-Match lists the version, else None; raise PreconditionFailed unless If-Match holds."""
    with errors_on_path():
        access.condition.check_match(MemoryName(access.owner, described.name), described.version)
    if not access.condition.excludes(described.version):
        return None
    return Reply(b"", JSON, _validators(described), 304)


def _tensors(request: MemoryRequest | MemoryAppendRequest, dtype: str) -> MemoryTensors:
    """Return tensors rounded to a dtype, in the NumPy type that the house has for it; raises InvalidRequest."""
    with call_errors():
        key = _rounded(request.key, DTYPES[dtype], "key")
        value = None if request.value is None else _rounded(request.value, DTYPES[dtype], "value")
    return MemoryTensors(key, value, _labels_of(request.labels), dtype)


def _rounded(array: FloatArray, dtype: DType, name: str) -> FloatArray:
    if dtype.narrow and array.dtype == dtype.numpy_dtype != dtype.compute:
        return array
    loaded = dtype.load(array, (name,))
    return loaded if loaded.dtype == dtype.numpy_dtype else dtype.store(loaded)


def _labels_of(labels: MemoryLabelsSchema | None) -> list[str] | None:
    return None if labels is None else labels.key


def _count_keys(request: MemoryRequest) -> int:
    axis = 1 if request.layout == "bshd" else request.key.ndim - 2
    return int(request.key.shape[axis])


def _check_labels(labels: Sequence[str], keys: int) -> None:
    if len(labels) != keys:
        detail = f"expected {keys} labels, one for each key; received {len(labels)}. Name each once."
        raise InvalidRequest.at("/labels/key", detail, "shape-mismatch")


def _stored_bytes(tensors: MemoryTensors) -> int:
    """Return about how many bytes writing holds beside the tensors: their bytes in the store, and the labels."""
    numbers = tensors.key.nbytes + (0 if tensors.value is None else tensors.value.nbytes)
    return numbers + sum(len(label) for label in tensors.labels or ())
