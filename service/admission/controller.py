"""The admission controller of a process: bounded threads, queue and memory, and deadlines for everything computed.

A small request is decoded, computed and encoded on the event loop, without a thread and without a reservation.  Every
other request is decoded and computed in one of `compute_threads` threads; `queue_size` more may wait for one.
"""

from concurrent.futures import ThreadPoolExecutor

from attention_core import Workers
from service.admission.admitted_request import AdmissionContext, AdmittedRequest
from service.admission.capacity_limiter import CapacityLimiter
from service.admission.deadline import Deadline
from service.admission.memory_budget import MemoryBudget
from service.admission.observer import Observer
from service.admission.timed_receive import Receive
from service.cluster import Cluster
from service.compute import Meter
from service.settings import Settings


class AdmissionController:
    """Admits requests of one event loop.

    All of them share `workers`; `observer` receives the events of their waits, `meter` the computations, and `cluster`,
    if there is one, computes large calls.
    """

    def __init__(
        self,
        settings: Settings,
        workers: Workers,
        observer: Observer,
        meter: Meter | None = None,
        cluster: Cluster | None = None,
    ) -> None:
        self._context = AdmissionContext(
            settings,
            workers,
            observer,
            ThreadPoolExecutor(settings.compute_threads, thread_name_prefix="compute"),
            CapacityLimiter(settings.compute_threads, settings.queue_size, observer),
            MemoryBudget(settings.bytes_in_flight),
            meter,
            cluster,
        )

    @property
    def computing(self) -> int:
        """Number of requests that have a thread."""
        return self._context.limiter.in_use

    @property
    def waiting(self) -> int:
        """Number of requests that wait for a thread."""
        return self._context.limiter.waiting

    @property
    def reserved_bytes(self) -> int:
        """Bytes reserved for all requests together."""
        return self._context.memory.reserved_bytes

    def admit(self, receive: Receive, deadline: Deadline) -> AdmittedRequest:
        """Return a request that reads and computes within the limits; use it with ``async with``."""
        return AdmittedRequest(self._context, receive, deadline)

    def close(self) -> None:
        """Let running work end and start none."""
        self._context.threads.shutdown(wait=False, cancel_futures=True)
