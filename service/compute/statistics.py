"""How often each model was asked since the service started, and where the time went."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter_ns, time
from typing import Any

from service.codecs.open_inference import MODELS, VERSION
from service.telemetry.metrics import Key, Ledger

STAGES = ("success", "fail", "queue", "compute_input", "compute_infer", "compute_output", "cache_hit", "cache_miss")

LAST_INFERENCE, EXECUTIONS, COUNT, NANOSECONDS = "last_inference", "executions", "count", "nanoseconds"
"""What numbers are called in the ledger; the first is a moment in milliseconds, the others are sums."""


@dataclass(slots=True)
class Stopwatch:
    """The moments of one request in nanoseconds, from its last byte on; 0 for what has not come to pass."""

    received: int = field(default_factory=perf_counter_ns)
    taken: int = 0
    prepared: int = 0
    started: int = 0
    computed: int = 0
    written: int = 0

    def read(self) -> None:
        """The body has arrived: how long that took is the client's affair."""
        self.received = perf_counter_ns()


class Statistics:
    """Counters of every model, summed over all processes; any thread may record and read."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._places = {model: Places.of(model, ledger) for model in MODELS}

    def record(self, model: str, watch: Stopwatch, *, succeeded: bool) -> None:
        """Count a request that has just ended.

        What waited counts as queued whatever came of it; the stages of computing count when there is an answer.
        """
        now, places = perf_counter_ns(), self._places[model]
        entries = [*places.once("success" if succeeded else "fail", now - watch.received)]
        if watch.computed:
            entries.append((places.executions, 1))
        if watch.taken:
            again = watch.started - watch.prepared if watch.started else 0
            entries += places.once("queue", watch.taken - watch.received + again)
        if succeeded:
            entries += places.once("compute_input", watch.prepared - watch.taken)
            entries += places.once("compute_infer", watch.computed - watch.started)
            entries += places.once("compute_output", watch.written - watch.computed)
        self._ledger.add(*entries)
        self._ledger.put(places.last_inference, int(time() * 1000))

    def document(self, *models: str) -> dict[str, Any]:
        """Return the statistics of some models."""
        pages = [page.numbers for page in self._ledger.pages()]
        return {"model_stats": [_entry(model, pages) for model in models]}


@dataclass(frozen=True, slots=True)
class Places:
    """Where the numbers of one model stand in the ledger."""

    last_inference: int
    executions: int
    counts: Mapping[str, int]
    nanoseconds: Mapping[str, int]

    @classmethod
    def of(cls, model: str, ledger: Ledger) -> "Places":
        """Return the places of a model."""
        return cls(
            ledger.place((LAST_INFERENCE, model)),
            ledger.place((EXECUTIONS, model)),
            {stage: ledger.place((COUNT, model, stage)) for stage in STAGES},
            {stage: ledger.place((NANOSECONDS, model, stage)) for stage in STAGES},
        )

    def once(self, stage: str, nanoseconds: int) -> tuple[tuple[int, float], tuple[int, float]]:
        """Return what to add for a stage that has come to pass once."""
        return (self.counts[stage], 1), (self.nanoseconds[stage], nanoseconds)


def _entry(model: str, pages: Sequence[Mapping[Key, float]]) -> dict[str, Any]:
    def total(*key: str) -> int:
        return int(sum(page.get(key, 0) for page in pages))

    return {
        "name": model,
        "version": VERSION,
        "last_inference": int(max((page.get((LAST_INFERENCE, model), 0) for page in pages), default=0)),
        "inference_count": total(COUNT, model, "success"),
        "execution_count": total(EXECUTIONS, model),
        "inference_stats": {
            stage: {"count": total(COUNT, model, stage), "ns": total(NANOSECONDS, model, stage)} for stage in STAGES
        },
    }
