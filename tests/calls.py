"""Requests for every combination: score model × normalizer × setting × heads × dtype, seeded, as wire documents.

The registries below name a way to make parameters for everything that the core registers; the ladder fails when
something is registered that has none.  Where a member has several sets of parameters, each combination takes the next.
"""

import itertools
import random
import zlib
from dataclasses import dataclass

import numpy as np

from attention_core import (
    NORMALIZERS,
    POSITIONS,
    SCORE_MODELS,
    Allowed,
    AttentionCall,
    Causal,
    Heads,
    KeyLengths,
    Segments,
    Window,
)
from tests import oracle

FEATURES = 4
KEY_FEATURES = {"additive": 2, "bilinear": 2}
UNITS = 3
QUERIES, KEYS, VALUE_FEATURES = 3, 5, 2


def key_features(score_model):
    """Features of a key: fewer than a query has, where the score model allows."""
    return KEY_FEATURES.get(score_model, FEATURES)


def matrix(draw, *shape):
    """Nested lists of drawn numbers; short decimals, so that a failing request can be read."""
    if not shape:
        return round(draw(), 3)
    return [matrix(draw, *shape[1:]) for _ in range(shape[0])]


def _additive(draw, *head):
    return {
        "query_weight": matrix(draw, *head, UNITS, FEATURES),
        "key_weight": matrix(draw, UNITS, KEY_FEATURES["additive"]),
        "score_vector": matrix(draw, *head, UNITS),
    }


MODEL_PARAMETERS = {
    "scaled_dot_product": [lambda draw: {}, lambda draw: {"scale": round(draw(), 3)}],
    "dot_product": [lambda draw: {}],
    "additive": [_additive, lambda draw: _additive(draw) | {"hidden_bias": matrix(draw, UNITS)}],
    "bilinear": [lambda draw: {"weight": matrix(draw, FEATURES, KEY_FEATURES["bilinear"])}],
    "cosine": [lambda draw: {}, lambda draw: {"scale": round(draw(), 3)}],
    "gaussian": [lambda draw: {}, lambda draw: {"bandwidth": 0.7}],
    "laplacian": [lambda draw: {}, lambda draw: {"bandwidth": 1.9}],
    "trilinear": [lambda draw: {"weight": matrix(draw, 3 * FEATURES)}],
}

HEAD_PARAMETERS = {
    "scaled_dot_product": lambda draw, heads: {"scale": matrix(draw, heads)},
    "dot_product": lambda draw, heads: {},
    "additive": lambda draw, heads: _additive(draw, heads) | {"hidden_bias": matrix(draw, heads, UNITS)},
    "bilinear": lambda draw, heads: {"weight": matrix(draw, heads, FEATURES, KEY_FEATURES["bilinear"])},
    "cosine": lambda draw, heads: {"scale": matrix(draw, heads)},
    "gaussian": lambda draw, heads: {"bandwidth": [0.5 + h for h in range(heads)]},
    "laplacian": lambda draw, heads: {"bandwidth": [0.5 + h for h in range(heads)]},
    "trilinear": lambda draw, heads: {"weight": matrix(draw, heads, 3 * FEATURES)},
}

NORMALIZER_PARAMETERS = {
    "softmax": [{}, {"temperature": 0.3}, {"sink": 0.5}, {"temperature": 2.5, "sink": -1.0}],
    "proportional": [{}],
    "sparsemax": [{}],
    "entmax": [{}, {"alpha": 1.25}, {"alpha": 1.75}, {"alpha": 1.0}, {"alpha": 2.0}],
    "sigmoid": [{}, {"bias": -1.5}],
    "relu": [{}],
    "hardmax": [{}],
    "none": [{}],
}

POSITIVE = frozenset(("proportional",))
"""Normalizers that take no negative logit: scores that cannot be negative are lifted by a bias."""

LIFT = 200.0


@dataclass(frozen=True)
class Layout:
    """Leading axes of query, key and value, packed heads, and how many of the keys are in the cache."""

    query: tuple[int, ...] = ()
    key: tuple[int, ...] = ()
    value: tuple[int, ...] = ()
    heads: tuple[int, int] | None = None
    past: int = 0

    @property
    def leading(self):
        """Leading axes of the scores."""
        if self.heads:
            return (self.query[0], self.heads[0])
        key = (self.key[0], self.query[1]) if len(self.query) == len(self.key) == 2 else self.key
        return np.broadcast_shapes(self.query, key)


