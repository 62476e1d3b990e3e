"""Kill writers of a store with SIGKILL at random moments; every acknowledged write must be there, and whole.

``python -m tests.service.memories.killing LOCATION JOURNALS KILLS SEED`` runs rounds of several writers.  Each writer
owns a few names, and all of them append to one more.  Before a write a writer notes in a journal of its own which one
it will be, and afterwards that it is done.  Once all are killed, the store is opened, and each memory must be as the
journals say: with or without the one write that was under way.  Prints counts, and the processor time of opening, as
JSON.
"""

import json
import os
import random
import signal
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

from service.memories import MemoryName, StoreLimits, append_log, background, redis, writing
from service.memories.errors import MemoryNotFound
from tests.service.memories.locations import held_at, open_store_at
from tests.service.memories.numbered import OPTIONS, numbers_of, tensors

WRITERS = 4
NAMES = 3
NUMBERS = 80_000
"""Keys that a writer may number; float32 holds all whole numbers up to 2²⁴, enough for 200 writers."""
SHARED = MemoryName("", "shared")
LIMITS = StoreLimits(idle_seconds=0.05)
DURABILITIES = ("strict", "relaxed")


def quicken():
    """Make logs, records and intervals so small that rotations, merges and sweeps go on all the time."""
    writing.MIN_LOG_BYTES = append_log.MIN_LOG_BYTES = 16 * 1024
    writing.MAX_LOG_BYTES = append_log.MAX_LOG_BYTES = 64 * 1024
    writing.MAX_RECORD_BYTES = 12 * 1024
    background.INTERVAL_SECONDS = 0.02
    background.MIN_MERGED_BYTES = 32 * 1024
    redis.writing.MAX_RECORD_BYTES = 12 * 1024
    redis.segments.CHUNK_BYTES = 20_000
    redis.upkeep.MAX_TAIL_RECORDS = 20
    redis.upkeep.CLAIM_SECONDS = 1


