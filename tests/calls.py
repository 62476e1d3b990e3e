"""Requests for every combination: score model × normalizer × setting × heads × dtype, seeded, as wire documents.

The registries below hold a way to make parameters for everything that the core registers, made from its descriptions.
Where a member has several sets of parameters, each combination takes the next.
"""

import itertools
import math
import random
from dataclasses import dataclass

import numpy as np

from attention_core import (
    NORMALIZERS,
    SCORE_MODELS,
)
from attention_core.capabilities import RefusesLogits
from attention_core.descriptions import parameters_of, takes_two_sizes
from tests.sampling import seed_at
from tests.written import FORMULAS, as_formula

FEATURES = 4
FEWER_FEATURES = 2
UNITS = 3
QUERIES, KEYS, VALUE_FEATURES = 3, 5, 2


def key_features(score_model):
    """Features of a key: fewer than a query has, where the score model allows."""
    return FEWER_FEATURES if takes_two_sizes(SCORE_MODELS[score_model]) else FEATURES


def matrix(draw, *shape):
    """Nested lists of drawn numbers; short decimals, so that a failing request can be read."""
    if not shape:
        return round(draw(), 3)
    return [matrix(draw, *shape[1:]) for _ in range(shape[0])]


def samples(one):
    """Numbers worth trying for a parameter: within its bounds, the bound itself where it is allowed."""
    if one.kind == "boolean":
        return (True, False)
    if one.minimum > -math.inf:
        return tuple(one.minimum + step for step in (0.0, 0.25, 0.75, 1.0))
    return (one.above + 0.3, one.above + 2.5) if one.above > -math.inf else (0.5, -1.5)


def drawn_parameter(one, draw, score_model, heads=()):
    """A parameter of a score model as a request sends it, with an axis of heads if there are any."""
    sizes = {"Dq": FEATURES, "D": FEATURES, "Dk": key_features(score_model)}
    shape = [
        int(factor or 1) * sizes.get(axis, UNITS) for factor, _, axis in (axis.rpartition("·") for axis in one.axes)
    ]
    if one.axes or not one.condition:
        return matrix(draw, *heads, *shape)
    low, high = samples(one)[0], samples(one)[-1]
    return matrix(lambda: low + abs(draw()) % (high - low), *heads)


def _drawn(score_model, chosen):
    """Return how to draw some parameters of a score model."""
    return lambda draw: {one.name: drawn_parameter(one, draw, score_model) for one in chosen}


def is_written(score_model):
    """Whether a request writes the score model as a formula."""
    return any(one.kind == "formula" for one in parameters_of(SCORE_MODELS[score_model]).values())


BUILT_IN = tuple(FORMULAS)
"""The score models that are written as formulas too; one that is added to the project needs no formula."""


def written(model):
    """Formula and parameters of a score model that is written as a built-in one of a request."""
    return {name: value for name, value in as_formula(model).items() if name != "name"}


def _variants(score_model):
    """The required parameters alone, and all parameters; of a written score model those of every built-in one."""
    if is_written(score_model):
        return [
            lambda draw, built_in=built_in, variant=variant: written({"name": built_in, **variant(draw)})
            for built_in in BUILT_IN
            for variant in _drawn_variants(built_in, score_model)
        ]
    return _drawn_variants(score_model, score_model)


def _drawn_variants(described_by, score_model):
    """The variants of the parameters that one score model describes, in the sizes of another."""
    described = list(parameters_of(SCORE_MODELS[described_by]).values())
    required = [one for one in described if one.required]
    return [_drawn(score_model, chosen) for chosen in ([required, described] if described != required else [described])]


def _for_heads(score_model):
    """Everything for each head, but for a second parameter, which all heads share."""
    described_by = "additive" if is_written(score_model) else score_model

    def draw_all(draw, heads):
        described = parameters_of(SCORE_MODELS[described_by]).values()
        drawn = {
            one.name: drawn_parameter(one, draw, score_model, () if place == 1 else (heads,))
            for place, one in enumerate(described)
        }
        return written({"name": described_by, **drawn}) if is_written(score_model) else drawn

    return draw_all


