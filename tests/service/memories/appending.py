"""Append to one memory under conditions, beside other processes that do the same.

``python -m tests.service.memories.appending LOCATION FIRST COUNT`` appends the keys FIRST, FIRST + 1, …, each to the
version that it has read, and tries again where another process was faster.  Prints "ready", begins at a line of
standard input, and prints how often another was faster.
"""

import sys
import time

from service.memories import MemoryName, Precondition
from service.memories.errors import VersionMismatch
from tests.service.memories.locations import open_store_at
from tests.service.memories.numbered import tensors

NAME = MemoryName("", "shared")

PAUSE_SECONDS = 0.0005
"""Pause behind an append, in which the other process makes the next version."""


def main(location, first, count):
    store, refused = open_store_at(location), 0
    print("ready", flush=True)
    sys.stdin.readline()
    version = store.describe(NAME).version
    for number in range(first, first + count):
        while True:
            try:
                version = store.append(NAME, tensors([number]), Precondition(versions=(version,))).version
            except VersionMismatch as error:
                version = error.current
                refused += 1
            else:
                break
        time.sleep(PAUSE_SECONDS)
    store.close()
    print(refused)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
