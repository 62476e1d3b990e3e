"""Requests that a kernel is checked with: every layout with every combination of options that go together.

Sizes are such that no two usual mistakes are the same numbers by chance: D is not 4, where doubling 1/√D gives 1; the
corners of the causal mask are more than one key apart; group sizes differ from the number of groups.
"""

import zlib

import numpy as np

from tests.nested import exchange

FEATURES, VALUE_FEATURES, QUERIES, KEYS = 8, 3, 5, 9
"""D, Dv, Lq, and Lk where it is another number."""

LAYOUTS = {
    "rank 2": ((), None, KEYS),
    "batch": ((2,), None, KEYS),
    "heads": ((2, 3), None, KEYS),
    "square": ((2, 3), None, QUERIES),
    "as many heads as queries": ((1, QUERIES), None, KEYS),
    "grouped": ((2, 6), 3, KEYS),
    "packed": ((2, 6), 3, KEYS),
}
"""Leading axes of the queries, how many key heads they share if not their own, and Lk."""

PAST = 4
"""Keys in the cache, where there is one."""


def request_of(layout, option):
    """The request of one combination, the same in every run; None if the two do not go together."""
    leading, shared, keys = LAYOUTS[layout]
    rng = np.random.default_rng(zlib.crc32(f"{layout}, {option}".encode()))
    shape = (*leading, QUERIES, keys)
    options = (OPTIONS | FORMULAS)[option](rng, shape)
    if options is None:
        return None
    key_leading = leading if shared is None else (leading[0], shared)
    past = PAST if options.pop("cache", False) else 0
    request = {
        "query": rng.standard_normal((*leading, QUERIES, FEATURES)) * options.pop("size", 2),
        "key": rng.standard_normal((*key_leading, keys - past, FEATURES)),
        "value": rng.standard_normal((*key_leading, keys - past, options.pop("value_features", VALUE_FEATURES))),
    }
    if layout == "packed":
        request = {name: _packed(array) for name, array in request.items()}
        request["heads"] = {"query": leading[1], "key_value": shared}
    if past:
        request["past_key"] = rng.standard_normal((*key_leading, past, FEATURES))
        request["past_value"] = rng.standard_normal((*key_leading, past, VALUE_FEATURES))
    arrays = {name: np.round(array, 3).tolist() for name, array in request.items() if name != "heads"}
    return request | arrays | options


def _packed(array):
    batch, heads, length, features = array.shape
    return array.transpose(0, 2, 1, 3).reshape(batch, length, heads * features)


def _booleans(rng, shape):
    return (rng.random(shape) < 0.8).tolist()


def _numbers(rng, shape):
    return np.round(rng.standard_normal(shape), 3).tolist()


def _bias(rng, shape):
    """A quarter of it is null: minus infinity."""
    array = np.round(rng.standard_normal(shape), 3).astype(object)
    array[rng.random(shape) < 0.25] = None
    return array.tolist()


def _lengths(rng, shape):
    """One for each batch row: all keys but two, then three."""
    return [shape[-1] - 2, 3][: shape[0] if len(shape) > 2 else 1]


def _per_head(rng, shape):
    return _numbers(rng, shape[1]) if len(shape) == 4 else 0.4


def _with_lengths(rng, shape, **mask):
    return {"mask": mask | {"key_lengths": _lengths(rng, shape)}}


def _offsets(rng, shape, **options):
    """A position for each of two batch rows, as when rows are decoded together."""
    if len(shape) < 3 or shape[0] != 2:
        return None
    return options | {"mask": {"causal": True, "offset": [3, 1]} | options.get("mask", {})}


def _yarn(factor):
    """With pairs that are scaled in part."""
    return {"kind": "yarn", "factor": factor, "original_max_position_embeddings": 40}


def _prefixes(shape):
    """One for each batch row."""
    return [4, 3][: shape[0] if len(shape) > 2 else 1]


