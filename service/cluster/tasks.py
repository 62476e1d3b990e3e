"""What a node of the cluster runs."""

import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple, TypeVar

from attention_core.interfaces import ShouldStop
from attention_core.native import Bytes, Part, PartResult, evaluate_part

POLL_SECONDS = 0.05
"""Time between two moments at which a task can be cancelled."""

TASK = "attention_part"
"""Name of the tasks of a large call, as Ray shows it."""

T = TypeVar("T")


class ComputedPart(NamedTuple):
    """What a task returns."""

    result: PartResult
    attempt: int
    """How often Ray had begun the task before, on nodes that died."""


def compute_part(part: Part, numbers: tuple[int, ...], *regions: Bytes) -> ComputedPart | None:
    """Compute a part of a call; None where this node does not have its kernel.

    :param part: of a call.
    :param numbers: of the regions that it reads.
    :param regions: in the same order.
    """
    held = dict(zip(numbers, regions, strict=True))
    result = cancellable(lambda should_stop: evaluate_part(part, held, should_stop))
    return None if result is None else ComputedPart(result, _attempt())


def _attempt() -> int:
    """Return how often Ray had begun the task of this process before; its public interface does not say."""
    from ray._private.worker import global_worker  # noqa: PLC0415 — an extra

    attempt: int = global_worker.core_worker.get_current_task_attempt_number()
    return attempt


def cancellable(compute: Callable[[ShouldStop], T]) -> T:
    """Compute in a side thread, so that Ray can cancel the task: it interrupts Python in the main thread, no kernel.

    :param compute: called with a function that says whether to stop.

    Raises what it raises; KeyboardInterrupt once the task is cancelled and the thread has ended.
    """
    if not callable(signal.getsignal(signal.SIGINT)):
        # Ray cancels by calling the handler, and a node that inherited that the signal is ignored has none.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    stop = threading.Event()
    results: list[T] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            results.append(compute(stop.is_set))
        except BaseException as error:  # noqa: BLE001 — raised again in the main thread
            errors.append(error)

    thread = threading.Thread(target=work, name="part", daemon=True)
    try:
        # An interrupt may come while the thread starts.
        thread.start()
        while thread.is_alive():
            thread.join(POLL_SECONDS)
    finally:
        stop.set()
        while thread.is_alive():
            # A task may be cancelled again before it has ended.
            with suppress(KeyboardInterrupt):
                thread.join()
    if errors:
        raise errors[0]
    return results[0]
