"""Ray: a cluster that computes calls too large for one machine.

No other package of the service imports Ray, and this one does so when it connects: without ATTENTION_RAY_ADDRESS Ray
need not be installed.
"""

from service.cluster.connection import Cluster, ClusterMeter, why_missing
from service.cluster.key_ranges import MemoryVersion
from service.cluster.large_calls import LargeCall
from service.cluster.shard_groups import SpreadMemory
from service.cluster.spread_calls import SpreadCall

__all__ = [
    "Cluster",
    "ClusterMeter",
    "LargeCall",
    "MemoryVersion",
    "SpreadCall",
    "SpreadMemory",
    "why_missing",
]
