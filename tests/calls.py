"""Requests for every combination: score model × normalizer × mask × shape × dtype, seeded, as wire documents.

The registries below name a way to make parameters for everything that the core registers; the ladder fails when
something is registered that has none.
"""

import itertools
import random
import zlib
from dataclasses import dataclass

import numpy as np

from attention_core import SCORE_MODELS, Allowed, AttentionCall, Causal
from attention_core.normalizers import NORMALIZERS
from tests import oracle

FEATURES = 5
KEY_FEATURES = {"additive": 3}
UNITS = 4


def _matrix(draw, *shape):
    """Nested lists of drawn numbers; short decimals, so that a failing request can be read."""
    if not shape:
        return round(draw(), 3)
    return [_matrix(draw, *shape[1:]) for _ in range(shape[0])]


MODEL_PARAMETERS = {
    "scaled_dot_product": [lambda draw: {}, lambda draw: {"scale": round(draw(), 3)}],
    "dot_product": [lambda draw: {}],
    "additive": [
        lambda draw: {
            "query_weight": _matrix(draw, UNITS, FEATURES),
            "key_weight": _matrix(draw, UNITS, KEY_FEATURES["additive"]),
            "score_vector": _matrix(draw, UNITS),
        },
        lambda draw: {
            "query_weight": _matrix(draw, UNITS, FEATURES),
            "key_weight": _matrix(draw, UNITS, KEY_FEATURES["additive"]),
            "score_vector": _matrix(draw, UNITS),
            "hidden_bias": _matrix(draw, UNITS),
        },
    ],
}

NORMALIZER_PARAMETERS = {
    "softmax": [{}, {"temperature": 0.3}, {"temperature": 7.0}],
    "proportional": [{}],
}

POSITIVE = frozenset(("proportional",))
"""Normalizers that take no negative logit: every number drawn for them is positive."""

SHAPES = {
    "rank 2": ((), (), ()),
    "batch": ((3,), (3,), (3,)),
    "heads": ((2, 3), (2, 3), (2, 3)),
    "shared keys": ((2, 3), (1, 3), (1, 3)),
    "wider values": ((3,), (3,), (2, 3)),
    "shared queries": ((), (2,), (2,)),
}
"""Leading axes of query, key and value."""

QUERIES, KEYS, VALUE_FEATURES = 4, 7, 2


def _scores_shape(shape):
    query, key, _ = SHAPES[shape]
    return (*np.broadcast_shapes(query, key), QUERIES, KEYS)


def _booleans(rng, shape):
    if not shape:
        return rng.random() < 0.6
    return [_booleans(rng, shape[1:]) for _ in range(shape[0])]


def _biases(rng, draw, shape):
    if not shape:
        return None if rng.random() < 0.3 else round(draw(), 3)
    return [_biases(rng, draw, shape[1:]) for _ in range(shape[0])]


MASKS = {
    "none": lambda rng, draw, shape: {},
    "allowed": lambda rng, draw, shape: {"mask": {"allowed": _booleans(rng, shape)}},
    "allowed, one row": lambda rng, draw, shape: {"mask": {"allowed": _booleans(rng, (shape[-1],))}},
    "allowed, one column": lambda rng, draw, shape: {"mask": {"allowed": _booleans(rng, (shape[-2], 1))}},
    "causal": lambda rng, draw, shape: {"mask": {"causal": True}},
    "causal, offset": lambda rng, draw, shape: {"mask": {"causal": True, "offset": 3}},
    "causal, negative offset": lambda rng, draw, shape: {"mask": {"causal": True, "offset": -2}},
    "bias": lambda rng, draw, shape: {"bias": _biases(rng, draw, shape)},
    "bias, shared": lambda rng, draw, shape: {"bias": _biases(rng, draw, shape[-2:])},
    "everything": lambda rng, draw, shape: {
        "mask": {"allowed": _booleans(rng, shape), "causal": True, "offset": 1},
        "bias": _biases(rng, draw, shape[-2:]),
    },
}

DTYPES = ("float64", "float32")


@dataclass(frozen=True)
class Combination:
    """One point of the product."""

    score_model: str
    model_variant: int
    normalizer: str
    normalizer_variant: int
    mask: str
    shape: str
    dtype: str

    def request(self):
        """The wire document of this combination, the same in every run."""
        rng = random.Random(zlib.crc32(repr(self).encode()))
        positive = self.normalizer in POSITIVE

        def draw():
            return rng.uniform(0.1, 2) if positive else rng.gauss(0, 1)

        query, key, value = SHAPES[self.shape]
        parameters = MODEL_PARAMETERS[self.score_model][self.model_variant](draw)
        return {
            "query": _matrix(draw, *query, QUERIES, FEATURES),
            "key": _matrix(draw, *key, KEYS, KEY_FEATURES.get(self.score_model, FEATURES)),
            "value": _matrix(draw, *value, KEYS, VALUE_FEATURES),
            "score_model": {"name": self.score_model, **parameters},
            "normalizer": {"name": self.normalizer, **NORMALIZER_PARAMETERS[self.normalizer][self.normalizer_variant]},
            "dtype": self.dtype,
            **MASKS[self.mask](rng, draw, _scores_shape(self.shape)),
        }


def combinations():
    """Every point of the product of the registries."""
    models = [(name, n) for name in SCORE_MODELS for n in range(len(MODEL_PARAMETERS[name]))]
    normalizers = [(name, n) for name in NORMALIZERS for n in range(len(NORMALIZER_PARAMETERS[name]))]
    product = itertools.product(models, normalizers, MASKS, SHAPES, DTYPES)
    return [Combination(*model, *normalizer, *rest) for model, normalizer, *rest in product]


def core_call(request, include=None):
    """The core's call of a wire document, built by hand so that no code of the service is trusted here."""
    model = oracle.named(request.get("score_model"), "scaled_dot_product")
    normalizer = oracle.named(request.get("normalizer"), "softmax")
    mask = request.get("mask") or {}
    masks = [Causal()] if mask.get("causal") else []
    masks += [Allowed(np.array(mask["allowed"]))] if mask.get("allowed") is not None else []
    combined = None
    for one in masks:
        combined = one if combined is None else combined & one
    parameters = {name: _array_or_scalar(value) for name, value in model.items() if name != "name"}
    bias = request.get("bias")
    return AttentionCall(
        query=np.array(request["query"], float),
        key=np.array(request["key"], float),
        value=None if request.get("value") is None else np.array(request["value"], float),
        score_model=SCORE_MODELS[model["name"]](**parameters),
        normalizer=NORMALIZERS[normalizer["name"]](**{k: v for k, v in normalizer.items() if k != "name"}),
        mask=combined,
        offset=mask.get("offset"),
        bias=None if bias is None else _with_infinities(bias),
        dtype=request.get("dtype"),
        include=include,
    )


def _array_or_scalar(value):
    return np.array(value, float) if isinstance(value, list) else value


def _with_infinities(nested):
    leaves = [-np.inf if leaf is None else leaf for leaf in _leaves(nested)]
    return np.array(leaves, float).reshape(oracle.shape(nested))


def _leaves(nested):
    return [leaf for item in nested for leaf in _leaves(item)] if isinstance(nested, list) else [nested]