def write(location, journals, writer, seed, start):
    """Write until killed; numbers of keys count from `start`."""
    quicken()
    chance, store = random.Random(seed), open_store_at(location, LIMITS)
    journal = os.open(journals / f"writer-{writer}.journal", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    held: dict[str, bool] = {}
    number = start
    while True:
        name = f"own-{writer}-{chance.randrange(NAMES)}"
        kinds = ["put", "shared", *(["append"] * 6 + ["delete"] if held.get(name, exists(store, name)) else [])]
        kind = chance.choice(kinds)
        count = chance.choice((1, 1, 1, 3, 40, 120)) if kind != "delete" else 0
        numbers = list(range(number, number + count))
        number += count
        assert number <= start + NUMBERS
        note(journal, {"kind": kind, "name": SHARED.name if kind == "shared" else name, "numbers": numbers})
        if kind == "put":
            store.put(MemoryName("", name), tensors(numbers), replace(OPTIONS, durability=chance.choice(DURABILITIES)))
        elif kind == "append":
            store.append(MemoryName("", name), tensors(numbers))
        elif kind == "shared":
            store.append(SHARED, tensors(numbers))
        else:
            store.delete(MemoryName("", name))
        note(journal, "done")
        held[name] = held.get(name, False) if kind == "shared" else kind != "delete"
        if kind == "shared":
            held.pop(name)


def exists(store, name):
    """Return whether there is a memory of a name."""
    try:
        store.describe(MemoryName("", name))
    except MemoryNotFound:
        return False
    return True


def note(journal, entry):
    """Add a line to a journal: it is there whatever happens to the process."""
    os.write(journal, json.dumps(entry).encode() + b"\n")


def apply(state, entry):
    """Return the numbers of a memory after a write, None for none."""
    if entry["kind"] == "delete":
        return None
    if entry["kind"] == "put":
        return entry["numbers"]
    return state + entry["numbers"]


class Expected:
    """What the memories must hold, as the journals say."""

    def __init__(self):
        self.own = {f"own-{writer}-{place}": None for writer in range(WRITERS) for place in range(NAMES)}
        self.shared = set()
        self.count = Counter()

    def check(self, journals, store):
        """Read the journals, compare them with the store, and go on from what it holds."""
        for writer in range(WRITERS):
            journal = journals / f"writer-{writer}.journal"
            lines = [json.loads(line) for line in journal.read_text().splitlines()] if journal.exists() else []
            journal.unlink(missing_ok=True)
            pending = lines.pop() if lines and lines[-1] != "done" else None
            for entry in lines[::2]:
                self.count[entry["kind"]] += 1
                if entry["kind"] == "shared":
                    self.shared.update(entry["numbers"])
                else:
                    self.own[entry["name"]] = apply(self.own[entry["name"]], entry)
            self.count["pending"] += pending is not None
            for place in range(NAMES):
                self._check_own(store, f"own-{writer}-{place}", pending)
        found = numbers_of(store.snapshot(SHARED))
        assert len(found) == len(set(found)), "a key was appended twice"
        assert self.shared <= set(found), f"lost: {sorted(self.shared - set(found))[:10]}"
        self.shared = set(found)

    def _check_own(self, store, name, pending):
        try:
            found = numbers_of(store.snapshot(MemoryName("", name)))
        except MemoryNotFound:
            found = None
        allowed = [self.own[name]]
        if pending is not None and pending["name"] == name:
            allowed.append(apply(self.own[name], pending))
        assert found in allowed, f"{name}: found {short(found)}, expected one of {list(map(short, allowed))}"
        self.count["found pending"] += len(allowed) > 1 and found == allowed[1]
        self.own[name] = found


def short(numbers):
    """Return the length and the ends of a list for a message."""
    return numbers if numbers is None else (len(numbers), numbers[:3], numbers[-3:])


def run(location, journals, kills, seed):
    """Kill at least this many writers; return counts, and the longest processor time of opening the store."""
    chance, expected, slowest = random.Random(seed), Expected(), 0.0
    store = open_store_at(location, LIMITS)
    store.put(SHARED, tensors([]), OPTIONS)
    store.close()
    for turn in range(-(-kills // WRITERS)):
        children = [
            fork(location, journals, writer, chance.getrandbits(32), NUMBERS * (WRITERS * turn + writer))
            for writer in range(WRITERS)
        ]
        for writer, child in enumerate(children):
            wait_for_lines(journals / f"writer-{writer}.journal", chance.randrange(4, 150), child)
            time.sleep(chance.uniform(0, 0.02))
            os.kill(child, signal.SIGKILL)
        for child in children:
            _, status = os.waitpid(child, 0)
            assert os.WTERMSIG(status) == signal.SIGKILL, f"a writer ended with status {status}"
        started = time.process_time()
        store = open_store_at(location, LIMITS, has_upkeep=False)
        store.list("", 1000)
        slowest = max(slowest, time.process_time() - started)
        expected.check(journals, store)
        store.sweep()
        assert held_at(location).bytes == store.usage().bytes, "segments or appends are left over, or missing"
        store.close()
    return {"kills": WRITERS * -(-kills // WRITERS), "processor seconds to open": round(slowest, 3), **expected.count}


def wait_for_lines(journal, lines, child):
    """Wait until a journal has this many lines."""
    while not journal.exists() or journal.read_bytes().count(b"\n") < lines:
        ended, status = os.waitpid(child, os.WNOHANG)
        assert not ended, f"a writer ended with status {status}"
        time.sleep(0.002)


def fork(location, journals, writer, seed, start):
    """Start a writer; this process has no threads and no open store."""
    child = os.fork()
    if child == 0:
        try:
            write(location, journals, writer, seed, start)
        finally:
            os._exit(1)
    return child


if __name__ == "__main__":
    print(json.dumps(run(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))))
