"""Ray: a cluster that computes what is too large for one machine.

No other package of the service imports Ray, and this one does so when it connects: without ATTENTION_RAY_ADDRESS Ray
need not be installed.
"""

from service.cluster.connection import Cluster, ClusterMeter, Session, why_missing
from service.cluster.large_calls import LargeCall

__all__ = ["Cluster", "ClusterMeter", "LargeCall", "Session", "why_missing"]
