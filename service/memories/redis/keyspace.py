"""Names of keys: of one memory, and of all."""

from typing import Final
from urllib.parse import quote, unquote

from service.memories.naming import MemoryName

DEFAULT_PREFIX: Final = "attention:"


class KeySpace:
    """The keys of a store; stores with different prefixes share a server.

    :param prefix: of every key.
    """

    def __init__(self, prefix: str = DEFAULT_PREFIX) -> None:
        self.prefix = prefix
        self.total = f"{prefix}total"
        self.upkeep = f"{prefix}upkeep"

    def memory(self, name: MemoryName) -> str:
        """Return the key of the fields of a memory."""
        return f"{self.prefix}memory:{place_of(name)}"

    def chunk(self, segment_id: str, number: int) -> str:
        """Return the key of a chunk of a segment."""
        return f"{self.prefix}chunk:{segment_id}:{number}"

    def segment_chunks(self, segment_id: str, chunks: int) -> list[str]:
        """Return the keys of all chunks of a segment."""
        return [self.chunk(segment_id, number) for number in range(chunks)]


def escape(owner: str) -> str:
    """Return an owner as keys have it: no colon ends it early, whatever its characters."""
    return quote(owner, safe="", errors="surrogatepass")


def place_of(name: MemoryName) -> str:
    """Return a memory as keys have it: owner and name with a colon between them, which no owner has once escaped."""
    return f"{escape(name.owner)}:{name.name}"


def name_of(place: str) -> MemoryName:
    """Return the memory of a place that `place_of` returned."""
    owner, _, name = place.partition(":")
    return MemoryName(unquote(owner, errors="surrogatepass"), name)
