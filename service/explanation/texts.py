"""Texts of explanations and checks in both languages, from ``texts.json``.

Names in braces are filled in with numbers and labels.
"""

from collections.abc import Mapping
from importlib.resources import files
from typing import Literal

import orjson

import attention_core
from service.schemas.base import Text

Texts = Mapping[str, Text]
Language = Literal["zh", "en"]

_GROUPS: dict[str, dict[str, Text]] = {
    group: {name: Text(**one) for name, one in texts.items()}
    for group, texts in orjson.loads(files(__package__).joinpath("texts.json").read_bytes()).items()
}

ADVICE: Texts = _GROUPS["mistakes"]
"""What to change about each of the usual mistakes, by its name."""

STEPS: Texts = _GROUPS["steps"]
"""One sentence a step.

A sentence under "softmax maximum" is for that normalizer's maximum, one under "maximum" for all others; the same holds
for "factor scale" and "factor".
"""

TERMS: Texts = _GROUPS["terms"]
"""Names of the terms of a score; the core counts each kind from 0."""

NAMES: Texts = _GROUPS["names"]
"""Names of queries and keys without labels, of a bias of −∞ and a score modifier, which hide a key as a mask does, of
the truth values, and the word and."""

MASKS: Texts = {name: mask.title for name, mask in attention_core.MASKS.items()} | {
    name: NAMES[name] for name in ("bias", "score_modifier")
}
"""Names of what hides a key."""

VERDICT: Texts = _GROUPS["verdict"]
"""Sentences about the result of a check."""
