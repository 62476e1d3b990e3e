"""Requests of each model since the service started, and the time spent in each stage."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter_ns, time
from typing import Any

from service.codecs.open_inference import MODELS, VERSION
from service.telemetry.metrics import Key, MetricStore

STAGES = ("success", "fail", "queue", "compute_input", "compute_infer", "compute_output", "cache_hit", "cache_miss")

LAST_INFERENCE, EXECUTIONS, COUNT, NANOSECONDS = "last_inference", "executions", "count", "nanoseconds"
"""Names of numbers in the store; the first is a moment in milliseconds since 1970, the others are sums."""


@dataclass(slots=True)
class Stopwatch:
    """Moments of one request in nanoseconds, from its last byte on; 0 for a stage that was not reached."""

    received: int = field(default_factory=perf_counter_ns)
    taken: int = 0
    prepared: int = 0
    started: int = 0
    computed: int = 0
    written: int = 0

    def read(self) -> None:
        """Start at the last byte of the body, as the client decides how long it sends."""
        self.received = perf_counter_ns()


class Statistics:
    """Counters of every model, summed over all processes; any thread may record and read."""

    def __init__(self, store: MetricStore) -> None:
        self._store = store
        self._slots = {model: SlotIndex.of(model, store) for model in MODELS}

    def record(self, model: str, watch: Stopwatch, *, succeeded: bool) -> None:
        """Count a request that has just ended.

        The queue counts for every request that was admitted; the compute stages for those that succeed.
        """
        now, slots = perf_counter_ns(), self._slots[model]
        entries = [*slots.once("success" if succeeded else "fail", now - watch.received)]
        if watch.computed:
            entries.append((slots.executions, 1))
        if watch.taken:
            again = watch.started - watch.prepared if watch.started else 0
            entries += slots.once("queue", watch.taken - watch.received + again)
        if succeeded:
            entries += slots.once("compute_input", watch.prepared - watch.taken)
            entries += slots.once("compute_infer", watch.computed - watch.started)
            entries += slots.once("compute_output", watch.written - watch.computed)
        self._store.add(*entries)
        self._store.set(slots.last_inference, int(time() * 1000))

    def document(self, *models: str) -> dict[str, Any]:
        """Return the statistics of some models."""
        snapshots = [snapshot.numbers for snapshot in self._store.snapshots()]
        return {"model_stats": [_entry(model, snapshots) for model in models]}


@dataclass(frozen=True, slots=True)
class SlotIndex:
    """Slots of the numbers of one model in the metric store."""

    last_inference: int
    executions: int
    counts: Mapping[str, int]
    nanoseconds: Mapping[str, int]

    @classmethod
    def of(cls, model: str, store: MetricStore) -> "SlotIndex":
        """Return the slots of a model."""
        return cls(
            store.slot((LAST_INFERENCE, model)),
            store.slot((EXECUTIONS, model)),
            {stage: store.slot((COUNT, model, stage)) for stage in STAGES},
            {stage: store.slot((NANOSECONDS, model, stage)) for stage in STAGES},
        )

    def once(self, stage: str, nanoseconds: int) -> tuple[tuple[int, float], tuple[int, float]]:
        """Return the increments for one request in a stage."""
        return (self.counts[stage], 1), (self.nanoseconds[stage], nanoseconds)


def _entry(model: str, snapshots: Sequence[Mapping[Key, float]]) -> dict[str, Any]:
    def total(*key: str) -> int:
        return int(sum(snapshot.get(key, 0) for snapshot in snapshots))

    return {
        "name": model,
        "version": VERSION,
        "last_inference": int(max((snapshot.get((LAST_INFERENCE, model), 0) for snapshot in snapshots), default=0)),
        "inference_count": total(COUNT, model, "success"),
        "execution_count": total(EXECUTIONS, model),
        "inference_stats": {
            stage: {"count": total(COUNT, model, stage), "ns": total(NANOSECONDS, model, stage)} for stage in STAGES
        },
    }
