"""The resources that reading, writing and upkeep of a store in Redis share."""

from collections.abc import Callable
from dataclasses import dataclass

from service.memories.redis.connection import RedisConnection
from service.memories.redis.keyspace import KeySpace
from service.memories.redis.segments import SegmentStore
from service.memories.redis.state import RedisStates
from service.memories.resources import StoreLimits


@dataclass(frozen=True, slots=True)
class RedisResources:
    """The parts of a store in Redis.

    :param clock: seconds since 1970.
    """

    limits: StoreLimits
    clock: Callable[[], float]
    connection: RedisConnection
    keys: KeySpace
    segments: SegmentStore
    states: RedisStates
