"""The memories of a service: keys and values that are put once and queried often."""

from collections.abc import Sequence
from typing import Unpack

from numpy.typing import ArrayLike

from attention_client import calls, memory_calls
from attention_client.arguments import build_document
from attention_client.memory_calls import Durability, MemoryDescription, MemoryTensors
from attention_client.procedures import OfClient, awaited
from attention_client.progress import OnProgress
from attention_client.responses import AttentionResult
from attention_client.schema import DType, Layout, MemoryReference, Options


class Memories(OfClient):
    """The memories that a client may reach, as its attribute `memories`.

    A write with a precondition is tried again as any call is.  One without is tried again only where nothing can have
    happened: after 429, and where there was no connection.  The attribute `may_have_changed` of an error says whether
    a lost attempt may have written; ``memories.get(name)`` then tells the version that is there.

    >>> with AttentionClient("http://127.0.0.1:8000") as client:  # doctest: +SKIP
    ...     client.memories.put("heroes", key, value)
    ...     client.memories.query("heroes", query, include=["output"]).output
    """

    def put(
        self,
        name: str,
        key: ArrayLike,
        value: ArrayLike | None = None,
        *,
        labels: Sequence[str] | None = None,
        dtype: DType | None = None,
        layout: Layout | None = None,
        ttl_seconds: float | None = None,
        durability: Durability | None = None,
        note: str | None = None,
        shards: int | None = None,
        if_match: str | None = None,
        if_none_match: str | None = None,
    ) -> MemoryDescription:
        """Create a memory, or replace the one of this name; return the description of the new version.

        :param name: 1 to 128 ASCII letters, digits and ``._-``, the first a letter or digit.
        :param key: keys, (…, Lk, D), or packed (B, Lk, H·D): a query then says `heads`.
        :param value: values, (…, Lk, Dv); without them queries have no output.
        :param labels: a text for each key, for rankings and pictures; default none.
        :param dtype: how numbers are stored; default that of key and value if they share one, else float64.
        :param layout: order of the axes at rank 4: bhsd, the default, or bshd, (B, L, H, D).
        :param ttl_seconds: after the last read or write, when the memory is gone; default never.
        :param durability: when an append is acknowledged: strict, the default, once it is on the disk; relaxed, at most
            100 ms before it is, when it survives the end of the service but not that of the machine.
        :param note: any text of at most 1000 characters; default none.
        :param shards: processes of the service's Ray cluster that hold a range of the keys each; default by size.
        :param if_match: replace only this version; ``*`` is any.
        :param if_none_match: ``*`` creates only.

        Raises PreconditionFailed, TooLarge, InsufficientStorage, or what `AttentionClient.attend` raises.
        """
        options = {
            "labels": labels,
            "dtype": dtype,
            "layout": layout,
            "ttl_seconds": ttl_seconds,
            "durability": durability,
            "note": note,
            "shards": shards,
        }
        return self._run(memory_calls.put(name, key, value, options, if_match, if_none_match))

    def append(
        self,
        name: str,
        key: ArrayLike,
        value: ArrayLike | None = None,
        *,
        labels: Sequence[str] | None = None,
        dtype: DType | None = None,
        if_match: str | None = None,
    ) -> MemoryDescription:
        """Add keys behind those of a memory; return the description of the new version.

        :param name: of the memory.
        :param key: keys of the same shape but for their number.
        :param value: values, one for each key, exactly if the memory has values.
        :param labels: a text for each key, exactly if the memory has labels.
        :param dtype: that of the memory; default that of key and value if they share one, else float64.
        :param if_match: append only to this version, which makes it safe to try again.

        Raises NotFound, PreconditionFailed, ShapeMismatch, TooLarge, InsufficientStorage, or what
        `AttentionClient.attend` raises.
        """
        return self._run(memory_calls.append(name, key, value, {"labels": labels, "dtype": dtype}, if_match))

    def get(self, name: str) -> MemoryDescription:
        """Return the description of a memory, without its tensors; raises NotFound.

        :param name: of the memory.
        """
        return self._run(memory_calls.get(name))

    def tensors(self, name: str) -> MemoryTensors:
        """Return keys, values and labels of a memory; raises NotFound.

        :param name: of the memory.
        """
        return self._run(memory_calls.tensors(name))

    def delete(self, name: str, *, if_match: str | None = None) -> None:
        """Remove a memory; queries that are computed from it are answered.

        :param name: of the memory.
        :param if_match: remove only this version, which makes it safe to try again.

        Raises NotFound or PreconditionFailed.
        """
        return self._drive(memory_calls.remove(name, if_match))

    def query(
        self,
        name: str | tuple[str, str] | MemoryReference,
        query: ArrayLike,
        *,
        progress: OnProgress | None = None,
        **options: Unpack[Options],
    ) -> AttentionResult:
        """Return attention over the keys and values of a memory, as ``attend(query, memory=name)`` does.

        :param name: of the memory; ``(name, version)`` raises Conflict where that version is gone.
        :param query: queries, (…, Lq, D).  Without a dtype theirs is that of the call: give them that of the memory,
            since every call in another one converts keys and values.
        :param progress: called with each `Progress` of a long computation.
        :param options: as for `AttentionClient.attend`.
        """
        # A memory among the options is a TypeError of Python, as any argument that is given twice.
        return self._run(calls.attend(build_document(query, memory=name, **options), progress))  # type: ignore[misc]

    def list(self) -> list[MemoryDescription]:
        """Return the descriptions of all memories, by name; asks for as many pages as there are."""
        return self._drive(memory_calls.list_all())


class AsyncMemories(OfClient):
    """`Memories` with asyncio: the same arguments and results, and every call is awaited."""

    put = awaited(Memories.put)
    append = awaited(Memories.append)
    get = awaited(Memories.get)
    tensors = awaited(Memories.tensors)
    delete = awaited(Memories.delete)
    query = awaited(Memories.query)
    list = awaited(Memories.list)
