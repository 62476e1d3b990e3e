"""Memories whose keys are numbered: every number of key, value and label follows from the number of the key."""

import numpy as np

from service.memories import MemoryOptions, MemoryTensors

HEADS, FEATURES, VALUE_FEATURES = 2, 24, 16

OPTIONS = MemoryOptions("float32")


def tensors(numbers, labels=True):
    """Return (heads, keys, features) tensors for keys of these numbers."""
    column = np.asarray(numbers, np.float32).reshape(1, -1, 1)
    heads = np.arange(HEADS, dtype=np.float32).reshape(-1, 1, 1)
    key = column + heads / 4 + np.arange(FEATURES, dtype=np.float32) / 64
    value = -column - heads / 4 - np.arange(VALUE_FEATURES, dtype=np.float32) / 64
    return MemoryTensors(key, value, [f"键 {number}" for number in numbers] if labels else None)


def numbers_of(snapshot):
    """Return the numbers of the keys of a snapshot; fail where any number of any tensor is another than theirs."""
    found = [int(number) for number in snapshot.key[0, :, 0]]
    expected = tensors(found, labels=snapshot.labels is not None)
    np.testing.assert_array_equal(snapshot.key, expected.key)
    np.testing.assert_array_equal(snapshot.value, expected.value)
    assert expected.labels == (None if snapshot.labels is None else list(snapshot.labels))
    assert snapshot.description.keys == len(found)
    return found
