"""Which keys each shard holds, and how many shards a memory has; no cluster is needed."""

from types import SimpleNamespace

import pytest

from service.cluster.key_ranges import MemoryVersion, cut_keys
from service.cluster.shard_groups import SpreadMemory
from service.cluster.sharding import MIN_SHARDED_BYTES, count_shards
from service.memories import MemoryName, StoreLimits, StorePlace

SPAN = 2048


@pytest.mark.parametrize("shards", [1, 2, 3, 7, 256])
@pytest.mark.parametrize("keys", [0, 1, SPAN, SPAN + 1, 5 * SPAN - 1, 100 * SPAN + 7])
def test_ranges_hold_every_key_once_and_begin_at_spans(keys: int, shards: int) -> None:
    ranges = cut_keys(keys, shards, SPAN)
    assert len(ranges) <= shards
    assert [key for held in ranges for key in range(*held)] == list(range(keys))
    assert all(held.first % SPAN == 0 for held in ranges)
    spans = [-(-(held.end - held.first) // SPAN) for held in ranges]
    all_spans = -(-keys // SPAN)
    assert not spans or max(spans) == -(-all_spans // shards)


@pytest.mark.parametrize(
    ("size", "shards", "expected"),
    [(1, 5, 5), (1, None, 1), (MIN_SHARDED_BYTES, None, 4), (MIN_SHARDED_BYTES, 1, 1)],
)
def test_a_large_memory_without_a_number_has_a_shard_for_each_node(
    size: int, shards: int | None, expected: int
) -> None:
    place, memory = StorePlace("", "", StoreLimits()), MemoryVersion(MemoryName("", "a"), "v1", 10)
    session = SimpleNamespace(nodes=4)
    assert count_shards(session, SpreadMemory(place, memory, size, shards)) == expected
