"""Requests that the page can make: every score model, normalizer, mask, modifier and further field."""

import itertools
from collections.abc import Iterator
from typing import Any

from service.examples import load_examples
from service.schemas.catalogue import describe_normalizers, describe_score_models

Request = dict[str, Any]

EXAMPLE = load_examples()["additive"].request

BASE: Request = {
    "query": [*EXAMPLE["query"], [-1.5, 0.25, 3, -2], [0, 0, 0, 0], [1, 1, 1, 1]],
    "key": EXAMPLE["key"],
    "value": EXAMPLE["value"],
    "include": ["scores", "logits", "weights", "output", "diagnostics"],
}
"""Five queries, one of them a zero vector, four keys and three values of each."""

SCORE_MODELS: list[Request] = [
    *(entry["example"] for entry in describe_score_models()["score_models"]),
    {"name": "scaled_dot_product", "scale": 0.125},
    {"name": "cosine", "scale": 8},
    {"name": "gaussian", "bandwidth": 0.5},
    {"name": "laplacian", "bandwidth": 3},
    {
        "name": "expression",
        "formula": "sqrt(mean(square(q - k)) + r) * norm1(W @ concat(q, k)) / D",
        "parameters": {"r": 1, "W": [[1, 0, -1, 2, 0.5, 0, 1, -2], [0, 1, 1, 0, 3, 0, 0.25, 1]]},
    },
    {"name": "expression", "formula": "cosine(q, k) - relu(max(q) - min(k)) ** 2"},
]

NORMALIZERS: list[Request] = [
    *(entry["example"] for entry in describe_normalizers()["normalizers"]),
    {"name": "softmax", "sink": 0.5, "temperature": 0.05},
    {"name": "softmax", "temperature": 2},
    {"name": "sigmoid", "bias": -1.5},
    *({"name": "entmax", "alpha": alpha} for alpha in (1, 1.001, 1.2, 2, 3)),
]

ALLOWED = [[True, False, True, True], [True, True, True, False], [True] * 4, [False] * 4, [True] * 4]
"""The query of zeros sees no key."""

MASKS: dict[str, Request] = {
    "none": {},
    "causal": {"mask": {"causal": True}},
    "shifted": {"mask": {"causal": True, "offset": -1}},
    "window": {"mask": {"window": {"left": 1, "right": 0}, "offset": 1}},
    "open window": {"mask": {"window": {"left": None, "right": 1}}},
    "lengths": {"mask": {"key_lengths": [3]}},
    "cells": {"mask": {"allowed": ALLOWED}},
    "keys": {"mask": {"key_allowed": [True, False, True, True]}},
    "prefix": {"mask": {"causal": True, "prefix_lengths": [2], "key_allowed": [False, True, True, True]}},
    "positions": {"mask": {"causal": True}, "positions": {"query": [3, 0, -1, 9, 1], "key": [2, 0, 5, 9]}},
    "formula": {
        "mask": {"formula": "j <= p and p - j < n or g[i] == g[j]", "parameters": {"n": 2, "g": [0, 0, 1, 1, 1]}}
    },
    "both": {
        "mask": {"formula": "(i + j) % 2 == 0 or j == 0", "causal": True, "offset": 1},
        "score_modifier": {"formula": "2 * tanh(score / 2) - s[j] * abs(p - j)", "parameters": {"s": [0, 1, 2, 3]}},
    },
    "modifier": {"score_modifier": {"formula": "where(j <= p, score, -inf)"}, "positions": {"query": [0, -1, 2, 3, 1]}},
}


def requests() -> Iterator[tuple[str, Request]]:
    """Yield every score model with every normalizer and every mask, by a name that says which.

    Proportions are of the magnitude of the scores, as negative ones are refused.
    """
    axes = enumerate(SCORE_MODELS), enumerate(NORMALIZERS), MASKS.items()
    for (model_at, model), (normalizer_at, normalizer), (mask, fields) in itertools.product(*axes):
        request = {**BASE, "score_model": model, "normalizer": normalizer, **fields}
        if normalizer["name"] == "proportional":
            request["score_modifier"] = {"formula": "abs(score)"}
        yield f"{model['name']}-{model_at} {normalizer['name']}-{normalizer_at} {mask}", request


WITHOUT_VALUES: Request = {
    **{name: BASE[name] for name in ("query", "key")},
    "score_model": {"name": "scaled_dot_product"},
    "normalizer": {"name": "softmax"},
    "include": ["scores", "logits", "weights", "diagnostics"],
}


def sampled(step: int) -> dict[str, Request]:
    """Return one in `step` of all requests by name, and the one without values."""
    return dict(itertools.islice(requests(), 0, None, step)) | {"without values": WITHOUT_VALUES}