MODEL_PARAMETERS = {score_model: _variants(score_model) for score_model in SCORE_MODELS}

HEAD_PARAMETERS = {score_model: _for_heads(score_model) for score_model in SCORE_MODELS}


def _combined(described):
    """Nothing, each parameter with each of its samples, and the last samples of all together."""
    alone = [{one.name: sample} for one in described for sample in samples(one)]
    return [{}, *alone, *([{one.name: samples(one)[-1] for one in described}] if len(described) > 1 else [])]


NORMALIZER_PARAMETERS = {
    name: _combined(list(parameters_of(normalizer).values())) for name, normalizer in NORMALIZERS.items()
}

POSITIVE = frozenset(name for name, normalizer in NORMALIZERS.items() if issubclass(normalizer, RefusesLogits))
"""Normalizers that take no negative logit: scores that cannot be negative are lifted by a bias."""

LIFT = 400.0


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


def _positions(rng, shape, order):
    """Positions of each batch row, in an order."""
    return {
        side: _per_batch(shape, lambda length=length: order([rng.randrange(-3, 6) for _ in range(length)]))
        for side, length in (("query", shape[-2]), ("key", shape[-1]))
    }


LLAMA3 = {"kind": "llama3", "factor": 8, "original_max_position_embeddings": 20}
YARN = {"kind": "yarn", "factor": 4, "original_max_position_embeddings": 3000, "beta_fast": 40}
"""Scaling with a pair on the ramp."""


def _modifier(rng, shape):
    """A distance with a slope of its own for each head, and the square of the score."""
    slope = round(rng.gauss(0, 1), 3)
    if len(shape) == 4:
        slope = {"per_head": [round(rng.gauss(0, 1), 3) for _ in range(shape[1])]}
    return {"formula": "score * score / 4 + slope * abs(p - j) / Lk", "parameters": {"slope": slope}}


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
    "mask formula": lambda rng, shape: {
        "mask": {
            "formula": "j <= p + 1 and (p - j < width or doc[j] == h % 2) or i == 0 and j < 2",
            "parameters": {"width": 2, "doc": [rng.randrange(2) for _ in range(shape[-1])]},
            "offset": 1,
        }
    },
    "score modifier": lambda rng, shape: {"score_modifier": _modifier(rng, shape)},
    "score modifier, hiding": lambda rng, shape: {
        "score_modifier": {
            "formula": "where(j <= p or b == 1, 2 * tanh(score / 2) + table[h % 2, j], -inf)",
            "parameters": {"table": [[round(rng.random(), 3) for _ in range(shape[-1])] for _ in range(2)]},
        },
        "bias": _biases(rng, shape[-2:]),
        "softcap": 3.0,
        "mask": {"offset": 1},
    },
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
    "prefix": lambda rng, shape: {
        "mask": {"causal": True, "prefix_lengths": _per_batch(shape, lambda: rng.randrange(shape[-1] + 1))}
    },
    "prefix and window": lambda rng, shape: {
        "mask": {
            "window": {"left": 0, "right": rng.randrange(2)},
            "prefix_lengths": _per_batch(shape, lambda: rng.randrange(min(shape[-1], 2) + 1)),
            "key_lengths": _per_batch(shape, lambda: rng.randrange(1, shape[-1] + 1)),
            "offset": "bottom_right",
        }
    },
    "key allowed": lambda rng, shape: {
        "mask": {"key_allowed": _booleans(rng, (len(_per_batch(shape, int)), shape[-1]))}
    },
    "key allowed, shared": lambda rng, shape: {"mask": {"key_allowed": _booleans(rng, shape[-1:]), "causal": True}},
    "alibi, positions": lambda rng, shape: {
        "mask": {
            "causal": True,
            "window": {"left": 4, "right": None},
            "prefix_lengths": _per_batch(shape, lambda: rng.randrange(2)),
        },
        "positions": _positions(rng, shape, sorted),
        "position": {"name": "alibi"},
    },
    "rotary, positions in any order": lambda rng, shape: {
        "mask": {"causal": True},
        "positions": _positions(rng, shape, list),
        "position": {"name": "rotary"},
    },
    "alibi, positions of queries": lambda rng, shape: {
        "mask": {"window": {"left": 2, "right": 1}},
        "positions": {"query": [rng.randrange(6) for _ in range(shape[-2])]},
        "position": {"name": "alibi"},
    },
    "rotary, positions of keys": lambda rng, shape: {
        "mask": {"causal": True},
        "positions": {"key": [rng.randrange(4) for _ in range(shape[-1])]},
        "position": {"name": "rotary", "interleaved": True, "dims": 2},
    },
    "rotary, linear": lambda rng, shape: {
        "position": {"name": "rotary", "dims": 2, "scaling": {"kind": "linear", "factor": 3}}
    },
    "rotary, llama3": lambda rng, shape: {"position": {"name": "rotary", "base": 50, "scaling": LLAMA3}},
    "rotary, yarn": lambda rng, shape: {"position": {"name": "rotary", "interleaved": True, "scaling": YARN}},
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

    @property
    def places(self):
        """Positions of the coordinates in the ordered registries."""
        registries = (SCORE_MODELS, NORMALIZERS, SETTINGS, HEADS, DTYPES)
        names = (self.score_model, self.normalizer, self.setting, self.heads, self.dtype)
        return tuple(list(registry).index(name) for registry, name in zip(registries, names, strict=True))

    @property
    def seed(self):
        """32 random bits for the position in the product, the same in every run."""
        sizes = (len(SCORE_MODELS), len(NORMALIZERS), len(SETTINGS), len(HEADS), len(DTYPES))
        return seed_at(int(np.ravel_multi_index(self.places, sizes)))

    def request(self):
        """The wire document of this combination, the same in every run."""
        seed = self.seed
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
    """Add `LIFT` to every logit, so that none is negative; hidden keys stay hidden."""
    bias = document.get("bias")
    document["bias"] = [LIFT] if bias is None else _lifted(bias)


