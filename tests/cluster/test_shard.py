"""A shard by itself, which is an object like any other: no cluster is needed."""

import threading
from pathlib import Path

import numpy as np
import pytest

from attention_core import AttentionCall, resolve
from attention_core.native import PartialSpans, without_keys
from attention_core.native.parts import sources_digest
from service.cluster.key_ranges import KeyRange, MemoryVersion
from service.cluster.shard import Refusal, Shard, ShardRequest
from service.memories import (
    EVERYONE,
    EmbeddedStore,
    MemoryName,
    MemoryOptions,
    MemoryTensors,
    StoreLimits,
    StorePlace,
)
from tests.attention_core.native.kernels import EACH_KERNEL

NAME = MemoryName(EVERYONE, "kept")
KEYS = 4096


@pytest.mark.parametrize("kernel", EACH_KERNEL)
def test_a_shard_computes_with_the_kernel_of_its_caller_or_not_at_all(tmp_path: Path, kernel: str) -> None:
    """Kernels of another name or of other sources have other bits."""
    store, rng = EmbeddedStore(tmp_path, has_upkeep=False), np.random.default_rng(0)
    key = rng.standard_normal((KEYS, 8)).astype("float32")
    kept, _ = store.put(NAME, MemoryTensors(key, key, None, "float32"), MemoryOptions("float32"))
    call = without_keys(resolve(AttentionCall(key[:2], key, key, dtype="float32", include=("output", "logsumexp"))))
    ended = threading.Event()
    shard = Shard(StorePlace(str(tmp_path), "", StoreLimits()), NAME, 1, idle_seconds=0.5, end=ended.set)
    memory = MemoryVersion(NAME, kept.version, KEYS)
    request = ShardRequest("1", memory, KeyRange(0, 2048), frozenset({"output"}), kernel, sources_digest())
    assert isinstance(shard.evaluate(request, call), PartialSpans)
    for other in (request._replace(kernel="v9"), request._replace(sources="0" * 32)):
        refused = shard.evaluate(other, call)
        assert isinstance(refused, Refusal)
        assert other.kernel in refused.reason
    assert ended.wait(10), "a shard without a call ends"
    store.close()
