"""Hold a snapshot of a memory, and say how many bytes of its segment this process has, and shares, in memory.

``python -m tests.service.memories.sharing DIRECTORY NAME`` reads every page, prints "ready", and for each line of
standard input a line with the resident and the proportional KiB of the segment (proc(5), smaps).
"""

import re
import sys
from pathlib import Path

from service.memories import EmbeddedStore, MemoryName


def kib_of_segments():
    """Return the resident and the proportional KiB of mapped segments."""
    resident = proportional = 0
    for mapping in re.split(r"^(?=[0-9a-f]+-[0-9a-f]+ )", Path("/proc/self/smaps").read_text(), flags=re.MULTILINE):
        if ".safetensors" in mapping.partition("\n")[0]:
            resident += int(re.search(r"^Rss:\s+(\d+)", mapping, re.MULTILINE)[1])
            proportional += int(re.search(r"^Pss:\s+(\d+)", mapping, re.MULTILINE)[1])
    return resident, proportional


def main(directory, name):
    store = EmbeddedStore(directory)
    snapshot = store.snapshot(MemoryName("", name))
    float(snapshot.key.sum())
    print("ready", flush=True)
    for _ in sys.stdin:
        print(*kib_of_segments(), flush=True)
    store.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