HEADS = {
    "rank 2": Layout(),
    "heads": Layout((2, 2), (2, 2), (2, 2)),
    "grouped": Layout((1, 4), (1, 2), (1, 2)),
    "one key head": Layout((2, 3), (2, 1), (2, 1)),
    "packed": Layout((2,), (2,), (2,), heads=(4, 2)),
    "cache": Layout((2,), (2,), (2,), past=2),
    "grouped cache": Layout((1, 4), (1, 2), (1, 2), past=3),
    "shared keys": Layout((2, 2), (), ()),
    "wider values": Layout((2,), (2,), (2, 2)),
}

DTYPES = ("float64", "float32", "float16", "bfloat16")


def _booleans(rng, shape):
    return [_booleans(rng, shape[1:]) for _ in range(shape[0])] if shape else rng.random() < 0.6


def _biases(rng, shape):
    if shape:
        return [_biases(rng, shape[1:]) for _ in range(shape[0])]
    return None if rng.random() < 0.3 else round(rng.gauss(0, 1), 3)


def _per_batch(shape, make):
    return [make() for _ in range(shape[0] if len(shape) > 2 else 1)]


def _segments(rng, shape):
    return {
        "query_segments": _per_batch(shape, lambda: sorted(rng.randrange(3) for _ in range(shape[-2]))),
        "key_segments": _per_batch(shape, lambda: sorted(rng.randrange(3) for _ in range(shape[-1]))),
    }


SETTINGS = {
    "none": lambda rng, shape: {},
    "allowed": lambda rng, shape: {"mask": {"allowed": _booleans(rng, shape)}},
    "allowed, one row": lambda rng, shape: {"mask": {"allowed": _booleans(rng, shape[-1:])}},
    "causal": lambda rng, shape: {"mask": {"causal": True}},
    "causal, offset": lambda rng, shape: {"mask": {"causal": True, "offset": rng.randrange(-2, 4)}},
    "causal, bottom right": lambda rng, shape: {"mask": {"causal": True, "offset": "bottom_right"}},
    "causal, an offset each": lambda rng, shape: {
        "mask": {"causal": True, "offset": _per_batch(shape, lambda: rng.randrange(-2, 4))}
    },
    "window": lambda rng, shape: {"mask": {"window": {"left": 1, "right": rng.randrange(2)}}},
    "window, left only": lambda rng, shape: {"mask": {"window": {"left": 1, "right": None}, "offset": "bottom_right"}},
    "key lengths": lambda rng, shape: {
        "mask": {"key_lengths": _per_batch(shape, lambda: rng.randrange(shape[-1] + 1))}
    },
    "key lengths, bottom right": lambda rng, shape: {
        "mask": {
            "key_lengths": _per_batch(shape, lambda: rng.randrange(shape[-1] + 1)),
            "causal": True,
            "offset": "bottom_right",
        }
    },
    "key lengths per query": lambda rng, shape: {
        "mask": {"key_lengths": _per_batch(shape, lambda: [rng.randrange(shape[-1] + 1) for _ in range(shape[-2])])}
    },
    "segments": lambda rng, shape: {"mask": _segments(rng, shape)},
    "bias": lambda rng, shape: {"bias": _biases(rng, shape)},
    "bias, shared": lambda rng, shape: {"bias": _biases(rng, shape[-2:])},
    "softcap": lambda rng, shape: {"softcap": 1.5},
    "alibi": lambda rng, shape: {"position": {"name": "alibi"}},
    "alibi, own slopes": lambda rng, shape: {
        "position": {"name": "alibi", "slopes": [0.1 + h for h in range(shape[1])] if len(shape) == 4 else 0.3},
        "mask": {"offset": _per_batch(shape, lambda: rng.randrange(-2, 4))},
    },
    "rotary": lambda rng, shape: {"position": {"name": "rotary"}},
    "rotary, interleaved": lambda rng, shape: {
        "position": {"name": "rotary", "base": 500, "interleaved": True},
        "mask": {"offset": _per_batch(shape, lambda: rng.randrange(-2, 4))},
    },
    "everything": lambda rng, shape: {
        "mask": {
            "allowed": _booleans(rng, shape[-2:]),
            "causal": True,
            "window": {"left": 3, "right": None},
            "key_lengths": _per_batch(shape, lambda: rng.randrange(1, shape[-1] + 1)),
            "offset": 1,
            **_segments(rng, shape),
        },
        "bias": _biases(rng, shape),
        "softcap": 2.0,
        "position": {"name": "alibi"},
    },
}


