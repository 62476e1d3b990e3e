"""The ledger as Prometheus reads it: the sum over all processes."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from service.telemetry.metrics.families import BOUNDS, FAMILIES, Family
from service.telemetry.metrics.ledger import Key, Page
from service.telemetry.metrics.recorder import PLACES, SUM

MOMENTARY = frozenset(family.name for family in FAMILIES if family.kind == "gauge")
"""What is only true while the process lives that says so."""

LIMITS = (*map(floatToGoString, BOUNDS), "+Inf")


def exposition(pages: Sequence[Page], accept: str) -> tuple[bytes, str]:
    """Return the metrics and their media type: the text format, or OpenMetrics if that is accepted."""
    encode, media_type = choose_encoder(accept)
    return encode(Sums(pages)), media_type


class Sums(Collector):
    """The sum over pages, as the encoders want it."""

    def __init__(self, pages: Iterable[Page]) -> None:
        self._numbers: dict[str, dict[Key, float]] = defaultdict(lambda: defaultdict(float))
        for page in pages:
            for (name, *labels), number in page.numbers.items():
                if page.alive or name not in MOMENTARY:
                    self._numbers[name][tuple(labels)] += number

    def collect(self) -> Iterator[Metric]:
        """Return every metric, whether anything was counted or not."""
        for family in FAMILIES:
            numbers = self._numbers[family.name]
            match family.kind:
                case "histogram":
                    yield _histogram(family, numbers)
                case "counter":
                    yield _plain(CounterMetricFamily(family.name, family.about, labels=family.labels), numbers)
                case "gauge":
                    yield _plain(GaugeMetricFamily(family.name, family.about, labels=family.labels), numbers)


def _plain(metric: CounterMetricFamily | GaugeMetricFamily, numbers: Mapping[Key, float]) -> Metric:
    for labels, number in sorted(numbers.items()):
        metric.add_metric(labels, number)
    return metric


def _histogram(family: Family, numbers: Mapping[Key, float]) -> Metric:
    metric = HistogramMetricFamily(family.name, family.about, labels=family.labels)
    for labels in sorted({key[:-1] for key in numbers}):
        counts = accumulate(numbers.get((*labels, place), 0.0) for place in PLACES)
        metric.add_metric(labels, list(zip(LIMITS, counts, strict=True)), numbers[*labels, SUM])
    return metric
