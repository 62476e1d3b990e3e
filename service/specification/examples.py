"""Requests to try, and what the service answers."""

from importlib.resources import files
from typing import Any

import orjson

from service.examples import Example, load_examples

NamedExamples = dict[str, dict[str, Any]]
"""Requests by name, as OpenAPI wants them."""

ANSWERS: dict[str, dict[str, Any]] = orjson.loads(files(__package__).joinpath("answers.json").read_bytes())
"""What the first example of each endpoint is answered, to six decimals."""

SUPPORT: dict[str, Any] = {
    "query": [[2, 1, 1, 0]],
    "key": [[1.9, 1.5, 1.0, 0.3], [0.6, 1.1, 0.9, 2.0], [0.5, 1.0, 0.4, 0.4], [0.1, 0.5, 0.3, 0.6]],
    "value": [[1.0, 0.2, 0.0], [0.1, 1.0, 0.4], [0.2, 0.3, 1.0], [0.0, 0.1, 0.8]],
    "labels": {"query": ["团战"], "key": ["射手", "打野", "中路", "上路"]},
}
"""The team fight of Honor of Kings."""

UNSCALED_WEIGHTS = [[0.9343, 0.0421, 0.0189, 0.0047]]
"""What the team fight gives when the division by √4 is forgotten."""

EXPLANATIONS: NamedExamples = {
    "why-0.7017": {
        "summary": "射手为什么得到 0.7017 · Why the marksman receives 0.7017",
        "value": {"request": SUPPORT, "query_index": 0, "key_index": 0, "language": "en"},
    },
    "why-0.7017-zh": {
        "summary": "同上，用中文 · The same in Chinese",
        "value": {"request": SUPPORT, "query_index": 0, "key_index": 0, "language": "zh"},
    },
    "masked": {
        "summary": "看不到的键 · A key that is hidden",
        "value": {
            "request": SUPPORT | {"mask": {"allowed": [[False, True, True, True]]}},
            "query_index": 0,
            "key_index": 0,
        },
    },
    "additive": {
        "summary": "加性注意力的每个隐藏单元 · Every hidden unit of additive attention",
        "value": {
            "request": SUPPORT
            | {
                "score_model": {
                    "name": "additive",
                    "query_weight": [[0, 0, 0, -2], [-2, 0, 0, 0]],
                    "key_weight": [[0.5, 0, 0, 0], [0, 0, 0, 0.5]],
                    "score_vector": [3.8, 3.8],
                }
            },
            "query_index": 0,
            "key_index": 1,
        },
    },
}

COMPARISONS: NamedExamples = {
    "scale-and-temperature": {
        "summary": "不缩放，或改变温度 · Without the scale, or at another temperature",
        "value": {
            "base": SUPPORT | {"include": ["weights"], "decimals": 4},
            "variants": [
                {"label": "unscaled", "overrides": {"score_model": "dot_product"}},
                {"label": "T = 2", "overrides": {"normalizer": {"name": "softmax", "temperature": 2}}},
            ],
        },
    },
    "marksman-at-base": {
        "summary": "射手回城 · The marksman goes back to base",
        "value": {
            "base": SUPPORT,
            "variants": [{"label": "回城", "overrides": {"mask": {"allowed": [[False, True, True, True]]}}}],
        },
    },
}

CHECKS: NamedExamples = {
    "scale-missing": {
        "summary": "忘了除以 √D · The division by √D was forgotten",
        "value": {"request": SUPPORT, "candidate": {"weights": UNSCALED_WEIGHTS}, "rtol": 0, "atol": 5e-5},
    },
    "right": {
        "summary": "正确的结果 · A right result",
        "value": {
            "request": SUPPORT | {"dtype": "float32"},
            "candidate": {"scores": [[3.15, 1.6, 1.2, 0.5]]},
        },
    },
    "not-a-number": {
        "summary": "结果里有 NaN · A result with NaN",
        "value": {"request": SUPPORT, "candidate": {"output": [["NaN", 0.3242, 0.1991]]}, "atol": 1e-3},
    },
}


def worked_examples() -> NamedExamples:
    """Return the worked examples."""
    return {name: _as_openapi(one) for name, one in load_examples().items()}


def _as_openapi(example: Example) -> dict[str, Any]:
    return {
        "summary": f"{example.title['zh']} · {example.title['en']}",
        "description": f"{example.story['zh']}\n\n{example.story['en']}",
        "value": example.request,
    }
