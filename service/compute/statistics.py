"""How often each model was asked since the process started, and where the time went."""

import threading
from dataclasses import dataclass, field
from time import perf_counter_ns, time
from typing import Any

from service.codecs.open_inference import MODELS, VERSION

STAGES = ("success", "fail", "queue", "compute_input", "compute_infer", "compute_output", "cache_hit", "cache_miss")


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


@dataclass(slots=True)
class Counters:
    """Counts and nanoseconds of one model."""

    last_inference: int = 0
    executions: int = 0
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STAGES, 0))
    nanoseconds: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STAGES, 0))

    def add(self, stage: str, nanoseconds: int) -> None:
        """Count a stage once."""
        self.counts[stage] += 1
        self.nanoseconds[stage] += nanoseconds


class Statistics:
    """Counters of every model; any thread may record and read."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counters = {model: Counters() for model in MODELS}

    def record(self, model: str, watch: Stopwatch, *, succeeded: bool) -> None:
        """Count a request that has just ended.

        What waited counts as queued whatever came of it; the stages of computing count when there is an answer.
        """
        now, moment = perf_counter_ns(), int(time() * 1000)
        with self._lock:
            counters = self._counters[model]
            counters.last_inference = moment
            counters.executions += bool(watch.computed)
            counters.add("success" if succeeded else "fail", now - watch.received)
            if watch.taken:
                again = watch.started - watch.prepared if watch.started else 0
                counters.add("queue", watch.taken - watch.received + again)
            if succeeded:
                counters.add("compute_input", watch.prepared - watch.taken)
                counters.add("compute_infer", watch.computed - watch.started)
                counters.add("compute_output", watch.written - watch.computed)

    def document(self, *models: str) -> dict[str, Any]:
        """Return the statistics of some models."""
        with self._lock:
            return {"model_stats": [self._entry(model) for model in models]}

    def _entry(self, model: str) -> dict[str, Any]:
        counters = self._counters[model]
        return {
            "name": model,
            "version": VERSION,
            "last_inference": counters.last_inference,
            "inference_count": counters.counts["success"],
            "execution_count": counters.executions,
            "inference_stats": {
                stage: {"count": counters.counts[stage], "ns": counters.nanoseconds[stage]} for stage in STAGES
            },
        }
