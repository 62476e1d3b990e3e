"""The metrics of all processes, merged and written as Prometheus reads them."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from operator import add

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from service.telemetry.metrics.families import BUCKET_BOUNDS_SECONDS, FAMILIES, Combine, Family
from service.telemetry.metrics.recorder import BUCKET_LABELS, SUM
from service.telemetry.metrics.store import Key, MetricSnapshot

GAUGES = frozenset(family.name for family in FAMILIES if family.kind == "gauge")
"""Names of metrics that are true only while their process lives."""

COMBINE: dict[Combine, Callable[[float, float], float]] = {"sum": add, "min": min, "max": max, "own": add}

LIMITS = (*map(floatToGoString, BUCKET_BOUNDS_SECONDS), "+Inf")


def exposition(snapshots: Sequence[MetricSnapshot], wanted: str) -> tuple[bytes, str]:
    """Return the metrics and their media type, in the version that the `wanted` media type names in its parameters."""
    encode, media_type = choose_encoder(wanted)
    return encode(MergedSnapshots(snapshots)), media_type


class MergedSnapshots(Collector):
    """The metrics of several processes for the encoders of Prometheus; `Family.combine` says how they are merged."""

    def __init__(self, snapshots: Iterable[MetricSnapshot]) -> None:
        self._numbers: dict[str, dict[Key, float]] = defaultdict(dict)
        combine = {family.name: COMBINE[family.combine] for family in FAMILIES}
        own = {family.name for family in FAMILIES if family.combine == "own"}
        for snapshot in snapshots:
            for (name, *labels), number in snapshot.numbers.items():
                if name in own and not snapshot.own:
                    continue
                if name in combine and (snapshot.alive or name not in GAUGES) and (number or combine[name] is add):
                    # Skip 0 for min and max: a previous process of the same file left it.
                    key, numbers = tuple(labels), self._numbers[name]
                    numbers[key] = combine[name](numbers[key], number) if key in numbers else number

    def collect(self) -> Iterator[Metric]:
        """Return every metric, whether anything was counted or not."""
        for family in FAMILIES:
            numbers = self._numbers[family.name]
            match family.kind:
                case "histogram":
                    yield _histogram(family, numbers)
                case "counter":
                    yield _plain(CounterMetricFamily(family.name, family.about.en, labels=family.labels), numbers)
                case "gauge":
                    yield _plain(GaugeMetricFamily(family.name, family.about.en, labels=family.labels), numbers)


def _plain(metric: CounterMetricFamily | GaugeMetricFamily, numbers: Mapping[Key, float]) -> Metric:
    for labels, number in sorted(numbers.items()):
        metric.add_metric(labels, number)
    return metric


def _histogram(family: Family, numbers: Mapping[Key, float]) -> Metric:
    metric = HistogramMetricFamily(family.name, family.about.en, labels=family.labels)
    for labels in sorted({key[:-1] for key in numbers}):
        counts = accumulate(numbers.get((*labels, label), 0.0) for label in BUCKET_LABELS)
        # A process may be writing the numbers of a histogram one by one while it is read: absent ones are 0.
        metric.add_metric(labels, list(zip(LIMITS, counts, strict=True)), numbers.get((*labels, SUM), 0.0))
    return metric
