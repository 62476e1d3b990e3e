"""Write to a store until the disk is full, and see that the memory is as before after every write that failed.

``python -m tests.service.memories.filling DIRECTORY FILE_BYTES`` runs with files of at most FILE_BYTES (0: any length).
It puts and appends more and more keys, each way until StorageFull comes, then makes room by deleting, and goes on.
Prints the numbers of failed puts and appends.
"""

import resource
import sys
from pathlib import Path

from service.memories import EmbeddedStore, MemoryName
from service.memories.errors import StorageFull
from tests.service.memories.numbered import OPTIONS, numbers_of, tensors

SMALL = 100
"""Memories that are deleted while another program takes every byte that becomes free."""

NAME, OTHER = MemoryName("", "kept"), MemoryName("", "growing")


def main(directory, file_bytes):
    store = EmbeddedStore(directory, has_upkeep=False)
    if file_bytes:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, resource.RLIM_INFINITY))
    store.put(NAME, tensors([1, 2, 3]), OPTIONS)
    store.append(NAME, tensors([4]))
    failed = {"put": 0, "append": 0}
    for _ in range(2):
        failed["put"] += puts_until_full(directory, store)
        failed["append"] += appends_until_full(directory, store)
        store.delete(OTHER)
        store.append(NAME, tensors([5]))
        assert numbers_of(store.snapshot(NAME))[:4] == [1, 2, 3, 4]
    if not file_bytes:
        small = [MemoryName("", f"small-{place}") for place in range(SMALL)]
        for name in small:
            store.put(name, tensors([0]), OPTIONS)
        for place, name in enumerate(small):
            fill_to_the_last_byte(directory / f"other-{place}")
            store.delete(name)
        for path in directory.glob("other-*"):
            path.unlink()
        assert numbers_of(store.snapshot(NAME))[:4] == [1, 2, 3, 4]
    left_over = [path.name for path in directory.rglob("*.part")]
    assert not left_over, left_over
    store.close()
    print(failed["put"], failed["append"])


def fill_to_the_last_byte(path):
    """Leave no room for anything, as a program that writes to the same disk does."""
    size = 2**16
    with path.open("wb", buffering=0) as file:
        while size:
            try:
                file.write(bytes(size))
            except OSError:
                size //= 2


def puts_until_full(directory, store):
    """Replace a memory with twice the keys each time."""
    numbers = [0]
    store.put(OTHER, tensors(numbers), OPTIONS)
    while True:
        longer = list(range(2 * len(numbers)))
        before = store.describe(OTHER)
        try:
            store.put(OTHER, tensors(longer), OPTIONS)
        except StorageFull:
            check_unchanged(directory, store, before, numbers)
            return 1
        numbers = longer


def appends_until_full(directory, store):
    """Append more keys each time."""
    numbers = [0]
    store.put(OTHER, tensors(numbers), OPTIONS)
    while True:
        more = list(range(len(numbers), 2 * len(numbers)))
        before = store.describe(OTHER)
        try:
            store.append(OTHER, tensors(more))
        except StorageFull:
            check_unchanged(directory, store, before, numbers)
            return 1
        numbers += more


def check_unchanged(directory, store, before, numbers):
    """Fail unless the memory is as it was, for the store that failed and for one that is opened now."""
    assert numbers_of(store.snapshot(OTHER)) == numbers
    fresh = EmbeddedStore(directory, has_upkeep=False)
    for one in (store, fresh):
        assert one.describe(OTHER) == before
    assert numbers_of(fresh.snapshot(OTHER)) == numbers
    fresh.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
