"""Ray in this machine, for ATTENTION_RAY_ADDRESS=local: a child process that ends with the process that started it."""

import os
import secrets
import subprocess
import sys
import threading
import time
from contextlib import suppress
from tempfile import TemporaryFile
from typing import BinaryIO

LOCAL = "local"
"""The address that starts Ray in place."""

HEALTH_CHECKS = {
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_timeout_ms": "1000",
    "RAY_health_check_failure_threshold": "3",
    "RAY_health_check_initial_delay_ms": "1000",
}
"""With these a node that died is noticed, and its actors are back, after about 2 s; with Ray's own after 15 s."""

START_SECONDS = 120
"""Longest that Ray may take to start, which is 5 s on a machine with nothing else to do."""

NODE_SECONDS = 45
"""Longest wait for a node: its process ends by itself where one of its three agents takes more than 15 s to start."""

START = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_raylet_start_wait_time_s": str(NODE_SECONDS)}
"""Further variables of Ray, which waits 30 s for a node by itself."""

STOP_SECONDS = 10
"""Longest that Ray may take to end in order, after which it is killed."""

MIN_STORE_BYTES = 256 << 20
"""Smallest object store; Ray's own minimum is 75 MiB."""


class StartFailed(Exception):
    """Ray did not start; the text says why."""


class LocalRay:
    """A Ray cluster of one node, in a child process."""

    def __init__(self, process: "subprocess.Popen[bytes]", address: str) -> None:
        self._process = process
        self.address = address
        """Host and port to which drivers connect."""

    @classmethod
    def start(cls, cpus: int, store_bytes: int, closing: threading.Event) -> "LocalRay":
        """Start Ray and return it once drivers can connect; raises StartFailed.

        The environment gets the token that drivers of this cluster need, unless it has one: Ray listens on every
        address of the machine, and runs what a driver sends.

        :param cpus: tasks that run at a time.
        :param store_bytes: of the memory that holds arguments and results of tasks.
        :param closing: set when the service ends, and does not wait for Ray any more.
        """
        if "RAY_AUTH_MODE" not in os.environ:
            os.environ["RAY_AUTH_MODE"] = "token"
            os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
        command = [sys.executable, "-m", __name__, str(cpus), str(max(MIN_STORE_BYTES, store_bytes))]
        environment = {**HEALTH_CHECKS, **START, **os.environ}
        with TemporaryFile() as messages:
            process = subprocess.Popen(  # noqa: S603 — this interpreter and this module
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=messages, env=environment
            )
            address = _read_line(process, closing)
            if closing.is_set() and process.stdin is not None:
                # It ends Ray by itself, as soon as that has started.
                process.stdin.close()
                raise StartFailed("the service ends")
            if not address:
                process.kill()
                process.wait()
                raise StartFailed(_last_line(messages) or f"no answer within {START_SECONDS} s")
        return cls(process, address)

    @property
    def runs(self) -> bool:
        """Whether the process has not ended."""
        return self._process.poll() is None

    def close(self) -> None:
        """End Ray."""
        if self._process.stdin is not None:
            with suppress(OSError):
                self._process.stdin.close()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


def _read_line(process: "subprocess.Popen[bytes]", closing: threading.Event) -> str:
    """Return the first line that a process writes; an empty text if it ends, takes too long or is wanted no more."""
    if process.stdout is None:
        return ""
    os.set_blocking(process.stdout.fileno(), False)
    line, until = b"", time.monotonic() + START_SECONDS
    while not line.endswith(b"\n") and time.monotonic() < until and process.poll() is None:
        line += process.stdout.read() or b""
        if closing.wait(0.05):
            return ""
    return line.decode().strip()


def _last_line(messages: BinaryIO) -> str:
    messages.seek(0)
    lines = messages.read().decode(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def main() -> None:
    """Start Ray, write its address, and end it once the standard input is closed, however the parent ended."""
    import ray  # noqa: PLC0415 — an extra

    cpus, store_bytes = map(int, sys.argv[1:])
    # Ray writes what it says to the standard output, whose reader expects one line.
    written, sys.stdout = sys.stdout, sys.stderr
    ray.init(
        # Without an address Ray joins a cluster that runs on this machine already, or that RAY_ADDRESS names.
        address=LOCAL,
        num_cpus=cpus,
        object_store_memory=store_bytes,
        include_dashboard=False,
        log_to_driver=False,
        configure_logging=False,
        logging_level="ERROR",
    )
    print(ray.get_runtime_context().gcs_address, file=written, flush=True)
    sys.stdin.read()
    ray.shutdown()


if __name__ == "__main__":
    main()
