"""One side of a comparison: a process that computes whenever it is asked to, in an environment of its own."""

import json
import os
import subprocess
import time
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from benchmarks.environments import ROOT, require_python
from benchmarks.pool import Pool
from benchmarks.work import Work

PAUSE_SECONDS = 0.25
"""Idle threads of OpenMP spin for about 0.2 s and would steal a core from the other side."""

WARM_UP = Work((1, 1, 256, 64))


class BackendFailed(Exception):
    """A backend ended instead of answering."""


@dataclass(frozen=True)
class Side:
    """A module of `backends` and how it is run."""

    backend: str
    environment: str | None = None
    """Whose packages it needs, see `environments`; None for the service's own."""
    variables: dict[str, str] = field(default_factory=dict)

    def growth(self, work: Work, threads: int) -> tuple[int, int]:
        """Return the peak of memory of one call, and the bytes of its result, in a process that did nothing else."""
        with BackendProcess(self, threads) as process:
            process.ask("seconds", WARM_UP)
            grown, held = process.ask("bytes", work)
            return grown, held


OURS, OUR_NUMPY, FIVE_LINES = "attention_core", "attention_core, NumPy alone", "NumPy, five lines"
PYTORCH, CDIST, PRODUCTS, SUM = "PyTorch", "PyTorch, cdist", "matrix products alone", "sum over K and V"
ONNXRUNTIME, JAX = "ONNX Runtime", "JAX"
SCALING = "scaling"

SIDES = {
    OURS: Side("attention_core"),
    OUR_NUMPY: Side("attention_core", None, {"ATTENTION_KERNEL": "numpy"}),
    FIVE_LINES: Side("numpy_lines"),
    PYTORCH: Side("pytorch", "pytorch"),
    CDIST: Side("pytorch", "pytorch", {"PAIRS": "cdist"}),
    PRODUCTS: Side("pytorch", "pytorch"),
    SUM: Side("pytorch", "pytorch"),
    ONNXRUNTIME: Side("onnxruntime", "onnxruntime"),
    JAX: Side("jax", "jax"),
    SCALING: Side("scaling"),
}


class BackendProcess:
    """A running backend with `threads` threads; see `backends/loop.py` for what it understands.

    With a `core` it stays on that one.
    """

    def __init__(self, side: Side, threads: int, core: str | None = None) -> None:
        self.side = side
        bound = [] if core is None else ["taskset", "--cpu-list", core]
        command = [*bound, require_python(side.environment), "-m", f"benchmarks.backends.{side.backend}", str(threads)]
        # On our side threads share the tiles; BLAS must not start any of its own beside them.
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", **side.variables}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT
        )

    def seconds(self, work: Work, calls: int = 1) -> float:
        """Return the mean duration of some calls in seconds."""
        answer: float = self.ask("seconds", work, calls)
        if self.side.environment is not None:
            time.sleep(PAUSE_SECONDS)
        return answer

    def ask(self, measure: str, work: Work = WARM_UP, calls: int = 1) -> Any:
        """Send one request and return its answer; raises BackendFailed if the process ends."""
        channel = self._process
        if channel.stdin is None or channel.stdout is None:
            raise RuntimeError("the process has no pipes")
        try:
            channel.stdin.write(json.dumps({"measure": measure, "calls": calls, "work": asdict(work)}) + "\n")
            channel.stdin.flush()
        except BrokenPipeError:
            raise BackendFailed(f"{self.side.backend} has ended") from None
        answer = channel.stdout.readline()
        if not answer:
            raise BackendFailed(f"{self.side.backend} ended with status {channel.wait()}")
        return json.loads(answer)

    def __enter__(self) -> Self:
        """Return the process itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let the process end."""
        self._process.communicate()


class Backends(Pool[BackendProcess]):
    """The processes of all sides, by name, with `threads` threads each."""

    def __init__(self, threads: int) -> None:
        super().__init__(lambda name: BackendProcess(SIDES[name], threads))

    def forget(self) -> None:
        """Free the inputs of all works so far; a process that has ended starts anew when it is next asked for."""
        for name, process in list(self.running.items()):
            try:
                process.ask("forget")
            except BackendFailed:
                del self.running[name]