def _placed(shape, mask=None, **options):
    """Positions with gaps and repetitions, the same for all batch rows."""
    queries, keys = (
        (3 * np.arange(length) // 2 + start).tolist() for length, start in ((shape[-2], 4), (shape[-1], 1))
    )
    own = {"mask": mask} if mask else {}
    return own | options | {"positions": {"query": queries, "key": keys}}


def _everything(rng, shape):
    if shape[-1] < KEYS:
        return None
    return {
        "mask": {
            "causal": True,
            "offset": 2,
            "window": {"left": 3, "right": None},
            "allowed": _booleans(rng, shape[-2:]),
            "key_lengths": _lengths(rng, shape),
        },
        "bias": _numbers(rng, shape[-2:]),
        "softcap": 1.5,
        "position": {"name": "alibi"},
        "normalizer": {"name": "softmax", "temperature": 0.8, "sink": _per_head(rng, shape)},
    }


OPTIONS = {
    "nothing": lambda rng, shape: {},
    "own scale": lambda rng, shape: {"score_model": {"name": "scaled_dot_product", "scale": 0.2}},
    "causal": lambda rng, shape: {"mask": {"causal": True}},
    "causal, bottom right": lambda rng, shape: {"mask": {"causal": True, "offset": "bottom_right"}},
    "causal, lengths": lambda rng, shape: _with_lengths(rng, shape, causal=True),
    "causal, lengths, bottom right": lambda rng, shape: _with_lengths(rng, shape, causal=True, offset="bottom_right"),
    "causal, empty rows": lambda rng, shape: {"mask": {"causal": True, "offset": -2}},
    "allowed, empty rows": lambda rng, shape: {
        "mask": {"allowed": [row if i % 2 else [False] * len(row) for i, row in enumerate(_booleans(rng, shape[-2:]))]}
    },
    "window": lambda rng, shape: {"mask": {"window": {"left": 2, "right": 1}, "offset": 2}},
    "window, causal": lambda rng, shape: {"mask": {"window": {"left": 2, "right": None}, "causal": True, "offset": 2}},
    "window, lengths": lambda rng, shape: _with_lengths(rng, shape, window={"left": 2, "right": 1}),
    "allowed": lambda rng, shape: {"mask": {"allowed": _booleans(rng, shape)}},
    "allowed, causal": lambda rng, shape: {
        "mask": {"allowed": _booleans(rng, shape[-2:]), "causal": True, "offset": 2}
    },
    "lengths": _with_lengths,
    "bias": lambda rng, shape: {"bias": _numbers(rng, shape)},
    "bias, hidden": lambda rng, shape: {
        "bias": _bias(rng, shape[-2:]),
        "mask": {"allowed": _booleans(rng, shape[-2:])},
    },
    "softcap": lambda rng, shape: {"softcap": 1.5},
    "softcap, causal": lambda rng, shape: {"softcap": 1.5, "mask": {"causal": True}},
    "softcap, bias": lambda rng, shape: {
        "softcap": 1.2,
        "bias": _numbers(rng, shape),
        "mask": {"causal": True, "offset": 2},
    },
    "softcap, empty rows": lambda rng, shape: {"softcap": 1.5, "mask": {"causal": True, "offset": -2}},
    "alibi": lambda rng, shape: {"position": {"name": "alibi"}, "mask": {"offset": 4}},
    "alibi, causal": lambda rng, shape: {
        "position": {"name": "alibi"},
        "mask": {"causal": True, "offset": "bottom_right"},
    },
    "alibi, own slopes": lambda rng, shape: {
        "position": {"name": "alibi", "slopes": [0.3 + h / 7 for h in range(shape[1])] if len(shape) == 4 else 0.3}
    },
    "rotary": lambda rng, shape: {"position": {"name": "rotary"}, "mask": {"offset": 4}},
    "rotary, causal": lambda rng, shape: {
        "position": {"name": "rotary", "base": 500, "interleaved": True},
        "mask": {"causal": True, "offset": 2},
    },
    "rotary, dims": lambda rng, shape: {
        "position": {"name": "rotary", "base": 50, "dims": 6},
        "mask": {"offset": 4, "causal": True},
    },
    "rotary, yarn": lambda rng, shape: {
        "position": {"name": "rotary", "base": 30, "scaling": _yarn(factor=4)},
        "mask": {"offset": 4},
    },
    "rotary, yarn, interleaved": lambda rng, shape: {
        "position": {"name": "rotary", "base": 20, "interleaved": True, "dims": 6, "scaling": _yarn(factor=8)},
        "mask": {"offset": 3, "causal": True},
    },
    "rotary, llama3": lambda rng, shape: {
        "position": {"name": "rotary", "base": 30, "scaling": _yarn(factor=4) | {"kind": "llama3"}},
        "mask": {"offset": 4},
    },
    "prefix": lambda rng, shape: {"mask": {"causal": True, "prefix_lengths": _prefixes(shape)}},
    "prefix, window": lambda rng, shape: {
        "mask": {"window": {"left": 1, "right": 1}, "offset": 3, "prefix_lengths": _prefixes(shape)}
    },
    "positions": lambda rng, shape: _placed(shape, position={"name": "rotary", "base": 50}),
    "positions, alibi": lambda rng, shape: _placed(shape, position={"name": "alibi"}),
    "positions, masks": lambda rng, shape: _placed(shape, mask={"causal": True, "window": {"left": 5, "right": None}}),
    "key allowed": lambda rng, shape: {"mask": {"key_allowed": (rng.random(shape[-1]) < 0.7).tolist()}},
    "temperature": lambda rng, shape: {"normalizer": {"name": "softmax", "temperature": 0.7}},
    "sink": lambda rng, shape: {"normalizer": {"name": "softmax", "sink": _per_head(rng, shape)}},
    "sink, temperature, lengths": lambda rng, shape: {
        "normalizer": {"name": "softmax", "sink": 0.5, "temperature": 1.3},
        **_with_lengths(rng, shape),
    },
    "cache": lambda rng, shape: {"cache": True, "mask": {"causal": True}} if shape[-1] == KEYS else None,
    "cache, alibi": lambda rng, shape: (
        {"cache": True, "mask": {"causal": True}, "position": {"name": "alibi"}} if shape[-1] == KEYS else None
    ),
    "cache, rotary": lambda rng, shape: (
        {"cache": True, "mask": {"causal": True}, "position": {"name": "rotary"}} if shape[-1] == KEYS else None
    ),
    "offsets": _offsets,
    "offsets, rotary": lambda rng, shape: _offsets(rng, shape, position={"name": "rotary"}),
    "offsets, alibi, lengths": lambda rng, shape: _offsets(
        rng, shape, position={"name": "alibi"}, mask={"key_lengths": _lengths(rng, shape)}
    ),
    "wide values": lambda rng, shape: {"value_features": FEATURES},
    "huge": lambda rng, shape: {"size": 1000},
    "everything": _everything,
}
"""What a request asks for beside its arrays, drawn for scores of a shape; None where the layout has no room for it."""


def _modified(formula, mask=None, **options):
    """A score modifier, with its parameters and mask if it has them."""
    parameters = options.pop("parameters", {})
    modifier = {"formula": formula, "parameters": parameters}
    return options | {"score_modifier": modifier} | ({"mask": mask} if mask else {})


def _masked(formula, mask=None, **parameters):
    return {"mask": {"formula": formula, "parameters": parameters} | (mask or {})}


def _by_head(rng, shape, make):
    """Options with a parameter for each head; None without heads."""
    if len(shape) != 4:
        return None
    numbers = np.round(0.2 + rng.random(shape[1]), 3) + np.arange(shape[1])
    return make({"per_head": numbers.tolist()})


FORMULAS = {
    "modifier, offset": lambda rng, shape: _modified("score - 0.3 * abs(p - j)", {"offset": 4}),
    "modifier, causal": lambda rng, shape: _modified(
        "score + rate * (j - p)", {"causal": True, "offset": 2}, parameters={"rate": 0.4}
    ),
    "modifier of a table": lambda rng, shape: _modified(
        "score + bonus[j] - bonus[i]", {"causal": True}, parameters={"bonus": _numbers(rng, shape[-1])}
    ),
    "modifier by head": lambda rng, shape: _by_head(
        rng, shape, lambda slope: _modified("score - slope * abs(p - j)", {"offset": 3}, parameters={"slope": slope})
    ),
    "modifier of heads": lambda rng, shape: (
        _modified("score * (1 + 0.4 * h) - 0.1 * j", {"offset": 3}) if len(shape) == 4 else None
    ),
    "modifier, softcap": lambda rng, shape: _modified("1.7 * score + 0.3 * (j % 3)", softcap=1.5),
    "modifier, bias": lambda rng, shape: _modified("0.5 * score + 0.2 * j", bias=_numbers(rng, shape[-2:])),
    "modifier, softcap, bias": lambda rng, shape: _modified(
        "0.4 * score - 0.3 * abs(p - j)", {"causal": True, "offset": 2}, softcap=1.2, bias=_numbers(rng, shape)
    ),
    "modifier, alibi": lambda rng, shape: _modified(
        "0.6 * score + 0.2 * (j % 4)", {"causal": True, "offset": 4}, position={"name": "alibi"}
    ),
    "modifier, bounds": lambda rng, shape: _modified("minimum(maximum(score, -1), 1.5)", {"causal": True, "offset": 2}),
    "modifier, bounds, lengths": lambda rng, shape: _modified(
        "maximum(score, 0.1 * j)", {"key_lengths": _lengths(rng, shape)}
    ),
    "modifier that hides": lambda rng, shape: _modified("where(j <= p + 1, score, -inf)", {"offset": 1}),
    "mask formula": lambda rng, shape: _masked("j <= p and p - j < 4", {"offset": 2}),
    "mask formula of positions": lambda rng, shape: _masked("abs(p - j) <= 2 or j < 1", {"offset": 4}),
    "mask formula of indices": lambda rng, shape: _masked("i >= j or j < reach", reach=2),
    "mask formula of documents": lambda rng, shape: _masked(
        "doc[j] == doc[i] and j <= p", doc=[0, 0, 0, 1, 1, 1, 2, 2, 2][: shape[-1]]
    ),
    "mask formula by head": lambda rng, shape: _by_head(
        rng, shape, lambda reach: _masked("p - j < reach and j <= p", {"offset": 4}, reach=reach)
    ),
    "mask formula of heads": lambda rng, shape: (
        _masked("abs(p - j) <= 1 + h", {"offset": 3}) if len(shape) == 4 else None
    ),
    "mask formula, lengths": lambda rng, shape: _masked(
        "p - j < 5", {"offset": 3, "key_lengths": _lengths(rng, shape)}
    ),
    "expression of a matrix": lambda rng, shape: {
        "score_model": {
            "name": "expression",
            "formula": "dot(k, W @ q)",
            "parameters": {"W": (np.array(_numbers(rng, (FEATURES, FEATURES))) / 4).tolist()},
        }
    },
    "expression of differences": lambda rng, shape: {
        "score_model": {"name": "expression", "formula": "sum(maximum(q - k, 0)) * -rate", "parameters": {"rate": 0.3}},
        "mask": {"causal": True, "offset": 2},
    },
    "expression, modifier, mask": lambda rng, shape: {
        "score_model": {"name": "expression", "formula": "sum(maximum(q - k, 0)) * -rate", "parameters": {"rate": 0.2}},
        **_modified("score - 0.2 * abs(p - j)"),
        **_masked("j <= p + 1", {"offset": 2}),
    },
}
"""Options with formulas, in the same manner."""


def requests(options=OPTIONS):
    """Every request by its name."""
    found = {f"{layout}: {option}": request_of(layout, option) for layout in LAYOUTS for option in options}
    return {name: request for name, request in found.items() if request is not None}


def by_length(requests):
    """The requests of as many queries as keys, with vectors as (batch, length, heads, features)."""
    return {
        f"by length: {name}": request
        | {part: exchange(request[part]) for part in ("query", "key", "value")}
        | {"layout": "bshd"}
        for name, request in requests.items()
        if name.startswith("square: ")
    }
