"""Run a kernel's call in one or more threads, with progress and cancellation.

The kernel runs without the interpreter's lock.  A thread beside it polls `should_stop` and reports progress, but only
while a large call runs.
"""

import threading
from array import array
from typing import Any

import numpy as np

from attention_core.blockwise import Workers
from attention_core.errors import Stopped
from attention_core.interfaces import ProgressCallback, ShouldStop
from attention_core.native.library import FIELD_INDEX, Kernel, address_of

POLL_SECONDS = 0.01
"""Time between two looks at `should_stop`."""

MIN_MONITORED_OPERATIONS = 1 << 25
"""Operations of a call from which on a thread looks after it; smaller calls take a few milliseconds at most."""

MIN_SHARED_OPERATIONS = 1 << 23
"""Operations of a call from which on threads share it: others end before a second thread has started."""

ALIGNMENT = 64
"""Bytes of the widest vector, to which scratch memory is aligned."""

_N_TASKS, _TASKS_DONE, _CANCELLED = (FIELD_INDEX[name] for name in ("n_tasks", "tasks_done", "cancelled"))


def run_kernel(
    kernel: Kernel,
    request: "array[int]",
    type_character: str,
    operations: int,
    workers: Workers | None = None,
    should_stop: ShouldStop | None = None,
    progress: ProgressCallback | None = None,
) -> None:
    """Run all tasks of a call.

    :param kernel: the kernel.
    :param request: the packed call, whose arrays stay where they are until this function returns.
    :param type_character: "f" or "d", the compute type.
    :param operations: about how many floating-point operations the call takes.
    :param workers: threads that share the tasks; None for the calling thread alone.
    :param should_stop: called before the first task, and then about every 10 ms; None for never.
    :param progress: called about every 10 ms, and at the end, with the numbers of tasks done and in total.

    Raises Stopped once `should_stop` returns True, and what either function raises.
    """
    _check_cancelled(should_stop, "before the first tile")
    run, address = kernel.run[type_character], request.buffer_info()[0]
    size, n_tasks = kernel.scratch_size[type_character](address) + ALIGNMENT, request[_N_TASKS]

    def work(*_: Any) -> None:
        scratch = np.empty(size, np.uint8)
        begin = address_of(scratch)
        run(address, begin + -begin % ALIGNMENT)

    monitor = None
    if operations >= MIN_MONITORED_OPERATIONS and not (should_stop is None and progress is None):
        monitor = _Monitor(request, should_stop, progress)
    try:
        if workers is None or n_tasks == 1 or operations < MIN_SHARED_OPERATIONS:
            work()
        else:
            workers.run(work)
    finally:
        if monitor is not None:
            monitor.close()
    if monitor is not None:
        monitor.finish()
    elif progress is not None:
        progress(n_tasks, n_tasks)


def _check_cancelled(should_stop: ShouldStop | None, when: str) -> None:
    if should_stop is not None and should_stop():
        raise Stopped(f"stopped {when}")


class _Monitor:
    """A thread that calls `should_stop` and `progress` while a kernel runs."""

    def __init__(
        self, request: "array[int]", should_stop: ShouldStop | None, progress: ProgressCallback | None
    ) -> None:
        self._request, self._should_stop, self._progress = request, should_stop, progress
        self._reported = 0
        self._error: BaseException | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._poll, name="kernel-monitor", daemon=True)
        self._thread.start()

    def _poll(self) -> None:
        try:
            while not self._ended.wait(POLL_SECONDS):
                self._report()
                _check_cancelled(self._should_stop, "between tiles")
        except BaseException as error:  # noqa: BLE001 — raised again in the calling thread
            self._error = error
            self._request[_CANCELLED] = 1

    def _report(self) -> None:
        done = self._request[_TASKS_DONE]
        if self._progress is not None and done > self._reported:
            self._reported = done
            self._progress(done, self._request[_N_TASKS])

    def close(self) -> None:
        """End the thread."""
        self._ended.set()
        self._thread.join()

    def finish(self) -> None:
        """Report the end of the call; raise the error of the thread."""
        if self._error is not None:
            raise self._error
        self._report()
