"""Calls drawn from a seed: score models, normalizers, masks, positions, heads, dtypes and sizes beside every edge."""

import random
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from attention_core import (
    NORMALIZERS,
    SCORE_MODELS,
    Alibi,
    All,
    Allowed,
    Causal,
    KeyLengths,
    Rotary,
    Segments,
    Window,
)
from tests.calls import BUILT_IN

BATCH_LENGTHS, QUERY_LENGTHS = (1, 2, 3), (1, 2, 5, 14, 15, 40, 150)
KEY_LENGTHS = (1, 3, 31, 32, 65, 255, 256, 257, 530, 2047, 2048, 2049, 4100)
FEATURES, VALUE_FEATURES = (1, 2, 7, 16, 64, 66), (1, 5, 16, 33, 64)
UNITS = 6
MAX_PAIRS = 60_000
"""Of one head; a longer call has few queries."""


@dataclass
class Drawn:
    """A call by its arguments, and its sizes."""

    seed: int
    arguments: dict[str, Any]
    masks: tuple[Any, ...]
    batches: int
    heads: int
    queries: int
    keys: int
    group: int
    per_head: dict[str, Any] = field(default_factory=dict)

    def changed(self, **arguments):
        """The arguments with some of them changed."""
        return {**self.arguments, **arguments}

    def masked_by(self, masks, **arguments):
        """The arguments with other masks."""
        return self.changed(mask=All(tuple(masks)) if masks else None, **arguments)


def draw(seed, key_lengths=KEY_LENGTHS):
    """A drawn call; the same for the same seed."""
    chance, rng = random.Random(seed), np.random.default_rng(seed)
    batches, kv_heads, group = chance.choice(BATCH_LENGTHS), chance.choice((1, 2)), chance.choice((1, 1, 3))
    queries, keys = chance.choice(QUERY_LENGTHS), chance.choice(key_lengths)
    if queries * keys > MAX_PAIRS:
        queries = 7
    features, value_features = chance.choice(FEATURES), chance.choice(VALUE_FEATURES)
    dtype = chance.choice(("float32", "float32", "float64", "float16"))

    def numbers(*shape):
        return rng.standard_normal(shape).astype(dtype)

    heads = kv_heads * group
    # Heads before or after the sequence in memory.
    turned = chance.random() < 0.3
    arrays = {
        name: numbers(batches, length, n, size).swapaxes(1, 2) if turned else numbers(batches, n, length, size)
        for name, n, length, size in (
            ("query", heads, queries, features),
            ("key", kv_heads, keys, features),
            ("value", kv_heads, keys, value_features),
        )
    }
    masks = _masks(chance, rng, batches, queries, keys)
    name, parameters = _normalizer(chance, rng, heads)
    arguments = {
        **arrays,
        "score_model": _score_model(chance, rng, heads, features),
        "normalizer": NORMALIZERS[name](**parameters),
        "mask": All(masks) if masks else None,
        "offset": chance.choice((None, None, 3, -2)),
        "softcap": chance.choice((None, None, None, 2.0)),
        "position": chance.choice((None, None, Alibi(), *([] if features % 2 else [Rotary()]))),
        "bias": rng.standard_normal((queries, keys)) if chance.random() < 0.2 else None,
    }
    if name == "proportional":
        arguments["bias"] = np.full((1, 1), 3e4)
    return Drawn(seed, arguments, masks, batches, heads, queries, keys, group)


def _masks(chance, rng, batches, queries, keys):
    masks = []
    if chance.random() < 0.4:
        masks.append(Causal())
    if chance.random() < 0.2:
        masks.append(Window(left=chance.choice((None, 0, 5, 300)), right=chance.choice((None, 0, 5, 300))))
    if chance.random() < 0.2:
        masks.append(KeyLengths(rng.integers(0, keys + 1, batches)))
    if chance.random() < 0.15:
        masks.append(Segments(np.sort(rng.integers(0, 4, queries)), np.sort(rng.integers(0, 4, keys))))
    if chance.random() < 0.2:
        masks.append(Allowed(rng.random((queries, keys)) < chance.choice((0.02, 0.5, 0.95))))
    return tuple(masks)


def _score_model(chance, rng, heads, features):
    name = chance.choice(BUILT_IN)
    leading = () if chance.random() < 0.5 else (heads,)
    shapes = {
        "additive": {"query_weight": (UNITS, features), "key_weight": (UNITS, features), "score_vector": (UNITS,)},
        "bilinear": {"weight": (features, features)},
        "trilinear": {"weight": (3 * features,)},
    }
    drawn = {key: rng.standard_normal((*leading, *shape)) for key, shape in shapes.get(name, {}).items()}
    if name in ("gaussian", "laplacian") and leading:
        # An array of parameters is rounded to the compute type, a number is not.
        drawn["bandwidth"] = (0.5 + rng.random(heads)).astype(np.float32).astype(np.float64)
    return SCORE_MODELS[name](**drawn)


def _normalizer(chance, rng, heads):
    name = chance.choice(("softmax", "softmax", "softmax", "sigmoid", "relu", "none", "proportional"))
    if name == "softmax" and chance.random() < 0.4:
        sink = chance.choice((None, 1.5, rng.standard_normal(heads)))
        return name, {"temperature": chance.choice((0.3, 2.0)), "sink": sink}
    return name, {"bias": -0.5} if name == "sigmoid" and chance.random() < 0.5 else {}
