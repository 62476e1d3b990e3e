"""Bytes that all requests together hold, taken into account before they exist.

A body is reserved before it is read and may wait a moment for room.  What decoding, computing and the answer will hold
is reserved before each begins.  No wait can last for ever: bodies never take more than their share, those who compute
wait only for others who do, and when nobody is left who could make room the last to have asked is turned away.
"""

import asyncio
from collections import deque
from dataclasses import dataclass

from service.errors import NoRoom, TooLarge

BODIES_SHARE = 4
"""Bodies that wait to be read, decoded or computed take at most this part of all, or there is one."""

PATIENCE_SECONDS = 2.0
"""So long a body waits for room: bursts pass, and a service that is full says so while the client still listens."""


@dataclass(slots=True, eq=False)
class Lease:
    """What one request holds; `given_up` once nobody waits for its answer, while a thread may still work on it."""

    body: int = 0
    work: int = 0
    computing: bool = False
    given_up: bool = False
    wish: asyncio.Future[None] | None = None

    @property
    def held(self) -> int:
        """Bytes altogether."""
        return self.body + self.work


@dataclass(slots=True, eq=False)
class _Wish:
    lease: Lease
    size: int
    granted: asyncio.Future[None]


class Memory:
    """The account of one event loop."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._computing = 0
        self._bodies = 0
        self._bodies_waiting: deque[_Wish] = deque()
        self._works_waiting: deque[_Wish] = deque()
        self.held = 0
        """Bytes that are spoken for."""

    @property
    def limit(self) -> int:
        """The most that may be held."""
        return self._limit

    async def announce_body(self, lease: Lease, size: int) -> None:
        """Reserve a body that is about to be read.

        Raises TooLarge when it could never be held, NoRoom when there is no room for it in time.
        """
        if size > self._limit:
            raise TooLarge(
                f"expected to hold at most {self._limit} bytes; received a body of {size}. Send less at once."
            )
        if not self._bodies_waiting and self._body_fits(size):
            self._hold_body(lease, size)
            return
        wish = _Wish(lease, size, asyncio.get_running_loop().create_future())
        self._bodies_waiting.append(wish)
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await wish.granted
        except TimeoutError:
            raise self._no_room(size) from None
        finally:
            if wish in self._bodies_waiting:
                self._bodies_waiting.remove(wish)
                self._settle()

    def extend_body(self, lease: Lease, size: int) -> None:
        """Reserve more of a body that said nothing of its length; raises NoRoom when there is no room for that.

        It does not wait: bodies that hold part of the room and wait for more could wait for each other.
        """
        if self._bodies_waiting or not self._body_fits(size):
            raise self._no_room(size)
        self._hold_body(lease, size)

    async def hold_work(self, lease: Lease, size: int) -> None:
        """Reserve what somebody who computes is going to need besides.

        Raises TooLarge when that could never be held, NoRoom when nobody will make room for it.
        """
        if lease.held + size > self._limit:
            raise TooLarge(
                f"expected to hold at most {self._limit} bytes; received a request that needs about "
                f"{lease.held + size}, its body included. Include fewer fields, or split the request."
            )
        if self.try_work(lease, size):
            return
        wish = _Wish(lease, size, asyncio.get_running_loop().create_future())
        lease.wish = wish.granted
        self._works_waiting.append(wish)
        self._settle()
        try:
            await wish.granted
        finally:
            lease.wish = None
            if wish in self._works_waiting:
                self._works_waiting.remove(wish)
                self._settle()

    def try_work(self, lease: Lease, size: int) -> bool:
        """Reserve it if that is possible at once, and say whether it was."""
        if self._works_waiting or self.held + size > self._limit:
            return False
        lease.work += size
        self.held += size
        return True

    def begin(self, lease: Lease) -> None:
        """Count the lease among those that compute, and will make room one day."""
        lease.computing = True
        self._computing += 1

    def end(self, lease: Lease, answer: int) -> None:
        """Count it no longer; of what it holds only the bytes of the answer are left, if anybody waits for it."""
        lease.computing = False
        self._computing -= 1
        self._free(lease)
        if not lease.given_up:
            lease.work = answer
            self.held += answer
        self._settle()

    def leave(self, lease: Lease) -> None:
        """Hold nothing more, as soon as no thread works on it."""
        lease.given_up = True
        if lease.wish is not None:
            lease.wish.cancel()
        if not lease.computing:
            self._free(lease)
            self._settle()

    def _free(self, lease: Lease) -> None:
        self.held -= lease.held
        self._bodies -= lease.body
        lease.body = lease.work = 0

    def _body_fits(self, size: int) -> bool:
        within_share = self._bodies == 0 or (self._bodies + size) * BODIES_SHARE <= self._limit
        return within_share and not self._works_waiting and self.held + size <= self._limit

    def _hold_body(self, lease: Lease, size: int) -> None:
        lease.body += size
        self._bodies += size
        self.held += size

    def _settle(self) -> None:
        """Give room to those who wait for it, those who compute first; turn one away where all of them wait."""
        works = self._works_waiting
        while works and (works[0].granted.done() or self.held + works[0].size <= self._limit):
            wish = works.popleft()
            if not wish.granted.done():
                wish.lease.work += wish.size
                self.held += wish.size
                wish.granted.set_result(None)
        if works and len(works) >= self._computing:
            wish = works.pop()
            if not wish.granted.done():
                wish.granted.set_exception(self._no_room(wish.size))
        bodies = self._bodies_waiting
        while bodies and (bodies[0].granted.done() or self._body_fits(bodies[0].size)):
            wish = bodies.popleft()
            if not wish.granted.done():
                self._hold_body(wish.lease, wish.size)
                wish.granted.set_result(None)

    def _no_room(self, size: int) -> NoRoom:
        return NoRoom(
            f"expected all requests together to hold at most {self._limit} bytes; received one that needs {size} while "
            f"{self.held} are held. Try again after the seconds in Retry-After, or send less at once."
        )
