"""Tasks of a call that threads share."""

import threading
from collections.abc import Callable, Iterable
from typing import TypeVar

import numpy as np

from attention_core.blockwise.watch import Watch
from attention_core.blockwise.workers import Stay, Workers
from attention_core.blockwise.workspace import Workspace
from attention_core.buffers import take_rows_as_they_lie
from attention_core.call import ResolvedCall

Task = TypeVar("Task")


def share_tasks(
    call: ResolvedCall, tasks: Iterable[Task], do: Callable[[Task, Workspace], None], workers: Workers, watch: Watch
) -> None:
    """Do every task once, here and in the helpers that there is room for, each thread with arrays of its own.

    Raises what went wrong first in any of them.
    """
    left, lock = iter(tasks), threading.Lock()

    def following() -> Task | None:
        with lock:
            return next(left, None)

    def work(stay: Stay) -> None:
        try:
            # Each thread has its own idea of what to do about overflow, and of buffers.
            with workers.spaces.lend(call.dtype.compute) as space, np.errstate(all="ignore"):
                take_rows_as_they_lie(call.key_length)
                while stay() and (task := following()) is not None:
                    do(task, space)
        except BaseException as error:  # noqa: BLE001 — of whatever kind, it is raised again where the call was made
            watch.fail(error)

    workers.share(work)
    watch.conclude()