@dataclass(frozen=True)
class Combination:
    """One point of the product."""

    score_model: str
    normalizer: str
    setting: str
    heads: str
    dtype: str

    def request(self):
        """The wire document of this combination, the same in every run."""
        seed = zlib.crc32(repr(self).encode())
        rng = random.Random(seed)
        layout = HEADS[self.heads]

        def draw():
            return rng.gauss(0, 1)

        document = self._vectors(layout, draw)
        document |= SETTINGS[self.setting](rng, (*layout.leading, QUERIES, KEYS))
        if self.normalizer in POSITIVE:
            _lift(document)
        document["score_model"] = {"name": self.score_model, **self._model_parameters(layout, draw, seed)}
        parameters = NORMALIZER_PARAMETERS[self.normalizer]
        document["normalizer"] = {"name": self.normalizer, **parameters[seed % len(parameters)]}
        return document | {"dtype": self.dtype}

    def _vectors(self, layout, draw):
        query_heads, key_heads = layout.heads or (1, 1)
        new = KEYS - layout.past
        features = key_features(self.score_model)
        document = {
            "query": matrix(draw, *layout.query, QUERIES, FEATURES * query_heads),
            "key": matrix(draw, *layout.key, new, features * key_heads),
            "value": matrix(draw, *layout.value, new, VALUE_FEATURES * key_heads),
        }
        if layout.heads:
            document["heads"] = {"query": query_heads, "key_value": key_heads}
        if layout.past:
            document["past_key"] = matrix(draw, *layout.key, layout.past, features)
            document["past_value"] = matrix(draw, *layout.value, layout.past, VALUE_FEATURES)
        return document

    def _model_parameters(self, layout, draw, seed):
        if len(layout.leading) == 2 and seed % 3 == 0:
            return HEAD_PARAMETERS[self.score_model](draw, layout.leading[1])
        variants = MODEL_PARAMETERS[self.score_model]
        return variants[seed % len(variants)](draw)


def _lift(document):
    """Add so much to every logit that none is negative; what is hidden stays hidden."""
    bias = document.get("bias")
    document["bias"] = [LIFT] if bias is None else _lifted(bias)


def _lifted(bias):
    if isinstance(bias, list):
        return [_lifted(item) for item in bias]
    return None if bias is None else bias + LIFT


def two_dtypes(score_model: str, normalizer: str) -> set[str]:
    """Return half of the dtypes for a score model and a normalizer, others for the next; the soak has all of them."""
    turn = zlib.crc32(repr((score_model, normalizer)).encode())
    return {DTYPES[turn % 4], DTYPES[(turn + 1 + turn // 4 % 3) % 4]}


def combinations():
    """Every point of the product of the registries."""
    return [Combination(*point) for point in itertools.product(SCORE_MODELS, NORMALIZERS, SETTINGS, HEADS, DTYPES)]


def core_call(request, include=None):
    """The core's call of a wire document, built by hand so that no code of the service is trusted here."""
    model = oracle.named(request.get("score_model"), "scaled_dot_product")
    normalizer = oracle.named(request.get("normalizer"), "softmax")
    position = oracle.named(request.get("position"), None)
    arrays = {
        name: None if request.get(name) is None else np.array(request[name], float)
        for name in ("query", "key", "value", "past_key", "past_value")
    }
    heads = request.get("heads")
    bias = request.get("bias")
    offset = (request.get("mask") or {}).get("offset")
    return AttentionCall(
        **arrays,
        score_model=SCORE_MODELS[model["name"]](**_parameters(model)),
        normalizer=NORMALIZERS[normalizer["name"]](**_parameters(normalizer)),
        softcap=request.get("softcap"),
        mask=core_mask(request.get("mask") or {}),
        offset=np.array(offset) if isinstance(offset, list) else offset,
        bias=None if bias is None else with_infinities(bias),
        position=None if position is None else POSITIONS[position["name"]](**_parameters(position)),
        heads=None if heads is None else Heads(**heads),
        dtype=request.get("dtype"),
        include=include,
    )


def core_mask(mask):
    """The core's mask of a wire object."""
    masks = []
    if mask.get("causal"):
        masks.append(Causal())
    if mask.get("window"):
        masks.append(Window(**mask["window"]))
    if mask.get("key_lengths") is not None:
        masks.append(KeyLengths(np.array(mask["key_lengths"])))
    if mask.get("query_segments") is not None:
        masks.append(Segments(np.array(mask["query_segments"]), np.array(mask["key_segments"])))
    if mask.get("allowed") is not None:
        masks.append(Allowed(np.array(mask["allowed"])))
    combined = None
    for one in masks:
        combined = one if combined is None else combined & one
    return combined


def _parameters(model):
    return {
        name: np.array(value, float) if isinstance(value, list) else value
        for name, value in model.items()
        if name != "name" and value is not None
    }


def with_infinities(nested):
    """An array of nested lists in which null is minus infinity."""
    leaves = [-np.inf if leaf is None else leaf for leaf in _leaves(nested)]
    return np.array(leaves, float).reshape(oracle.shape(nested))


def _leaves(nested):
    return [leaf for item in nested for leaf in _leaves(item)] if isinstance(nested, list) else [nested]
