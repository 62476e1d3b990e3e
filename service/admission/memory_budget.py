"""The memory budget of all requests together: bytes are reserved before they are allocated.

A body is reserved before it is read, and may wait for at most MAX_BODY_WAIT_SECONDS.  Decoding, computing and encoding
reserve their bytes before each of them begins.  No wait lasts for ever: bodies take at most a fixed part of the budget,
a request that computes waits only for others that compute, and when all of those wait, the newest wait fails.
"""

import asyncio
from collections import deque
from dataclasses import dataclass

from service.errors import NoRoom, TooLarge

BODY_BYTES_DIVISOR = 4
"""Bodies that are read, waiting or computed take at most 1/4 of the budget together, or a single body takes more."""

MAX_BODY_WAIT_SECONDS = 2.0
"""Longest wait of a body for memory: bursts pass, and a full service answers while the client still waits."""


@dataclass(slots=True, eq=False)
class Reservation:
    """Bytes that one request holds.

    `abandoned` when no client waits for the answer, though a thread may still compute it; `pending` while more work
    bytes are waited for.
    """

    body_bytes: int = 0
    work_bytes: int = 0
    computing: bool = False
    abandoned: bool = False
    pending: asyncio.Future[None] | None = None

    @property
    def total_bytes(self) -> int:
        """Bytes of the body and of the work."""
        return self.body_bytes + self.work_bytes


@dataclass(slots=True, eq=False)
class PendingReservation:
    """A wait for `size` more bytes; `granted` ends it."""

    reservation: Reservation
    size: int
    granted: asyncio.Future[None]


class MemoryBudget:
    """Reserves bytes for the requests of one event loop, at most `limit_bytes` in total."""

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.reserved_bytes = 0
        """Bytes of all reservations."""
        self._computing = 0
        self._body_bytes = 0
        self._pending_bodies: deque[PendingReservation] = deque()
        self._pending_work: deque[PendingReservation] = deque()

    async def reserve_body(self, reservation: Reservation, size: int) -> None:
        """Reserve `size` bytes for a body before it is read.

        Raises TooLarge when the budget is smaller than that, NoRoom when the bytes are not free in time.
        """
        if size > self.limit_bytes:
            raise TooLarge(
                f"expected to hold at most {self.limit_bytes} bytes; received a body of {size}. Send less at once."
            )
        if not self._pending_bodies and self._body_fits(size):
            self._add_body(reservation, size)
            return
        pending = self._enqueue(self._pending_bodies, reservation, size)
        try:
            async with asyncio.timeout(MAX_BODY_WAIT_SECONDS):
                await pending.granted
        except TimeoutError:
            raise self._no_room(size) from None
        finally:
            self._dequeue(self._pending_bodies, pending)

    def extend_body(self, reservation: Reservation, size: int) -> None:
        """Reserve `size` more bytes for a body of unknown length; raise NoRoom when they are not free.

        Do not wait: bodies that each hold a part and wait for more could wait for each other.
        """
        if self._pending_bodies or not self._body_fits(size):
            raise self._no_room(size)
        self._add_body(reservation, size)

    async def reserve_work(self, reservation: Reservation, size: int) -> None:
        """Reserve `size` bytes beside the body for a request that computes.

        Raises TooLarge when the budget is smaller than that, NoRoom when no other request will free them.
        """
        if reservation.total_bytes + size > self.limit_bytes:
            raise TooLarge(
                f"expected to hold at most {self.limit_bytes} bytes; received a request that needs about "
                f"{reservation.total_bytes + size}, its body included. Include fewer fields, or split the request."
            )
        if self.try_reserve_work(reservation, size):
            return
        pending = self._enqueue(self._pending_work, reservation, size)
        reservation.pending = pending.granted
        self._grant_pending()
        try:
            await pending.granted
        finally:
            reservation.pending = None
            self._dequeue(self._pending_work, pending)

    def try_reserve_work(self, reservation: Reservation, size: int) -> bool:
        """Reserve `size` bytes if they are free and no earlier request waits for them; return whether they were."""
        if self._pending_work or self.reserved_bytes + size > self.limit_bytes:
            return False
        reservation.work_bytes += size
        self.reserved_bytes += size
        return True

    def start_computing(self, reservation: Reservation) -> None:
        """Count a request among those that compute, and will therefore free their bytes."""
        reservation.computing = True
        self._computing += 1

    def finish_computing(self, reservation: Reservation, answer_bytes: int) -> None:
        """End the computation: keep only the bytes of the answer, and those only while a client waits for it."""
        reservation.computing = False
        self._computing -= 1
        self._clear(reservation)
        if not reservation.abandoned:
            reservation.work_bytes = answer_bytes
            self.reserved_bytes += answer_bytes
        self._grant_pending()

    def release(self, reservation: Reservation) -> None:
        """Free all bytes, as soon as no thread works on the request."""
        reservation.abandoned = True
        if reservation.pending is not None:
            reservation.pending.cancel()
        if not reservation.computing:
            self._clear(reservation)
            self._grant_pending()

    def _clear(self, reservation: Reservation) -> None:
        self.reserved_bytes -= reservation.total_bytes
        self._body_bytes -= reservation.body_bytes
        reservation.body_bytes = reservation.work_bytes = 0

    def _body_fits(self, size: int) -> bool:
        within_part = self._body_bytes == 0 or (self._body_bytes + size) * BODY_BYTES_DIVISOR <= self.limit_bytes
        return within_part and not self._pending_work and self.reserved_bytes + size <= self.limit_bytes

    def _add_body(self, reservation: Reservation, size: int) -> None:
        reservation.body_bytes += size
        self._body_bytes += size
        self.reserved_bytes += size

    def _enqueue(self, queue: deque[PendingReservation], reservation: Reservation, size: int) -> PendingReservation:
        pending = PendingReservation(reservation, size, asyncio.get_running_loop().create_future())
        queue.append(pending)
        return pending

    def _dequeue(self, queue: deque[PendingReservation], pending: PendingReservation) -> None:
        """Remove a wait that has ended without its bytes; what it held back may be granted now."""
        if pending in queue:
            queue.remove(pending)
            self._grant_pending()

    def _grant_pending(self) -> None:
        """Grant free bytes, first to requests that compute; if all of those wait, fail the newest wait."""
        work = self._pending_work
        while work and (work[0].granted.done() or self.reserved_bytes + work[0].size <= self.limit_bytes):
            pending = work.popleft()
            if not pending.granted.done():
                pending.reservation.work_bytes += pending.size
                self.reserved_bytes += pending.size
                pending.granted.set_result(None)
        if work and len(work) >= self._computing:
            pending = work.pop()
            if not pending.granted.done():
                pending.granted.set_exception(self._no_room(pending.size))
        bodies = self._pending_bodies
        while bodies and (bodies[0].granted.done() or self._body_fits(bodies[0].size)):
            pending = bodies.popleft()
            if not pending.granted.done():
                self._add_body(pending.reservation, pending.size)
                pending.granted.set_result(None)

    def _no_room(self, size: int) -> NoRoom:
        return NoRoom(
            f"expected all requests together to hold at most {self.limit_bytes} bytes; received one that needs {size} "
            f"while {self.reserved_bytes} are held. Try again after the seconds in Retry-After, or send less at once."
        )
