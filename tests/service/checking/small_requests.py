"""Small requests, as people paste them: one query and three or four keys, or a few with batch rows and heads."""

import numpy as np

FEATURES = 8
"""D; not 4, where 2/√D is 1 and "scale doubled" and "scale missing" are one and the same."""

LAYOUTS = {
    "1 × 2": ((), None, 1, 2),
    "1 × 3": ((), None, 1, 3),
    "1 × 4": ((), None, 1, 4),
    "batch": ((2,), None, 1, 4),
    "heads": ((1, 3), None, 2, 4),
    "grouped": ((2, 6), 3, 1, 4),
    "packed": ((2, 6), 3, 2, 4),
    "square": ((1, 2), None, 3, 3),
}
"""Leading axes of the queries, how many key heads they share if not their own, Lq and Lk."""


def _per_row(shape, *numbers):
    """One number for each batch row."""
    return [*numbers][: shape[0] if len(shape) > 2 else 1]


def _random(rng, *shape):
    return np.round(rng.standard_normal(shape), 3).tolist()


OPTIONS = {
    "nothing": lambda rng, shape: {},
    "own scale": lambda rng, shape: {"score_model": {"name": "scaled_dot_product", "scale": 0.2}},
    "bottom right": lambda rng, shape: {"mask": {"causal": True, "offset": "bottom_right"}},
    "causal": lambda rng, shape: {"mask": {"causal": True, "offset": 1}},
    "window": lambda rng, shape: {"mask": {"window": {"left": 1, "right": 1}, "offset": 1}},
    "lengths": lambda rng, shape: {"mask": {"key_lengths": _per_row(shape, shape[-1] - 1, 2)}},
    "allowed": lambda rng, shape: {"mask": {"allowed": (rng.random(shape) < 0.7).tolist()}},
    "offsets": lambda rng, shape: {
        "mask": {"causal": True, "offset": _per_row(shape, 2, 1)},
        "position": {"name": "rotary"},
    },
    "bias": lambda rng, shape: {"bias": _random(rng, *shape[-2:])},
    "softcap": lambda rng, shape: {
        "softcap": 1.5,
        "bias": _random(rng, *shape[-2:]),
        "mask": {"causal": True, "offset": 1},
    },
    "alibi": lambda rng, shape: {"position": {"name": "alibi"}, "mask": {"causal": True, "offset": 1}},
    "own slopes": lambda rng, shape: {
        "position": {"name": "alibi", "slopes": [0.3 + h / 7 for h in range(shape[1])] if len(shape) == 4 else 0.3}
    },
    "rotary": lambda rng, shape: {"position": {"name": "rotary", "base": 500}, "mask": {"offset": 3}},
    "temperature": lambda rng, shape: {"normalizer": {"name": "softmax", "temperature": 0.7}},
    "sink": lambda rng, shape: {"normalizer": {"name": "softmax", "sink": 0.5}},
    "wide values": lambda rng, shape: {"value_features": FEATURES},
    "cache": lambda rng, shape: {
        "past": shape[-1] // 2,
        "mask": {"causal": True, "window": {"left": 2, "right": None}},
    },
}
"""What a request asks for beside its arrays, drawn for scores of a shape."""


def small_request(rng, layout, option):
    """A request of one combination."""
    leading, shared, queries, keys = LAYOUTS[layout]
    options = OPTIONS[option](rng, (*leading, queries, keys))
    past, values = options.pop("past", 0), options.pop("value_features", 3)
    own = leading if shared is None else (leading[0], shared)
    shapes = {
        "query": (*leading, queries, FEATURES),
        "key": (*own, keys - past, FEATURES),
        "value": (*own, keys - past, values),
    }
    if past:
        shapes |= {"past_key": (*own, past, FEATURES), "past_value": (*own, past, values)}
    arrays = {name: np.round(rng.standard_normal(shape), 3) for name, shape in shapes.items()}
    request = {}
    if layout == "packed":
        request["heads"] = {"query": leading[1], "key_value": shared}
        packed = ("query", "key", "value")
        arrays |= {name: arrays[name].swapaxes(1, 2).reshape(2, arrays[name].shape[2], -1) for name in packed}
    return request | {name: array.tolist() for name, array in arrays.items()} | options
