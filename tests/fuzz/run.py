"""Fuzz the decoders: ``python -m tests.fuzz.run --inputs 1000000``.

Fails when one is answered otherwise than documented, takes too long, or when memory grows; the input is then written to
``tests/fuzz/findings`` and belongs into the corpus once the defect is mended.
"""

import argparse
import faulthandler
import gc
import hashlib
import re
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.fuzz.mutation import Mutator
from tests.fuzz.targets import ACCEPTED, INPUT_PERCENTS, TARGETS, Target, corpus_of

FINDINGS = Path(__file__).parent / "findings"

MAX_SECONDS = 2.0
"""Maximum processor time for one input; most take some tens of microseconds."""

HANG_SECONDS = 30
"""Time for one batch, after which the run ends with a traceback of where it hangs."""

BATCH = 500

WARM_UP_FRACTION = 0.2
"""Part of the inputs that fills pools and caches; behind it memory must not grow."""

MAX_KINDS = 2000
"""Maximum kinds of refusals of a target: texts that quote the input could make each a kind of its own."""

MAX_GROWTH_BYTES = 48 * 1024 * 1024


class Finding(Exception):
    """An input that is a defect."""


@dataclass
class Tally:
    """Counts of the outcomes of one target."""

    accepted: int = 0
    refused: int = 0
    slowest: float = 0.0
    kinds: set[str] = field(default_factory=set)

    @property
    def inputs(self) -> int:
        return self.accepted + self.refused

    def __str__(self) -> str:
        return (
            f"{self.inputs:8} inputs, {self.accepted:7} accepted, {self.refused:7} refused in {len(self.kinds):4} ways"
            f", slowest {self.slowest * 1000:6.1f} ms"
        )


class Fuzzer:
    """Draws inputs for every target and counts the outcomes."""

    def __init__(self, seed: int) -> None:
        self.tallies = {name: Tally() for name in TARGETS}
        self._mutators = {name: Mutator(corpus_of(name), seed + place) for place, name in enumerate(TARGETS)}

    def run(self, inputs: int, seconds: float) -> int:
        """Try `inputs` inputs, or those that fit into `seconds`; return by how many bytes memory grew."""
        try:
            grown = self._run_batches(inputs, seconds)
        finally:
            # It would end a process that goes on after a finding.
            faulthandler.cancel_dump_traceback_later()
        if grown > MAX_GROWTH_BYTES:
            raise Finding(f"memory grew by {grown / 2**20:.1f} MiB")
        return grown

    def _run_batches(self, inputs: int, seconds: float) -> int:
        until, warm = time.monotonic() + seconds, 0
        started, done = time.monotonic(), 0
        while done < inputs and time.monotonic() < until:
            for name, percent in INPUT_PERCENTS.items():
                faulthandler.dump_traceback_later(HANG_SECONDS, exit=True)
                done += self._batch(name, min(inputs - done, BATCH * percent // 10))
            progress = max(done / inputs, (time.monotonic() - started) / seconds)
            if not warm and progress > WARM_UP_FRACTION:
                warm = resident_bytes()
        return resident_bytes() - warm

    def _batch(self, name: str, inputs: int) -> int:
        target, mutator, tally = TARGETS[name], self._mutators[name], self.tallies[name]
        for _ in range(inputs):
            data = mutator.next()
            outcome, seconds = judge(name, target, data)
            tally.slowest = max(tally.slowest, seconds)
            if outcome.startswith(ACCEPTED):
                tally.accepted += 1
            else:
                tally.refused += 1
            kind = re.sub(r"\d+|'[^']*'|\"[^\"]*\"", "#", outcome)[:200]
            if kind not in tally.kinds and len(tally.kinds) < MAX_KINDS:
                tally.kinds.add(kind)
                mutator.keep(data)
        return inputs


def judge(name: str, target: Target, data: bytes) -> tuple[str, float]:
    """Return the outcome of an input and the processor seconds it took; raise Finding for a defect."""
    started = time.process_time()
    try:
        outcome = target(data)
    except Exception as error:
        raise Finding(f"{name}: {type(error).__name__}: {error}; the input is {keep(name, data)}") from error
    seconds = time.process_time() - started
    if seconds > MAX_SECONDS:
        raise Finding(f"{name}: {seconds:.1f} s; the input is {keep(name, data)}")
    return outcome, seconds


def keep(name: str, data: bytes) -> Path:
    """Write an input to `FINDINGS`; return its path."""
    FINDINGS.mkdir(exist_ok=True)
    path = FINDINGS / f"{name}-{hashlib.sha256(data).hexdigest()[:12]}"
    path.write_bytes(data)
    return path


def resident_bytes() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=3600)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    fuzzer = Fuzzer(options.seed)
    started = time.monotonic()
    try:
        grown = fuzzer.run(options.inputs, options.seconds)
    except Finding as finding:
        print(f"FOUND: {finding}", file=sys.stderr)
        return 1
    for name, tally in fuzzer.tallies.items():
        print(f"{name:12} {tally}")
    total = sum(tally.inputs for tally in fuzzer.tallies.values())
    print(
        f"{total} inputs in {time.monotonic() - started:.0f} s, memory grew by {grown / 2**20:.1f} MiB; nothing found"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
