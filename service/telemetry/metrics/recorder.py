"""Events of requests, recorded as metrics."""

from bisect import bisect_left

from service.telemetry.exchange import MEDIA_TYPES, OTHER, Exchange
from service.telemetry.metrics.families import (
    BUCKET_BOUNDS_SECONDS,
    CLIENT_CLOSED_REQUEST,
    DIRECTIONS,
    METHODS,
    REASONS,
    REFUSALS,
    UNKNOWN_ROUTE,
)
from service.telemetry.metrics.store import MetricStore

SUM = "sum"
"""The last label of the sum of a histogram, beside those of its buckets."""

BUCKET_LABELS = tuple(str(index) for index in range(len(BUCKET_BOUNDS_SECONDS) + 1))
"""The last labels of the buckets of a histogram: the indices of their bounds, and one for what exceeds them all."""


class Histogram:
    """The slots of one histogram."""

    def __init__(self, store: MetricStore, name: str, *labels: str) -> None:
        self._buckets = [store.slot((name, *labels, label)) for label in BUCKET_LABELS]
        self._sum = store.slot((name, *labels, SUM))

    def entries(self, seconds: float) -> tuple[tuple[int, float], tuple[int, float]]:
        """Return the entries to add to the store for one observation."""
        return (self._buckets[bisect_left(BUCKET_BOUNDS_SECONDS, seconds)], 1), (self._sum, seconds)


class Metrics:
    """Records events in a store; every method takes 1 to 2 µs and may be called by any thread."""

    def __init__(self, store: MetricStore) -> None:
        self.store = store
        # Allocate every slot at once: a counter that is absent until its first event has no rate.
        self._in_flight = store.slot(("attention_in_flight",))
        self._queued = store.slot(("attention_queued",))
        self._operations = store.slot(("attention_operations_total",))
        self._log_lines_dropped = store.slot(("attention_log_lines_dropped_total",))
        self._memory_reads = store.slot(("attention_memory_reads_total",))
        self._memory_appends = store.slot(("attention_memory_appends_total",))
        self._memories_expired = store.slot(("attention_memories_expired_total",))
        self._cluster = {
            name: store.slot((f"attention_cluster_{name}_total",)) for name in ("calls", "tasks", "retries", "seconds")
        }
        self._cluster_bytes = {name: store.slot(("attention_cluster_bytes_total", name)) for name in DIRECTIONS}
        self._shard_calls = [store.slot(("attention_shard_calls_total", by)) for by in ("service", "shards")]
        self._shards_lost = store.slot(("attention_shards_lost_total",))
        self._request_seconds = Histogram(store, "attention_request_seconds")
        self._queue_wait_seconds = Histogram(store, "attention_queue_wait_seconds")
        self._rejected = {reason: store.slot(("attention_rejected_total", reason)) for reason in REASONS}
        self._received, self._sent = (
            {kind: store.slot(("attention_bytes_total", direction, kind)) for kind in MEDIA_TYPES}
            for direction in DIRECTIONS
        )
        self._requests: dict[tuple[str | None, str, int], int] = {}
        self._compute_seconds: dict[tuple[str, str], Histogram] = {}

    def arrived(self) -> None:
        """Count a request that is neither a probe nor a scrape as in flight."""
        self.store.add((self._in_flight, 1))

    def ended(self, exchange: Exchange) -> None:
        """Record an exchange that is over, with or without an answer."""
        method = exchange.method if exchange.method in METHODS else OTHER
        kind = (exchange.route, method, exchange.status)
        slot = self._requests.get(kind)
        if slot is None:
            slot = self._requests[kind] = self._request_slot(*kind)
        counted = (slot, 1)
        received = (self._received[exchange.received_type], exchange.received)
        sent = (self._sent[exchange.sent_type], exchange.sent)
        if not exchange.measured:
            self.store.add(counted, received, sent)
            return
        self.store.add(counted, received, sent, (self._in_flight, -1), *self._request_seconds.entries(exchange.seconds))
        if exchange.problem in REFUSALS:
            self.rejected(exchange.problem)

    def _request_slot(self, route: str | None, method: str, status: int) -> int:
        shown = str(status) if status else CLIENT_CLOSED_REQUEST
        return self.store.slot(("attention_requests_total", route or UNKNOWN_ROUTE, method, shown))

    def queued(self) -> None:
        """Count a request that has begun to wait for a compute thread."""
        self.store.add((self._queued, 1))

    def started(self, waited_seconds: float) -> None:
        """Count a request that has a thread after a wait in seconds."""
        self.store.add((self._queued, -1), *self._queue_wait_seconds.entries(waited_seconds))

    def abandoned(self) -> None:
        """Count a request that has stopped waiting without ever having a thread."""
        self.store.add((self._queued, -1))

    def finished(self) -> None:
        """Ignore that a thread is free again: no metric counts it."""

    def rejected(self, reason: str) -> None:
        """Count a rejected request."""
        self.store.add((self._rejected[reason], 1))

    def log_lines_dropped(self, count: int) -> None:
        """Count dropped lines of the log."""
        self.store.add((self._log_lines_dropped, count))

    def computed(self, score_model: str, path: str, operations: int, seconds: float) -> None:
        """Record a computation with its predicted operations."""
        kind = (score_model, path)
        histogram = self._compute_seconds.get(kind)
        if histogram is None:
            histogram = self._compute_seconds[kind] = Histogram(self.store, "attention_compute_seconds", *kind)
        self.store.add((self._operations, operations), *histogram.entries(seconds))

    def memory_read(self) -> None:
        """Count a request that reads a memory."""
        self.store.add((self._memory_reads, 1))

    def memory_appended(self) -> None:
        """Count an append."""
        self.store.add((self._memory_appends, 1))

    def memories_expired(self, count: int) -> None:
        """Count memories that a sweep has removed."""
        self.store.add((self._memories_expired, count))

    def cluster_call(self, tasks: int, sent_bytes: int, received_bytes: int, seconds: float) -> None:
        """Count a call that the cluster has computed."""
        slots, sizes = self._cluster, self._cluster_bytes
        counted = ((slots["calls"], 1), (slots["tasks"], tasks), (slots["seconds"], seconds))
        self.store.add(*counted, (sizes["out"], sent_bytes), (sizes["in"], received_bytes))

    def shard_call(self, *, by_shards: bool) -> None:
        """Count a call on a memory with shards, by whether they have computed it."""
        self.store.add((self._shard_calls[by_shards], 1))

    def shards_lost(self) -> None:
        """Count that a shard of a memory was lost."""
        self.store.add((self._shards_lost, 1))

    def cluster_retries(self, tasks: int) -> None:
        """Count tasks that were computed once more because a node failed, refused or stalled."""
        self.store.add((self._cluster["retries"], tasks))
