"""A spread of calls, by name: every score model with every normalizer, and one by one whatever else a call may have.

A name is made of words: included results, score model, normalizer, dtype, setting, heads if any, length × features.
"""

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import numpy as np

from attention_core import (
    NORMALIZERS,
    SCORE_MODELS,
    Alibi,
    Allowed,
    Causal,
    Entmax,
    KeyLengths,
    Rotary,
    Segments,
    Window,
)

UNITS = 32
"""Hidden units of additive scores."""

LIFT = 300.0
"""Added to logits where a normalizer takes no negative one."""

INCLUDE = {
    "dense": ("scores", "weights", "output"),
    "tiled": ("output",),
    "diagnostics": ("diagnostics",),
    "ranking": ("ranking",),
}
"""Included results, which decide on the path; the first two words are those of the paths."""

PATHS = ("dense", "tiled")


def normal(*shape: int) -> np.ndarray:
    """Return normal numbers, the same every time."""
    return np.random.default_rng(1).standard_normal(shape, dtype=np.float32)


SETTINGS: dict[str, Callable[[int], dict[str, Any]]] = {
    "plain": lambda _: {},
    "causal": lambda _: {"mask": Causal()},
    "window": lambda _: {"mask": Window(left=128, right=0)},
    "softcap": lambda _: {"softcap": 30.0},
    "alibi": lambda _: {"position": Alibi()},
    "rotary": lambda _: {"position": Rotary()},
    "key_lengths": lambda length: {"mask": KeyLengths(np.array([length // 2]))},
    "segments": lambda length: {"mask": Segments(*(np.arange(length)[None] * 4 // length,) * 2)},
    "allowed": lambda length: {"mask": Allowed(normal(length, length) < 0)},
    "bias": lambda length: {"bias": normal(length, length)},
}
"""Arguments by length."""


def examples() -> Iterator[str]:
    """Yield the name of each call once."""
    for path, (place, model), (column, normalizer) in product(PATHS, enumerate(SCORE_MODELS), enumerate(NORMALIZERS)):
        # Both paths take every model and every normalizer, though not every pair of them.
        if (place + column) % 2 == (path == "tiled") or (model, normalizer) == ("scaled_dot_product", "softmax"):
            yield name_of(path, model, normalizer)
    for path in PATHS:
        yield from (name_of(path, length=length) for length in (512, 2048, 4096))
        yield from (name_of(path, dtype=dtype) for dtype in ("float64", "float16", "bfloat16"))
        yield from (name_of(path, setting=setting, length=2048) for setting in SETTINGS if setting != "plain")
        yield from (name_of(path, setting=f"plain heads:{heads}", length=512) for heads in ("8/8", "8/2"))
        yield from (name_of(path, features=features) for features in (8, 256))
        yield from (name_of(path, model, features=16) for model in ("additive", "gaussian"))
        yield name_of(path, dtype="bfloat16", length=2048)
        yield name_of(path, normalizer="sparsemax", length=2048)
        yield name_of(path, normalizer="entmax_1.25", length=512)
    yield from (name_of(asked, length=length) for asked in ("diagnostics", "ranking") for length in (512, 2048))
    yield name_of("tiled", length=8192)


def name_of(
    asked: str,
    model: str = "scaled_dot_product",
    normalizer: str = "softmax",
    dtype: str = "float32",
    setting: str = "plain",
    length: int = 1024,
    features: int = 64,
) -> str:
    """Return the name of a call; its setting may have the heads of queries and of keys behind it."""
    return f"{asked} {model} {normalizer} {dtype} {setting} {length}x{features}"


def arguments(name: str, length: int | None = None) -> dict[str, Any]:
    """Return the arguments of `attend`, the same in every run; of another length if it is given."""
    asked, model, normalizer, dtype, setting, *heads, sizes = name.split()
    named_length, features = map(int, sizes.split("x"))
    length = length or named_length
    n_heads = [(1, int(number)) for number in heads[0].removeprefix("heads:").split("/")] if heads else [(), ()]
    parameters = {
        "query_weight": (UNITS, features),
        "key_weight": (UNITS, features),
        "score_vector": (UNITS,),
        "weight": (3 * features,) if model == "trilinear" else (features, features),
    }
    score_model = SCORE_MODELS[model]
    names = parameters.keys() & score_model.__dataclass_fields__.keys()
    return {
        "query": normal(*n_heads[0], length, features),
        "key": normal(*n_heads[1], length, features),
        "value": normal(*n_heads[1], length, features),
        "score_model": score_model(**{name: normal(*parameters[name]) / 8 for name in names}),
        "normalizer": Entmax(alpha=1.25) if normalizer == "entmax_1.25" else NORMALIZERS[normalizer](),
        "dtype": dtype,
        "include": INCLUDE[asked],
        "bias": np.full(1, LIFT, np.float32) if normalizer == "proportional" else None,
        **SETTINGS[setting](length),
    }