def _lifted(bias):
    if isinstance(bias, list):
        return [_lifted(item) for item in bias]
    return None if bias is None else bias + LIFT


def quarter(score_model: str, normalizer: str) -> list[Combination]:
    """Return a quarter of a score model and a normalizer in one dtype, the next pair others; the soak has the rest.

    Every setting and every layout of heads is among them; every score model and every normalizer has each dtype.
    """
    pair = list(SCORE_MODELS).index(score_model) + list(NORMALIZERS).index(normalizer)
    points = itertools.product(enumerate(SETTINGS), enumerate(HEADS))
    return [
        Combination(score_model, normalizer, setting, heads, DTYPES[pair % len(DTYPES)])
        for (row, setting), (column, heads) in points
        if (row + column + pair // len(DTYPES)) % 4 == 0
    ]


def one_in(number: int, score_model: str, normalizer: str) -> list[Combination]:
    """Return one in `number` of the combinations of a score model and a normalizer, the next pair others, for the soak.

    Every setting has every layout of heads, every layout has every dtype, where `number` is at most their number.
    """
    pair = list(SCORE_MODELS).index(score_model) + list(NORMALIZERS).index(normalizer)
    points = itertools.product(enumerate(SETTINGS), enumerate(HEADS), enumerate(DTYPES))
    return [
        Combination(score_model, normalizer, setting, heads, dtype)
        for (row, setting), (column, heads), (layer, dtype) in points
        if (row + column + layer + pair) % number == 0
    ]


def combinations():
    """Every point of the product of the registries."""
    return [Combination(*point) for point in itertools.product(SCORE_MODELS, NORMALIZERS, SETTINGS, HEADS, DTYPES)]
