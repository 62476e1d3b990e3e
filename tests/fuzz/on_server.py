"""What the fuzzers of a running server share: its start and end, and the command line."""

import argparse
import asyncio
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from pathlib import Path

from tests.server import Server, running_server

Statuses = Counter[int | str]
"""How often each status was received, or another end of a connection."""

Result = tuple[Statuses, float, str]
"""The statuses, the duration in seconds, and the errors that the server logged."""


def fuzz_server(
    talk: Callable[[Server], Coroutine[None, None, Statuses]], directory: Path, *arguments: str, **settings: str
) -> Result:
    """Start a server of its own, talk to it, and end it; `arguments` and `settings` are those of `running_server`."""
    with running_server(directory, *arguments, LOG_LEVEL="error", **settings) as server:
        started = time.monotonic()
        statuses = asyncio.run(talk(server))
        seconds = time.monotonic() - started
        code, _ = server.stop()
        assert code == 0
        return statuses, seconds, server.log.read_text()


def run_from_command_line(
    fuzz: Callable[[int, int, Path], Result], description: str | None, unit: str, count: int
) -> int:
    """Fuzz `count` units from a seed, both of which are options; print the result and return the exit code.

    The code is 1 where the server logged an error or answered with 500.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(f"--{unit}", dest="count", type=int, default=count)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        statuses, seconds, log = fuzz(options.count, options.seed, Path(directory))
    print(f"{options.count} {unit} in {seconds:.0f} s: {dict(statuses.most_common())}")
    print(log, file=sys.stderr, end="")
    return 1 if log or statuses[500] else 0
