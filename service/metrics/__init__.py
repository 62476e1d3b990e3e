"""What the service counts: numbers that all its processes share, and how Prometheus reads them."""

from service.metrics.exposition import MOMENTARY, exposition
from service.metrics.ledger import Key, Ledger, Page
from service.metrics.recorder import Metrics
from service.metrics.shared import SharedLedger

__all__ = ["MOMENTARY", "Key", "Ledger", "Metrics", "Page", "SharedLedger", "exposition"]
