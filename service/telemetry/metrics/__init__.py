"""What the service counts: numbers that all its processes share, and how Prometheus reads them."""

from service.telemetry.metrics.exposition import MOMENTARY, exposition
from service.telemetry.metrics.ledger import Key, Ledger, Page
from service.telemetry.metrics.recorder import Metrics
from service.telemetry.metrics.shared import SharedLedger

__all__ = ["MOMENTARY", "Key", "Ledger", "Metrics", "Page", "SharedLedger", "exposition"]
