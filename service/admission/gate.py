"""The gate that everything that computes passes: bounded threads, queue and memory, and deadlines.

A small request is decoded, computed and encoded right on the event loop: a few microseconds of work are not worth a hop
to a thread, and its bytes are not worth an account.  Everything else, decoding included, runs in a compute thread, of
which there are as many as the settings say; as many requests again as `queue_size` may wait for one.
"""

from concurrent.futures import ThreadPoolExecutor

from attention_core import Workers
from service.admission.deadline import Deadline
from service.admission.memory import Memory
from service.admission.observer import Observer, Unobserved
from service.admission.reading import Receive
from service.admission.turns import Turns
from service.admission.visit import Premises, Visit
from service.compute import Meter
from service.settings import Settings


class Gate:
    """Admits work, one per process; what it admits may share `workers` and is told to the same `meter`."""

    def __init__(
        self, settings: Settings, workers: Workers, observer: Observer | None = None, meter: Meter | None = None
    ) -> None:
        observer = observer or Unobserved()
        self._premises = Premises(
            settings,
            workers,
            observer,
            ThreadPoolExecutor(settings.compute_threads, thread_name_prefix="compute"),
            Turns(settings.compute_threads, settings.queue_size, observer),
            Memory(settings.bytes_in_flight),
            meter,
        )

    @property
    def computing(self) -> int:
        """How many requests have a thread."""
        return self._premises.turns.taken

    @property
    def waiting(self) -> int:
        """How many wait for one."""
        return self._premises.turns.waiting

    @property
    def held(self) -> int:
        """How many bytes all requests together hold, or are about to."""
        return self._premises.memory.held

    def visit(self, receive: Receive, deadline: Deadline) -> Visit:
        """Return the way of one request through the gate."""
        return Visit(self._premises, receive, deadline)

    def close(self) -> None:
        """Let running work end and take no more."""
        self._premises.threads.shutdown(wait=False, cancel_futures=True)
