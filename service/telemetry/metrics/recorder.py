"""What happens, turned into numbers."""

from bisect import bisect_left

from service.telemetry.exchange import MEDIA_TYPES, OTHER, Exchange
from service.telemetry.metrics.families import BOUNDS, DIRECTIONS, GONE, METHODS, REASONS, REFUSALS, UNKNOWN
from service.telemetry.metrics.ledger import Ledger

SUM = "sum"
"""The cell of a histogram beside its buckets, each of which is called by the place of its bound."""

PLACES = tuple(str(place) for place in range(len(BOUNDS) + 1))


class Histogram:
    """The places of one histogram."""

    def __init__(self, ledger: Ledger, name: str, *labels: str) -> None:
        self._buckets = [ledger.place((name, *labels, place)) for place in PLACES]
        self._sum = ledger.place((name, *labels, SUM))

    def entries(self, seconds: float) -> tuple[tuple[int, float], tuple[int, float]]:
        """Return what to add to the ledger for one observation."""
        return (self._buckets[bisect_left(BOUNDS, seconds)], 1), (self._sum, seconds)


class Metrics:
    """Writes the ledger; every method takes a microsecond or two and may be called by any thread."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        # What has not happened is 0, not absent: a rate has to start somewhere.
        self._in_flight = ledger.place(("attention_in_flight",))
        self._queued = ledger.place(("attention_queued",))
        self._operations = ledger.place(("attention_operations_total",))
        self._request_seconds = Histogram(ledger, "attention_request_seconds")
        self._queue_wait_seconds = Histogram(ledger, "attention_queue_wait_seconds")
        self._rejected = {reason: ledger.place(("attention_rejected_total", reason)) for reason in REASONS}
        self._received, self._sent = (
            {kind: ledger.place(("attention_bytes_total", direction, kind)) for kind in MEDIA_TYPES}
            for direction in DIRECTIONS
        )
        self._requests: dict[tuple[str | None, str, int], int] = {}
        self._compute_seconds: dict[tuple[str, str], Histogram] = {}

    def arrived(self) -> None:
        """A request has come that is neither a probe nor a scrape."""
        self.ledger.add((self._in_flight, 1))

    def ended(self, exchange: Exchange) -> None:
        """An exchange is over, whatever came of it."""
        method = exchange.method if exchange.method in METHODS else OTHER
        what = (exchange.route, method, exchange.status)
        place = self._requests.get(what)
        if place is None:
            place = self._requests[what] = self._request_place(*what)
        counted = (place, 1)
        received = (self._received[exchange.received_type], exchange.received)
        sent = (self._sent[exchange.sent_type], exchange.sent)
        if not exchange.watched:
            self.ledger.add(counted, received, sent)
            return
        self.ledger.add(
            counted, received, sent, (self._in_flight, -1), *self._request_seconds.entries(exchange.seconds)
        )
        if exchange.problem in REFUSALS:
            self.rejected(exchange.problem)

    def _request_place(self, route: str | None, method: str, status: int) -> int:
        key = ("attention_requests_total", route or UNKNOWN, method, str(status) if status else GONE)
        return self.ledger.place(key)

    def queued(self) -> None:
        """A request has begun to wait for a compute thread."""
        self.ledger.add((self._queued, 1))

    def started(self, waited: float) -> None:
        """It has one, after so many seconds."""
        self.ledger.add((self._queued, -1), *self._queue_wait_seconds.entries(waited))

    def left(self) -> None:
        """It waits no longer and never had one."""
        self.ledger.add((self._queued, -1))

    def finished(self) -> None:
        """Its thread is free again, which nobody counts: how many are answered is seen from outside."""

    def rejected(self, reason: str) -> None:
        """It was turned away at the gate."""
        self.ledger.add((self._rejected[reason], 1))

    def computed(self, score_model: str, path: str, operations: int, seconds: float) -> None:
        """Attention has been computed; the operations are those predicted."""
        what = (score_model, path)
        histogram = self._compute_seconds.get(what)
        if histogram is None:
            histogram = self._compute_seconds[what] = Histogram(self.ledger, "attention_compute_seconds", *what)
        self.ledger.add((self._operations, operations), *histogram.entries(seconds))
