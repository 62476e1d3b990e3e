"""What the service counts: numbers that all its processes share, and how Prometheus reads them."""

from service.telemetry.metrics.exposition import GAUGES, exposition
from service.telemetry.metrics.memories import MemoryMetrics
from service.telemetry.metrics.process import MEASURE_SECONDS, ProcessMetrics
from service.telemetry.metrics.recorder import Metrics
from service.telemetry.metrics.shared_store import SharedMetricStore
from service.telemetry.metrics.store import Key, MetricSnapshot, MetricStore

__all__ = [
    "GAUGES",
    "MEASURE_SECONDS",
    "Key",
    "MemoryMetrics",
    "MetricSnapshot",
    "MetricStore",
    "Metrics",
    "ProcessMetrics",
    "SharedMetricStore",
    "exposition",
]
