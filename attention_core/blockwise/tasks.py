"""Run the tasks of one call in several threads."""

import threading
from collections.abc import Callable, Iterable
from typing import TypeVar

import numpy as np

from attention_core.blockwise.work_monitor import WorkMonitor
from attention_core.blockwise.workers import Workers

Task = TypeVar("Task")


def run_tasks(
    tasks: Iterable[Task],
    run_task: Callable[[Task], None],
    workers: Workers,
    monitor: WorkMonitor,
    max_threads: int | None = None,
) -> None:
    """Run every task once, in the calling thread and in the helpers that `workers` has free.

    :param tasks: taken in order, by one thread at a time.
    :param run_task: called with each task.
    :param workers: pool of helpers.
    :param monitor: receives the first error of any thread.
    :param max_threads: maximum threads that take tasks, ≥ 1; default as many as are free.

    Raises the first error of any thread.
    """
    remaining, lock = iter(tasks), threading.Lock()

    def next_task() -> Task | None:
        with lock:
            return next(remaining, None)

    def work(thread: int) -> None:
        if max_threads is not None and thread >= max_threads:
            return
        try:
            # NumPy's error handling belongs to a thread.
            with np.errstate(all="ignore"):
                while workers.may_continue(thread) and (task := next_task()) is not None:
                    run_task(task)
        except BaseException as error:  # noqa: BLE001 — raised again in the calling thread
            monitor.record_error(error)

    workers.run(work)
    monitor.raise_first_error()
