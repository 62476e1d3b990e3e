"""The limits of the service under load and faults: the one table of them, which the tests assert.

``python -m tests.operations`` writes `docs/operations.md` from it.
"""

from enum import Enum
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "operations.md"

HEAD = """# Limits under load and faults

`tests/operations.py` holds these limits and writes this page. Tests assert each of them against a server process over a
socket, at the default settings or those named here; those of memories against the store in a directory.
[Operating memories](how-to/operating-memories.md) says which writes outlive which faults, and how to back memories up.

| Behaviour | Limit |
|---|---|
"""


class Limit(Enum):
    """A number that a test asserts: its value, its unit, and the behaviour that it limits."""

    FULL_QUEUE_REFUSAL = 0.5, "s", "Ten requests beyond a full queue are refused; those in it are answered"
    DEADLINE_IN_QUEUE = 1, "s", "A request that may wait 0.3 s is answered with 504, and never computed"
    DEADLINE_COMPUTING = 1.6, "s", "A computation that may take 0.8 s is stopped and answered with 504"
    CORES_AFTER_DISCONNECT = 0.2, "cores", "Processor use from 0.5 s after the client of a computation has gone"
    BYTES_REFUSAL = 4, "s", "A body for which `ATTENTION_BYTES_IN_FLIGHT` has no room for 2 s is refused with 429"
    SLOW_HEAD = 3, "s", "A head that comes byte by byte is refused with 408 where 1 s is allowed"
    SLOW_BODY = 3, "s", "A body that comes byte by byte is refused with 408 where 1 s is allowed"
    REFUSED_BODY = 10, "s", "The connection of a refused body that goes on for 300 MB ends"
    SMALL_REFUSED_BODIES = 1, "s", "Five refused bodies of 100 kB on one connection are answered"
    UNREAD_ANSWER = 12_000_000, "bytes", "Bytes sent of an answer of 16 MB that is not read for longer than 1 s"
    DRAIN = 10.5, "s", "After SIGTERM six requests in flight are answered and the process exits with code 0"
    DRAIN_CUT_SHORT = (
        3,
        "s",
        "A computation that 2 s to drain do not suffice for is answered with 503; exit code 0",
    )
    FIRST_PROCESS = 5, "s", "The first process of a container exits with code 0 after SIGTERM or SIGHUP"
    WORKER_REPLACED = 15, "s", "A worker that is killed is replaced; the others lose no request"
    WORKERS_CANNOT_START = 30, "s", "A service whose workers cannot start exits with code 3"
    BOMB_GROWTH = 32, "MiB", "Growth of memory by a compressed bomb, and by a body of 65 537 chunks"
    COSTLY_JSON_GROWTH = 256, "MiB", "Growth of memory by 31 MiB of JSON that is no tensor"
    REFUSED_GIBIBYTE_GROWTH = 8, "MiB", "Growth of memory by a refused body of 1 GiB"
    CONTAINER = 1024, "MiB", "Memory while 64 clients each send a body of one byte below the limit"
    LONGEST_PROBE = (
        1,
        "s",
        "Longest `/livez` beside clients that send the largest JSON or get the largest answers",
    )
    VANISHED_CLIENTS_GROWTH = 32, "MiB", "Growth of memory by 1 000 clients that vanish in the middle of a body"
    VANISHED_CLIENTS_FILES = 2, "descriptors", "Open files left by 1 000 clients that vanish in the middle of a body"
    TRAILERS_GROWTH = 8, "MiB", "Growth of memory by trailers that do not end"
    PLATEAU = 32, "MiB", "Growth of memory in the second half of 10 000 mixed requests"
    MEMORIES_OPEN = 1, "s", "Processor time to open the memories after `kill -9` of all their writers"
    RELAXED_APPEND = 0.1, "s", "An append to a memory whose `durability` is `relaxed` is on the disk"

    def __init__(self, number: float, unit: str, behaviour: str) -> None:
        self.number = number
        self.unit = unit
        self.behaviour = behaviour


def page() -> str:
    """Return the page of all limits."""
    numbers = [f"{one.number:_}".replace("_", " ") for one in Limit]
    rows = zip(Limit, numbers, strict=True)
    return HEAD + "".join(f"| {one.behaviour} | {number} {one.unit} |\n" for one, number in rows)


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
